// SPDX-License-Identifier: BSL-1.0
// A client, a server with its session table, and links between them that fail in every way a
// link can fail. It plays the part of the shell, checks the invariants of the session layer after
// each step, and throws `violation` where one does not hold.
#pragma once

#include <hawser/protocol/session/session_table.hpp>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace session_test {

namespace session = hawser::session;
using hawser::byte_vector;
using hawser::byte_view;
using hawser::message;
using hawser::outcome;
using hawser::time_point;
using session::endpoint;

struct violation : std::runtime_error {
    using std::runtime_error::runtime_error;
};
inline void require(bool holds, const std::string& what) {
    if (!holds) throw violation(what);
}

struct pair_options {
    std::uint64_t seed = 1;
    bool crashes = false;       // the server loses everything, also in the middle of something
    bool expiry = false;        // detached sessions run out, tombstones too
    bool damage = false;        // bytes are flipped
    bool losses = false;        // single frames vanish, so numbers are skipped
    bool on_processed = false;  // messages are finished later and in any order
    bool dedup = true;          // the receiver remembers ids across sessions
    bool checksum = true;
    std::uint64_t window_messages = 8;
    std::uint64_t window_bytes = 400;
    std::uint64_t send_window = 6;
    std::size_t max_messages = 60;  // each side sends at most so many
    bool rejects = false;           // some messages are refused
    std::uint64_t features[2] = {session::feature::all, session::feature::all};  // of the client, of the server
    std::size_t part_size = 64 * 1024;
};

/// How often something happened, so that a test can tell whether its runs reach it.
struct coverage {
    std::uint64_t resumed = 0, failed_with_position = 0, failed_without_position = 0, stale = 0, epochs = 0,
                  late_frames_ignored = 0, superseded = 0, copies_dropped = 0, gaps = 0, damaged = 0, cancelled = 0,
                  unknown = 0, sent_again = 0, expired = 0, previous_token = 0, delivered = 0, acknowledged = 0,
                  crashes = 0, rejected = 0, duplicates = 0, parts = 0;
};

class session_pair {
public:
    explicit session_pair(const pair_options& o) : o_(o), random_(o.seed) {
        client_.ep = std::make_unique<endpoint>(endpoint_options(session::side::client, 1));
        client_.origin = client_.ep->options().origin;
    }

    /// One random event, then all checks.
    void step() {
        const auto choice = pick(1000);
        if (choice < 100) app_sends(any_node());
        else if (choice < 350) pump(any_node());
        else if (choice < 680) deliver_something();
        else if (choice < 880) commit_step(any_node());
        else if (choice < 920) finish_something(any_node());
        else if (choice < 965) dial();
        else if (choice < 975) cancel_something(any_node());
        else if (choice < 987) advance(hawser::milliseconds(pick(150)));
        else if (choice < 989) any_node().ep->request_ping();
        else fault();
        notice_closed_links();
        collect();
        check();
    }
    /// Faults stop: everything must drain. Returns the number of rounds.
    std::size_t drain() {
        for (auto& l : links_)
            if (l->dead[0] || l->dead[1] || l->damaged) close_both(*l);
        for (std::size_t round = 1; round <= 3'000; ++round) {
            if (!client_link_) dial();
            for (node* n : nodes()) {
                commit_step(*n);
                pump(*n, true);
                while (finish_something(*n)) {}
            }
            for (auto& l : links_)
                for (const unsigned to : {0U, 1U})
                    while (!l->to[to].empty()) deliver(*l, to, false);
            notice_closed_links();
            if (round % 8 == 0) advance(hawser::milliseconds(210));
            collect();
            check();
            if (drained()) return round;
        }
        throw violation("liveness: not drained: " + describe());
    }
    /// After `drain`: every message has its outcome, and it is true.
    void check_end() {
        for (const node* n : nodes()) check_outcomes(*n);
        if (o_.crashes || o_.expiry || o_.losses) return;
        require(seen.epochs == 1, "an epoch was lost without a reason");
        for (const node* n : nodes())
            for (const auto& m : sent_[n->origin])
                require(m.result != outcome::unknown, "unknown without the loss of an epoch");
    }
    [[nodiscard]] std::string describe() const {
        std::string text = "seed " + std::to_string(o_.seed) + (client_.ep->attached() ? " attached" : " not attached");
        for (const node* n : nodes()) {
            auto& out = n->ep->out();
            text += "; queued " + std::to_string(out.queued()) + " next " + std::to_string(out.next_seq()) + " acked " +
                    std::to_string(out.acked()) + " received " + std::to_string(n->ep->in().received()) + " accepted " +
                    std::to_string(n->ep->in().accepted()) + (n->alive ? "" : " dead");
        }
        return text;
    }

    coverage seen;

private:
    static constexpr unsigned client_side = 0, server_side = 1;

    struct link;
    struct sent_message {
        byte_vector payload;
        outcome result = outcome::pending;
        bool written = false;
        bool handed = false;
        bool covered = false;   // the position of a failed RESUME says that the peer has it
        bool finished = false;  // the receiver's application took responsibility, in any incarnation
        bool rejected = false;  // it refused it
    };
    struct processing {
        std::uint64_t serial = 0, seq = 0;
        hawser::message_id id;
    };
    /// One endpoint with its application.
    struct node {
        std::unique_ptr<endpoint> ep;
        session::origin_id origin{};
        bool alive = true;
        bool committing = false;
        std::uint64_t in_flight_accepted = 0, committed_accepted = 0;
        std::uint64_t in_flight_next = 1, committed_next = 1;
        std::uint64_t serial = 0;  // of the epoch that the positions belong to
        std::map<std::uint64_t, std::uint64_t> counters;  // written in this epoch, by number
        std::uint64_t last_seq = 0, last_counter = 0, last_acked = 0;
        std::vector<processing> at_work, copies;
        session::session_record* record = nullptr;  // server only
        link* attached = nullptr;
    };
    struct link {
        std::deque<byte_vector> to[2];
        bool dead[2] = {false, false};    // what is sent to this side vanishes
        bool closed[2] = {false, false};  // this side is done with it
        bool damaged = false;
        enum class stage { ask, asked, answered, confirmed } client_stage = stage::ask;
        node* bound = nullptr;  // server's binding: session and generation
        std::uint64_t generation = 0;
    };
    using message_key = std::pair<session::origin_id, std::uint64_t>;

    // ---- choices -----------------------------------------------------------------------------

    unsigned pick(unsigned n) { return static_cast<unsigned>(random_() % n); }
    [[nodiscard]] std::vector<node*> nodes() const {
        std::vector<node*> all{const_cast<node*>(&client_)};
        for (const auto& n : servers_) all.push_back(n.get());
        return all;
    }
    node& any_node() {
        if (servers_.empty() || pick(2) == 0) return client_;
        // Mostly the newest session: the others only wait for their end.
        return pick(4) != 0 ? *servers_.back() : *servers_[pick(static_cast<unsigned>(servers_.size()))];
    }
    link* any_link() {
        if (links_.empty()) return nullptr;
        return pick(4) != 0 ? links_.back().get() : links_[pick(static_cast<unsigned>(links_.size()))].get();
    }
    session::endpoint_options endpoint_options(session::side side, unsigned origin) {
        session::endpoint_options e;
        e.side = side;
        e.checksum = o_.checksum;
        e.max_message_size = 4096;
        e.features = o_.features[side == session::side::client ? 0 : 1];
        e.part_size = o_.part_size;
        e.send_window = o_.send_window;
        e.send_window_bytes = 1000;
        e.receive.window_messages = o_.window_messages;
        e.receive.window_bytes = o_.window_bytes;
        for (std::size_t i = 0; i < 4; ++i) e.origin[i] = static_cast<std::byte>(origin >> (8 * i));
        return e;
    }
    template <std::size_t N>
    std::array<std::byte, N> random_bytes() {
        std::array<std::byte, N> bytes;
        for (auto& b : bytes) b = static_cast<std::byte>(random_());
        return bytes;
    }

    // ---- the applications --------------------------------------------------------------------

    void app_sends(node& n) {
        auto& log = sent_[n.origin];
        if (!n.alive || log.size() >= o_.max_messages) return;
        // Sometimes larger than the window, which then carries it alone.
        const std::size_t size = pick(12) == 0 ? std::min<std::size_t>(o_.window_bytes, 2000) + pick(300) : pick(120);
        byte_vector payload(size);
        for (auto& b : payload) b = static_cast<std::byte>(random_());
        const auto counter =
            n.ep->out().enqueue(message::binary(payload), {.key = pick(4) == 0 ? "key" : ""}, nullptr, now_);
        log.push_back({std::move(payload)});
        require(counter == log.size(), "counters are not consecutive");
    }
    void cancel_something(node& n) {
        auto& log = sent_[n.origin];
        if (log.empty()) return;
        const std::uint64_t counter = 1 + pick(static_cast<unsigned>(log.size()));
        const bool done = n.ep->out().cancel(counter);
        if (done) require(!log[counter - 1].written, "rule 4: a written message was cancelled");
    }
    bool finish_something(node& n) {
        if (n.at_work.empty()) return false;
        const auto i = static_cast<std::ptrdiff_t>(pick(static_cast<unsigned>(n.at_work.size())));
        const processing p = n.at_work[static_cast<std::size_t>(i)];
        n.at_work.erase(n.at_work.begin() + i);
        finish(n, p);
        return true;
    }
    void finish(node& n, const processing& p) {
        if (o_.rejects && pick(4) == 0) return reject(n, p);
        message_at(p.id).finished = true;
        finished_ids_.insert({p.id.origin, p.id.counter});
        n.ep->finish(p.serial, p.seq, now_);
        // Copies that came meanwhile, in this session or in another, are accepted with it.
        for (node* each : nodes())
            std::erase_if(each->copies, [&](const processing& c) {
                if (!(c.id == p.id)) return false;
                each->ep->finish(c.serial, c.seq, now_, outcome::duplicate);
                return true;
            });
    }
    // Not remembered: a copy that comes later is handed over, one that waits is refused with it.
    void reject(node& n, const processing& p) {
        handed_ids_.erase({p.id.origin, p.id.counter});
        refuse(n, p);
        for (node* each : nodes())
            std::erase_if(each->copies, [&](const processing& c) {
                if (!(c.id == p.id)) return false;
                refuse(*each, c);
                return true;
            });
    }
    void refuse(node& n, const processing& p) {
        // A peer that does not know exceptions is told that it was accepted.
        sent_message& m = message_at(p.id);
        (n.ep->speaks(session::feature::exceptions) ? m.rejected : m.finished) = true;
        n.ep->finish(p.serial, p.seq, now_, outcome::rejected);
    }
    sent_message& message_at(const hawser::message_id& id) {
        auto& log = sent_[id.origin];
        require(id.counter >= 1 && id.counter <= log.size(), "a message id that nobody gave");
        return log[id.counter - 1];
    }
    void hand_over(node& n, const session::action& a) {
        sent_message& m = message_at(a.id);
        require(m.payload == byte_vector(a.payload.begin(), a.payload.end()), "bytes differ, or the id is another's");
        require(m.written, "a message was delivered that was never written");
        require(m.result != outcome::cancelled, "a cancelled message was delivered");
        const std::uint64_t serial = n.ep->epoch_serial();
        if (n.serial != serial) n.last_seq = n.last_counter = n.last_acked = 0;
        n.serial = serial;
        require(a.seq == n.last_seq + 1, "rule 15: not once and in order");
        require(a.id.counter > n.last_counter, "order of the application");
        n.last_seq = a.seq;
        n.last_counter = a.id.counter;
        const auto here = [serial](const processing& p) { return p.serial == serial; };
        const auto open = std::count_if(n.at_work.begin(), n.at_work.end(), here);
        require(static_cast<std::uint64_t>(open) < o_.window_messages, "rule 7: more than the credit");
        const processing p{serial, a.seq, a.id};
        if (o_.dedup && !handed_ids_.insert({a.id.origin, a.id.counter}).second) {
            ++seen.copies_dropped;
            if (finished_ids_.contains({a.id.origin, a.id.counter})) n.ep->finish(serial, a.seq, now_, outcome::duplicate);
            else n.copies.push_back(p);
            return;
        }
        m.handed = true;
        ++seen.delivered;
        if (o_.on_processed) n.at_work.push_back(p);
        else finish(n, p);
    }

    // ---- journals ----------------------------------------------------------------------------

    void commit_step(node& n) {
        if (!n.alive) return;
        if (n.committing) {
            n.ep->end_commit();
            n.committing = false;
            n.committed_accepted = n.in_flight_accepted;
            n.committed_next = n.in_flight_next;
        } else if (n.ep->wants_commit()) {
            (void)n.ep->begin_commit();
            n.committing = true;
            n.in_flight_accepted = n.ep->in().accepted();
            n.in_flight_next = n.ep->out().next_seq();
        }
    }
    void epoch_began(node& n) {
        n.committed_accepted = n.in_flight_accepted = 0;
        n.committed_next = n.in_flight_next = 1;
        n.counters.clear();
    }

    // ---- links -------------------------------------------------------------------------------

    void dial() {
        if (client_link_) return;
        links_.push_back(std::make_unique<link>());
        client_link_ = links_.back().get();
        client_.attached = client_link_;
        client_.ep->attach_client();
    }
    void pump(node& n, bool all = false) {
        if (!n.alive || !n.attached) return;
        link& l = *n.attached;
        const unsigned to = &n == &client_ ? server_side : client_side;
        n.ep->assign(all ? 100'000 : 1 + pick(600));
        for (unsigned budget = all ? 1'000 : pick(6); budget > 0; --budget) {
            const auto f = n.ep->next_frame();
            if (!f) return;
            byte_vector bytes(f->head.begin(), f->head.end());
            hawser::append(bytes, f->payload);
            inspect(n, l, bytes);
            send(l, to, std::move(bytes));
        }
    }
    void send(link& l, unsigned to, byte_vector bytes) {
        if (!l.dead[to] && !l.closed[to]) l.to[to].push_back(std::move(bytes));
    }
    void deliver_something() {
        link* const l = any_link();
        if (!l) return;
        unsigned to = pick(2);
        if (l->to[to].empty()) to = 1 - to;
        for (unsigned n = 1 + pick(3); n > 0; --n) deliver(*l, to, true);
    }
    void deliver(link& l, unsigned to, bool faults) {
        if (l.to[to].empty()) return;
        byte_vector bytes = std::move(l.to[to].front());
        l.to[to].pop_front();
        if (l.closed[to]) return;
        if (faults && o_.losses && pick(40) == 0) {
            l.damaged = true;
            return;
        }
        if (faults && o_.damage && pick(40) == 0) {
            bytes[pick(static_cast<unsigned>(bytes.size()))] ^= static_cast<std::byte>(1U << pick(8));
            l.damaged = true;
            ++seen.damaged;
        }
        // Memory of its exact size, so that a sanitizer sees a read behind it.
        const auto copy = std::make_unique<std::byte[]>(bytes.size());
        std::copy(bytes.begin(), bytes.end(), copy.get());
        const byte_view frame(copy.get(), bytes.size());
        if (to == client_side) client_receives(l, frame);
        else server_receives(l, frame);
    }
    // A side that closed is noticed by the other when nothing is on its way any more.
    void notice_closed_links() {
        for (auto& l : links_) {
            if (l->closed[client_side] && !l->closed[server_side] && l->to[server_side].empty()) close_server(*l);
            if (l->closed[server_side] && !l->closed[client_side] && l->to[client_side].empty()) close_client(*l);
        }
        std::erase_if(links_, [](const auto& l) { return l->closed[0] && l->closed[1]; });
    }
    void close_client(link& l) {
        l.closed[client_side] = true;
        l.to[client_side].clear();
        if (client_link_ != &l) return;
        client_link_ = nullptr;
        client_.attached = nullptr;
        client_.ep->detach();
    }
    void close_server(link& l) {
        l.closed[server_side] = true;
        l.to[server_side].clear();
        node* n = std::exchange(l.bound, nullptr);
        if (!n || n->attached != &l) return;
        n->attached = nullptr;
        n->ep->detach();
        table_->detach(*n->record, now_ + session_ttl);
    }
    void close_both(link& l) {
        close_client(l);
        close_server(l);
    }

    // ---- faults ------------------------------------------------------------------------------

    void fault() {
        link* l = any_link();
        switch (pick(9)) {
        case 0: if (l) close_client(*l); break;  // what is on its way may still arrive, late
        case 1: if (l) close_server(*l); break;
        case 2: if (l) close_both(*l); break;
        case 3: if (l) l->dead[pick(2)] = true; break;
        case 4: if (l) drop_tail(*l, pick(2)); break;
        case 5: if (o_.crashes && pick(3) == 0) crash(); break;
        case 6: if (o_.expiry && pick(2) == 0) advance(session_ttl + hawser::milliseconds(1)); break;
        case 7: if (o_.expiry) advance(session_ttl / 2); break;
        default:  // the client gives up and is back at once, before the server knows
            if (l) close_client(*l);
            dial();
            pump(client_);
        }
    }
    // A cut loses what was on its way, and both sides learn of it when they read.
    void drop_tail(link& l, unsigned to) {
        while (!l.to[to].empty() && pick(3) != 0) l.to[to].pop_back();
        l.dead[to] = true;
        l.closed[1 - to] = true;
        if (to == server_side) close_client(l);
        else close_server(l);
    }
    void crash() {
        for (auto& l : links_) {
            l->bound = nullptr;
            l->closed[server_side] = true;
            l->to[server_side].clear();
        }
        servers_.clear();
        table_ = std::make_unique<session::session_table>(max_sessions);
        // What the client remembers of the server's messages survives.
        const auto of_client = [this](const message_key& k) { return k.first == client_.origin; };
        std::erase_if(handed_ids_, of_client);
        std::erase_if(finished_ids_, of_client);
        ++seen.crashes;
    }
    void advance(hawser::duration d) {
        now_ += d;
        for (node* n : nodes())
            if (n->alive && n->ep->deadline() <= now_) n->ep->on_time(now_);
        table_->expire(now_, [this](session::session_record& r) {
            ++seen.expired;
            end_server(*static_cast<node*>(r.owner), std::nullopt);
        });
    }

    // ---- the client's shell ------------------------------------------------------------------

    void client_receives(link& l, byte_view frame) {
        if (client_link_ != &l) return;
        const auto a = client_.ep->on_frame(frame, now_);
        if (a.what == session::action::kind::epoch_lost) note_position(frame);
        using kind = session::action::kind;
        switch (a.what) {
        case kind::none:
        case kind::pong:
        case kind::datagram:
        case kind::goaway: return;
        case kind::deliver: return hand_over(client_, a);
        case kind::established:
            ++seen.epochs;
            epoch_began(client_);
            l.client_stage = link::stage::answered;
            return;
        case kind::resumed:
            ++seen.resumed;
            l.client_stage = link::stage::answered;
            return;
        case kind::epoch_lost: l.client_stage = link::stage::ask; return;
        case kind::end_session:
            allowed_error(l, a);
            client_.ep->end_epoch(std::nullopt);
            return close_client(l);
        case kind::close_link: allowed_error(l, a); return close_client(l);
        }
    }
    void note_position(byte_view frame) {
        session::envelope e;
        session::resume_failed f;
        if (session::decode(frame, e) || !session::decode(e, f) || !f.has_position) return;
        for (const auto& [seq, counter] : client_.counters)
            if (seq <= f.accepted) message_at({client_.origin, counter}).covered = true;
    }
    void allowed_error(const link& l, const session::action& a) {
        if (a.error == hawser::errc::session_gap) ++seen.gaps;
        require(l.damaged, "an undamaged peer was accused: " + a.error.message());
    }

    // ---- the server's shell ------------------------------------------------------------------

    void server_receives(link& l, byte_view frame) {
        if (!l.bound && l.generation == 0) return first_frame(l, frame);
        // Rule 16: bound to session and generation; what an older link still brings is ignored.
        node* n = l.bound;
        if (!n || !n->alive || n->attached != &l || n->record->generation != l.generation) {
            ++seen.late_frames_ignored;
            return;
        }
        const auto a = n->ep->on_frame(frame, now_);
        using kind = session::action::kind;
        switch (a.what) {
        case kind::deliver: return hand_over(*n, a);
        case kind::established:
        case kind::resumed: return table_->confirm(*n->record);
        case kind::close_link: allowed_error(l, a); return close_server(l);
        case kind::end_session:
            allowed_error(l, a);
            end_server(*n, std::nullopt);
            return close_server(l);
        default: return;
        }
    }
    void first_frame(link& l, byte_view frame) {
        session::envelope e;
        session::hello h;
        session::resume r;
        if (!session::decode(frame, e) && session::checksum_matches(frame, e, {}) &&
            (e.has(session::flag::checksum) || !o_.checksum)) {
            if (e.type == session::frame_type::hello && session::decode(e, h)) return begin_session(l, h);
            if (e.type == session::frame_type::resume && session::decode(e, r)) return resume(l, r);
        }
        require(l.damaged, "an honest first frame was refused");
        close_server(l);
    }
    void begin_session(link& l, const session::hello& h) {
        servers_.push_back(std::make_unique<node>());
        node& n = *servers_.back();
        const unsigned origin = 1000 + ++server_count_;
        n.ep = std::make_unique<endpoint>(endpoint_options(session::side::server, origin));
        n.origin = n.ep->options().origin;
        const auto epoch = random_bytes<16>();
        const auto token = random_bytes<32>();
        require(!n.ep->attach_hello(h, epoch, token), "HELLO was refused");
        n.record = table_->add(epoch, token, "somebody", n.ep.get(), &n);
        if (!n.record) {
            sent_.erase(n.origin);
            servers_.pop_back();
            return close_server(l);
        }
        attach(n, l);
    }
    void attach(node& n, link& l) {
        n.attached = &l;
        n.record->attached = true;
        l.bound = &n;
        l.generation = n.record->generation;
    }
    void resume(link& l, const session::resume& r) {
        const auto d = table_->decide(r, "somebody", now_);
        using kind = session::resume_decision::kind;
        if (d.what == kind::stale) {
            ++seen.stale;
            return close_server(l);
        }
        if (d.what == kind::resume) {
            node& n = *static_cast<node*>(d.owner);
            if (session::sha256(r.token) == n.record->previous && n.record->has_previous) ++seen.previous_token;
            const auto fresh = random_bytes<32>();
            table_->rotate(*n.record, r.token, fresh);
            if (link* old = n.attached) {
                ++seen.superseded;
                // Its frames may still come in: it stays in place until both ends know.
                n.attached = nullptr;
                old->dead[client_side] = true;
                n.ep->detach();
            }
            n.ep->attach_resume(r, fresh, {}, now_);
            return attach(n, l);
        }
        ++(d.answer.has_position ? seen.failed_with_position : seen.failed_without_position);
        if (d.what == kind::ended) {
            require(o_.crashes || o_.expiry || o_.losses, "rule 13: an honest client's session was ended");
            node& n = *static_cast<node*>(d.owner);
            if (d.answer.has_position) require(d.answer.accepted == n.committed_accepted, "the position answered");
            n.record = nullptr;
            end_server(n, d.own_position, r.exceptions);
        }
        byte_vector bytes;
        session::encode(bytes, d.answer, o_.checksum);
        send(l, client_side, std::move(bytes));
    }
    void end_server(node& n, std::optional<std::uint64_t> position, session::exception_view exceptions = {}) {
        if (!n.alive) return;
        n.ep->end_epoch(position, exceptions);
        const std::uint64_t accepted = n.ep->in().durable_accepted();
        require(accepted == n.committed_accepted, "a tombstone's position is not the committed one");
        n.ep->out().finish_all(outcome::cancelled);
        if (n.record) table_->bury(*n.record, accepted, now_ + session_ttl);
        n.record = nullptr;
        if (n.attached) {
            link& l = *std::exchange(n.attached, nullptr);
            l.closed[server_side] = true;
            l.to[server_side].clear();
        }
        if (n.committing) commit_step(n);
        commit_step(n);
        commit_step(n);
        collect(n);
        n.alive = false;
    }

    // ---- what is on the wire -----------------------------------------------------------------

    void inspect(node& n, link& l, byte_view frame) {
        session::envelope e;
        require(!session::decode(frame, e), "an own frame cannot be decoded");
        using type = session::frame_type;
        if (&n == &client_) inspect_order(l, e.type);
        session::ack_fields ack;
        session::resume r;
        session::resumed rd;
        session::data d;
        byte_view payload;
        if (e.type == type::data) {
            require(session::decode(e, d, payload), "own DATA cannot be decoded");
            require(d.seq < n.committed_next, "DATA before its number was durable");
            if (d.more) {
                ++seen.parts;
                return require(payload.size() == o_.part_size && n.ep->speaks(session::feature::parts), "rule 8: a part");
            }
            const std::uint64_t counter = d.seq + n.ep->out().epoch_id_base() + static_cast<std::uint64_t>(d.id_delta);
            sent_message& m = message_at({n.origin, counter});
            require(m.result == outcome::pending, "DATA of a message that is over");
            seen.sent_again += m.written ? 1 : 0;
            require(!m.covered, "rule 14: sent again although the peer had said that it has it");
            n.counters[d.seq] = counter;
            m.written = true;
            if (d.has_ack) position_is_durable(n, d.ack.accepted);
        } else if (e.type == type::ack || e.type == type::ping || e.type == type::pong) {
            require(session::decode(e, ack), "own position cannot be decoded");
            position_is_durable(n, ack.accepted);
        } else if (e.type == type::resume) {
            require(session::decode(e, r), "own RESUME cannot be decoded");
            position_is_durable(n, r.accepted);
        } else if (e.type == type::resumed) {
            require(session::decode(e, rd), "own RESUMED cannot be decoded");
            position_is_durable(n, rd.accepted);
        }
    }
    static void position_is_durable(const node& n, std::uint64_t accepted) {
        require(accepted <= n.committed_accepted, "rule 5: a position on the wire before it was durable");
    }
    // Rule 9: one question, then nothing until it is answered, then an ACK.
    static void inspect_order(link& l, session::frame_type t) {
        using type = session::frame_type;
        using stage = link::stage;
        switch (l.client_stage) {
        case stage::ask:
            require(t == type::hello || t == type::resume, "rule 9: something before HELLO or RESUME");
            l.client_stage = stage::asked;
            return;
        case stage::asked: throw violation("rule 9: something before the answer");
        case stage::answered:
            require(t == type::ack, "rule 9: the first frame after the answer is not an ACK");
            l.client_stage = stage::confirmed;
            return;
        case stage::confirmed: return;
        }
    }

    // ---- checks ------------------------------------------------------------------------------

    void collect() {
        for (node* n : nodes()) collect(*n);
    }
    void collect(node& n) {
        while (auto f = n.ep->out().pop_finished()) {
            sent_message& m = sent_[n.origin].at(f->counter - 1);
            require(m.result == outcome::pending, "a second outcome of one message");
            m.result = f->result;
            switch (f->result) {
            case outcome::acknowledged:
                ++seen.acknowledged;
                require(m.handed && m.finished, "acknowledged, but nobody took responsibility");
                break;
            case outcome::duplicate:
                ++seen.duplicates;
                require(m.handed && m.finished, "rule 6: a duplicate of what nobody has");
                break;
            case outcome::rejected:
                ++seen.rejected;
                require(m.rejected, "rule 6: rejected, but nobody rejected it");
                break;
            case outcome::cancelled:
                ++seen.cancelled;
                require(!m.written, "rule 4: cancelled, but it was written");
                break;
            case outcome::unknown:
                ++seen.unknown;
                require(m.written, "unknown, but it was never written");
                break;
            default: throw violation("an outcome that cannot be");
            }
        }
    }
    void check() {
        for (const auto& n : servers_) {
            if (!n->alive || !client_.ep->has_epoch() || n->ep->epoch() != client_.ep->epoch()) continue;
            check_direction(client_, *n);
            check_direction(*n, client_);
        }
        std::size_t owners = 0;
        for (const auto& n : servers_) owners += n->alive && n->attached ? 1U : 0U;
        require(owners <= links_.size(), "a session is attached to a link that is gone");
    }
    static void check_direction(node& from, const node& to) {
        auto& out = from.ep->out();
        const auto& in = to.ep->in();
        require(out.acked() <= in.durable_accepted(), "acked > durable");
        require(in.durable_accepted() <= in.accepted() && in.accepted() <= in.received(), "accepted > received");
        require(in.received() <= out.written_through(), "received > sent");
        require(out.written_through() < out.next_seq(), "sent > numbered");
        require(out.first_retained() == out.acked() + 1 && out.next_seq() == out.acked() + out.in_flight() + 1,
                "what is kept is not sent minus acked");
    }
    void check_outcomes(const node& n) {
        for (const auto& m : sent_[n.origin]) {
            require(m.result != outcome::pending, "a message without an outcome");
            if (m.result == outcome::acknowledged) require(m.handed, "acknowledged and not handed over");
            if (m.result == outcome::cancelled) require(!m.handed, "cancelled and handed over");
        }
    }
    [[nodiscard]] bool drained() {
        // Sessions that nobody comes back to run out.
        for (const auto& n : servers_) {
            if (!n->alive || n->attached || (client_.ep->has_epoch() && n->ep->epoch() == client_.ep->epoch())) continue;
            table_->detach(*n->record, now_);
            advance(hawser::milliseconds(1));
            return false;
        }
        if (!client_.ep->attached() || !client_.ep->out().drained() || client_.ep->commit_pending()) return false;
        for (const auto& n : servers_)
            if (n->alive && (!n->ep->out().drained() || n->ep->commit_pending())) return false;
        for (const node* n : nodes())
            for (const auto& m : sent_[n->origin])
                if (m.result == outcome::pending) return false;
        return true;
    }

    static constexpr hawser::seconds session_ttl{120};
    static constexpr std::size_t max_sessions = 16;

    pair_options o_;
    std::mt19937_64 random_;
    time_point now_ = time_point{} + hawser::seconds(1000);
    std::map<session::origin_id, std::vector<sent_message>> sent_;
    std::set<message_key> handed_ids_, finished_ids_;
    node client_;
    std::vector<std::unique_ptr<node>> servers_;
    std::unique_ptr<session::session_table> table_ = std::make_unique<session::session_table>(max_sessions);
    std::vector<std::unique_ptr<link>> links_;
    link* client_link_ = nullptr;
    unsigned server_count_ = 0;
};

}  // namespace session_test

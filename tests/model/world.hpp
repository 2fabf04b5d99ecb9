// SPDX-License-Identifier: BSL-1.0
// A client, a server with its session table, and links between them. It plays the shell's part
// for the shipped session state machines and knows the truth: what was written, handed over,
// made durable and reported. Where a rule does not hold it throws `violation`.
#pragma once

#include "model/parts.hpp"
#include "model/private_members.hpp"

#include <hawser/policy/dedup_cache.hpp>
#include <hawser/protocol/session/session_table.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>

namespace model {

class world {
public:
    explicit world(const bounds& b) : b_(b), left_(b) { make_client(); }

    // ---- what may happen -----------------------------------------------------------------------

    /// Writes the enabled steps to `out`; returns how many.
    unsigned enabled(std::array<action, 96>& out) const {
        unsigned n = 0;
        const auto add = [&](act what, unsigned where = 0, unsigned which = 0) {
            out[n++] = {what, static_cast<std::uint8_t>(where), static_cast<std::uint8_t>(which)};
        };
        for (unsigned l = 0; l < links_used_; ++l)
            for (const unsigned side : {server_side, client_side})
                if (deliverable(links_[l], side)) add(act::deliver, l * 2 + side);
        for (unsigned i = 0; i < nodes_used_; ++i) {
            const node& x = nodes_[i];
            if (!x.alive) continue;
            if (x.link >= 0 && may_write(i)) add(act::write, i);
            if (slow(i) && (x.committing || x.ep->wants_commit())) add(act::commit, i);
            for (unsigned k = 0; k < x.working; ++k) {
                add(act::finish, i, k);
                if (left_.rejects > 0) add(act::reject, i, k);
            }
            if (may_send(i)) add(act::send, i);
            if (x.link >= 0 && x.ep->deadline() != hawser::never) add(act::tick, i);
            if (left_.cancels > 0)
                for (unsigned c = 1; c <= sent_count_[x.origin]; ++c)
                    if (message_of(x.origin, c).result == outcome::pending) add(act::cancel, i, c);
            if (left_.pings > 0 && x.ep->attached()) add(act::ping, i);
            if (left_.forgeries > 0 && i > 0)
                for (unsigned k = 0; k < forgery_count; ++k)
                    if (may_forge(i, k)) add(act::forge, i, k);
        }
        if (nodes_[0].link < 0 && left_.dials > 0 && links_used_ < max_links) add(act::dial);
        for (unsigned l = 0; l < links_used_; ++l) {
            const link& k = links_[l];
            for (const unsigned side : {client_side, server_side}) {
                if (left_.leaves > 0 && !k.deaf[side] && !k.closed[side]) add(act::leave, l * 2 + side);
                if (left_.losses > 0 && k.queued[side] > 0) add(act::lose, l * 2 + side);
                if (left_.damages > 0 && k.queued[side] > 0) add(act::damage, l * 2 + side);
            }
            if (left_.cuts > 0) add(act::cut, l);
        }
        if (left_.expiries > 0 && nodes_used_ > 1) add(act::expire);
        if (left_.server_crashes > 0 && nodes_used_ > 1) add(act::crash, 1);
        if (left_.client_crashes > 0 && sent_count_[nodes_[0].origin] > 0) add(act::crash, 0);
        return n;
    }
    [[nodiscard]] bool allows(const action& a) const {
        std::array<action, 96> all;
        const unsigned n = enabled(all);
        return std::any_of(all.begin(), all.begin() + n, [&](const action& e) {
            return e.what == a.what && e.where == a.where && e.which == a.which;
        });
    }
    /// Takes one step, and checks all that must hold.
    void apply(const action& a) {
        switch (a.what) {
            case act::send:
                send(nodes_[a.where]);
                break;
            case act::write:
                (void)write(a.where);
                break;
            case act::deliver:
                deliver(a.where / 2, a.where % 2);
                break;
            case act::commit:
                commit_step(nodes_[a.where]);
                break;
            case act::finish:
                finish_at(a.where, a.which);
                break;
            case act::dial:
                --left_.dials;
                dial();
                break;
            case act::leave:
                --left_.leaves;
                leave(a.where / 2, a.where % 2);
                break;
            case act::cut:
                --left_.cuts;
                leave(a.where, client_side);
                leave(a.where, server_side);
                break;
            case act::lose:
                --left_.losses;
                taint(a);
                (void)links_[a.where / 2].pop(a.where % 2);
                break;
            case act::damage:
                --left_.damages;
                taint(a);
                flip(links_[a.where / 2].to[a.where % 2][0]);
                break;
            case act::tick:
                nodes_[a.where].ep->on_time(nodes_[a.where].ep->deadline());
                break;
            case act::expire:
                --left_.expiries;
                expire();
                break;
            case act::crash:
                a.where == 0 ? crash_client() : crash_server();
                break;
            case act::cancel:
                --left_.cancels;
                cancel(nodes_[a.where], a.which);
                break;
            case act::ping:
                --left_.pings;
                nodes_[a.where].ep->request_ping();
                break;
            case act::reject:
                --left_.rejects;
                reject_at(a.where, a.which);
                break;
            case act::forge:
                --left_.forgeries;
                forge(a.where, a.which);
                break;
        }
        settle();
    }

    /// Faults stop, time is fair: everything must drain, and every outcome must be true.
    void drain() {
        left_ = {};
        left_.cancels = left_.forgeries = left_.rejects = 0;
        for (unsigned l = 0; l < links_used_; ++l)
            if (links_[l].tainted) {
                leave(l, client_side);
                leave(l, server_side);
            }
        settle();
        for (unsigned round = 0, idle = 0;; ++round) {
            require(round < 200, "liveness: it goes on for ever");
            const bool moved = fair_round();
            if (drained()) break;
            idle = moved ? 0 : idle + 1;
            require(idle < 4, "liveness: nothing moves any more, and not all is delivered or reported");
            if (idle == 1) nudge();
            if (idle == 2) expire();
            settle();
        }
        for (unsigned i = 0; i < nodes_used_; ++i)
            if (nodes_[i].alive || nodes_[i].ended_honestly) check_outcomes(nodes_[i].origin);
    }

    void print(printer& p) {
        p.all(left_.messages[0], left_.messages[1], left_.cancels, left_.pings, left_.dials, left_.cuts, left_.leaves,
              left_.losses, left_.damages, left_.expiries, left_.server_crashes, left_.client_crashes, left_.forgeries,
              left_.rejects);
        p.all(nodes_used_, links_used_, minted_, forged_);
        for (unsigned i = 0; i < nodes_used_; ++i)
            print(p, nodes_[i]);
        for (unsigned l = 0; l < links_used_; ++l)
            print(p, links_[l]);
        for (unsigned o = 0; o < origins_used_; ++o) {
            p.all(sent_count_[o], last_handed_[o]);
            for (unsigned c = 1; c <= sent_count_[o]; ++c) {
                const sent_message& m = message_of(o, c);
                p.all(m.result, m.written | m.handed << 1 | m.finished << 2 | m.covered << 3 | m.uncertain << 4 |
                                    m.remembered << 5 | m.rejected << 6);
            }
        }
        model::print(p, *table_, now_);
        p.small(dedup_[0].size());
        p.small(dedup_[1].size());
    }

private:
    static constexpr hawser::seconds session_ttl{120};
    static constexpr hawser::dedup_options remember_all{.max_entries = 64,
                                                        .dedup_ttl = hawser::milliseconds(86'400'000)};
    static constexpr unsigned forgery_count = 11;
    // All ids collide: equality must not rest on the hash.
    struct one_hash {
        std::uint64_t operator()(const hawser::message_id&) const noexcept { return 1; }
    };
    using cache = hawser::xxhash_dedup_cache<one_hash>;

    void print(printer& p, node& x) const {
        p.all(x.alive, x.crashed, x.origin, x.link + 1, x.position_known, x.position, x.last_attempt & 0xffff, x.ended,
              x.ended_honestly | x.gap_seen << 1);
        if (!x.alive) {
            if (x.answers_until != hawser::never) p.small(x.answers_until > now_);
            return;
        }
        p.all(x.committing, x.serial, x.last_seq, x.last_acked, x.working, x.durable.accepted, x.durable.next_seq,
              x.durable.finished, x.durable.ended);
        if (x.committing) p.all(x.in_flight.accepted, x.in_flight.next_seq, x.in_flight.finished, x.in_flight.ended);
        for (const std::uint64_t c : x.counters)
            p.small(c);
        for (unsigned k = 0; k < x.working; ++k)
            p.all(x.at_work[k].serial, x.at_work[k].seq, x.at_work[k].id.counter);
        p(x.durable.token);
        model::print(p, *x.ep);
    }
    static void print(printer& p, const link& l) {
        for (const unsigned side : {0U, 1U}) {
            p.small(l.queued[side]);
            for (unsigned i = 0; i < l.queued[side]; ++i) {
                p.small(l.to[side][i].size);
                p.raw(l.to[side][i].bytes, l.to[side][i].size);
            }
        }
        p.all(l.closed[0] | l.closed[1] << 1 | l.deaf[0] << 2 | l.deaf[1] << 3 | l.tainted << 4 | l.goodbye << 5,
              l.client_stage, l.bound, l.generation, l.last_seq[0], l.last_seq[1]);
    }

    // ---- making ----------------------------------------------------------------------------------

    template <std::size_t N>
    std::array<std::byte, N> mint() {
        std::array<std::byte, N> bytes{};
        bytes[0] = static_cast<std::byte>(++minted_);
        return bytes;
    }
    session::endpoint_options endpoint_options(session::side side, unsigned origin) const {
        session::endpoint_options e;
        e.side = side;
        e.checksum = b_.checksum;
        e.keep_records = true;
        e.features = b_.features[side == session::side::client ? 0 : 1];
        e.part_size = b_.part_size;
        e.max_message_size = 64;
        e.send_window = b_.send_window;
        e.sequence_end = b_.sequence_end;
        e.receive.window_messages = b_.window_messages;
        e.receive.window_bytes = b_.window_bytes;
        e.origin[0] = static_cast<std::byte>(origin + 1);
        return e;
    }
    void make(node& x, session::side side) {
        require(origins_used_ < max_origins, "the model's room for origins is used up");
        x = node();
        x.alive = true;
        x.origin = origins_used_++;
        x.ep = std::make_unique<endpoint>(endpoint_options(side, x.origin));
        x.last_acked = 0;
    }
    void make_client() {
        make(nodes_[0], session::side::client);
        nodes_used_ = std::max(nodes_used_, 1U);
    }
    [[nodiscard]] const sent_message& message_of(unsigned origin, std::uint64_t counter) const {
        require(counter >= 1 && counter <= sent_count_[origin], "rule 2: a message id that nobody gave");
        return sent_[origin][counter - 1];
    }
    sent_message& message_of(unsigned origin, std::uint64_t counter) {
        return const_cast<sent_message&>(std::as_const(*this).message_of(origin, counter));
    }
    [[nodiscard]] bool slow(unsigned i) const { return b_.slow_store[i == 0 ? 0 : 1]; }
    static unsigned side_of(unsigned i) { return i == 0 ? client_side : server_side; }
    // The session that the server's application sends on: the newest.
    [[nodiscard]] unsigned newest() const {
        for (unsigned i = nodes_used_; i-- > 1;)
            if (nodes_[i].alive) return i;
        return 0;
    }
    [[nodiscard]] static bool deliverable(const link& k, unsigned side) {
        return !k.deaf[side] && (k.queued[side] > 0 || k.closed[1 - side]);
    }
    [[nodiscard]] bool may_write(unsigned i) const {
        const node& x = nodes_[i];
        const link& k = links_[static_cast<unsigned>(x.link)];
        return !k.closed[side_of(i)] && k.queued[1 - side_of(i)] < max_frames - 1;
    }
    [[nodiscard]] bool may_send(unsigned i) const {
        if (left_.messages[side_of(i)] == 0 || sent_count_[nodes_[i].origin] == max_messages) return false;
        return i == 0 || i == newest();
    }

    // ---- the applications ------------------------------------------------------------------------

    void send(node& x) {
        --left_.messages[side_of(index_of(x))];
        const unsigned counter = ++sent_count_[x.origin];
        sent_[x.origin][counter - 1] = {};
        const std::byte body[2] = {static_cast<std::byte>(x.origin), static_cast<std::byte>(counter)};
        require(x.ep->out().enqueue(hawser::message::binary(body), {}, nullptr, now_) == counter,
                "rule 2: counters are not consecutive");
    }
    void cancel(node& x, unsigned counter) {
        if (x.ep->out().cancel(counter))
            require(!message_of(x.origin, counter).written, "rule 4: a written message was cancelled");
    }
    void finish_at(unsigned i, unsigned which) {
        node& x = nodes_[i];
        const processing p = x.at_work[which];
        std::copy(x.at_work + which + 1, x.at_work + x.working, x.at_work + which);
        --x.working;
        finish(i, p);
    }
    void reject_at(unsigned i, unsigned which) {
        node& x = nodes_[i];
        const processing p = x.at_work[which];
        std::copy(x.at_work + which + 1, x.at_work + x.working, x.at_work + which);
        --x.working;
        // A peer that does not know exceptions is told that it was accepted.
        sent_message& m = message_of(origin_of(p.id), p.id.counter);
        (x.ep->speaks(session::feature::exceptions) ? m.rejected : m.finished) = true;
        x.ep->finish(p.serial, p.seq, now_, outcome::rejected);
    }
    void finish(unsigned i, const processing& p) {
        node& x = nodes_[i];
        (void)dedup_[side_of(i)].insert(p.id, now_);
        sent_message& m = message_of(origin_of(p.id), p.id.counter);
        m.finished = m.remembered = true;
        x.ep->finish(p.serial, p.seq, now_);
    }
    static unsigned origin_of(const hawser::message_id& id) {
        const auto first = std::to_integer<unsigned>(id.origin[0]);
        require(first >= 1 && first <= max_origins, "rule 2: an origin that nobody has");
        return first - 1;
    }
    void hand_over(unsigned i, const session::action& a) {
        node& x = nodes_[i];
        const unsigned origin = origin_of(a.id);
        sent_message& m = message_of(origin, a.id.counter);
        require(a.payload.size() == 2 && a.payload[0] == static_cast<std::byte>(origin) &&
                    a.payload[1] == static_cast<std::byte>(a.id.counter),
                "rule 2, rule 8: bytes differ, or the id is another's");
        require(m.written, "a message was delivered that was never written");
        require(m.result != outcome::cancelled, "rule 4: a cancelled message was delivered");
        const std::uint64_t serial = x.ep->epoch_serial();
        if (x.serial != serial) x.last_seq = 0;
        x.serial = serial;
        require(a.seq == x.last_seq + 1, "rule 15: not once and in order");
        x.last_seq = a.seq;
        const processing p{serial, a.seq, a.id};
        if (dedup_[side_of(i)].contains(a.id, now_)) {
            require(m.remembered, "rule 21: taken for a duplicate");
            return x.ep->finish(serial, a.seq, now_, outcome::duplicate);
        }
        require(!m.remembered, "rule 21: handed over again after it was finished");
        require(a.id.counter > last_handed_[origin] || m.handed, "order of the application");
        last_handed_[origin] = a.id.counter;
        m.handed = true;
        if (!b_.on_processed) return finish(i, p);
        require(x.working < b_.window_messages, "rule 7: more than the credit");
        x.at_work[x.working++] = p;
    }

    // ---- stores ----------------------------------------------------------------------------------

    void commit_step(node& x) {
        if (x.committing) {
            x.ep->end_commit();
            x.committing = false;
            x.durable = x.in_flight;
        } else if (x.ep->wants_commit()) {
            x.in_flight = x.durable;
            for (const session::record& r : x.ep->begin_commit())
                put(x.in_flight, r);
            x.committing = true;
        }
    }
    static void put(disk& d, const session::record& r) {
        switch (r.kind) {
            case session::record_kind::enqueued:
                return;
            case session::record_kind::assigned:
                d.next_seq = r.seq + 1;
                return;
            case session::record_kind::finished:
                d.finished |= std::uint64_t{1} << r.counter;
                return;
            case session::record_kind::accepted:
                d.accepted = r.seq;
                return;
            case session::record_kind::epoch_ended:
                // Positions count from the beginning of their epoch.
                d.accepted = 0;
                d.next_seq = 1;
                ++d.ended;
                return;
            case session::record_kind::epoch_begun: {
                session::session_state state;
                require(session::decode(r.state, state), "a state that cannot be decoded");
                d.token = state.token[0] | state.server.current[0];  // one of them
                return;
            }
        }
    }
    static void epoch_began(node& x) {
        x.last_acked = 0;
        std::fill(std::begin(x.counters), std::end(x.counters), 0);
    }
    // After each step: stores that are fast have committed, links that both ends left are gone.
    void settle() {
        for (unsigned i = 0; i < nodes_used_; ++i)
            if (nodes_[i].alive && !slow(i))
                while (nodes_[i].committing || nodes_[i].ep->wants_commit())
                    commit_step(nodes_[i]);
        for (unsigned l = links_used_; l-- > 0;)
            if (links_[l].gone()) remove_link(l);
        for (unsigned i = 0; i < nodes_used_; ++i)
            if (nodes_[i].alive) collect(nodes_[i]);
        check();
    }

    // ---- links -----------------------------------------------------------------------------------

    unsigned index_of(const node& x) const { return static_cast<unsigned>(&x - nodes_.data()); }
    void remove_link(unsigned l) {
        std::move(links_.begin() + l + 1, links_.begin() + links_used_, links_.begin() + l);
        links_[--links_used_] = link();
        for (node& x : nodes_)
            if (x.link > static_cast<int>(l)) --x.link;
    }
    void dial() {
        nodes_[0].link = static_cast<int>(links_used_);
        links_[links_used_++] = link();
        nodes_[0].ep->attach_client();
    }
    void taint(const action& a) { links_[a.where / 2].tainted = true; }
    static void flip(frame& f) { f.bytes[f.size - 1] ^= std::byte{1}; }
    // One side closes its end, or learns that it is closed.
    void leave(unsigned l, unsigned side) {
        link& k = links_[l];
        if (k.deaf[side]) return;
        k.closed[side] = k.deaf[side] = true;
        k.queued[side] = 0;
        if (side == client_side) {
            if (nodes_[0].link != static_cast<int>(l)) return;
            nodes_[0].link = -1;
            return nodes_[0].ep->detach();
        }
        node& x = nodes_[k.bound];
        if (k.bound == 0 || !x.alive || x.link != static_cast<int>(l)) return;
        x.link = -1;
        x.ep->detach();
        table_->detach(*x.record, now_ + session_ttl);
    }
    bool write(unsigned i) {
        node& x = nodes_[i];
        link& k = links_[static_cast<unsigned>(x.link)];
        x.ep->assign(1);
        if (!slow(i))
            while (x.committing || x.ep->wants_commit())
                commit_step(x);
        const auto f = x.ep->next_frame();
        if (!f) return false;
        const byte_view body = f->payload;
        frame whole;
        require(f->head.size() + body.size() <= sizeof whole.bytes, "a frame is longer than the model's");
        whole.size = static_cast<std::uint8_t>(f->head.size() + body.size());
        std::copy(f->head.begin(), f->head.end(), whole.bytes);
        std::copy(body.begin(), body.end(), whole.bytes + f->head.size());
        inspect(i, k, whole.view());
        k.push(1 - side_of(i), f->head, body);
        return true;
    }
    void deliver(unsigned l, unsigned side) {
        link& k = links_[l];
        if (k.queued[side] == 0) return end_of_stream(l, side);
        const frame f = k.pop(side);
        if (side == client_side)
            client_receives(l, f.view());
        else
            server_receives(l, f.view());
    }
    void end_of_stream(unsigned l, unsigned side) {
        const link& k = links_[l];
        if (side == server_side && k.goodbye && k.bound != 0 && nodes_[k.bound].alive &&
            nodes_[k.bound].link == static_cast<int>(l))
            end_server(k.bound, std::nullopt);
        leave(l, side);
    }

    // Rule 15: one RESUME for a gap; a second one without progress ends the session.
    session::action receive(node& x, byte_view bytes) {
        session::envelope e;
        session::data d;
        byte_view payload;
        const bool gap = x.ep->attached() && !session::decode(bytes, e) && e.type == session::frame_type::data &&
                         session::decode(e, d, payload) && session::checksum_matches(bytes, e, payload) &&
                         !d.more && d.seq > x.ep->in().received() + 1;
        const auto a = x.ep->on_frame(bytes, now_);
        using kind = session::action::kind;
        if (gap) require(a.what == (x.gap_seen ? kind::end_session : kind::close_link), "rule 15: a gap");
        if (gap || a.what == kind::deliver || a.what == kind::established) x.gap_seen = gap;
        return a;
    }

    // ---- the client's shell ----------------------------------------------------------------------

    void client_receives(unsigned l, byte_view bytes) {
        if (nodes_[0].link != static_cast<int>(l)) return;
        node& x = nodes_[0];
        const std::uint64_t written = x.ep->out().written_through();
        const auto a = receive(x, bytes);
        using kind = session::action::kind;
        switch (a.what) {
            case kind::none:
            case kind::pong:
            case kind::datagram:
            case kind::goaway:
                return;
            case kind::deliver:
                return hand_over(0, a);
            case kind::established:
                epoch_began(x);
                links_[l].client_stage = link::stage::answered;
                return;
            case kind::resumed:
                links_[l].client_stage = link::stage::answered;
                return;
            case kind::epoch_lost:
                note_failure(bytes, written);
                links_[l].client_stage = link::stage::ask;
                return;
            case kind::end_session:
                allowed_error(links_[l], a);
                note_end(x, written, std::nullopt);
                x.ep->end_epoch(std::nullopt);
                links_[l].goodbye = a.code == hawser::close_code::normal;
                return leave(l, client_side);
            case kind::close_link:
                allowed_error(links_[l], a);
                return leave(l, client_side);
        }
    }
    void note_failure(byte_view bytes, std::uint64_t written) {
        session::envelope e;
        session::resume_failed f;
        require(!session::decode(bytes, e) && session::decode(e, f), "an epoch ended by something else");
        const bool usable = f.has_position && f.accepted <= written;
        note_end(nodes_[0], written, usable ? std::optional(f.accepted) : std::nullopt);
    }
    void note_end(node& x, std::uint64_t written, std::optional<std::uint64_t> position) {
        ++x.ended;
        for (std::uint64_t seq = 1; seq <= std::min<std::uint64_t>(written, max_messages); ++seq) {
            sent_message& m = message_of(x.origin, x.counters[seq]);
            if (m.result != outcome::pending) continue;
            if (position && seq <= *position) m.covered = true;
            if (!position) m.uncertain = true;
        }
    }
    void allowed_error(const link& k, const session::action& a) const {
        if (a.error == hawser::errc::sequence_exhausted) return require(b_.sequence_end < session::max_seq, "rule 1");
        require(k.tainted, a.error == hawser::errc::session_gap ? "an honest peer was accused of a gap"
                                                                : "an honest peer was accused");
    }

    // ---- the server's shell ----------------------------------------------------------------------

    void server_receives(unsigned l, byte_view bytes) {
        link& k = links_[l];
        if (k.bound == 0) return first_frame(l, bytes);
        // Rule 16: bound to session and generation.
        node& x = nodes_[k.bound];
        if (!x.alive || !x.record || x.record->generation != k.generation) return;
        const auto a = receive(x, bytes);
        using kind = session::action::kind;
        switch (a.what) {
            case kind::deliver:
                return hand_over(k.bound, a);
            case kind::established:
            case kind::resumed:
                require(x.link == static_cast<int>(l), "rule 16: a superseded link confirmed");
                return table_->confirm(*x.record);
            case kind::close_link:
                allowed_error(k, a);
                return leave(l, server_side);
            case kind::end_session:
                allowed_error(k, a);
                end_server(k.bound, std::nullopt);
                return leave(l, server_side);
            default:
                return;
        }
    }
    void first_frame(unsigned l, byte_view bytes) {
        session::envelope e;
        session::hello h;
        session::resume r;
        if (!session::decode(bytes, e) && session::checksum_matches(bytes, e, {}) &&
            e.has(session::flag::checksum) == b_.checksum) {
            if (e.type == session::frame_type::hello && session::decode(e, h)) return begin_session(l, h);
            if (e.type == session::frame_type::resume && session::decode(e, r)) return resume(l, r);
        }
        require(links_[l].tainted, "an honest first frame was refused");
        leave(l, server_side);
    }
    void begin_session(unsigned l, const session::hello& h) {
        require(nodes_used_ < max_nodes, "the model's room for sessions is used up");
        const std::size_t before = alive_records();
        const unsigned i = nodes_used_++;
        node& x = nodes_[i];
        make(x, session::side::server);
        x.epoch = mint<16>();
        const auto token = mint<32>();
        x.first_token = token[0];
        require(!x.ep->attach_hello(h, x.epoch, token, facts_of(token)), "HELLO was refused");
        x.record = table_->add(x.epoch, token, "somebody", x.ep.get(), &x);
        require(x.record != nullptr && alive_records() == before + 1, "rule 10: HELLO replaced a session");
        attach(x, l);
    }
    [[nodiscard]] std::size_t alive_records() const {
        std::size_t n = 0;
        for (const auto& [serial, record] : (*table_).*member(session_table_records_{}))
            n += record.alive ? 1U : 0U;
        return n;
    }
    // The store of this world remembers of a token, or of its hash, the first byte.
    [[nodiscard]] static session::server_facts facts_of(const session::resume_token& token) {
        session::server_facts facts;
        facts.current[0] = token[0];
        return facts;
    }
    void attach(node& x, unsigned l) {
        x.link = static_cast<int>(l);
        x.record->attached = true;
        links_[l].bound = static_cast<std::uint8_t>(index_of(x));
        links_[l].generation = x.record->generation;
    }
    void resume(unsigned l, const session::resume& r) {
        link& k = links_[l];
        const auto owner = std::find_if(nodes_.begin() + 1, nodes_.begin() + nodes_used_,
                                        [&](const node& x) { return x.epoch == r.epoch; });
        require(owner != nodes_.begin() + nodes_used_, "a RESUME of an epoch that nobody made");
        node& x = *owner;
        const bool expired = x.alive && x.record->expires <= now_;
        const bool newest_attempt = r.attempt > x.last_attempt;
        const auto d = table_->decide(r, "somebody", now_);
        using kind = session::resume_decision::kind;
        const bool honest_and_waiting = !k.deaf[client_side] && !k.tainted;
        switch (d.what) {
            case kind::stale:
                require(forged_ || !(honest_and_waiting && newest_attempt),
                        "rule 12: the newest attempt was called stale");
                return leave(l, server_side);
            case kind::resume: {
                require(x.alive && newest_attempt, "rule 13, row 2: a stale RESUME unseats the owner");
                x.last_attempt = r.attempt;
                const auto fresh = mint<32>();
                table_->rotate(*x.record, r.token, fresh);
                // What the older link still brings must be ignored; its end is told to the client.
                if (x.link >= 0) {
                    links_[static_cast<unsigned>(x.link)].closed[server_side] = true;
                    x.ep->detach();
                }
                x.ep->attach_resume(r, fresh, facts_of(fresh), now_);
                return attach(x, l);
            }
            case kind::load: throw violation{"a session without its endpoint"};
            case kind::failed:
                if (honest_and_waiting) check_failure(x, r, d.answer);
                break;
            case kind::ended:
                require(expired || forged_, "rule 13: the session of an honest client was ended");
                require(!d.answer.has_position || d.answer.accepted == x.durable.accepted,
                        "rule 6: the position answered");
                end_decided(x, d, r.exceptions);
        }
        hawser::byte_vector bytes;
        session::encode(bytes, d.answer, b_.checksum);
        k.push(client_side, bytes, {});
    }
    // A client that waits for its answer holds a token that is good, unless the server forgot all.
    void check_failure(node& x, const session::resume& r, const session::resume_failed& f) {
        require(!x.alive, "rules 12, 13, 18: the token of a living session is not known");
        x.last_attempt = std::max(x.last_attempt, r.attempt);
        if (x.crashed || x.answers_until <= now_) return;
        require(f.has_position == x.position_known && f.accepted == x.position,
                "rule 17: a tombstone does not say what was accepted");
    }
    void end_server(unsigned i, std::optional<std::uint64_t> position, session::exception_view exceptions = {}) {
        node& x = nodes_[i];
        if (!x.alive) return;
        note_end(x, x.ep->out().written_through(), std::nullopt);
        x.ep->end_epoch(position, exceptions);
        x.position_known = true;
        x.position = x.ep->in().durable_accepted();
        x.answers_until = now_ + session_ttl;
        x.ep->out().finish_all(outcome::cancelled);
        if (x.record) table_->bury(*x.record, x.position, x.answers_until);
        x.record = nullptr;
        while (x.committing || x.ep->wants_commit())
            commit_step(x);
        collect(x);
        x.ended_honestly = true;
        retire(x);
    }
    void retire(node& x) {
        if (x.link >= 0) {
            link& k = links_[static_cast<unsigned>(x.link)];
            k.closed[server_side] = k.deaf[server_side] = true;
            k.queued[server_side] = 0;
        }
        x.link = -1;
        x.working = 0;
        x.alive = false;
        x.ep.reset();
    }

    // ---- faults ----------------------------------------------------------------------------------

    void expire() {
        now_ += session_ttl + hawser::milliseconds(1);
        table_->expire(now_, [this](session::session_record& r) {
            node& x = *static_cast<node*>(r.owner);
            require(x.link < 0, "rule 16: an attached session expired");
            end_server(index_of(x), std::nullopt);
        });
    }
    void crash_server() {
        --left_.server_crashes;
        for (unsigned i = 1; i < nodes_used_; ++i)
            if (nodes_[i].alive) {
                retire(nodes_[i]);
                nodes_[i].crashed = true;
            } else {
                nodes_[i].crashed = true;
            }
        for (unsigned l = 0; l < links_used_; ++l)
            leave(l, server_side);
        table_ = std::make_unique<session::session_table>(max_nodes);
        // What the server remembers of the messages that it handed over goes with it.
        dedup_[server_side].clear();
        for (sent_message& m : sent_[nodes_[0].origin])
            m.remembered = false;
        last_handed_[nodes_[0].origin] = 0;
    }
    void crash_client() {
        --left_.client_crashes;
        for (unsigned l = 0; l < links_used_; ++l)
            leave(l, client_side);
        make_client();
        dedup_[client_side].clear();
    }

    // ---- what no honest peer does ----------------------------------------------------------------

    [[nodiscard]] bool may_forge(unsigned i, unsigned k) const {
        const node& x = nodes_[i];
        if (k <= 7) return x.record != nullptr && (k != 6 || x.ep->in().received() > 0) && (k != 2 || retired(x));
        if (k == 8) return x.ep->attached();
        if (k == 9) return i == newest() && nodes_[0].ep->attached();
        return i == newest() && nodes_[0].link >= 0 && !nodes_[0].ep->attached() && nodes_[0].ep->has_epoch();
    }
    // The token of WELCOME is neither the current nor the previous one any more.
    static bool retired(const node& x) {
        return x.record->current[0] != hash_of(x.first_token)[0] &&
               !(x.record->has_previous && x.record->previous == hash_of(x.first_token));
    }
    static session::token_hash hash_of(std::byte first) {
        session::resume_token t{};
        t[0] = first;
        return session::sha256(t);
    }
    session::resume_token token_of(const node& x) const {
        for (unsigned n = minted_; n > 0; --n) {
            session::resume_token t{};
            t[0] = static_cast<std::byte>(n);
            if (session::sha256(t) == x.record->current) return t;
        }
        throw violation{"a session without a token"};
    }
    // A RESUME as the client would send it, but for one thing.
    void forge(unsigned i, unsigned k) {
        node& x = nodes_[i];
        if (k >= 8) return forge_frame(i, k);
        auto& out = x.ep->out();
        const auto& in = x.ep->in();
        session::resume r;
        r.token = token_of(x);
        r.epoch = x.epoch;
        r.attempt = x.record->highest_attempt + 1;
        r.accepted = out.acked();
        r.first_retained = in.durable_accepted() + 1;
        r.next_seq = in.received() + 1;
        if (k == 1) r.token[31] = std::byte{1};
        if (k == 2) {
            r.token = {};
            r.token[0] = x.first_token;
        }
        if (k == 3) r.attempt = x.record->highest_attempt;
        if (k == 4) r.epoch[15] = std::byte{1};
        if (k == 5) r.accepted = out.written_through() + 1;
        if (k == 6) r.next_seq = in.received();
        if (k == 6) r.first_retained = 1;
        if (k == 7) {
            r.first_retained = in.durable_accepted() + 2;
            r.next_seq = std::max(r.next_seq, r.first_retained);
        }
        const std::uint64_t position = in.durable_accepted();
        const auto d = table_->decide(r, k == 0 ? "another" : "somebody", now_);
        using kind = session::resume_decision::kind;
        static constexpr const char* what[] = {"rule 18: a token serves another principal",
                                               "rule 13, row 1: any token serves",
                                               "rule 9: a retired token serves",
                                               "rule 13, row 2: an attempt was taken twice",
                                               "rule 13, row 4: the epoch is not compared",
                                               "rule 13, row 5: an acknowledgement of what was not sent",
                                               "rule 13, row 6: the client's numbers went back",
                                               "rule 13, row 7: a gap that nobody can fill"};
        const kind wanted = k == 3 ? kind::stale : k >= 5 ? kind::ended : kind::failed;
        // Expired, only that nobody looked yet: all of them end it.
        if (d.what == kind::ended && k < 5) return end_decided(x, d);
        require(d.what == wanted, what[k]);
        if (k >= 4) forged_ = true;
        if (wanted != kind::ended) return require(x.record->alive && !d.answer.has_position, what[k]);
        require(k != 5 || !d.own_position, what[k]);
        require(d.answer.has_position == (k != 6) && (k == 6 || d.answer.accepted == position), what[k]);
        end_decided(x, d);
    }
    // The table buried it already.
    void end_decided(node& x, const session::resume_decision& d, session::exception_view exceptions = {}) {
        x.record = nullptr;
        end_server(index_of(x), d.own_position, exceptions);
        x.position_known = d.answer.has_position;
        x.position = d.answer.accepted;
    }
    void forge_frame(unsigned i, unsigned k) {
        node& x = nodes_[k == 8 ? i : 0];
        const auto l = static_cast<unsigned>(x.link);
        links_[l].tainted = true;
        auto& out = x.ep->out();
        const std::uint64_t acked = out.acked(), cursor = out.cursor();
        hawser::byte_vector bytes;
        if (k == 8) session::encode(bytes, session::frame_type::ack, {out.written_through() + 1, 0, 0}, b_.checksum);
        if (k == 9) session::encode(bytes, session::frame_type::ack, {acked == 0 ? 0 : acked - 1, 0, 0}, b_.checksum);
        if (k == 10) {
            session::resumed r;
            // Before the question was written, any answer is wrong; afterwards, one that claims too much.
            const bool early = links_[l].client_stage == link::stage::ask;
            r.accepted = early ? acked : out.written_through() + 1;
            r.first_retained = x.ep->in().durable_accepted() + 1;
            r.next_seq = x.ep->in().received() + 1;
            session::encode(bytes, r, b_.checksum);
        }
        const auto a = x.ep->on_frame(bytes, now_);
        using kind = session::action::kind;
        if (k == 9)
            return require(a.what == kind::none && out.acked() == acked && out.cursor() == cursor,
                           "rule 6: a position that went back was not ignored");
        require(a.what == kind::close_link || (k == 10 && a.what == kind::end_session),
                k == 8 ? "rule 6: an acknowledgement beyond what was sent was taken"
                       : "rules 9, 14: a wrong answer was taken");
        require(out.acked() == acked, "something was completed by a wrong answer");
        if (a.what == kind::end_session) {
            note_end(x, out.written_through(), std::nullopt);
            x.ep->end_epoch(std::nullopt);
        }
        leave(l, k == 8 ? server_side : client_side);
    }

    // ---- what is on the wire ---------------------------------------------------------------------

    void inspect(unsigned i, link& k, byte_view bytes) {
        using type = session::frame_type;
        node& x = nodes_[i];
        session::envelope e;
        require(!session::decode(bytes, e), "an own frame cannot be decoded");
        if (i == 0) inspect_order(x, k, e.type);
        session::ack_fields ack;
        session::resume r;
        session::resumed rd;
        session::welcome w;
        switch (e.type) {
            case type::data:
                return inspect_data(i, k, e);
            case type::ack:
            case type::ping:
            case type::pong:
                require(session::decode(e, ack), "own position cannot be decoded");
                return position_is_durable(x, ack.accepted);
            case type::hello:
                return require(x.durable.ended == x.ended, "HELLO before the end of the last epoch was durable");
            case type::resume:
                require(session::decode(e, r), "own RESUME cannot be decoded");
                require(r.attempt > x.last_attempt, "rule 12: attempts do not rise");
                x.last_attempt = r.attempt;
                return position_is_durable(x, r.accepted);
            case type::resumed:
                require(session::decode(e, rd), "own RESUMED cannot be decoded");
                require(rd.token[0] == x.durable.token, "RESUMED before its token was durable");
                return position_is_durable(x, rd.accepted);
            case type::welcome:
                require(session::decode(e, w) && w.token[0] == x.durable.token, "WELCOME before its token was durable");
                return epoch_began(x);
            default:
                return;
        }
    }
    void inspect_data(unsigned i, link& k, const session::envelope& e) {
        node& x = nodes_[i];
        session::data d;
        byte_view payload;
        require(session::decode(e, d, payload), "own DATA cannot be decoded");
        if (d.more) return inspect_part(x, d, payload);
        require(d.seq < b_.sequence_end, "rule 1: a number after the last");
        require(d.seq < x.durable.next_seq, "rule 3: DATA before its number was durable");
        require(payload.size() + d.offset == 2, "rule 3: the body of a numbered message changed");
        require(b_.part_size == 0 || payload.size() <= b_.part_size || !x.ep->speaks(session::feature::parts),
                "rule 8: a part is too large");
        const auto counter = std::to_integer<std::uint64_t>(payload[payload.size() - 1]);
        sent_message& m = message_of(x.origin, counter);
        require(m.result == outcome::pending, "DATA of a message that is over");
        require(!m.covered, "rule 14: sent again although the peer had said that it has it");
        require(!m.uncertain, "rule 14: sent again although nobody knows whether it arrived");
        // What is sent again begins after the position acknowledged, and nothing twice on a link.
        std::uint64_t& last = k.last_seq[side_of(i)];
        require(last == 0 ? d.seq == x.ep->out().acked() + 1 : d.seq == last + 1 || d.seq == x.ep->out().acked() + 1,
                "retransmission is not sent minus acked");
        require(d.seq > last, "retransmission: twice on one link");
        last = d.seq;
        require(d.seq <= max_messages && (x.counters[d.seq] == 0 || x.counters[d.seq] == counter),
                "rule 3: a number was given to another message");
        x.counters[d.seq] = counter;
        m.written = true;
        if (d.has_ack) position_is_durable(x, d.ack.accepted);
    }
    // A part that is not the last completes nothing, so it needs no number; where it has one, that is durable.
    static void inspect_part(const node& x, const session::data& d, byte_view payload) {
        require(payload.size() == 1 && d.offset == 0, "rule 8: another part than the first");
        require(x.ep->speaks(session::feature::parts), "rule 8: a part for a peer that does not know parts");
        require(d.seq < x.durable.next_seq, "rule 3: DATA before its number was durable");
    }
    static void position_is_durable(const node& x, std::uint64_t accepted) {
        require(accepted <= x.durable.accepted, "rules 5, 6: a position that is not accepted, or not durable");
    }
    // Rule 9: one question, then nothing until it is answered, then an ACK.
    static void inspect_order(const node& x, link& k, session::frame_type t) {
        using type = session::frame_type;
        using stage = link::stage;
        switch (k.client_stage) {
            case stage::ask:
                require(t == type::hello || t == type::resume, "rule 9: something before HELLO or RESUME");
                k.client_stage = stage::asked;
                return;
            case stage::asked:
                throw violation{"rule 9: something before the answer"};
            case stage::answered:
                require(t == type::ack, "rule 9: the first frame after the answer is not an ACK");
                require(((*x.ep).*member(endpoint_token_{}))[0] == x.durable.token,
                        "the first frame after the answer before the token was durable");
                k.client_stage = stage::confirmed;
                return;
            case stage::confirmed:
                return;
        }
    }

    // ---- checks ----------------------------------------------------------------------------------

    void collect(node& x) {
        while (auto f = x.ep->out().pop_finished()) {
            sent_message& m = message_of(x.origin, f->counter);
            require(m.result == outcome::pending, "a second outcome of one message");
            require((x.durable.finished >> f->counter & 1) != 0, "an outcome was reported before it was durable");
            m.result = f->result;
            switch (f->result) {
                case outcome::acknowledged:
                    require(m.handed && m.finished, "acknowledged, but nobody took responsibility");
                    break;
                case outcome::duplicate:
                    require(m.handed && m.finished, "rule 6: a duplicate of what nobody has");
                    break;
                case outcome::rejected:
                    require(m.rejected, "rule 6: rejected, but nobody rejected it");
                    break;
                case outcome::cancelled:
                    require(!m.written, "rule 4: cancelled, but it was written");
                    break;
                case outcome::unknown:
                    require(m.written, "unknown, but it was never written");
                    require(m.uncertain, "rule 14: unknown, although a position is known");
                    break;
                default:
                    throw violation{"an outcome that cannot be"};
            }
        }
    }
    void check() {
        for (unsigned i = 1; i < nodes_used_; ++i) {
            node& x = nodes_[i];
            if (!x.alive) continue;
            unsigned bound = 0;
            for (unsigned l = 0; l < links_used_; ++l)
                bound += !links_[l].deaf[1] && links_[l].bound == i && links_[l].generation == x.record->generation;
            require(bound <= 1 && (x.link < 0 || bound == 1), "rule 16: more than one link owns a session");
            if (!nodes_[0].ep->has_epoch() || x.ep->epoch() != nodes_[0].ep->epoch()) continue;
            check_direction(nodes_[0], x);
            check_direction(x, nodes_[0]);
        }
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
        require(out.acked() >= from.last_acked, "an acknowledged position went back");
        from.last_acked = out.acked();
    }
    void check_outcomes(unsigned origin) const {
        for (unsigned c = 1; c <= sent_count_[origin]; ++c)
            require(message_of(origin, c).result != outcome::pending, "loss without a report");
    }

    // ---- fairness --------------------------------------------------------------------------------

    bool fair_round() {
        bool moved = false;
        if (nodes_[0].link < 0 && links_used_ < max_links) {
            dial();
            moved = true;
        }
        for (unsigned i = 0; i < nodes_used_; ++i) {
            node& x = nodes_[i];
            if (!x.alive) continue;
            while (x.committing || x.ep->wants_commit())
                commit_step(x);
            while (x.link >= 0 && may_write(i) && write(i))
                moved = true;
            for (; x.working > 0; moved = true)
                finish_at(i, x.working - 1);
        }
        settle();
        for (unsigned l = 0; l < links_used_; ++l)
            for (const unsigned side : {0U, 1U})
                for (; deliverable(links_[l], side); moved = true)
                    deliver(l, side);
        settle();
        return moved;
    }
    // The timers of acknowledgements.
    void nudge() {
        for (unsigned i = 0; i < nodes_used_; ++i) {
            node& x = nodes_[i];
            if (!x.alive || x.ep->deadline() == hawser::never) continue;
            // Only a message that was to be followed by one that was then withdrawn waits for it.
            require(b_.cancels > 0, "rule 6: an acknowledgement that is waited for comes by the timer only");
            x.ep->on_time(x.ep->deadline());
        }
    }
    [[nodiscard]] bool drained() {
        if (!nodes_[0].ep->attached()) return false;
        for (unsigned i = 0; i < nodes_used_; ++i) {
            const node& x = nodes_[i];
            if (!x.alive) continue;
            if (!x.ep->out().drained() || x.ep->commit_pending()) return false;
            // Sessions that nobody comes back to must run out.
            if (i > 0 && x.ep->epoch() != nodes_[0].ep->epoch()) return false;
        }
        return true;
    }

    const bounds b_;
    bounds left_;
    bool forged_ = false;
    unsigned nodes_used_ = 0, links_used_ = 0, origins_used_ = 0, minted_ = 0;
    time_point now_ = time_point{} + hawser::seconds(1000);
    std::array<node, max_nodes> nodes_;
    std::array<link, max_links> links_;
    sent_message sent_[max_origins][max_messages];
    unsigned sent_count_[max_origins] = {};
    std::uint64_t last_handed_[max_origins] = {};
    std::unique_ptr<session::session_table> table_ = std::make_unique<session::session_table>(max_nodes);
    cache dedup_[2] = {cache(remember_all, one_hash{}), cache(remember_all, one_hash{})};
};

}  // namespace model

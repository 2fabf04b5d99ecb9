// SPDX-License-Identifier: BSL-1.0
#include "durable.hpp"

#include <hawser/custom_policies.hpp>
#include <hawser/hawser.hpp>
#include <hawser/testing/durable_store.hpp>

#include <algorithm>
#include <list>
#include <memory>

namespace sim {
namespace {

using namespace std::chrono_literals;
using hawser::outcome;
using hawser::testing::store_fault;
using hawser::testing::stored_streams;

constexpr std::uint16_t port = 9000;

struct stored : hawser::default_policies {
    using store = hawser::testing::durable_store;
    using metrics = hawser::counting_metrics;
};
using stored_socket = hawser::resilient_socket<stored>;
using stored_listener = hawser::listener<stored>;
using stored_objects = hawser::policy_objects<stored>;

// What outlives the processes of one machine.
struct machine {
    hawser::testing::host* host = nullptr;
    std::shared_ptr<stored_streams> streams;  // on its disk
    std::uint64_t wanted = 0;           // messages 1 .. wanted are to be sent
    std::uint64_t accepted = 0;         // and were told to be accepted up to here
    std::uint64_t lives = 0;
};

class durable_run {
public:
    durable_run(std::uint64_t seed, const trace_sink& trace) : world_(seed ^ 0xd15c), metrics_() {
        if (trace) world_.on_trace(trace);
        options_ = hawser::options::reliable();
        options_.reconnect.base_delay = 50ms;
        options_.reconnect.max_delay = 2s;
        options_.connect_timeout = 3s;
        options_.heartbeat.ping_interval = 2s;
        options_.heartbeat.pong_timeout = 2s;
        options_.send_window_messages = pick(1, 20);
        options_.receive_window_messages = pick(1, 20);
        options_.ack_delay = std::chrono::milliseconds(pick(0, 300));
        const auto count = pick(1, 2);
        for (std::uint64_t i = 0; i < count; ++i) senders_.emplace_back().wanted = pick(20, 60);
    }
    ~durable_run() { world_.end(); }
    durable_run(const durable_run&) = delete;
    durable_run& operator=(const durable_run&) = delete;

    void play() {
        prepare(receiver_, "receiver", [this](hawser::testing::process& p) { receive(p); });
        for (auto& s : senders_)
            prepare(s, "sender" + std::to_string(&s - &senders_.front()), [this, &s](hawser::testing::process& p) { send(s, p); });
        auto rates = hawser::testing::fault_rates::swarm(world_.random());
        rates[hawser::testing::fault::crash] = 5s;
        rates[hawser::testing::fault::power_failure] = 8s;
        world_.faults().start(rates);
        world_.run_for(40s);
        quiet_ = true;
        world_.faults().stop();
        if (!world_.run_until([this] { return all_done(); }, 300s) && !world_.violation()) world_.fail("durable: not all messages are done 300 s after the last fault");
        check_rows();
    }
    void report(result& sum) {
        if (world_.violation()) {
            ++sum.violations;
            if (sum.first_violation.empty()) {
                sum.first_bad_seed = world_.seed() ^ 0xd15c;
                sum.first_violation = *world_.violation();
            }
        }
        sum.trace_hash ^= world_.trace_hash();
        sum.simulated_seconds += std::chrono::duration<double>(world_.elapsed()).count();
        sum.events += world_.events();
        sum.reached[static_cast<std::size_t>(mark::session_restored)] += restored_;
        sum.reached[static_cast<std::size_t>(mark::sender_restored)] += resumed_;
        sum.reached[static_cast<std::size_t>(mark::died_in_commit)] += died_in_commit_;
        sum.reached[static_cast<std::size_t>(mark::effect_undone)] += undone_;
        sum.reached[static_cast<std::size_t>(mark::torn_tail)] += receiver_.streams->torn_tails;
        for (const auto& s : senders_) sum.reached[static_cast<std::size_t>(mark::torn_tail)] += s.streams->torn_tails;
    }

private:
    std::uint64_t pick(std::uint64_t low, std::uint64_t high) { return hawser::uniform(world_.random(), low, high); }
    void prepare(machine& m, std::string name, hawser::testing::host::program program) {
        m.host = &world_.add(std::move(name));
        m.streams = std::make_shared<stored_streams>(m.host->storage());
        m.streams->delay = std::chrono::milliseconds(pick(1, 30));
        m.streams->on_operation = [this, &m] { return strike(m); };
        m.host->start(std::move(program));
    }
    // A process dies while its store is at work, or its machine loses power while it writes, or its store fails.
    store_fault strike(machine& m) {
        if (quiet_) return store_fault::none;
        const auto what = pick(0, 199);
        if (what == 0) return store_fault::fails;
        if (what > 6) return store_fault::none;
        ++died_in_commit_;
        if (what > 4) {
            world_.after(m.streams->delay * 3 / 4, [this, &m] {
                m.host->power_off();
                m.host->restart_in(std::chrono::milliseconds(pick(1, 3'000)));
            });
            return store_fault::none;
        }
        m.host->kill();
        m.host->restart_in(std::chrono::milliseconds(pick(1, 3'000)));
        return what < 3 ? store_fault::lost_before : store_fault::lost_after;
    }
    void restart(machine& m) {
        m.host->kill();
        m.host->restart_in(100ms);
    }

    // ---- the receiver --------------------------------------------------------------------------

    struct receiver {
        receiver(hawser::testing::process& p, hawser::listener_options o, stored_objects objects)
            : listener(p.context(), {.port = port}, std::move(o), std::move(objects)) {}
        std::list<stored_socket> peers;
        stored_listener listener;
    };
    void receive(hawser::testing::process& p) {
        receiver_.streams->recover();
        auto& r = p.make<receiver>(p, hawser::listener_options{.socket = options_},
                                   stored_objects{.metrics = metrics_, .store = hawser::testing::durable_store(receiver_.streams)});
        accept(r);
    }
    void accept(receiver& r) {
        r.listener.async_accept([this, &r](std::error_code ec, stored_socket s) {
            if (ec == hawser::errc::store_failed) restart(receiver_);
            if (ec) return;
            if (s.restored()) ++restored_;
            auto& peer = r.peers.emplace_back(std::move(s));
            peer.on_message_transaction([this](hawser::testing::transaction& tx, const hawser::message_view& m) {
                tx.append(std::string(m.text()));
                if (quiet_ || pick(0, 149) != 0) return std::error_code{};
                ++undone_;
                return std::make_error_code(std::errc::io_error);
            });
            accept(r);
        });
    }

    // ---- a sender ------------------------------------------------------------------------------

    void send(machine& m, hawser::testing::process& p) {
        m.streams->recover();
        auto& s = p.make<stored_socket>(p.context(), options_,
                                        stored_objects{.metrics = metrics_, .store = hawser::testing::durable_store(m.streams)});
        s.on_state([this, &m](const hawser::state_change& c) {
            world_.trace(m.host->name(), ": ", to_string(c.from), " -> ", to_string(c.to), " ", c.reason.message(), c.resumed ? ", resumed" : "");
            if (c.to == hawser::connection_state::open && c.resumed && m.lives > 1) ++resumed_;
            if (c.to == hawser::connection_state::failed) world_.after(1ms, [this, &m, life = m.host->incarnation()] {
                if (m.host->running() && life == m.host->incarnation()) restart(m);
            });
        });
        s.on_outcome([this, &m](hawser::ticket t, outcome o) {
            world_.trace(m.host->name(), ": ", t.counter, " ", to_string(o));
            world_.check(o == outcome::acknowledged, "durable: an outcome other than acknowledged");
            world_.check(has_row(m, t.counter), "durable: acknowledged, and its effect is not on the receiver's disk");
        });
        ++m.lives;
        s.connect("ws://receiver:" + std::to_string(port) + "/");
        s.async_wait_loaded([this, &m, &s, &p](std::error_code ec) {
            if (ec) return;
            world_.check(s.last_ticket().counter >= m.accepted, "durable: an accepted message is not in the store of the next process");
            send_next(m, s, p);
        });
    }
    void send_next(machine& m, stored_socket& s, hawser::testing::process& p) {
        const std::uint64_t number = s.last_ticket().counter + 1;
        if (number > m.wanted) return;
        s.async_enqueue(hawser::message::text(text_of(m, number)), [this, &m, &s, &p, number](std::error_code ec, hawser::ticket t) {
            if (ec) return;
            world_.check(t.counter == number, "durable: tickets do not count messages");
            m.accepted = std::max(m.accepted, t.counter);
            p.after(std::chrono::milliseconds(pick(0, 600)), [this, &m, &s, &p] { send_next(m, s, p); });
        });
    }

    // ---- what must be so -----------------------------------------------------------------------

    [[nodiscard]] std::string text_of(const machine& m, std::uint64_t number) const {
        return std::to_string(&m - &senders_.front()) + ":" + std::to_string(number);
    }
    [[nodiscard]] bool has_row(const machine& m, std::uint64_t number) const {
        const auto& rows = receiver_.streams->rows();
        return std::find(rows.rbegin(), rows.rend(), text_of(m, number)) != rows.rend();
    }
    [[nodiscard]] bool all_done() {
        return std::all_of(senders_.begin(), senders_.end(), [](machine& m) {
            const auto& i = m.streams->image(std::string(hawser::client_stream));
            return i.next_counter == m.wanted + 1 && i.outbox.empty();
        });
    }
    // Each once, in order, and nothing else.
    void check_rows() {
        if (world_.violation()) return;
        std::vector<std::uint64_t> seen(senders_.size(), 0);
        for (const std::string& row : receiver_.streams->rows()) {
            const auto colon = row.find(':');
            const auto who = static_cast<std::size_t>(std::stoul(row.substr(0, colon)));
            const auto number = std::stoull(row.substr(colon + 1));
            if (number != ++seen[who]) return world_.fail("durable: row " + row + " where " + std::to_string(seen[who]) + " was due");
        }
        for (std::size_t i = 0; i < senders_.size(); ++i)
            world_.check(seen[i] == senders_[i].wanted, "durable: a message has no effect");
    }

    hawser::testing::world world_;
    hawser::counting_metrics metrics_;
    hawser::options options_;
    machine receiver_;
    std::vector<machine> senders_;
    bool quiet_ = false;
    std::uint64_t restored_ = 0, resumed_ = 0, died_in_commit_ = 0, undone_ = 0;
};

}  // namespace

void run_durable(std::uint64_t seed, const trace_sink& trace, result& sum) {
    durable_run r(seed, trace);
    r.play();
    r.report(sum);
}

}  // namespace sim

// SPDX-License-Identifier: BSL-1.0
#include "large.hpp"

#include "policies.hpp"

#include <hawser/testing/world.hpp>

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace sim {
namespace {

using namespace std::chrono_literals;
using hawser::connection_state;
using hawser::outcome;
using hawser::testing::fault;

constexpr std::size_t client_count = 1'000;
constexpr auto length = 24h;

// What is known of one sender, across the restarts of its process: a new process begins a new row.
struct row {
    std::uint64_t sent = 0, acknowledged = 0, unknown = 0, delivered = 0;
    std::uint64_t last_delivered = 0;
    std::set<std::uint64_t> skipped;      // numbers that did not come out although a later one did
    std::set<std::uint64_t> told_unknown;
    bool alive = true;
};

struct totals {
    hawser::testing::world& world;
    std::vector<row> rows;
    std::uint64_t outages = 0;
    double outage_seconds = 0, longest = 0;
};

hawser::options client_options() {
    auto o = hawser::options::reliable();
    o.session_ttl = 120s;
    return o;
}

class day_client {
public:
    day_client(totals& all, hawser::testing::process& p, std::size_t& my_row)
        : all_(all), process_(p), row_(all.rows.size()), socket_(p.context(), client_options()) {
        all_.rows.emplace_back();
        my_row = row_;
        socket_.on_state([this](const hawser::state_change& c) { on_state(c); });
        socket_.connect("ws://server:9000/");
        send_later(hawser::uniform(all_.world.random(), 0, 9'999));
    }
    ~day_client() { all_.rows[row_].alive = false; }
    day_client(const day_client&) = delete;
    day_client& operator=(const day_client&) = delete;
    [[nodiscard]] socket& link() noexcept { return socket_; }

private:
    void on_state(const hawser::state_change& c) {
        if (c.from == connection_state::open) left_ = all_.world.now();
        if (c.to == connection_state::open && left_ != hawser::never) {
            const double gap = std::chrono::duration<double>(all_.world.now() - left_).count();
            ++all_.outages;
            all_.outage_seconds += gap;
            all_.longest = std::max(all_.longest, gap);
            left_ = hawser::never;
        }
        if (c.to == connection_state::failed || c.to == connection_state::closed)
            all_.world.fail("a client's socket ended: " + c.reason.message());
    }
    void send_later(std::uint64_t ms) {
        process_.after(hawser::milliseconds(ms), [this] {
            if (!stopped_) send();
        });
    }
    void send() {
        row& r = all_.rows[row_];
        const std::uint64_t number = ++r.sent;
        const std::string text = std::to_string(row_) + ' ' + std::to_string(number);
        socket_.async_send(hawser::message::text(text), [this, number](std::error_code, outcome o) {
            row& mine = all_.rows[row_];
            if (o == outcome::acknowledged || o == outcome::duplicate) ++mine.acknowledged;
            else if (o == outcome::unknown) ++mine.unknown, mine.told_unknown.insert(number);
            else all_.world.fail("a message of a client was not sent");
        });
        if (all_.world.elapsed() < length) send_later(10'000);
    }

    totals& all_;
    hawser::testing::process& process_;
    std::size_t row_;
    bool stopped_ = false;
    hawser::time_point left_ = hawser::never;
    socket socket_;
};

class day_server {
public:
    day_server(totals& all, hawser::testing::process& p) : all_(all), process_(p), listener_(p.context(), {.port = 9000}, hawser::options::reliable()) {
        accept();
    }
    [[nodiscard]] std::size_t connections() const { return listener_.connections(); }
    [[nodiscard]] std::size_t sockets() const { return sockets_.size(); }

private:
    void accept() {
        listener_.async_accept([this](std::error_code ec, socket s) {
            if (ec) return;
            const auto where = sockets_.insert(sockets_.end(), std::move(s));
            where->on_message([this](const hawser::message_view& m) { on_message(m); });
            where->on_state([this, where](const hawser::state_change& c) {
                if (c.to == connection_state::closed || c.to == connection_state::failed)
                    process_.after(1ms, [this, where] { sockets_.erase(where); });
            });
            accept();
        });
    }
    void on_message(const hawser::message_view& m) {
        const std::string text(m.text());
        const auto space = text.find(' ');
        row& r = all_.rows.at(std::stoull(text.substr(0, space)));
        const std::uint64_t number = std::stoull(text.substr(space + 1));
        all_.world.check(number > r.last_delivered, "a message came out twice or out of order");
        for (std::uint64_t n = r.last_delivered + 1; n < number; ++n) r.skipped.insert(n);
        r.last_delivered = number;
        ++r.delivered;
    }
    totals& all_;
    hawser::testing::process& process_;
    server_socket listener_;
    std::list<socket> sockets_;
};

// What was lost without a report; ghosts are links that the server counts although nobody is there.
struct verdict {
    std::uint64_t sent = 0, acknowledged = 0, unknown = 0, delivered = 0, silent = 0;
};
verdict judge(const totals& all) {
    verdict v;
    for (const row& r : all.rows) {
        v.sent += r.sent;
        v.acknowledged += r.acknowledged;
        v.unknown += r.unknown;
        v.delivered += r.delivered;
        if (!r.alive) continue;  // its process died: there is nobody to be told
        v.silent += r.sent - r.acknowledged - r.unknown;
        for (const auto n : r.skipped) v.silent += r.told_unknown.contains(n) ? 0u : 1u;
        if (r.delivered < r.acknowledged) v.silent += r.acknowledged - r.delivered;
    }
    return v;
}

}  // namespace

int run_day(std::uint64_t seed, bool json) {
    const auto began = std::chrono::steady_clock::now();
    hawser::testing::world w(seed);
    totals all{w, {}};
    day_server* server = nullptr;
    auto& machine = w.add("server");
    machine.on_exit = [&] { server = nullptr; };
    machine.start([&](hawser::testing::process& p) { server = &p.make<day_server>(all, p); });
    std::vector<std::size_t> row_of(client_count);
    std::vector<day_client*> clients(client_count);
    for (std::size_t i = 0; i < client_count; ++i) {
        auto& h = w.add("client" + std::to_string(i));
        h.on_exit = [&, i] { clients[i] = nullptr; };
        h.start([&, i](hawser::testing::process& p) { clients[i] = &p.make<day_client>(all, p, row_of[i]); });
    }
    // 1,000 faults an hour over the kinds that may hit one client; the server itself now and then.
    hawser::testing::fault_rates rates;
    rates.longest = 30s;
    rates.immortal = {"server"};
    for (const auto f : {fault::reset, fault::reset_one_end, fault::fin, fault::half_open, fault::stall, fault::clog, fault::partition,
                         fault::one_way_partition, fault::slow_way, fault::zero_window, fault::tiny_reads, fault::tiny_writes,
                         fault::write_error, fault::crash, fault::power_failure, fault::pause, fault::resolver_failure})
        rates[f] = 17 * 3600s / 1'000;
    w.faults().start(rates);
    for (unsigned hour = 0; hour < 24 && !w.violation(); ++hour) {
        w.run_for(30min);
        // Twice a day the server dies at once.
        if (hour == 7 || hour == 19) {
            machine.kill();
            machine.restart_in(5s);
        }
        w.run_for(30min);
        if (!json)
            fmt::print(stderr, "hour {}: {} faults, {} messages delivered, {:.0f} s\n", hour + 1, w.faults().total(), judge(all).delivered,
                       std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
    }
    w.faults().stop();
    const bool settled = w.run_until(
        [&] {
            for (auto* c : clients)
                if (!c || c->link().state() != connection_state::open || c->link().unacknowledged() > 0) return false;
            return true;
        },
        300s);
    w.run_for(180s);  // sessions of dead clients expire
    const verdict v = judge(all);
    const std::uint64_t ghosts = server ? server->connections() - std::min<std::size_t>(server->connections(), client_count) : client_count;
    const double mttr = all.outages ? all.outage_seconds / static_cast<double>(all.outages) : 0;
    const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    const double simulated = std::chrono::duration<double>(w.elapsed()).count();
    const bool good = !w.violation() && settled && v.silent == 0 && ghosts == 0 && mttr < 30 && v.delivered >= v.acknowledged;
    if (json)
        fmt::print("{{\"clients\": {}, \"simulated_hours\": {:.2f}, \"wall_seconds\": {:.1f}, \"speedup\": {:.0f}, \"faults\": {}, \"sent\": {}, "
                   "\"acknowledged\": {}, \"delivered\": {}, \"unknown\": {}, \"silent_failures\": {}, \"ghosts\": {}, \"outages\": {}, "
                   "\"mean_time_to_recovery_s\": {:.2f}, \"longest_outage_s\": {:.1f}, \"settled\": {}, \"violation\": \"{}\", \"ok\": {}}}\n",
                   client_count, simulated / 3600, wall, simulated / wall, w.faults().total(), v.sent, v.acknowledged, v.delivered, v.unknown,
                   v.silent, ghosts, all.outages, mttr, all.longest, settled, w.violation().value_or(""), good);
    else
        fmt::print("{} clients, {:.1f} simulated hours in {:.0f} s ({:.0f} times real time), {} faults\n"
                   "{} sent, {} acknowledged, {} delivered, {} told unknown\n"
                   "silent failures {}, ghosts {}; {} outages, mean time to recovery {:.2f} s, longest {:.1f} s\n{}\n",
                   client_count, simulated / 3600, wall, simulated / wall, w.faults().total(), v.sent, v.acknowledged, v.delivered, v.unknown,
                   v.silent, ghosts, all.outages, mttr, all.longest,
                   good ? "all well" : w.violation() ? "VIOLATION: " + *w.violation() : settled ? "NOT well" : "NOT settled");
    w.end();
    return good ? 0 : 1;
}

}  // namespace sim

// SPDX-License-Identifier: BSL-1.0
#include "large.hpp"

#include "policies.hpp"

#include <hawser/testing/world.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <list>
#include <map>
#include <string>
#include <vector>

namespace sim {
namespace {

using namespace std::chrono_literals;
using hawser::connection_state;

constexpr std::size_t client_count = 10'000;
constexpr double admitted_per_second = 1'000;
constexpr double ideal_seconds = client_count / admitted_per_second;

struct storm_state {
    hawser::testing::world& world;
    bool raging = false;
    hawser::time_point broke{};
    std::uint64_t attempts = 0;
    std::map<std::int64_t, std::uint64_t> per_100ms;
    std::vector<double> recovered_after;  // seconds since the server died
};

class storm_server {
public:
    storm_server(storm_state& s, hawser::testing::process& p) : state_(s), listener_(p.context(), {.port = 9000}, make_options()) { accept(); }

    /// Tells each client its moment; in place, it closes at once.
    void drain(const hawser::drain_options& how) {
        const bool in_place = how.target.empty();
        listener_.async_drain(how, [](std::error_code) {});
        if (in_place) listener_.async_close([](std::error_code) {});
    }

private:
    hawser::listener_options make_options() {
        hawser::listener_options o{.socket = hawser::options::reliable()};
        o.max_handshakes_per_second = state_.raging ? static_cast<std::uint32_t>(admitted_per_second) : 0;
        return o;
    }
    void accept() {
        listener_.async_accept([this](std::error_code ec, socket s) {
            if (ec) return;
            sockets_.push_back(std::move(s));
            accept();
        });
    }
    storm_state& state_;
    server_socket listener_;
    std::list<socket> sockets_;
};

class storm_client {
public:
    storm_client(storm_state& s, hawser::testing::process& p) : state_(s), socket_(p.context(), make_options()) {
        socket_.on_state([this](const hawser::state_change& c) { on_state(c); });
        socket_.connect("ws://server:9000/");
    }
    [[nodiscard]] bool open() const { return socket_.state() == connection_state::open; }

private:
    static hawser::options make_options() {
        auto o = hawser::options::reliable();
        o.follow_target = true;
        return o;
    }
    void on_state(const hawser::state_change& c) {
        if (!state_.raging) return;
        const auto since = state_.world.now() - state_.broke;
        if (c.to == connection_state::connecting) {
            ++state_.attempts;
            ++state_.per_100ms[since / 100ms];
        } else if (c.to == connection_state::open) {
            state_.recovered_after.push_back(std::chrono::duration<double>(since).count());
        }
    }
    storm_state& state_;
    socket socket_;
};

struct storm_result {
    double attempts_per_client = 0, peak_share = 0, p99 = 0, wall = 0;
    bool recovered = false;
    [[nodiscard]] bool within() const { return recovered && attempts_per_client <= 6 && peak_share <= 0.20 && p99 <= 3 * ideal_seconds; }
    [[nodiscard]] bool within(hawser::duration window) const {
        const double longest = std::max(std::chrono::duration<double>(window).count(), ideal_seconds);
        return recovered && attempts_per_client <= 2 && peak_share <= 0.02 && p99 <= 1.2 * longest;
    }
};

// 10,000 clients that are connected, for a storm to come over them.
struct crowd {
    crowd(storm_state& s, hawser::testing::world& w) : state(s), clients(client_count) {
        server.start([this](hawser::testing::process& p) { serving = &p.make<storm_server>(state, p); });
        for (std::size_t i = 0; i < client_count; ++i)
            w.add("client" + std::to_string(i)).start([this, i](hawser::testing::process& p) { clients[i] = &p.make<storm_client>(state, p); });
    }
    [[nodiscard]] bool all_open() const {
        return std::all_of(clients.begin(), clients.end(), [](const storm_client* c) { return c->open(); });
    }
    // Each is attached to a server that lives, and came to it after the storm broke.
    [[nodiscard]] bool all_back() const { return state.recovered_after.size() >= client_count && all_open(); }

    storm_state& state;
    hawser::testing::host& server = state.world.add("server");
    storm_server* serving = nullptr;
    std::vector<storm_client*> clients;
};

void measure(storm_result& r, storm_state& state) {
    r.attempts_per_client = static_cast<double>(state.attempts) / client_count;
    for (const auto& [when, n] : state.per_100ms) r.peak_share = std::max(r.peak_share, static_cast<double>(n) / client_count);
    std::sort(state.recovered_after.begin(), state.recovered_after.end());
    if (!state.recovered_after.empty()) r.p99 = state.recovered_after[state.recovered_after.size() * 99 / 100];
}

storm_result storm(std::uint64_t seed, jitter_kind jitter, hawser::duration outage) {
    const auto began = std::chrono::steady_clock::now();
    jitter_in_use = jitter;
    hawser::testing::world w(seed);
    storm_state state{.world = w, .per_100ms = {}, .recovered_after = {}};
    crowd all(state, w);
    const auto all_open = [&] { return all.all_open(); };
    storm_result r;
    if (!w.run_until(all_open, 600s)) return r;
    w.run_for(35s);  // a link this old was a good one: the next delay is a first one
    state.raging = true;
    state.broke = w.now();
    all.server.kill();
    all.server.restart_in(outage);
    w.run_for(outage);
    r.recovered = w.run_until(all_open, 3'600s);
    measure(r, state);
    r.wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    w.end();
    return r;
}

// A restart that is announced. `outage` 0: another server is there already, and is the target; else the server
// closes at once and its machine has the next process that much later.
storm_result planned_restart(std::uint64_t seed, hawser::duration outage, hawser::milliseconds window) {
    const auto began = std::chrono::steady_clock::now();
    jitter_in_use = jitter_kind::full;
    hawser::testing::world w(seed);
    storm_state state{.world = w, .per_100ms = {}, .recovered_after = {}};
    crowd all(state, w);
    storm_result r;
    if (!w.run_until([&] { return all.all_open(); }, 600s)) return r;
    w.run_for(35s);
    const bool moves = outage == hawser::duration{0};
    state.raging = true;
    if (moves) w.add("next").start([&](hawser::testing::process& p) { p.make<storm_server>(state, p); });
    w.run_for(1s);
    state.broke = w.now();
    all.serving->drain({.window = window,
                        .first = std::chrono::duration_cast<hawser::milliseconds>(outage),
                        .target = moves ? "ws://next:9000/" : ""});
    if (!moves) {
        w.run_for(outage / 2);  // in which all links are closed
        all.server.kill();
        all.server.restart_in(outage / 2);
    }
    r.recovered = w.run_until([&] { return all.all_back(); }, 3'600s);
    measure(r, state);
    r.wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    w.end();
    return r;
}

}  // namespace

int run_storm(std::uint64_t seed, bool json) {
    bool good = true;
    std::string rows;
    if (!json)
        fmt::print("{} clients, {:.0f} handshakes admitted a second, ideal {:.0f} s; gates: attempts <= 6, peak <= 20 %, p99 <= {:.0f} s\n"
                   "{:>13} {:>8} {:>10} {:>8} {:>8}\n",
                   client_count, admitted_per_second, ideal_seconds, 3 * ideal_seconds, "jitter", "outage", "attempts", "peak", "p99");
    for (const auto jitter : {jitter_kind::full, jitter_kind::equal, jitter_kind::decorrelated, jitter_kind::none})
        for (const auto outage : {5s, 10s}) {
            const auto r = storm(seed, jitter, outage);
            // The default is what the gates are for; the others are shown beside it.
            if (jitter == jitter_kind::full) good = good && r.within();
            const char* name = jitter_names[static_cast<std::size_t>(jitter)];
            if (json)
                rows += fmt::format("{}{{\"jitter\": \"{}\", \"outage_s\": {}, \"attempts_per_client\": {:.2f}, \"peak_per_100ms\": {:.4f}, "
                                    "\"p99_recovered_s\": {:.1f}, \"recovered\": {}, \"within_gates\": {}, \"wall_seconds\": {:.1f}}}",
                                    rows.empty() ? "" : ", ", name, outage.count(), r.attempts_per_client, r.peak_share, r.p99, r.recovered,
                                    r.within(), r.wall);
            else
                fmt::print("{:>13} {:>6} s {:>10.2f} {:>6.1f} % {:>6.1f} s{}\n", name, outage.count(), r.attempts_per_client, 100 * r.peak_share,
                           r.p99, r.recovered ? r.within() ? "" : "  beyond a gate" : "  not all recovered within an hour");
        }
    constexpr auto window = 20'000ms;
    std::string planned;
    if (!json)
        fmt::print("planned, window {:.0f} s; gates: attempts <= 2, peak <= 2 %, p99 <= {:.0f} s\n", window.count() / 1e3,
                   1.2 * std::max(window.count() / 1e3, ideal_seconds));
    for (const auto outage : {0s, 5s, 10s}) {
        const auto r = planned_restart(seed, outage, window);
        good = good && r.within(window);
        if (json)
            planned += fmt::format("{}{{\"outage_s\": {}, \"window_s\": {}, \"attempts_per_client\": {:.2f}, \"peak_per_100ms\": {:.4f}, "
                                   "\"p99_recovered_s\": {:.1f}, \"recovered\": {}, \"within_gates\": {}, \"wall_seconds\": {:.1f}}}",
                                   planned.empty() ? "" : ", ", outage.count(), window.count() / 1000, r.attempts_per_client, r.peak_share, r.p99,
                                   r.recovered, r.within(window), r.wall);
        else
            fmt::print("{:>13} {:>6} s {:>10.2f} {:>6.2f} % {:>6.1f} s{}\n", outage == 0s ? "to another" : "in place", outage.count(),
                       r.attempts_per_client, 100 * r.peak_share, r.p99,
                       r.recovered ? r.within(window) ? "" : "  beyond a gate" : "  not all recovered within an hour");
    }
    if (json)
        fmt::print("{{\"clients\": {}, \"ideal_s\": {:.1f}, \"unplanned\": [{}], \"planned\": [{}], \"ok\": {}}}\n", client_count,
                   ideal_seconds, rows, planned, good);
    else fmt::print("default policy {}\n", good ? "within the gates" : "BEYOND a gate");
    return good ? 0 : 1;
}

}  // namespace sim

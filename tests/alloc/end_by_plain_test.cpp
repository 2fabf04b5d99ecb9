// SPDX-License-Identifier: BSL-1.0
// A plain connection ends the epoch of the session before it, and there is no memory for that: at each allocation. What is
// left to do is done on the next connection, of whatever kind.
#include "allocations.hpp"
#include "support/catch.hpp"
#include "support/world.hpp"

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

using namespace support;
using hawser::lost_session_policy;

namespace {

// Agrees on nothing. It is asked right before a connection opens.
struct before_opening final : hawser::ws::compression {
    explicit before_opening(std::function<void()> f) : call(std::move(f)) {}
    [[nodiscard]] std::string offer() const override { return "permessage-deflate"; }
    [[nodiscard]] errc confirm(std::span<const hawser::ws::extension>, std::unique_ptr<hawser::ws::message_codec>&) const override {
        call();
        return {};
    }
    [[nodiscard]] std::string accept(std::span<const hawser::ws::extension>, const std::shared_ptr<hawser::ws::compression_budget>&,
                                     std::unique_ptr<hawser::ws::message_codec>&) const override {
        return {};
    }
    std::function<void()> call;
};

constexpr int written = 20;  // so many that the tables of outcomes grow in the middle
constexpr int waiting = 3;

// Where the client comes to in the end: to the server that still has its session, to one that has not, or to one that knows none.
enum class back_to { same, fresh, plain };

struct ended_by_plain : world<> {
    explicit ended_by_plain(lost_session_policy policy) : client(context, options(policy)) {
        client.on_outcome([this](hawser::ticket t, outcome o) {
            ++told;
            outcomes[t.counter] = o;
        });
        client.on_state([this](const hawser::state_change& c) {
            if (c.to == connection_state::waiting) why = c.reason;
        });
        listen(quick(hawser::options::reliable()));
        client.connect(where);
        REQUIRE(net.run_until([&] { return !accepted.empty(); }));
        for (int i = 1; i <= written; ++i) REQUIRE(client.try_send(std::to_string(i)));
        net.run_for(1s);
    }
    hawser::options options(lost_session_policy policy) {
        auto o = quick(hawser::options::reliable());
        o.session = hawser::session_mode::preferred;
        o.lost_session = policy;
        o.compression = std::make_shared<before_opening>([this] { allocated::fails_in = std::exchange(failing, 0); });
        o.on_attempt = [this](hawser::connect_attempt& a) { a.url = where; };
        return o;
    }
    // The how manyth allocation of the plain connection's opening fails. True if the end of the epoch has not so many.
    bool dial_plain(std::size_t nth) {
        where = "ws://server.test:9001/";
        net.last_connection().cut();
        REQUIRE(net.run_until([&] { return client.state() == connection_state::waiting; }, 5s));
        for (int i = 1; i <= waiting; ++i) REQUIRE(client.try_send(std::to_string(written + i)));
        REQUIRE(told == 0);
        failing = nth;
        why = {};
        hawser::listener<> other(context, {.port = 9001}, quick(hawser::options::plain()));
        REQUIRE(net.run_until([&] { return !machine().has_epoch() || why == errc::out_of_memory; }, 30s));
        allocated::fails_in = 0;
        return !machine().has_epoch();
    }
    void come_back(back_to which) {
        if (which != back_to::same) {
            server.reset();
            accepted.clear();
            net.poll();
            listen(quick(which == back_to::plain ? hawser::options::plain() : hawser::options::reliable()));
        }
        on_accept = [this](hawser::resilient_socket<>& s) {
            s.on_message([this](const hawser::message_view& m) { got.push_back(std::stoi(std::string(m.text()))); });
        };
        where = url;
        REQUIRE(net.run_until([&] { return told >= written + waiting; }, 60s));
        net.run_for(1s);
    }
    [[nodiscard]] hawser::session::endpoint& machine() { return hawser::detail::link_access::of(client)->state_machine(); }
    [[nodiscard]] std::size_t count(outcome o) const {
        std::size_t n = 0;
        for (const auto& each : outcomes) n += each.second == o;
        return n;
    }
    std::string where = url;
    hawser::resilient_socket<> client;
    std::size_t failing = 0;
    std::error_code why;
    std::map<std::uint64_t, outcome> outcomes;  // by counter
    int told = 0;
    std::vector<int> got;
};

std::vector<int> numbers(int first, int last) {
    std::vector<int> all;
    for (int i = first; i <= last; ++i) all.push_back(i);
    return all;
}

}  // namespace

TEST_CASE("an epoch that a plain connection could not end for want of memory is ended by the next connection, and each outcome is told once") {
    const auto which = GENERATE(back_to::same, back_to::fresh, back_to::plain);
    const bool plain = which == back_to::plain;
    const auto policy = GENERATE(lost_session_policy::report_unknown, lost_session_policy::send_again);
    CAPTURE(static_cast<int>(which), policy == lost_session_policy::send_again);
    hawser::message::keep_spare(0);
    std::size_t half_ended = 0;
    for (std::size_t n = 1;; ++n) {
        CAPTURE(n);
        ended_by_plain w(policy);
        if (w.dial_plain(n)) break;
        REQUIRE(n < 100);
        half_ended += w.machine().ends();
        w.come_back(which);
        CHECK(w.client.state() == connection_state::open);
        CHECK_FALSE(w.machine().ends());
        CHECK(w.machine().has_epoch() != plain);
        CHECK(w.told == written + waiting);
        CHECK(w.outcomes.size() == written + waiting);
        const bool again = policy == lost_session_policy::send_again;
        CHECK(w.got == numbers(again ? 1 : written + 1, written + waiting));
        CHECK(w.count(outcome::unknown) == (again ? 0 : written));
        CHECK(w.count(plain ? outcome::written : outcome::acknowledged) == (again ? written + waiting : waiting));
    }
    CHECK(half_ended > 1);
    hawser::message::keep_spare(hawser::detail::spare_messages::default_limit);
}

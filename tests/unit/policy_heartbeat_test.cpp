// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <hawser/policy/heartbeat.hpp>

#include <string>
#include <type_traits>
#include <vector>

using namespace hawser;
using namespace std::chrono_literals;

namespace {

constexpr time_point t0{1h};
constexpr auto none = heartbeat_action::none;
constexpr auto ping = heartbeat_action::send_ping;
constexpr auto dead = heartbeat_action::dead;
constexpr auto ten_years = std::chrono::hours{24 * 3650};

struct started {
    interval_heartbeat heart;
    explicit started(heartbeat_options options = {}) : heart{options} { heart.start(t0); }
};

}  // namespace

TEST_CASE("heartbeat: a ping after silence, then a verdict (R1)", "[policy][heartbeat]") {
    started s;
    CHECK(s.heart.deadline() == t0 + 25s);
    CHECK(s.heart.poll(t0 + 25s - 1ns) == none);
    CHECK(s.heart.poll(t0 + 25s) == ping);
    CHECK(s.heart.deadline() == t0 + 45s);
    CHECK(s.heart.poll(t0 + 45s - 1ns) == none);
    CHECK(s.heart.poll(t0 + 45s) == dead);
    CHECK(s.heart.deadline() == never);
    CHECK(s.heart.poll(t0 + 99h) == none);  // said once
}

TEST_CASE("heartbeat: any bytes count as life", "[policy][heartbeat]") {
    started s;
    s.heart.on_received(t0 + 20s);
    CHECK(s.heart.poll(t0 + 25s) == none);  // a timer armed before
    CHECK(s.heart.deadline() == t0 + 45s);
    CHECK(s.heart.poll(t0 + 45s) == ping);
    s.heart.on_received(t0 + 46s);
    CHECK(s.heart.poll(t0 + 65s) == none);
    CHECK(s.heart.deadline() == t0 + 71s);
    CHECK(s.heart.poll(t0 + 71s) == ping);
    CHECK(s.heart.poll(t0 + 91s) == dead);
}

TEST_CASE("heartbeat: with a timer that is armed only after poll, pings keep their interval", "[policy][heartbeat]") {
    started s{{.ping_interval = 1000ms, .pong_timeout = 20'000ms}};
    time_point now = s.heart.deadline();
    int pings = 0;
    for (int i = 0; i < 20; ++i) {
        const bool pinged = s.heart.poll(now) == ping;
        const time_point armed = s.heart.deadline();
        if (pinged) {
            ++pings;
            s.heart.on_received(now + 50ms);  // moves the deadline, but nobody arms the timer
        }
        now = armed;
    }
    CHECK(pings == 10);
    CHECK(now <= t0 + 12s);
    SECTION("and a silent peer still has its whole timeout") {
        while (s.heart.poll(now) != ping) now = s.heart.deadline();
        const time_point sent = now;
        heartbeat_action action = none;
        while (action == none) action = s.heart.poll(now = s.heart.deadline());
        CHECK(action == dead);
        CHECK(now == sent + 20s);
    }
}

TEST_CASE("heartbeat: ten years of sleep give one cycle, no death at once (R7)", "[policy][heartbeat]") {
    started s;
    time_point woke = t0 + ten_years;
    SECTION("asleep while idle") {}
    SECTION("asleep with a ping open") { CHECK(s.heart.poll(t0 + 25s) == ping); }
    SECTION("a few seconds are enough to be unfair") {
        CHECK(s.heart.poll(t0 + 25s) == ping);
        woke = t0 + 46s;
    }
    CHECK(s.heart.poll(woke) == ping);
    CHECK(s.heart.deadline() == woke + 20s);
    CHECK(s.heart.poll(woke + 20s - 1ns) == none);
    SECTION("the peer is there") {
        s.heart.on_received(woke + 1s);
        CHECK(s.heart.poll(woke + 20s) == none);
        CHECK(s.heart.deadline() == woke + 26s);
    }
    SECTION("the peer is gone") { CHECK(s.heart.poll(woke + 20s) == dead); }
    SECTION("a timer that is a little late decides all the same") { CHECK(s.heart.poll(woke + 20s + 100ms) == dead); }
}

TEST_CASE("heartbeat: paused reading suspends the verdict, not the pings (rule 7)", "[policy][heartbeat]") {
    started s;
    CHECK(s.heart.poll(t0 + 25s) == ping);
    s.heart.suspend(t0 + 30s);
    CHECK(s.heart.poll(t0 + 45s) == none);
    CHECK(s.heart.deadline() == t0 + 55s);
    CHECK(s.heart.poll(t0 + 55s) == ping);  // the peer watches us
    CHECK(s.heart.poll(t0 + 80s) == ping);
    s.heart.resume(t0 + 90s);
    CHECK(s.heart.deadline() == t0 + 110s);
    SECTION("the pong was waiting in the buffer") {
        s.heart.on_received(t0 + 90s);
        CHECK(s.heart.poll(t0 + 110s) == none);
        CHECK(s.heart.deadline() == t0 + 115s);
    }
    SECTION("nothing comes") { CHECK(s.heart.poll(t0 + 110s) == dead); }
}

TEST_CASE("heartbeat: off until started, after stop, and with an interval of 0", "[policy][heartbeat]") {
    interval_heartbeat heart;
    CHECK(heart.deadline() == never);
    CHECK(heart.poll(t0) == none);
    heart.start(t0);
    heart.stop();
    CHECK(heart.deadline() == never);
    started off{{.ping_interval = 0ms}};
    CHECK(off.heart.deadline() == never);
    CHECK(off.heart.poll(t0 + ten_years) == none);
    off.heart.suspend(t0);
    off.heart.resume(t0);
    CHECK(off.heart.deadline() == never);
}

TEST_CASE("heartbeat: the null model, and wrong options", "[policy][heartbeat]") {
    no_heartbeat null{heartbeat_options{}};
    null.start(t0);
    CHECK(null.poll(t0 + ten_years) == none);
    CHECK(null.deadline() == never);
    CHECK(std::is_empty_v<no_heartbeat>);
    std::vector<std::string> problems;
    heartbeat_options{}.check(problems, "heartbeat");
    CHECK(problems.empty());
    heartbeat_options{.ping_interval = -1ms, .pong_timeout = 0ms}.check(problems, "heartbeat");
    CHECK(problems == std::vector<std::string>{"heartbeat.ping_interval is -1 ms, but must be between 0 ms and 86400000 ms",
                                               "heartbeat.pong_timeout is 0 ms, but must be between 1 ms and 86400000 ms"});
}

// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <hawser/driver/timing_wheel.hpp>

#include <deque>
#include <memory>
#include <stdexcept>
#include <vector>

using namespace hawser;
using namespace std::chrono_literals;

namespace {

constexpr time_point t0{12345ns};

struct recorder {
    std::vector<const timer_node*> fired;
    void operator()(timer_node& node) { fired.push_back(&node); }
};

}  // namespace

TEST_CASE("wheel: fires in the order of deadlines, of equal ones in that of arming", "[wheel]") {
    timing_wheel wheel{t0};
    timer_node a, b, c, d, e;
    wheel.arm(a, t0 + 5'300us);
    wheel.arm(b, t0 + 5'200us);  // the same tick, but earlier
    wheel.arm(c, t0 + 2s);
    wheel.arm(d, t0 + 5'200us);
    wheel.arm(e, t0 + 1ms);
    CHECK(wheel.size() == 5);
    recorder r;
    CHECK(wheel.advance(t0 + 3s, r) == 5);
    CHECK(r.fired == std::vector<const timer_node*>{&e, &b, &d, &a, &c});
    CHECK(wheel.empty());
    CHECK(wheel.next_deadline() == never);
    CHECK_FALSE(a.armed());
}

TEST_CASE("wheel: never early, late by less than a tick", "[wheel]") {
    timing_wheel wheel{t0};
    timer_node node;
    for (const duration wait : {duration{1ns}, duration{999'999ns}, duration{1ms}, duration{1'000'001ns}, duration{64ms}, duration{64'000'001ns}, duration{25s}, duration{30h}}) {
        const time_point from = t0 + wait * 2;
        timing_wheel fresh{from};
        fresh.arm(node, from + wait);
        recorder r;
        fresh.advance(from + wait - 1ns, r);
        CHECK(r.fired.empty());
        time_point now = from + wait - 1ns;
        int wakes = 0;
        while (r.fired.empty()) {
            const time_point next = fresh.next_deadline();
            REQUIRE(next > now);
            REQUIRE(next < from + wait + 1ms);
            REQUIRE(++wakes <= 8);
            fresh.advance(now = next, r);
        }
        CHECK(now >= from + wait);
        CHECK(now < from + wait + 1ms);
    }
}

TEST_CASE("wheel: cancel, re-arm, and arming at never", "[wheel]") {
    timing_wheel wheel{t0};
    timer_node a, b;
    recorder r;
    wheel.arm(a, t0 + 10ms);
    wheel.arm(b, t0 + 10ms);
    CHECK(a.deadline() == t0 + 10ms);
    wheel.cancel(a);
    wheel.cancel(a);
    CHECK(a.deadline() == never);
    CHECK(wheel.size() == 1);
    wheel.arm(b, t0 + 20ms);
    CHECK(wheel.size() == 1);
    wheel.advance(t0 + 15ms, r);
    CHECK(r.fired.empty());
    CHECK(wheel.next_deadline() == t0 + 20ms);
    wheel.arm(b, never);
    CHECK(wheel.empty());
    CHECK(wheel.next_deadline() == never);
}

TEST_CASE("wheel: a deadline in the past fires at the next advance, not within this one", "[wheel]") {
    timing_wheel wheel{t0};
    struct again {
        timing_wheel& wheel;
        int calls = 0;
        timer_node node{this, on_timer<&again::on_node>};
        void on_node(time_point now) {
            ++calls;
            wheel.arm(node, now - 1h);
        }
    } g{wheel};
    wheel.arm(g.node, t0 - 5s);
    CHECK(wheel.next_deadline() <= t0);
    for (int i = 1; i < 5; ++i) {
        CHECK(wheel.advance(t0 + 1s) == 1);
        CHECK(g.calls == i);
        CHECK(wheel.next_deadline() <= t0 + 1s);
    }
}

TEST_CASE("wheel: callbacks may cancel, arm and destroy nodes of the same batch", "[wheel]") {
    timing_wheel wheel{t0};
    std::deque<std::unique_ptr<timer_node>> nodes;
    for (int i = 0; i < 6; ++i) {
        nodes.push_back(std::make_unique<timer_node>());
        wheel.arm(*nodes.back(), t0 + 1ms * (i + 1));
    }
    std::vector<int> fired;
    const auto fire = [&](timer_node& node) {
        int index = 0;
        while (nodes[static_cast<std::size_t>(index)].get() != &node) ++index;
        fired.push_back(index);
        if (index == 0) {
            nodes[0].reset();                       // itself
            nodes[1].reset();                       // the next one
            nodes[3]->cancel();                     // one in the middle
            nodes[5].reset();                       // the last one
            wheel.arm(*nodes[4], t0 + 10s);         // moved out of the batch
        }
        CHECK(wheel.advance(t0 + 1h, [](timer_node&) { FAIL("nested"); }) == 0);
    };
    CHECK(wheel.advance(t0 + 100ms, fire) == 2);
    CHECK(fired == std::vector<int>{0, 2});
    CHECK(wheel.size() == 1);
    CHECK(wheel.advance(t0 + 10s, fire) == 1);
}

TEST_CASE("wheel: a throwing callback leaves the rest of the batch for the next call", "[wheel]") {
    timing_wheel wheel{t0};
    timer_node a, b;
    wheel.arm(a, t0 + 1ms);
    wheel.arm(b, t0 + 2ms);
    CHECK_THROWS(wheel.advance(t0 + 5ms, [](timer_node&) { throw std::runtime_error{"no"}; }));
    CHECK(wheel.next_deadline() <= t0 + 5ms);
    recorder r;
    CHECK(wheel.advance(t0 + 5ms, r) == 1);
    CHECK(r.fired.at(0) == &b);
}

TEST_CASE("wheel: years ahead, and a clock that jumps years, cost nothing (R7)", "[wheel]") {
    timing_wheel wheel{t0};
    timer_node far, near, last;
    constexpr auto years = std::chrono::hours{24 * 365};
    wheel.arm(far, t0 + 200 * years);
    wheel.arm(near, t0 + 25s);
    wheel.arm(last, never - 1ns);
    recorder r;
    CHECK(wheel.advance(t0 + 10 * years, r) == 1);  // would be 3 * 10^11 ticks
    CHECK(wheel.advance(t0 + 200 * years, r) == 1);
    CHECK(wheel.next_deadline() > t0 + 200 * years);
    CHECK(wheel.advance(never, r) <= 1);  // its tick may be the one after the last
    CHECK(r.fired.size() >= 2);
}

TEST_CASE("wheel: extreme starts do not overflow", "[wheel]") {
    timing_wheel wheel{time_point::min()};
    timer_node a, b;
    wheel.arm(a, t0);
    wheel.arm(b, time_point::min());
    recorder r;
    CHECK(wheel.advance(time_point::min(), r) == 1);
    CHECK(wheel.advance(t0 - 1ns, r) == 0);
    CHECK(wheel.advance(t0 + 1ms, r) == 1);
    timing_wheel late{never - 1s};
    late.arm(a, never - 1ns);
    CHECK(late.next_deadline() > never - 1s);
}

TEST_CASE("wheel: time that goes back does nothing", "[wheel]") {
    timing_wheel wheel{t0};
    timer_node node;
    recorder r;
    wheel.advance(t0 + 1s, r);
    wheel.arm(node, t0 + 500ms);
    CHECK(wheel.advance(t0, r) == 0);
    CHECK(wheel.advance(t0 + 1s, r) == 1);
}

TEST_CASE("wheel: nodes and wheel may die in either order", "[wheel]") {
    timer_node survivor, overdue;
    {
        timing_wheel wheel{t0};
        wheel.arm(survivor, t0 + 1h);
        wheel.arm(overdue, t0);
        {
            timer_node brief;
            wheel.arm(brief, t0 + 1h);
            CHECK(wheel.size() == 3);
        }
        CHECK(wheel.size() == 2);
    }
    CHECK_FALSE(survivor.armed());
    CHECK_FALSE(overdue.armed());
}

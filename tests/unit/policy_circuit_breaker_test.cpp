// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <hawser/policy/circuit_breaker.hpp>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

using namespace hawser;
using namespace std::chrono_literals;

namespace {

constexpr time_point t0{};

std::vector<std::string> problems_of(const breaker_options& options) {
    std::vector<std::string> problems;
    options.check(problems, "breaker");
    return problems;
}

void call(const shared_circuit_breaker& breaker, time_point now, bool ok) {
    const auto permit = breaker.try_acquire(now);
    REQUIRE(permit);
    ok ? breaker.on_success(*permit, now) : breaker.on_failure(*permit, now);
}
void open_it(const shared_circuit_breaker& breaker, time_point now) {
    for (int i = 0; i < 5; ++i) call(breaker, now, false);
    REQUIRE(breaker.state(now) == breaker_state::open);
}

}  // namespace

TEST_CASE("breaker: opens at the threshold, not below the minimum of calls", "[policy][breaker]") {
    const shared_circuit_breaker breaker;
    for (int i = 0; i < 4; ++i) call(breaker, t0, false);
    CHECK(breaker.state(t0) == breaker_state::closed);
    CHECK(breaker.retry_at(t0) == t0);
    SECTION("the fifth failure") {
        const auto permit = breaker.try_acquire(t0);
        CHECK(breaker.on_failure(*permit, t0));
        CHECK(breaker.state(t0) == breaker_state::open);
    }
    SECTION("a success only evaluates, it does not open") {
        call(breaker, t0, true);
        CHECK(breaker.state(t0) == breaker_state::closed);
        call(breaker, t0, false);
        CHECK(breaker.state(t0) == breaker_state::open);
    }
    SECTION("below the threshold it stays closed") {
        for (int i = 0; i < 6; ++i) call(breaker, t0, true);  // 4 of 10
        call(breaker, t0, false);                             // 5 of 11
        CHECK(breaker.state(t0) == breaker_state::closed);
        call(breaker, t0, false);  // 6 of 12 = 50 %
        CHECK(breaker.state(t0) == breaker_state::open);
    }
}

TEST_CASE("breaker: no attempt while open; the next at retry_at (invariant 12)", "[policy][breaker]") {
    const shared_circuit_breaker breaker;
    open_it(breaker, t0);
    CHECK(breaker.retry_at(t0) == t0 + 5s);
    CHECK_FALSE(breaker.try_acquire(t0 + 4'999ms));
    CHECK(breaker.state(t0 + 5s) == breaker_state::open);
    CHECK(breaker.retry_at(t0 + 5s) == t0 + 5s);
    CHECK(breaker.try_acquire(t0 + 5s));
    CHECK(breaker.state(t0 + 5s) == breaker_state::half_open);
    CHECK_FALSE(breaker.try_acquire(t0 + 5s));                  // one probe only
    CHECK(breaker.retry_at(t0 + 5s) == t0 + 5'500ms);           // look again soon: the probe may succeed
    CHECK(breaker.retry_at(t0 + 34'900ms) == t0 + 35s);         // at the latest when it is written off
}

TEST_CASE("breaker: a successful probe closes, a failed one opens for longer", "[policy][breaker]") {
    const shared_circuit_breaker breaker;
    open_it(breaker, t0);
    time_point now = t0;
    for (const auto wait : {5s, 10s, 20s, 40s, 60s, 60s}) {
        CHECK(breaker.retry_at(now) == now + wait);
        now += wait;
        const auto probe = breaker.try_acquire(now);
        REQUIRE(probe);
        CHECK(breaker.on_failure(*probe, now));
    }
    now += 60s;
    const auto probe = breaker.try_acquire(now);
    CHECK(breaker.on_success(*probe, now));
    CHECK(breaker.state(now) == breaker_state::closed);
    open_it(breaker, now);  // the window is empty and the wait short again
    CHECK(breaker.retry_at(now) == now + 5s);
    const auto counts = breaker.transitions();
    CHECK(counts.opened == 8);
    CHECK(counts.half_opened == 7);
    CHECK(counts.closed == 1);
}

TEST_CASE("breaker: the time window forgets", "[policy][breaker]") {
    const shared_circuit_breaker breaker;
    for (int i = 0; i < 4; ++i) call(breaker, t0, false);
    SECTION("after its length") {
        for (int i = 0; i < 4; ++i) call(breaker, t0 + 61s, false);
        CHECK(breaker.state(t0) == breaker_state::closed);
    }
    SECTION("not before") {
        call(breaker, t0 + 59s, false);
        CHECK(breaker.state(t0) == breaker_state::open);
    }
    SECTION("a clock that jumps ten years forgets all, in bounded time") {
        call(breaker, t0 + std::chrono::hours{24 * 3650}, false);
        CHECK(breaker.state(t0) == breaker_state::closed);
    }
    SECTION("a thread whose time is a little older is counted") {
        call(breaker, t0 + 10s, true);
        call(breaker, t0 + 9s, true);
        call(breaker, t0 + 9s, true);
        call(breaker, t0 + 9s, true);
        CHECK(breaker.state(t0) == breaker_state::closed);
        call(breaker, t0 + 10s, false);
        CHECK(breaker.state(t0) == breaker_state::open);
    }
}

TEST_CASE("breaker: the count window holds the last calls only", "[policy][breaker]") {
    const shared_circuit_breaker breaker{{.sliding_window_type = breaker_options::window_type::count, .sliding_window_calls = 10}};
    for (int i = 0; i < 4; ++i) call(breaker, t0, false);
    for (int i = 0; i < 10; ++i) call(breaker, t0, true);
    for (int i = 0; i < 4; ++i) call(breaker, t0 + 1h, false);
    CHECK(breaker.state(t0) == breaker_state::closed);  // 4 of the last 10
    call(breaker, t0 + 2h, false);
    CHECK(breaker.state(t0) == breaker_state::open);
}

TEST_CASE("breaker: a late result of an older state is ignored", "[policy][breaker]") {
    const shared_circuit_breaker breaker;
    const auto slow_success = *breaker.try_acquire(t0);
    const auto slow_failure = *breaker.try_acquire(t0);
    open_it(breaker, t0);
    CHECK_FALSE(breaker.on_success(slow_success, t0 + 1s));
    CHECK(breaker.state(t0 + 1s) == breaker_state::open);
    const auto probe = *breaker.try_acquire(t0 + 5s);
    CHECK_FALSE(breaker.on_failure(slow_failure, t0 + 5s));
    breaker.release(slow_failure, t0 + 5s);  // must not free the probe's slot
    CHECK_FALSE(breaker.try_acquire(t0 + 5s));
    CHECK(breaker.on_success(probe, t0 + 5s));
    CHECK_FALSE(breaker.on_failure(probe, t0 + 5s));  // given back twice
    for (int i = 0; i < 4; ++i) call(breaker, t0 + 5s, false);
    CHECK(breaker.state(t0 + 5s) == breaker_state::closed);
}

TEST_CASE("breaker: a cancelled probe counts as neither and returns its slot", "[policy][breaker]") {
    const shared_circuit_breaker breaker;
    open_it(breaker, t0);
    const auto probe = *breaker.try_acquire(t0 + 5s);
    breaker.release(probe, t0 + 6s);
    CHECK(breaker.state(t0 + 6s) == breaker_state::half_open);
    CHECK(breaker.retry_at(t0 + 6s) == t0 + 6s);
    const auto second = breaker.try_acquire(t0 + 6s);
    REQUIRE(second);
    breaker.release(probe, t0 + 6s);  // a second time, as if it were the other's: one slot stays one slot
    (void)breaker.try_acquire(t0 + 6s);
    CHECK_FALSE(breaker.try_acquire(t0 + 6s));
}

TEST_CASE("breaker: half-open never lasts unlimited", "[policy][breaker]") {
    const shared_circuit_breaker breaker;
    open_it(breaker, t0);
    const auto lost = *breaker.try_acquire(t0 + 5s);
    CHECK_FALSE(breaker.try_acquire(t0 + 34'999ms));
    CHECK(breaker.retry_at(t0 + 35s) == t0 + 35s);
    CHECK_FALSE(breaker.try_acquire(t0 + 35s));  // written off as a failure
    CHECK(breaker.state(t0 + 35s) == breaker_state::open);
    CHECK(breaker.retry_at(t0 + 35s) == t0 + 45s);
    const auto next = breaker.try_acquire(t0 + 45s);
    CHECK(next);
    CHECK_FALSE(breaker.on_success(lost, t0 + 45s));
    CHECK(breaker.state(t0 + 45s) == breaker_state::half_open);
    SECTION("with nothing outstanding it goes on") {
        breaker.release(*next, t0 + 46s);
        CHECK(breaker.try_acquire(t0 + 1h));
        CHECK(breaker.state(t0 + 1h) == breaker_state::half_open);
    }
}

TEST_CASE("breaker: several probes are judged as soon as the rest cannot change it", "[policy][breaker]") {
    const shared_circuit_breaker breaker{{.permitted_number_of_calls_in_half_open_state = 4}};
    open_it(breaker, t0);
    std::vector<breaker_permit> probes;
    for (int i = 0; i < 4; ++i) probes.push_back(*breaker.try_acquire(t0 + 5s));
    CHECK_FALSE(breaker.try_acquire(t0 + 5s));
    CHECK_FALSE(breaker.on_failure(probes[0], t0 + 5s));
    CHECK_FALSE(breaker.try_acquire(t0 + 5s));  // a call with a result keeps its slot
    SECTION("half of them failed") {
        CHECK(breaker.on_failure(probes[1], t0 + 5s));
        CHECK(breaker.state(t0 + 5s) == breaker_state::open);
    }
    SECTION("more than half succeeded") {
        CHECK_FALSE(breaker.on_success(probes[1], t0 + 5s));
        CHECK_FALSE(breaker.on_success(probes[2], t0 + 5s));
        CHECK(breaker.on_success(probes[3], t0 + 5s));
        CHECK(breaker.state(t0 + 5s) == breaker_state::closed);
    }
}

TEST_CASE("breaker: copies share one state, a fresh one has its own", "[policy][breaker]") {
    const shared_circuit_breaker a;
    const shared_circuit_breaker b = a;
    const shared_circuit_breaker c;
    CHECK(a == b);
    CHECK_FALSE(a == c);
    open_it(a, t0);
    CHECK(b.state(t0) == breaker_state::open);
    CHECK(c.state(t0) == breaker_state::closed);
}

TEST_CASE("breaker: the null model permits everything", "[policy][breaker]") {
    no_breaker none{breaker_options{}};
    for (int i = 0; i < 10; ++i) CHECK_FALSE(none.on_failure(*none.try_acquire(t0), t0));
    CHECK(none.state(t0) == breaker_state::closed);
    CHECK(std::is_empty_v<no_breaker>);
}

TEST_CASE("breaker: a wrong option is named", "[policy][breaker]") {
    CHECK(problems_of({}).empty());
    CHECK(problems_of({.failure_rate_threshold = 0}) == std::vector<std::string>{"breaker.failure_rate_threshold is 0, but must be between 0.001 and 100"});
    CHECK(problems_of({.max_wait_duration_in_half_open_state = 0ms}).size() == 1);
    CHECK(problems_of({.sliding_window_type = breaker_options::window_type::count, .sliding_window_calls = 3}).size() == 1);
    CHECK(problems_of({.permitted_number_of_calls_in_half_open_state = 0}).size() == 1);
}

// Under TSan. Four threads share one breaker and a clock; each dials, fails or succeeds, cancels.
TEST_CASE("breaker: threads together never probe more than permitted (invariant 12)", "[policy][breaker][threads]") {
    constexpr int limit = 2;
    const shared_circuit_breaker shared{{.wait_duration_in_open_state = 1ms, .max_wait_duration_in_open_state = 2ms, .permitted_number_of_calls_in_half_open_state = limit, .max_wait_duration_in_half_open_state = 3'600'000ms}};
    std::atomic<std::int64_t> clock_us{0};
    std::vector<std::atomic<int>> probing(100'000);  // per generation: one written off may still run
    std::atomic<int> granted{0}, probes{0}, too_many{0};
    const auto work = [&](unsigned id) {
        const shared_circuit_breaker breaker = shared;
        unsigned random = id * 7919 + 1;
        for (int i = 0; i < 20'000; ++i) {
            random = random * 1664525 + 1013904223;
            const time_point now = t0 + std::chrono::microseconds{clock_us.fetch_add(20)};
            (void)breaker.state(now);
            (void)breaker.retry_at(now);
            const auto permit = breaker.try_acquire(now);
            if (!permit) continue;
            ++granted;
            if (permit->probe) {
                ++probes;
                if (++probing.at(permit->generation) > limit) ++too_many;
                std::this_thread::yield();
                --probing.at(permit->generation);
            }
            switch (random >> 30) {
            case 0: breaker.on_success(*permit, now); break;
            case 1: breaker.release(*permit, now); break;
            default: breaker.on_failure(*permit, now); break;
            }
        }
    };
    std::vector<std::thread> threads;
    for (unsigned id = 0; id < 4; ++id) threads.emplace_back(work, id);
    for (auto& thread : threads) thread.join();
    const auto counts = shared.transitions();
    CHECK(too_many == 0);
    CHECK(probes > 0);
    CHECK(granted > probes);
    CHECK(counts.half_opened > 0);
    CHECK(counts.half_opened <= counts.opened);
    CHECK(counts.closed <= counts.half_opened);
    CHECK(counts.opened <= counts.closed + counts.half_opened + 1);
}

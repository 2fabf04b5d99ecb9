// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <hawser/policy/backoff.hpp>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

using namespace hawser;
using namespace std::chrono_literals;

namespace {

constexpr time_point t0{};
constexpr std::uint64_t two_to_32 = std::uint64_t{1} << 32;

std::vector<std::string> problems_of(const backoff_options& options) {
    std::vector<std::string> problems;
    options.check(problems, "reconnect");
    return problems;
}

template <class Jitter>
void check_every_delay_is_in_range() {
    for (std::uint64_t seed = 0; seed < 50; ++seed)
        for (const std::uint64_t from : {std::uint64_t{0}, two_to_32 - 5, UINT64_MAX - 5}) {
            exponential_backoff<Jitter> backoff{{}, seed, from};
            for (int i = 0; i < 40; ++i) {
                const auto delay = backoff.next_delay(t0);
                REQUIRE(delay);
                REQUIRE(*delay >= 0s);
                REQUIRE(*delay <= 30s);
            }
        }
}

// A server that accepts each connection, acknowledges a little after `alive` and drops it.
int connects_in(duration horizon, duration alive, milliseconds min_reset_interval) {
    exponential_backoff<> backoff{{.min_reset_interval = min_reset_interval}, 7};
    int connects = 0;
    for (time_point now = t0; now < t0 + horizon; ++connects) {
        backoff.on_connected(now);
        now += alive;
        backoff.on_progress(now);
        backoff.on_disconnected(now);
        now += *backoff.next_delay(now);
    }
    return connects;
}

}  // namespace

TEST_CASE("uniform: within its bounds, unbiased, and the same everywhere", "[policy][random]") {
    xoshiro256 rng{42};
    // Reference values of xoshiro256** with its state from splitmix64(42).
    CHECK(rng() == 1546998764402558742u);
    CHECK(rng() == 6990951692964543102u);
    CHECK(uniform(rng, 5, 5) == 5);
    int seen[6] = {};
    for (int i = 0; i < 60'000; ++i) {
        const auto n = uniform(rng, 10, 15);
        REQUIRE((n >= 10 && n <= 15));
        ++seen[n - 10];
    }
    for (const int n : seen) CHECK((n > 9'500 && n < 10'500));
    CHECK_NOTHROW(uniform(rng, 0, UINT64_MAX));
}

TEST_CASE("backoff: the ceiling grows by the multiplier up to max_delay", "[policy][backoff]") {
    exponential_backoff<no_jitter> backoff{{}, 1};
    CHECK(*backoff.next_delay(t0) == 1000ms);
    CHECK(*backoff.next_delay(t0) == 1600ms);
    CHECK(*backoff.next_delay(t0) == 2560ms);
    CHECK(*backoff.next_delay(t0) == 4096ms);
    for (int i = 0; i < 10; ++i) (void)backoff.next_delay(t0);
    CHECK(*backoff.next_delay(t0) == 30s);
    CHECK(backoff.attempts() == 15);
}

TEST_CASE("backoff: a count of 2^32 and of 2^64 - 1 stays capped (R10)", "[policy][backoff]") {
    for (const double multiplier : {1.0, 1.0000001, 1.6, 10.0})
        for (const std::uint64_t attempts : {two_to_32 - 1, two_to_32, two_to_32 + 1, UINT64_MAX}) {
            const auto ceiling = backoff_ceiling({.multiplier = multiplier}, attempts);
            CHECK(ceiling == (multiplier == 1.0 ? 1'000'000'000u : 30'000'000'000u));
        }
    exponential_backoff<no_jitter> last{{}, 1, UINT64_MAX};
    CHECK(*last.next_delay(t0) == 30s);
    CHECK(last.attempts() == UINT64_MAX);  // saturates, never starts anew
    CHECK(*last.next_delay(t0) == 30s);
}

TEST_CASE("backoff: every delay is in [0, max_delay], with each jitter (invariant 13)", "[policy][backoff]") {
    check_every_delay_is_in_range<full_jitter>();
    check_every_delay_is_in_range<equal_jitter>();
    check_every_delay_is_in_range<decorrelated_jitter>();
    check_every_delay_is_in_range<no_jitter>();
}

TEST_CASE("backoff: what each jitter promises", "[policy][backoff]") {
    exponential_backoff<equal_jitter> equal{{}, 3};
    exponential_backoff<decorrelated_jitter> decorrelated{{}, 3};
    duration previous = 1s;
    for (std::uint64_t i = 0; i < 30; ++i) {
        const duration ceiling{static_cast<duration::rep>(backoff_ceiling({}, i))};
        const duration e = *equal.next_delay(t0);
        CHECK(e >= ceiling / 2);
        CHECK(e <= ceiling);
        const duration d = *decorrelated.next_delay(t0);
        CHECK(d >= 1s);
        CHECK(d <= std::min<duration>(30s, previous * 3));
        previous = d;
    }
}

TEST_CASE("backoff: the same seed gives the same delays, another seed others", "[policy][backoff]") {
    exponential_backoff<> a{{}, 5}, b{{}, 5}, c{{}, 6};
    bool differs = false;
    for (int i = 0; i < 20; ++i) {
        const auto delay = a.next_delay(t0);
        CHECK(delay == b.next_delay(t0));
        differs = differs || delay != c.next_delay(t0);
    }
    CHECK(differs);
}

TEST_CASE("backoff: the first retry after a link that lived long is jittered too", "[policy][backoff]") {
    std::set<duration> delays;
    int early = 0;
    for (std::uint64_t seed = 0; seed < 1000; ++seed) {
        exponential_backoff<> backoff{{}, seed};
        backoff.on_connected(t0);
        backoff.on_disconnected(t0 + 1h);
        const duration delay = *backoff.next_delay(t0 + 1h);
        REQUIRE(delay <= 1s);
        delays.insert(delay);
        early += delay < 100ms ? 1 : 0;
    }
    CHECK(delays.size() > 990);
    CHECK(early < 150);  // a tenth of the clients per tenth of a second
}

TEST_CASE("backoff: min_connected_time_to_reset", "[policy][backoff]") {
    exponential_backoff<no_jitter> backoff{{}, 1};
    for (int i = 0; i < 3; ++i) (void)backoff.next_delay(t0);
    backoff.on_connected(t0);
    backoff.on_disconnected(t0 + 29'999ms);
    CHECK(backoff.attempts() == 3);  // too short
    CHECK(*backoff.next_delay(t0 + 30s) == 4096ms);
    backoff.on_connected(t0 + 40s);
    CHECK(backoff.attempts() == 4);  // being accepted proves nothing
    SECTION("told of the end") { backoff.on_disconnected(t0 + 70s); }
    SECTION("asked for a delay only") {}
    CHECK(*backoff.next_delay(t0 + 70s) == 1000ms);
    CHECK(backoff.attempts() == 1);
}

TEST_CASE("backoff: progress resets the count, at most once per min_reset_interval", "[policy][backoff]") {
    exponential_backoff<no_jitter> backoff{{}, 1};
    for (int i = 0; i < 3; ++i) (void)backoff.next_delay(t0);
    backoff.on_progress(t0);  // not connected: a late event of an old link
    CHECK(backoff.attempts() == 3);
    backoff.on_connected(t0);
    backoff.on_progress(t0 + 1s);
    CHECK(backoff.attempts() == 0);
    CHECK(*backoff.next_delay(t0 + 2s) == 1000ms);
    backoff.on_connected(t0 + 3s);
    backoff.on_progress(t0 + 30'999ms);
    CHECK(backoff.attempts() == 1);  // within 30 s of the last reset
    backoff.on_progress(t0 + 31s);
    CHECK(backoff.attempts() == 0);
}

TEST_CASE("backoff: a flapping server that acknowledges a little cannot ask for endless quick reconnects (invariant 13)", "[policy][backoff]") {
    const int bounded = connects_in(1h, 10ms, 30s);
    const int unbounded = connects_in(1h, 10ms, 0s);
    // In 30 s the ceilings 1, 1.6, 2.56, ... leave room for about eight attempts.
    CHECK(bounded < 120 * 12);
    CHECK(unbounded > 2 * bounded * 2);  // what the bound is for: one every half second
}

TEST_CASE("backoff: a hint of the server is honoured, spread, and capped", "[policy][backoff]") {
    std::set<duration> delays;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        exponential_backoff<> backoff{{}, seed};
        const duration delay = *backoff.next_delay(t0, 10s);
        CHECK(delay >= 10s);
        CHECK(delay <= 11s);
        delays.insert(delay);
        CHECK(*backoff.next_delay(t0, std::chrono::hours{24 * 365}) >= 300s);
        CHECK(*backoff.next_delay(t0, duration::max()) <= 330s);
        CHECK(*backoff.next_delay(t0, -5s) <= 30s);
    }
    CHECK(delays.size() > 95);  // clients that got one and the same hint
}

TEST_CASE("backoff: max_attempts gives up, until a reset", "[policy][backoff]") {
    exponential_backoff<> backoff{{.max_attempts = 2}, 1};
    CHECK(backoff.next_delay(t0));
    CHECK(backoff.next_delay(t0));
    CHECK_FALSE(backoff.next_delay(t0));
    CHECK_FALSE(backoff.next_delay(t0, 1s));
    CHECK(backoff.attempts() == 2);
    backoff.on_connected(t0);
    CHECK(backoff.next_delay(t0 + 1min));
}

TEST_CASE("backoff: the null model never dials again", "[policy][backoff]") {
    no_reconnect none{backoff_options{}, 1};
    none.on_connected(t0);
    none.on_progress(t0);
    CHECK_FALSE(none.next_delay(t0, 1s));
    CHECK(std::is_empty_v<no_reconnect>);
}

TEST_CASE("backoff: a wrong option is named with its value and what is allowed", "[policy][backoff]") {
    CHECK(problems_of({}).empty());
    CHECK(problems_of({.multiplier = 0.5}) == std::vector<std::string>{"reconnect.multiplier is 0.5, but must be between 1 and 10"});
    CHECK(problems_of({.multiplier = std::numeric_limits<double>::quiet_NaN()}).size() == 1);
    CHECK(problems_of({.base_delay = 2000ms, .max_delay = 1000ms}) ==
          std::vector<std::string>{"reconnect.max_delay is 1000 ms, but must be at least reconnect.base_delay (2000 ms)"});
    CHECK(problems_of({.base_delay = 0ms}).size() == 1);
    CHECK(problems_of({.min_connected_time_to_reset = -1ms, .min_reset_interval = -1ms, .max_server_hint = -1ms}).size() == 3);
}

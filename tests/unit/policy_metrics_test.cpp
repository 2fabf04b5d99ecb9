// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <hawser/policy/metrics.hpp>
#include <hawser/policy/random.hpp>

#include <algorithm>
#include <set>
#include <thread>
#include <type_traits>
#include <vector>

using namespace hawser;
using namespace std::chrono_literals;

TEST_CASE("metrics: copies share one sink", "[policy][metrics]") {
    const counting_metrics a;
    const counting_metrics b = a;
    const counting_metrics other;
    a.add(counter::messages_sent);
    b.add(counter::messages_sent, 4);
    CHECK(a.value(counter::messages_sent) == 5);
    CHECK(a.snapshot()[counter::messages_sent] == 5);
    CHECK(other.value(counter::messages_sent) == 0);
    CHECK(a == b);
    CHECK_FALSE(a == other);
}

TEST_CASE("metrics: every counter and histogram has a name of its own", "[policy][metrics]") {
    std::set<std::string_view> names{counter_names.begin(), counter_names.end()};
    names.insert(histogram_names.begin(), histogram_names.end());
    CHECK(names.size() == counter_names.size() + histogram_names.size());
    CHECK(to_string(counter::connects_attempted) == "connects_attempted");
    CHECK(to_string(counter::duplicates_dropped) == "duplicates_dropped");
    CHECK(to_string(counter::heartbeat_timeouts) == "heartbeat_timeouts");
    CHECK(to_string(counter::log_failures) == "log_failures");
    CHECK(to_string(histogram::connect_time) == "connect_time");
}

TEST_CASE("metrics: a bucket is never wider than 6.25 % of its values", "[policy][metrics]") {
    using buckets = detail::latency_buckets;
    std::uint64_t lower = 0;
    for (std::size_t i = 0; i < buckets::count; ++i) {
        const std::uint64_t upper = buckets::upper(i);
        REQUIRE(buckets::index(lower) == i);
        REQUIRE(buckets::index(upper) == i);
        REQUIRE((upper == lower || static_cast<double>(upper - lower) <= 0.0625 * static_cast<double>(lower)));
        lower = upper + 1;
    }
    CHECK(lower == buckets::largest_us + 1);
    CHECK(buckets::index(UINT64_MAX) == buckets::count - 1);
}

TEST_CASE("metrics: percentiles against the exact ones", "[policy][metrics]") {
    const counting_metrics metrics;
    xoshiro256 rng{1};
    std::vector<std::uint64_t> exact;
    for (int i = 0; i < 20'000; ++i) {
        exact.push_back(uniform(rng, 0, (std::uint64_t{1} << uniform(rng, 1, 33)) - 1));
        metrics.record(histogram::ack_latency, microseconds{static_cast<std::int64_t>(exact.back())});
    }
    std::sort(exact.begin(), exact.end());
    const auto snapshot = metrics.snapshot()[histogram::ack_latency];
    CHECK(snapshot.count == exact.size());
    CHECK(snapshot.max_us == exact.back());
    for (const double percent : {0.01, 1.0, 25.0, 50.0, 90.0, 99.0, 99.9, 100.0}) {
        const auto rank = static_cast<std::size_t>(percent / 100 * static_cast<double>(exact.size()) + 0.999999);
        const auto wanted = static_cast<double>(exact[std::max<std::size_t>(rank, 1) - 1]);
        const auto got = static_cast<double>(snapshot.percentile(percent).count());
        CHECK(got >= wanted);
        CHECK(got <= std::max(wanted * 1.0625, wanted + 1));
    }
}

TEST_CASE("metrics: odd durations", "[policy][metrics]") {
    const counting_metrics metrics;
    CHECK(metrics.snapshot()[histogram::connect_time].percentile(99) == 0us);
    metrics.record(histogram::connect_time, -5s);
    metrics.record(histogram::connect_time, 999ns);
    CHECK(metrics.snapshot()[histogram::connect_time].percentile(100) == 0us);
    metrics.record(histogram::connect_time, 200h);  // beyond the last bucket: the maximum is exact
    auto snapshot = metrics.snapshot()[histogram::connect_time];
    CHECK(snapshot.percentile(100) == 200h);
    CHECK(snapshot.count == 3);
    snapshot.merge(snapshot);
    CHECK(snapshot.count == 6);
}

TEST_CASE("metrics: threads together lose nothing (invariant 16)", "[policy][metrics][threads]") {
    const counting_metrics metrics;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([sink = metrics, t] {
            for (int i = 0; i < 5000; ++i) {
                sink.add(counter::bytes_sent, 3);
                sink.record(histogram::ack_latency, microseconds{i * (t + 1)});
                if (i % 1000 == 0) {
                    const auto s = sink.snapshot();
                    if (s[histogram::ack_latency].percentile(100).count() > 20'000) std::abort();
                }
            }
        });
    for (auto& thread : threads) thread.join();
    const auto snapshot = metrics.snapshot();
    CHECK(snapshot[counter::bytes_sent] == 60'000);
    CHECK(snapshot[histogram::ack_latency].count == 20'000);
    CHECK(snapshot[histogram::ack_latency].max_us == 4 * 4999);
}

TEST_CASE("metrics: the null model is empty and says so at compile time", "[policy][metrics]") {
    constexpr no_metrics none;
    none.add(counter::messages_sent);
    none.record(histogram::ack_latency, 1s);
    static_assert(std::is_empty_v<no_metrics> && !no_metrics::enabled && counting_metrics::enabled);
    SUCCEED();
}

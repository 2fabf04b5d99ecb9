// SPDX-License-Identifier: BSL-1.0
// The dedup cache at a million ids, beside std::unordered_set with the same hash.
#include <hawser/policy/dedup_cache.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <random>
#include <unordered_set>
#include <vector>

namespace {

using hawser::message_id;
using hawser::time_point;

constexpr std::size_t entries = 1'000'000;
const time_point start{std::chrono::hours{1}};

message_id id(std::uint64_t n) {
    message_id result;
    result.origin.fill(static_cast<std::byte>(n % 7));
    result.counter = ~n;  // falling: rising ones of an origin are kept as runs, not in the table
    return result;
}

struct std_hash {
    std::size_t operator()(const message_id& i) const noexcept { return hawser::xxh3_hash{}(i); }
};
using std_set = std::unordered_set<message_id, std_hash>;
using cache = hawser::xxhash_dedup_cache<>;

hawser::dedup_options options() {
    hawser::dedup_options o;
    o.max_entries = entries;
    o.dedup_ttl = std::chrono::hours{1};
    return o;
}
void fill(cache& c) {
    for (std::uint64_t n = 0; n < entries; ++n) c.insert(id(n), start);
}
void fill(std_set& s) {
    for (std::uint64_t n = 0; n < entries; ++n) s.insert(id(n));
}

// Looked up in an order that no cache line foresees; `offset` beyond the ids makes all of them misses.
std::vector<message_id> probes(std::uint64_t offset) {
    std::mt19937_64 random(1);
    std::vector<message_id> result;
    for (int i = 0; i < 65'536; ++i) result.push_back(id(offset + random() % entries));
    return result;
}

void look_up(benchmark::State& state, std::uint64_t offset) {
    cache c(options());
    fill(c);
    const auto list = probes(offset);
    std::size_t i = 0;
    for (auto _ : state) benchmark::DoNotOptimize(c.contains(list[i++ % list.size()], start));
}
void std_look_up(benchmark::State& state, std::uint64_t offset) {
    std_set s;
    fill(s);
    const auto list = probes(offset);
    std::size_t i = 0;
    for (auto _ : state) benchmark::DoNotOptimize(s.contains(list[i++ % list.size()]));
}
void dedup_hit(benchmark::State& state) { look_up(state, 0); }
void dedup_miss(benchmark::State& state) { look_up(state, entries); }
void std_hit(benchmark::State& state) { std_look_up(state, 0); }
void std_miss(benchmark::State& state) { std_look_up(state, entries); }

// Full all the time: each insertion forgets the oldest id.
void dedup_insert_steady(benchmark::State& state) {
    cache c(options());
    fill(c);
    std::uint64_t n = entries;
    for (auto _ : state) benchmark::DoNotOptimize(c.insert(id(n++), start));
}
void std_insert_steady(benchmark::State& state) {
    std_set s;
    fill(s);
    std::uint64_t n = entries;
    for (auto _ : state) {
        benchmark::DoNotOptimize(s.insert(id(n)));
        s.erase(id(n++ - entries));
    }
}

void dedup_fill(benchmark::State& state) {
    for (auto _ : state) {
        cache c(options());
        fill(c);
        benchmark::DoNotOptimize(c.size());
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(entries));
}
void std_fill(benchmark::State& state) {
    for (auto _ : state) {
        std_set s;
        fill(s);
        benchmark::DoNotOptimize(s.size());
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(entries));
}

std::int64_t cpu_ns() {
    timespec t{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

// All million ids run out at once, and 64 are freed at a time: the mean of a step, and the longest
// one, in CPU time, so that it is not the scheduler's.
void dedup_expire_step(benchmark::State& state) {
    const time_point later = start + std::chrono::hours{2};
    std::int64_t longest_ns = 0;
    cache c(options());
    fill(c);
    for (auto _ : state) {
        const std::int64_t before = cpu_ns();
        benchmark::DoNotOptimize(c.expire(later));
        longest_ns = std::max(longest_ns, cpu_ns() - before);
    }
    state.SetItemsProcessed(state.iterations() * 64);
    state.counters["longest_us"] = static_cast<double>(longest_ns) / 1e3;
}

// A fixed number of iterations: each trial of another number would fill a million ids anew.
constexpr int times = 1'000'000;
BENCHMARK(dedup_hit)->Iterations(times);
BENCHMARK(std_hit)->Iterations(times);
BENCHMARK(dedup_miss)->Iterations(times);
BENCHMARK(std_miss)->Iterations(times);
BENCHMARK(dedup_insert_steady)->Iterations(times);
BENCHMARK(std_insert_steady)->Iterations(times);
BENCHMARK(dedup_fill)->Unit(benchmark::kMillisecond)->Iterations(1);
BENCHMARK(std_fill)->Unit(benchmark::kMillisecond)->Iterations(1);
BENCHMARK(dedup_expire_step)->Iterations(15'000);

}  // namespace

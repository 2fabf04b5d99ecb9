// SPDX-License-Identifier: BSL-1.0
// Policies that are asked per attempt, per deadline or per message.
#include <hawser/driver/timing_wheel.hpp>
#include <hawser/policy/backoff.hpp>
#include <hawser/policy/circuit_breaker.hpp>
#include <hawser/policy/metrics.hpp>

#include <benchmark/benchmark.h>

#include <random>
#include <vector>

namespace {

using hawser::milliseconds;
using hawser::time_point;
const time_point start{std::chrono::hours{1}};

void breaker_acquire_and_succeed(benchmark::State& state) {
    static hawser::shared_circuit_breaker breaker;  // shared by the threads
    time_point now = start;
    for (auto _ : state) {
        now += milliseconds{1};
        if (const auto permit = breaker.try_acquire(now)) benchmark::DoNotOptimize(breaker.on_success(*permit, now));
    }
}

void backoff_next_delay(benchmark::State& state) {
    hawser::exponential_backoff<> backoff({}, 1);
    for (auto _ : state) benchmark::DoNotOptimize(backoff.next_delay(start));
}

template <class Metrics>
void metrics_add_and_record(benchmark::State& state) {
    static const Metrics metrics;  // shared by the threads
    for (auto _ : state) {
        metrics.add(hawser::counter::messages_sent);
        metrics.add(hawser::counter::bytes_sent, 20);
        metrics.record(hawser::histogram::ack_latency, std::chrono::microseconds{180});
        benchmark::ClobberMemory();
    }
}

// One of many deadlines moves, as each message does to the heartbeat of its connection.
void timing_wheel_rearm(benchmark::State& state) {
    hawser::timing_wheel wheel(start);
    std::vector<hawser::timer_node> nodes(static_cast<std::size_t>(state.range(0)));
    std::mt19937_64 random(1);
    std::vector<milliseconds> delays(4096);
    for (auto& d : delays) d = milliseconds{random() % 60'000};
    for (std::size_t i = 0; i < nodes.size(); ++i) wheel.arm(nodes[i], start + delays[i % delays.size()]);
    std::size_t i = 0;
    for (auto _ : state) {
        wheel.arm(nodes[(i * 7919) % nodes.size()], start + delays[i % delays.size()]);
        ++i;
    }
}

BENCHMARK(breaker_acquire_and_succeed)->ThreadRange(1, 2)->UseRealTime();
BENCHMARK(backoff_next_delay);
BENCHMARK(metrics_add_and_record<hawser::no_metrics>);
BENCHMARK(metrics_add_and_record<hawser::counting_metrics>)->ThreadRange(1, 2)->UseRealTime();
BENCHMARK(timing_wheel_rearm)->Arg(1000)->Arg(100'000);

}  // namespace

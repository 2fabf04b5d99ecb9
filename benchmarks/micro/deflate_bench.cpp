// SPDX-License-Identifier: BSL-1.0
// What compression costs and saves: JSON, all messages different, and bytes that do not shrink.
#include <hawser/deflate.hpp>
#include <hawser/protocol/ws/deflate_codec.hpp>

#include <benchmark/benchmark.h>

#include <cstdio>
#include <random>
#include <string>
#include <vector>

namespace {

namespace ws = hawser::ws;
using hawser::byte_vector;

std::mt19937 generator(7);

unsigned below(unsigned limit) { return static_cast<unsigned>(generator() % limit); }
std::string trade() {
    static const char* const symbols[] = {"BTC-USD", "ETH-USD", "EUR-USD", "SOL-USD", "XRP-EUR"};
    static unsigned long id = 1'000'000, time_ms = 1'731'900'000'000;
    id += 1 + below(3);
    time_ms += below(50);
    char text[200];
    const int size = std::snprintf(
        text, sizeof text, R"({"type":"trade","symbol":"%s","price":%u.%02u,"size":%u.%04u,"id":%lu,"ts":%lu},)",
        symbols[below(5)], 64'000 + below(900), below(100), below(50), below(10'000), id, time_ms);
    return {text, static_cast<std::size_t>(size)};
}
std::string json(std::size_t size) {
    std::string out;
    while (out.size() < size)
        out += trade();
    out.resize(size);
    return out;
}
std::unique_ptr<ws::message_codec> make(int level, bool takeover) {
    const std::vector<ws::extension> offers{{std::string(ws::deflate_name), {}}};
    std::unique_ptr<ws::message_codec> codec;
    (void)hawser::deflate({.level = level, .context_takeover = takeover})->accept(offers, nullptr, codec);
    return codec;
}

void compress(benchmark::State& state, bool takeover) {
    const auto size = static_cast<std::size_t>(state.range(1));
    std::vector<std::string> messages((std::size_t{4} << 20) / size);  // more than any window
    for (auto& m : messages)
        m = json(size);
    const auto codec = make(static_cast<int>(state.range(0)), takeover);
    std::size_t in = 0, out = 0, at = 0;
    for (auto _ : state) {
        const auto& m = messages[at++ % messages.size()];
        ws::gather_buffer packed;
        const bool smaller = codec->compress(packed, true, hawser::as_bytes(m), {});
        in += m.size();
        out += smaller ? packed.size() : m.size();
    }
    state.SetBytesProcessed(static_cast<std::int64_t>(in));
    state.counters["size"] = static_cast<double>(out) / static_cast<double>(in);
}

void random_bytes(benchmark::State& state, bool rule) {
    byte_vector data(static_cast<std::size_t>(state.range(0)));
    for (auto& b : data)
        b = static_cast<std::byte>(below(256));
    const auto codec = make(1, true);
    ws::detail::deflater always(1, 15, 8);
    for (auto _ : state) {
        ws::gather_buffer packed;
        benchmark::DoNotOptimize(rule ? codec->compress(packed, false, data, {}) : always.run(packed, data, {}));
        if (!rule) always.reset();
    }
    state.SetBytesProcessed(state.iterations() * state.range(0));
}

void inflate(benchmark::State& state) {
    const auto text = json(static_cast<std::size_t>(state.range(0)));
    const auto codec = make(1, false);
    ws::gather_buffer packed;
    if (!codec->compress(packed, true, hawser::as_bytes(text), {})) return state.SkipWithError("it did not shrink");
    for (auto _ : state) {
        ws::gather_buffer out;
        if (codec->inflate(out, packed.bytes(), true, text.size()) != hawser::errc{})
            state.SkipWithError("not inflated");
    }
    state.SetBytesProcessed(state.iterations() * state.range(0));
}

BENCHMARK_CAPTURE(compress, deflate_takeover, true)->ArgsProduct({{1, 6}, {64, 256, 1024, 16384}});
BENCHMARK_CAPTURE(compress, deflate_without, false)->ArgsProduct({{1, 6}, {64, 256, 1024, 16384}});
BENCHMARK_CAPTURE(random_bytes, deflate_with_rule, true)->Arg(1024)->Arg(65536);
BENCHMARK_CAPTURE(random_bytes, deflate_each_tried, false)->Arg(1024)->Arg(65536);
BENCHMARK(inflate)->Arg(1024)->Arg(262144);

}  // namespace

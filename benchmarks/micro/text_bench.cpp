// SPDX-License-Identifier: BSL-1.0
// Masking, UTF-8, and both in one pass, by each kernel that this processor can run, with memcpy beside them.
#include "payloads.hpp"

#include <hawser/protocol/ws/utf8.hpp>

#include <benchmark/benchmark.h>

#include <cstring>
#include <string>

namespace {

namespace ws = hawser::ws;
using hawser::byte_vector;
using ws::detail::simd;

byte_vector text(const benchmark::State& state, bool ascii) {
    const auto size = static_cast<std::size_t>(state.range(0));
    return ascii ? byte_vector(size, std::byte{'a'}) : bench::text(size);
}
void count(benchmark::State& state, bool valid = true) {
    if (!valid) state.SkipWithError("valid text was refused");
    state.SetBytesProcessed(state.iterations() * state.range(0));
}

void copy(benchmark::State& state) {
    const byte_vector from = text(state, false);
    byte_vector to = from;
    for (auto _ : state) {
        std::memcpy(to.data(), from.data(), from.size());
        benchmark::ClobberMemory();
    }
    count(state);
}

void mask_in_place(benchmark::State& state, simd with) {
    byte_vector data = text(state, false);
    for (auto _ : state) {
        ws::detail::mask_blocks(with, data.data(), data.data(), data.size(), ws::detail::mask_word(bench::key, 0));
        benchmark::ClobberMemory();
    }
    count(state);
}

void utf8(benchmark::State& state, simd with, bool ascii) {
    const byte_vector from = text(state, ascii);
    bool valid = true;
    for (auto _ : state) {
        std::uint8_t at = ws::detail::utf8_accept;
        valid &= ws::detail::utf8_scan<false>(with, at, nullptr, from.data(), from.size(), 0) == from.size();
        benchmark::ClobberMemory();
    }
    count(state, valid);
}

// To a second buffer, because in place the next round would find what this one unmasked.
void unmask_utf8(benchmark::State& state, simd with, bool ascii) {
    byte_vector from = text(state, ascii);
    ws::mask(from, bench::key);
    byte_vector to = from;
    const std::uint64_t key = ws::detail::mask_word(bench::key, 0);
    bool valid = true;
    for (auto _ : state) {
        std::uint8_t at = ws::detail::utf8_accept;
        valid &= ws::detail::utf8_scan<true>(with, at, to.data(), from.data(), from.size(), key) == from.size();
        benchmark::ClobberMemory();
    }
    count(state, valid);
}

// What the reader calls: the best kernel, and short cuts for short text.
void feed_masked(benchmark::State& state, bool ascii) {
    byte_vector from = text(state, ascii);
    ws::mask(from, bench::key);
    byte_vector to = from;
    bool valid = true;
    for (auto _ : state) {
        ws::utf8_validator validator;
        valid &= validator.feed_masked(to.data(), from, bench::key) && validator.complete();
        benchmark::ClobberMemory();
    }
    count(state, valid);
}

const bool registered = [] {
    const auto add = [](const std::string& name, auto run) {
        for (const int size : {20, 125, 1024, 16 * 1024, 64 * 1024})
            benchmark::RegisterBenchmark(name.c_str(), run)->Arg(size);
    };
    add("memcpy", copy);
    for (const bool ascii : {true, false}) {
        const std::string kind = ascii ? "ascii" : "mixed";
        add("feed_masked_" + kind, [ascii](benchmark::State& state) { feed_masked(state, ascii); });
        for (const simd with : {simd::portable, simd::ssse3, simd::avx2}) {
            if (with > ws::detail::best_simd()) continue;
            const std::string kernel = with == simd::avx2 ? "avx2" : with == simd::ssse3 ? "ssse3" : "portable";
            if (ascii && with != simd::ssse3)
                add("mask_" + kernel, [with](benchmark::State& state) { mask_in_place(state, with); });
            add("utf8_" + kind + "_" + kernel, [with, ascii](benchmark::State& state) { utf8(state, with, ascii); });
            add("unmask_utf8_" + kind + "_" + kernel,
                [with, ascii](benchmark::State& state) { unmask_utf8(state, with, ascii); });
        }
    }
    return true;
}();

}  // namespace

// SPDX-License-Identifier: BSL-1.0
// Frames of the WebSocket protocol, read and written. Masking and UTF-8 alone are in text_bench.cpp.
#include "payloads.hpp"

#include <hawser/protocol/ws/endpoint.hpp>

#include <benchmark/benchmark.h>

namespace {

namespace ws = hawser::ws;
using hawser::byte_span;
using hawser::byte_vector;

void no_randomness(hawser::byte_span out) { std::fill(out.begin(), out.end(), std::byte{0x5a}); }

void sizes(benchmark::internal::Benchmark* b) { b->Arg(20)->Arg(1024)->Arg(64 * 1024); }

void count(benchmark::State& state, std::size_t messages) {
    const auto done = state.iterations() * static_cast<std::int64_t>(messages);
    state.SetItemsProcessed(done);
    state.SetBytesProcessed(done * state.range(0));
}

// A batch of frames as one read brings it. Reading unmasks in place, so each round of the loop
// sees other bytes than the one before; for text that must not be, so the batch is copied first.
void read(benchmark::State& state, ws::opcode op) {
    const auto size = static_cast<std::size_t>(state.range(0));
    const byte_vector payload = op == ws::opcode::text ? bench::text(size) : bench::binary(size);
    const std::size_t messages = std::max<std::size_t>(1, 64 * 1024 / (size + 14));
    const byte_vector batch = bench::client_frames(op, payload, messages);
    byte_vector chunk(batch.size());
    ws::reader_limits limits;
    limits.max_message_size = 1 << 20;
    ws::reader reader(ws::role::server, limits);
    for (auto _ : state) {
        std::copy(batch.begin(), batch.end(), chunk.begin());
        reader.feed(chunk);
        while (true) {
            const ws::event e = reader.next();
            if (e.kind != ws::event_kind::message) {
                if (e.kind == ws::event_kind::error) state.SkipWithError("the reader refused the frame");
                break;
            }
            benchmark::DoNotOptimize(e.payload.data());
        }
    }
    count(state, messages);
}
void read_binary(benchmark::State& state) { read(state, ws::opcode::binary); }
void read_text(benchmark::State& state) { read(state, ws::opcode::text); }

void write(benchmark::State& state, ws::role side) {
    const byte_vector payload = bench::binary(static_cast<std::size_t>(state.range(0)));
    hawser::entropy_pool masks([](void*, byte_span out) noexcept { no_randomness(out); return true; }, nullptr);
    ws::endpoint endpoint(side, {}, side == ws::role::client ? &masks : nullptr);
    byte_vector out;
    const std::size_t messages = std::max<std::size_t>(1, 64 * 1024 / (payload.size() + 14));
    for (auto _ : state) {
        out.clear();
        for (std::size_t i = 0; i < messages; ++i) benchmark::DoNotOptimize(endpoint.send(out, ws::opcode::binary, payload));
        benchmark::DoNotOptimize(out.data());
    }
    count(state, messages);
}
void write_server(benchmark::State& state) { write(state, ws::role::server); }
void write_client(benchmark::State& state) { write(state, ws::role::client); }

BENCHMARK(read_binary)->Apply(sizes);
BENCHMARK(read_text)->Apply(sizes);
BENCHMARK(write_server)->Apply(sizes);
BENCHMARK(write_client)->Apply(sizes);

}  // namespace

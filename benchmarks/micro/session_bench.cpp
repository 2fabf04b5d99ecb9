// SPDX-License-Identifier: BSL-1.0
// What hawser.v1 adds to a message: DATA from one endpoint to the other and its acknowledgement back,
// beside the WebSocket framing alone of the same payload. No I/O in either.
#include "payloads.hpp"

#include <hawser/protocol/session/endpoint.hpp>
#include <hawser/protocol/ws/endpoint.hpp>

#include <benchmark/benchmark.h>

#include <stdexcept>

namespace {

namespace session = hawser::session;
namespace ws = hawser::ws;
using hawser::byte_vector;
const hawser::time_point now{std::chrono::hours{1}};
constexpr int batch = 16;

session::endpoint_options end_of(session::side side) {
    session::endpoint_options o;
    o.side = side;
    o.origin.fill(static_cast<std::byte>(side == session::side::client ? 1 : 2));
    o.receive.window_messages = 1024;
    o.receive.window_bytes = 16 * 1024 * 1024;
    return o;
}

/// Two endpoints, each the other's peer.
class pair {
public:
    pair() : client_(end_of(session::side::client)), server_(end_of(session::side::server)) {
        client_.attach_client();
        commit(client_);
        greet();
        exchange();
        exchange();
        if (!client_.attached() || !server_.attached()) throw std::logic_error("the session did not begin");
    }
    void send(const hawser::message& m) { (void)client_.out().enqueue(m, {}, nullptr, now); }
    /// Everything that both have to say; returns how many messages were delivered.
    int exchange() {
        const int delivered = carry(client_, server_);
        carry(server_, client_);
        while (client_.out().pop_finished()) {
        }
        return delivered;
    }

private:
    static void commit(session::endpoint& e) {
        while (e.wants_commit()) {
            (void)e.begin_commit();
            e.end_commit();
        }
    }
    void greet() {
        const auto frame = client_.next_frame();
        session::envelope e;
        session::hello h;
        if (!frame || session::decode(frame->head, e) || !session::decode(e, h) || server_.attach_hello(h, {}, {}))
            throw std::logic_error("HELLO was refused");
        commit(server_);
    }
    int carry(session::endpoint& from, session::endpoint& to) {
        commit(from);
        from.assign(1 << 20);
        commit(from);
        int delivered = 0;
        while (const auto frame = from.next_frame()) {
            bytes_.assign(frame->head.begin(), frame->head.end());
            hawser::append(bytes_, frame->payload);
            const session::action a = to.on_frame(bytes_, now);
            if (a.error) throw std::logic_error("a frame was refused: " + a.error.message());
            if (a.what != session::action::kind::deliver) continue;
            ++delivered;
            to.finish(to.epoch_serial(), a.seq, now);
        }
        commit(to);
        return delivered;
    }

    session::endpoint client_;
    session::endpoint server_;
    byte_vector bytes_;
};

void session_data_round_trip(benchmark::State& state) {
    pair ends;
    const auto size = static_cast<std::size_t>(state.range(0));
    const auto message = hawser::message::binary(bench::binary(size));
    for (auto _ : state) {
        for (int i = 0; i < batch; ++i) ends.send(message);
        if (ends.exchange() != batch) return state.SkipWithError("messages were not delivered");
    }
    state.SetItemsProcessed(state.iterations() * batch);
}

void framing_alone(benchmark::State& state) {
    const byte_vector payload = bench::binary(static_cast<std::size_t>(state.range(0)));
    ws::endpoint server(ws::role::server), client(ws::role::client, {}, nullptr);
    byte_vector wire;
    for (auto _ : state) {
        wire.clear();
        for (int i = 0; i < batch; ++i) benchmark::DoNotOptimize(server.send(wire, ws::opcode::binary, payload));
        client.feed(wire);
        int received = 0;
        while (client.next().kind == ws::event_kind::message) ++received;
        if (received != batch) return state.SkipWithError("messages were not delivered");
    }
    state.SetItemsProcessed(state.iterations() * batch);
}

BENCHMARK(framing_alone)->Arg(20)->Arg(1024);
BENCHMARK(session_data_round_trip)->Arg(20)->Arg(1024);

}  // namespace

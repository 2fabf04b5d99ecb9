// SPDX-License-Identifier: BSL-1.0
// Rows that are as true of a client as of a listener, in the role that other tests leave out; compressed input in both.
#include <hawser/deflate.hpp>

#include "support/bad_input_worlds.hpp"
#include "support/deflate_peer.hpp"
#include "support/ws_frames.hpp"

using namespace support;
namespace ws = hawser::ws;

namespace {

const std::string compression = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

hawser::options compressed() {
    auto o = limited();
    o.max_message_size = 1'000;
    o.compression = hawser::deflate();
    return o;
}

struct judged {
    std::string bytes;
    unsigned code;  // 0: the message "delivered"
};
// `reader`: the role that reads them.
std::vector<judged> compressed_input(ws::role reader) {
    const auto made = [reader](ws::opcode op, hawser::byte_view payload, bool fin = true, std::uint8_t rsv = ws::compressed_bit) {
        return std::string(hawser::as_text(ws_test::frame(reader, op, payload, fin, rsv)));
    };
    const auto packed = [](const std::string& text) { return deflate_test::zlib_compressor().message(text); };
    const auto message = packed("delivered");
    const auto half = hawser::byte_view(message).first(message.size() / 2), rest = hawser::byte_view(message).subspan(message.size() / 2);
    return {
        {made(ws::opcode::text, message), 0},
        {made(ws::opcode::text, half, false) + made(ws::opcode::continuation, rest, true, 0), 0},
        {made(ws::opcode::text, half, false) + made(ws::opcode::ping, {}, true, 0) + made(ws::opcode::continuation, rest, true, 0), 0},
        {made(ws::opcode::text, hawser::as_bytes("delivered"), true, 0), 0},
        {made(ws::opcode::binary, packed(std::string(1'001, '\0'))), 1009},
        {made(ws::opcode::text, ws_test::from_hex("07")), 1007},
        {made(ws::opcode::text, packed("not \xff UTF-8")), 1007},
        {made(ws::opcode::ping, {}), 1002},
        {made(ws::opcode::text, half, false) + made(ws::opcode::continuation, rest, true), 1002},
    };
}

}  // namespace

TEST_CASE("F26, D1 to D3, F16: a listener's socket judges compressed input alike at every split") {
    for (const auto& [bytes, code] : compressed_input(ws::role::server))
        for (std::size_t split = 1; split <= bytes.size(); ++split) {
            CAPTURE(code, split);
            server_world s(compressed());
            const auto peer = s.upgraded(compression);
            s.send_split(*peer, bytes, split);
            s.w.net.run_for(s.w.net.latency + 10ms);
            if (code == 0) {
                CHECK(s.messages == std::vector<std::string>{"delivered"});
            } else {
                CHECK(last_close(peer->received, false) == code);
                CHECK(s.messages.empty());
            }
        }
}

TEST_CASE("F26, D1 to D3, F16: a client judges compressed input alike at every split") {
    for (const auto& [bytes, code] : compressed_input(ws::role::client))
        for (std::size_t split = 1; split <= bytes.size(); ++split) {
            CAPTURE(code, split);
            client_world c(compressed());
            auto& peer = c.upgraded(compression);
            peer.send(bytes.substr(0, split));
            c.w.net.run_for(c.w.net.latency + 1ms);
            peer.send(bytes.substr(split));
            c.w.net.run_for(c.w.net.latency + 10ms);
            if (code == 0) {
                CHECK(c.messages == std::vector<std::string>{"delivered"});
            } else {
                CHECK(last_close(peer.received, true) == code);
                CHECK(c.messages.empty());
            }
        }
}

TEST_CASE("R1: a listener finds a half-open client by its heartbeat, 1006 once") {
    server_world s;
    const auto peer = s.upgraded();
    const auto begin = s.w.net.clock();
    s.w.net.last_connection().hold_towards(1, true);
    REQUIRE(s.w.net.run_until([&] { return !s.ends.empty(); }, 120s));
    CHECK(s.w.net.clock() - begin <= 46s);  // ping_interval + pong_timeout
    s.w.net.run_for(120s);
    REQUIRE(s.ends.size() == 1);
    CHECK(s.ends[0].reason == errc::heartbeat_timeout);
    CHECK(s.ends[0].close.code == close_code::abnormal);
    CHECK(s.w.server->connections() == 0);
}

TEST_CASE("R3: a client whose server does not read stops at its watermark, and drops the connection at the deadline") {
    auto o = limited();
    o.write_stall_timeout = 5s;
    o.heartbeat.ping_interval = 0s;
    client_world c(o);
    (void)c.upgraded();
    c.w.net.last_connection().end(0).max_write = 0;
    std::size_t taken = 0;
    const std::string one(1'000, 'm');
    while (c.client.try_send(one)) {
        taken += one.size();
        REQUIRE(taken < 64 * 1024 * 1024);
        c.w.net.run_for(1ms);
    }
    CHECK(taken >= o.max_write_buffer);
    CHECK(taken <= o.max_write_buffer + o.queue.high_watermark + 2 * one.size());
    const auto begin = c.w.net.clock();
    REQUIRE(c.w.net.run_until([&] { return !c.ends.empty(); }, 60s));
    CHECK(c.w.net.clock() - begin <= 6s);
    CHECK(c.ends[0].reason == errc::write_stalled);
    CHECK(c.ends[0].close.code == close_code::abnormal);
}

// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/ws_frames.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>

using namespace ws_test;
using hawser::as_bytes;
using hawser::close_code;
using hawser::errc;
using ws::event_kind;
using ws::opcode;
using ws::role;

namespace {

// Masking keys that count up, so that a test can tell them apart; `fails` makes the source fail.
struct counting_source {
    unsigned next = 0;
    bool fails = false;
    static bool fill(void* self, byte_span out) noexcept {
        auto& source = *static_cast<counting_source*>(self);
        for (std::byte& b : out)
            b = static_cast<std::byte>(++source.next & 0xffu);
        return !source.fails;
    }
};

struct pair_of_endpoints {
    counting_source source;
    hawser::entropy_pool pool{&counting_source::fill, &source};
    ws::endpoint client{role::client, {}, &pool};
    ws::endpoint server{role::server};

    ws::endpoint& of(role side) { return side == role::client ? client : server; }
};

// What `to` makes of `sent`.
event_log deliver(ws::endpoint& to, const byte_vector& sent) {
    event_log out;
    feed_chunk(to, sent, out);
    return out;
}

std::string flushed(ws::endpoint& from) {
    byte_vector out;
    REQUIRE(from.flush_control(out) == errc{});
    return hex(out);
}

constexpr role both_roles[] = {role::client, role::server};

}  // namespace

TEST_CASE("RFC 6455 5.1: a client masks each frame with a fresh key, a server does not mask", "[ws][endpoint]") {
    pair_of_endpoints p;
    byte_vector out;
    CHECK(p.server.send(out, opcode::text, as_bytes("Hel"), as_bytes("lo")) == errc{});
    CHECK(hex(out) == "810548656c6c6f");
    out.clear();
    CHECK(p.client.send(out, opcode::binary, as_bytes("\x01\x02\x03\x04"), as_bytes("\x05")) == errc{});
    CHECK(p.client.send(out, opcode::binary, as_bytes("\x05")) == errc{});
    CHECK(hex(out) ==
          "8285"
          "01020304"
          "0000000004"
          "8281"
          "05060708"
          "00");
    CHECK(deliver(p.server, out) == event_log{"binary:0102030405", "binary:05"});
}

TEST_CASE("endpoint: messages of all forms of length arrive in both directions", "[ws][endpoint]") {
    for (const role side : both_roles) {
        pair_of_endpoints p;
        for (const std::size_t size : {0u, 1u, 125u, 126u, 65535u, 65536u, 200'000u}) {
            const std::string text(size, 't');
            byte_vector out = bytes("kept");
            REQUIRE(p.of(side).send(out, opcode::text, as_bytes(text).first(size / 3),
                                    as_bytes(text).subspan(size / 3)) == errc{});
            CHECK(hawser::as_text(byte_view(out).first(4)) == "kept");
            out.erase(out.begin(), out.begin() + 4);
            CHECK(deliver(p.of(other(side)), out) == event_log{"text:" + hex(as_bytes(text))});
        }
    }
}

TEST_CASE("endpoint: a header alone, for bodies that are written from where they are", "[ws][endpoint]") {
    pair_of_endpoints p;
    byte_vector out;
    CHECK(p.server.send_header(out, opcode::text, 5) == 2);
    hawser::append(out, as_bytes("Hello"));
    CHECK(deliver(p.client, out) == event_log{"text:48656c6c6f"});
    CHECK(p.server.send_header(out, opcode::ping, 5) == 0);
    CHECK(p.client.send_header(out, opcode::text, 5) == 0);
}

TEST_CASE("RFC 6455 5.4: fragments go in order, control frames between them, messages not", "[ws][endpoint]") {
    for (const role side : both_roles) {
        pair_of_endpoints p;
        ws::endpoint& from = p.of(side);
        byte_vector out;
        CHECK(from.send_fragment(out, opcode::continuation, true, as_bytes("x")) == errc::invalid_state);
        CHECK(from.send_fragment(out, opcode::ping, true, as_bytes("x")) == errc::invalid_argument);
        CHECK(from.send(out, opcode::continuation, as_bytes("x")) == errc::invalid_argument);
        CHECK(out.empty());
        CHECK(from.send_fragment(out, opcode::text, false, as_bytes("a")) == errc{});
        const std::size_t size = out.size();
        CHECK(from.send(out, opcode::text, as_bytes("x")) == errc::invalid_state);
        CHECK(from.send_fragment(out, opcode::text, false, as_bytes("x")) == errc::invalid_state);
        CHECK(from.send_header(out, opcode::text, 1) == 0);
        CHECK(out.size() == size);
        CHECK(from.ping(out, as_bytes("p")) == errc{});
        CHECK(from.send_fragment(out, opcode::continuation, false, {}) == errc{});
        CHECK(from.send_fragment(out, opcode::continuation, true, as_bytes("b")) == errc{});
        CHECK(from.send(out, opcode::text, as_bytes("c")) == errc{});
        CHECK(deliver(p.of(other(side)), out) == event_log{"ping:70", "text:6162", "text:63"});
    }
}

TEST_CASE("F19: pongs are coalesced, only the newest ping is answered", "[ws][endpoint]") {
    for (const role side : both_roles) {
        pair_of_endpoints p;
        ws::endpoint& to = p.of(side);
        byte_vector out, answer;
        for (const char* payload : {"one", "two", "three"})
            CHECK(p.of(other(side)).ping(out, as_bytes(payload)) == errc{});
        CHECK_FALSE(to.control_due());
        CHECK(deliver(to, out).size() == 3);
        CHECK(to.control_received() == 3);
        CHECK(to.control_due());
        CHECK(to.flush_control(answer) == errc{});
        CHECK(deliver(p.of(other(side)), answer) == event_log{"pong:" + hex(as_bytes("three"))});
        CHECK_FALSE(to.control_due());
        CHECK(flushed(to).empty());
    }
}

TEST_CASE("F12: a ping between fragments is answered and the message is intact", "[ws][endpoint]") {
    pair_of_endpoints p;
    const byte_vector input =
        join({frame(role::server, opcode::text, "Hel", false), frame(role::server, opcode::ping, ""),
              frame(role::server, opcode::continuation, "lo")});
    CHECK(deliver(p.server, input) == event_log{"ping:", "text:48656c6c6f"});
    CHECK(flushed(p.server) == "8a00");
}

TEST_CASE("RFC 6455 5.5.2: a ping of more than 125 bytes is not sent", "[ws][endpoint]") {
    pair_of_endpoints p;
    byte_vector out;
    CHECK(p.server.ping(out, byte_vector(126)) == errc::invalid_argument);
    CHECK(out.empty());
    CHECK(p.server.ping(out, byte_vector(125)) == errc{});
}

TEST_CASE("RFC 6455 5.5.1: the close handshake, begun by either side", "[ws][endpoint]") {
    for (const role side : both_roles) {
        pair_of_endpoints p;
        ws::endpoint& first = p.of(side);
        ws::endpoint& second = p.of(other(side));
        byte_vector out, answer;
        CHECK(first.close(out, close_code::going_away, "bye") == errc{});
        CHECK(first.close_sent());
        CHECK_FALSE(first.can_send());
        CHECK_FALSE(first.finished());

        second.feed(out);
        const ws::event at_second = second.next();
        CHECK(to_text(at_second) == "close:1001:627965");
        CHECK(at_second.remote);
        CHECK(at_second.info().remote);
        CHECK(second.close_received());
        CHECK_FALSE(second.finished());  // its answer is due
        CHECK_FALSE(second.failed());
        CHECK_FALSE(second.can_send());
        CHECK(second.control_due());
        CHECK(second.send(answer, opcode::text, as_bytes("late")) == errc::closed);
        CHECK(second.flush_control(answer) == errc{});
        CHECK(second.finished());
        CHECK_FALSE(second.failed());

        first.feed(answer);
        const ws::event at_first = first.next();
        CHECK(to_text(at_first) == "close:1001:");
        CHECK_FALSE(at_first.remote);
        CHECK(first.finished());
        CHECK(flushed(first).empty());
    }
}

TEST_CASE("RFC 6455 5.5.1: both sides close at the same time", "[ws][endpoint]") {
    pair_of_endpoints p;
    byte_vector from_client, from_server;
    CHECK(p.client.close(from_client, close_code::normal) == errc{});
    CHECK(p.server.close(from_server, close_code::going_away) == errc{});
    CHECK(deliver(p.client, from_server) == event_log{"close:1001:"});
    CHECK(deliver(p.server, from_client) == event_log{"close:1000:"});
    CHECK(p.client.finished());
    CHECK(p.server.finished());
    CHECK(flushed(p.client).empty());
    CHECK(flushed(p.server).empty());
}

TEST_CASE("RFC 6455 5.5.1: nothing is sent after a close frame", "[ws][endpoint]") {
    for (const role side : both_roles) {
        pair_of_endpoints p;
        ws::endpoint& e = p.of(side);
        byte_vector out;
        CHECK(deliver(e, frame(side, opcode::ping, "before")) == event_log{"ping:" + hex(as_bytes("before"))});
        CHECK(e.close(out, close_code::normal) == errc{});
        const std::size_t size = out.size();
        CHECK(e.close(out, close_code::normal) == errc::closed);
        CHECK(e.send(out, opcode::text, {}) == errc::closed);
        CHECK(e.send_fragment(out, opcode::text, true, {}) == errc::closed);
        CHECK(e.send_header(out, opcode::text, 0) == 0);
        CHECK(e.ping(out) == errc::closed);
        // What the peer sent before it answers still arrives, but no pong goes out for it.
        CHECK(deliver(e, join({frame(side, opcode::text, "x"), frame(side, opcode::ping, "y")})) ==
              event_log{"text:78", "ping:79"});
        CHECK(e.flush_control(out) == errc{});
        CHECK(deliver(e, frame(side, opcode::close, "\x03\xe8")) == event_log{"close:1000:"});
        CHECK(e.flush_control(out) == errc{});
        CHECK(out.size() == size);
        CHECK(e.finished());
    }
}

TEST_CASE("RFC 6455 5.5.2: no pong is owed to a peer that has closed", "[ws][endpoint]") {
    pair_of_endpoints p;
    CHECK(deliver(p.server, join({frame(role::server, opcode::ping, "x"), frame(role::server, opcode::close, "")}))
              .size() == 2);
    CHECK(flushed(p.server) == "8800");
    CHECK(p.server.finished());
}

TEST_CASE("RFC 6455 7.1.7: an error is answered by one close frame with its code", "[ws][endpoint]") {
    const struct {
        byte_vector input;
        const char* event;
        const char* answer;
    } cases[] = {
        {frame(role::server, opcode::continuation, "x"), "error:47:1002", "880203ea"},
        {frame(role::server, opcode::text, "\xff"), "error:49:1007", "880203ef"},
        {frame(role::server, opcode::binary, byte_vector(1024 * 1024 + 1)), "error:44:1009", "880203f1"},
    };
    for (const auto& c : cases) {
        pair_of_endpoints p;
        CHECK(deliver(p.server, join({frame(role::server, opcode::ping, "x"), c.input})) ==
              event_log{"ping:78", c.event});
        CHECK(p.server.failed());
        CHECK_FALSE(p.server.can_send());
        byte_vector out;
        CHECK(p.server.send(out, opcode::text, as_bytes("late")) == errc::closed);
        CHECK(out.empty());
        CHECK(flushed(p.server) == c.answer);
        CHECK(flushed(p.server).empty());
        CHECK(p.server.close_sent());
        CHECK_FALSE(p.server.finished());
        CHECK(deliver(p.server, frame(role::server, opcode::close, "")).empty());
    }
}

TEST_CASE("endpoint: an error after the own close frame sends no second one", "[ws][endpoint]") {
    pair_of_endpoints p;
    byte_vector out;
    CHECK(p.server.close(out, close_code::normal) == errc{});
    CHECK(deliver(p.server, frame(role::server, opcode::continuation, "x")) == event_log{"error:47:1002"});
    CHECK(p.server.failed());
    CHECK(flushed(p.server).empty());
}

TEST_CASE("endpoint: close gives the answer that is due instead of its own code", "[ws][endpoint]") {
    pair_of_endpoints p;
    CHECK(deliver(p.server, frame(role::server, opcode::text, "\xff")) == event_log{"error:49:1007"});
    byte_vector out;
    CHECK(p.server.close(out, close_code::normal, "all is well") == errc{});
    CHECK(hex(out) == "880203ef");
    CHECK(flushed(p.server).empty());
}

TEST_CASE("F22: codes that must not be on the wire make an empty close frame", "[ws][endpoint]") {
    for (const unsigned code : {0u, 999u, 1004u, 1005u, 1006u, 1015u, 1016u, 2999u, 5000u}) {
        pair_of_endpoints p;
        byte_vector out;
        CHECK(p.server.close(out, static_cast<close_code>(code), "reason") == errc{});
        CHECK(hex(out) == "8800");
    }
}

TEST_CASE("F23: a reason is cut at the end of a code point to 123 bytes", "[ws][endpoint]") {
    const struct {
        std::string reason;
        std::size_t kept;
    } cases[] = {
        {std::string(123, 'r'), 123},
        {std::string(200, 'r'), 123},
        {std::string(121, 'r') + "\xe2\x82\xac", 121},
        {std::string(120, 'r') + "\xe2\x82\xac", 123},
        {"ok\xff no", 2},
    };
    for (const auto& c : cases) {
        pair_of_endpoints p;
        byte_vector out;
        CHECK(p.client.close(out, close_code::normal, c.reason) == errc{});
        CHECK(deliver(p.server, out) == event_log{"close:1000:" + hex(as_bytes(c.reason).first(c.kept))});
    }
}

TEST_CASE("endpoint: without a masking key nothing is appended, and what was due stays due", "[ws][endpoint]") {
    pair_of_endpoints p;
    p.source.fails = true;
    byte_vector out;
    CHECK(p.client.send(out, opcode::text, as_bytes("x")) == errc::random_failed);
    CHECK(p.client.send_fragment(out, opcode::text, false, as_bytes("x")) == errc::random_failed);
    CHECK(p.client.ping(out) == errc::random_failed);
    CHECK(deliver(p.client, frame(role::client, opcode::ping, "x")).size() == 1);
    CHECK(p.client.flush_control(out) == errc::random_failed);
    CHECK(p.client.close(out, close_code::normal) == errc::random_failed);
    CHECK(out.empty());
    CHECK_FALSE(p.client.close_sent());
    p.source.fails = false;
    CHECK(p.client.flush_control(out) == errc{});
    CHECK(p.client.send(out, opcode::text, as_bytes("y")) == errc{});
    CHECK(deliver(p.server, out) == event_log{"pong:78", "text:79"});

    ws::endpoint without(role::client);
    out.clear();
    CHECK(without.send(out, opcode::text, {}) == errc::random_failed);
    CHECK(out.empty());
}

TEST_CASE("endpoint: a short frame is written to where its caller has room, as `send` appends it", "[ws][endpoint]") {
    pair_of_endpoints p;
    const std::string text(125, 'q');
    const byte_view all = as_bytes(text);
    for (const std::size_t size : {0u, 1u, 15u, 16u, 17u, 32u, 63u, 64u, 65u, 124u, 125u})
        for (const std::size_t first : {std::size_t{0}, size / 2, size}) {
            CAPTURE(size, first);
            byte_vector appended, room(127, std::byte{0xee});
            REQUIRE(p.server.send(appended, opcode::text, all.first(first), all.subspan(first, size - first)) == errc{});
            REQUIRE(p.server.send_short(room.data(), opcode::text, all.first(first), all.subspan(first, size - first)) == 2 + size);
            CHECK(hex(byte_view(room).first(2 + size)) == hex(appended));
            CHECK(std::all_of(room.begin() + static_cast<std::ptrdiff_t>(2 + size), room.end(), [](std::byte b) { return b == std::byte{0xee}; }));
        }
}

TEST_CASE("endpoint: a short frame is written by no client, not inside of another message, and not after a close frame",
          "[ws][endpoint]") {
    pair_of_endpoints p;
    byte_vector out, room(127, std::byte{0xee});
    const byte_vector untouched = room;
    CHECK(p.client.send_short(room.data(), opcode::text, as_bytes("x")) == 0);
    CHECK(p.server.send_short(room.data(), opcode::ping, as_bytes("x")) == 0);
    REQUIRE(p.server.send_fragment(out, opcode::text, false, as_bytes("x")) == errc{});
    CHECK(p.server.send_short(room.data(), opcode::text, as_bytes("x")) == 0);
    REQUIRE(p.server.send_fragment(out, opcode::continuation, true, as_bytes("x")) == errc{});
    CHECK(p.server.send_short(room.data(), opcode::text, as_bytes("x")) == 3);
    room = untouched;
    REQUIRE(p.server.close(out, close_code::normal) == errc{});
    CHECK(p.server.send_short(room.data(), opcode::text, as_bytes("x")) == 0);
    CHECK(room == untouched);
}

TEST_CASE("RFC 6455 7.4.1: the close code that answers each violation", "[ws][endpoint]") {
    using hawser::close_code;
    const std::pair<errc, close_code> answers[] = {
        {errc::invalid_utf8, close_code::invalid_payload},      {errc::bad_compression, close_code::invalid_payload},
        {errc::message_too_big, close_code::message_too_big},   {errc::control_flood, close_code::policy_violation},
        {errc::message_timeout, close_code::policy_violation},  {errc::out_of_memory, close_code::internal_error},
        {errc::reserved_bits, close_code::protocol_error},      {errc::bad_mask, close_code::protocol_error},
        {errc::bad_close_frame, close_code::protocol_error}};
    for (const auto& [violation, code] : answers) CHECK(ws::close_code_of(violation) == code);
}

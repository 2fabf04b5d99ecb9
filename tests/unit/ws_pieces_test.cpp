// SPDX-License-Identifier: BSL-1.0
// Messages in pieces: what they are made of and what they cost. That they are the same messages is checked
// wherever `at_every_split` is used.
#include "support/catch.hpp"
#include "support/ws_frames.hpp"

using namespace ws_test;
using hawser::errc;
using ws::event_kind;

namespace {

constexpr ws::role both_roles[] = {ws::role::server, ws::role::client};

}  // namespace

TEST_CASE("pieces: of a large message each chunk is handed out where it lies, and nothing is held", "[ws][reader]") {
    for (const ws::role side : both_roles) {
        byte_vector payload(100'000);
        for (std::size_t i = 0; i < payload.size(); ++i)
            payload[i] = static_cast<std::byte>(i * 7 + i / 256);
        const byte_vector input = frame(side, ws::opcode::binary, payload);
        ws::reader r(side);
        r.hand_out_pieces(true);
        std::size_t got = 0;
        for (std::size_t at = 0; at < input.size(); at += 30'000) {
            byte_vector chunk(input.begin() + static_cast<std::ptrdiff_t>(at),
                              input.begin() + static_cast<std::ptrdiff_t>(std::min(at + 30'000, input.size())));
            r.feed(chunk);
            const ws::event e = r.next();
            REQUIRE(e.kind == event_kind::piece);
            CHECK(e.payload.data() + e.payload.size() == chunk.data() + chunk.size());
            CHECK(e.offset == got);
            CHECK(!e.text);
            CHECK(std::equal(e.payload.begin(), e.payload.end(), payload.begin() + static_cast<std::ptrdiff_t>(got)));
            got += e.payload.size();
            CHECK(e.last == (got == payload.size()));
            CHECK(r.in_message() == !e.last);
            CHECK(r.next().kind == event_kind::need_more);
            CHECK(r.held_bytes() == 0);
            CHECK(r.read_room().empty());
        }
        CHECK(got == payload.size());
    }
}

TEST_CASE("pieces: what lies whole in a chunk is a message, and its fragments are pieces", "[ws][reader]") {
    for (const ws::role side : both_roles) {
        byte_vector input = join({frame(side, ws::opcode::text, "whole"), frame(side, ws::opcode::text, "a", false),
                                  frame(side, ws::opcode::continuation, "", false), frame(side, ws::opcode::ping, "p"),
                                  frame(side, ws::opcode::continuation, "b", false),
                                  frame(side, ws::opcode::continuation, "")});
        ws::reader r(side);
        r.hand_out_pieces(true);
        r.feed(input);
        CHECK(to_text(r.next()) == "text:" + hex(hawser::as_bytes("whole")));
        const auto piece = [&](std::string_view text, std::uint64_t offset, bool last) {
            const ws::event e = r.next();
            CHECK(e.kind == event_kind::piece);
            CHECK(e.text);
            CHECK(hawser::as_text(e.payload) == text);
            CHECK(e.offset == offset);
            CHECK(e.last == last);
        };
        piece("a", 0, false);
        CHECK(r.next().kind == event_kind::ping);  // the empty fragment is not told
        piece("b", 1, false);
        piece("", 2, true);
        CHECK(r.next().kind == event_kind::need_more);
    }
}

TEST_CASE("pieces: asking for them in the middle of a message takes effect with the next one", "[ws][reader]") {
    for (const bool first : {false, true}) {
        CAPTURE(first);
        byte_vector one = frame(ws::role::client, ws::opcode::binary, "a", false);
        byte_vector two = join({frame(ws::role::client, ws::opcode::continuation, "b"),
                                frame(ws::role::client, ws::opcode::binary, "c", false),
                                frame(ws::role::client, ws::opcode::continuation, "d")});
        ws::reader r(ws::role::client);
        r.hand_out_pieces(first);
        r.feed(one);
        CHECK(r.next().kind == (first ? event_kind::piece : event_kind::need_more));
        r.hand_out_pieces(!first);
        r.feed(two);
        CHECK(r.next().kind == (first ? event_kind::piece : event_kind::message));
        CHECK(r.next().kind == (first ? event_kind::message : event_kind::piece));
    }
}

TEST_CASE("F7: the limit of a message holds for its pieces together", "[ws][reader]") {
    ws::reader_limits limits;
    limits.max_message_size = 10;
    byte_vector input = join({frame(ws::role::client, ws::opcode::binary, "123456", false),
                              frame(ws::role::client, ws::opcode::continuation, "12345")});
    ws::reader r(ws::role::client, limits);
    r.hand_out_pieces(true);
    r.feed(input);
    CHECK(r.next().kind == event_kind::piece);
    const ws::event e = r.next();
    CHECK(e.kind == event_kind::error);
    CHECK(e.error == errc::message_too_big);
}

TEST_CASE("pieces: sent by header alone, the pieces of a message are one message to its receiver", "[ws][endpoint]") {
    ws::endpoint server(ws::role::server);
    byte_vector out;
    REQUIRE(server.send_header(out, ws::opcode::text, 3, false) == 2);
    hawser::append(out, hawser::as_bytes("one"));
    CHECK(server.in_message());
    CHECK(server.send_header(out, ws::opcode::text, 3) == 0);  // not before the end of the first
    CHECK(server.send(out, ws::opcode::binary, hawser::as_bytes("x")) == errc::invalid_state);
    REQUIRE(server.send_header(out, ws::opcode::continuation, 3, true) == 2);
    hawser::append(out, hawser::as_bytes("two"));
    CHECK(!server.in_message());
    CHECK(server.send_header(out, ws::opcode::continuation, 3) == 0);
    ws::reader client(ws::role::client);
    client.feed(out);
    CHECK(to_text(client.next()) == "text:" + hex(hawser::as_bytes("onetwo")));
}

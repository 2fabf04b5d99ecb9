// SPDX-License-Identifier: BSL-1.0
// The rules themselves are in ws_frames.json; here is what vectors cannot say: memory, lifetimes,
// pauses, and when something is found out.
#include "support/catch.hpp"
#include "support/ws_frames.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

using namespace ws_test;
using ws::event_kind;

namespace {

bool lies_in(byte_view part, byte_view whole) {
    return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

byte_vector numbered(std::size_t size) {
    byte_vector out(size);
    for (std::size_t i = 0; i < size; ++i)
        out[i] = static_cast<std::byte>((i * 7 + i / 256) & 0xff);
    return out;
}

constexpr ws::role both_roles[] = {ws::role::server, ws::role::client};

}  // namespace

TEST_CASE("reader: complete messages and control frames are views into the chunk", "[ws][reader]") {
    for (const ws::role side : both_roles) {
        byte_vector chunk = join({frame(side, ws::opcode::text, "one"), frame(side, ws::opcode::ping, "two"),
                                  frame(side, ws::opcode::binary, numbered(70'000))});
        ws::reader r(side);
        r.feed(chunk);
        for (int i = 0; i < 3; ++i) {
            const ws::event e = r.next();
            CHECK(e.kind == (i == 1 ? event_kind::ping : event_kind::message));
            CHECK(lies_in(e.payload, chunk));
            CHECK(r.held_bytes() == 0);
        }
        CHECK(r.next().kind == event_kind::need_more);
        CHECK(r.unread() == 0);
    }
}

TEST_CASE("reader: a frame whose header came alone is still a view into the next chunk", "[ws][reader]") {
    const byte_vector whole = frame(ws::role::server, ws::opcode::binary, "payload");
    byte_vector head(whole.begin(), whole.begin() + 6), body(whole.begin() + 6, whole.end());
    ws::reader r(ws::role::server);
    r.feed(head);
    CHECK(r.next().kind == event_kind::need_more);
    CHECK(r.wanted() == 7);
    r.feed(body);
    const ws::event e = r.next();
    CHECK(hawser::as_text(e.payload) == "payload");
    CHECK(lies_in(e.payload, body));
}

TEST_CASE("F7: nothing is reserved by a header beyond a bounded step", "[ws][reader]") {
    ws::reader_limits limits;
    limits.max_message_size = std::size_t{1} << 30;
    ws::reader r(ws::role::client, limits);
    byte_vector header = from_hex("827f0000000040000000");  // 1 GiB announced
    r.feed(header);
    CHECK(r.next().kind == event_kind::need_more);
    CHECK(r.held_bytes() == 0);
    CHECK(r.wanted() == std::uint64_t{1} << 30);
    std::size_t arrived = 0;
    for (const std::size_t piece : {std::size_t{1}, std::size_t{1000}, std::size_t{70'000}, std::size_t{500'000}}) {
        byte_vector chunk(piece);
        r.feed(chunk);
        CHECK(r.next().kind == event_kind::need_more);
        arrived += piece;
        CHECK(r.held_bytes() <= std::max<std::size_t>(64 * 1024, 2 * arrived));
        CHECK(r.wanted() == (std::uint64_t{1} << 30) - arrived);
    }
}

TEST_CASE("F7: over the limit is found by the header alone, also for a sum of fragments", "[ws][reader]") {
    ws::reader_limits limits;
    limits.max_message_size = 1000;
    for (const ws::role side : both_roles) {
        byte_vector first = frame(side, ws::opcode::binary, numbered(600), false);
        byte_vector second = frame(side, ws::opcode::continuation, numbered(401));
        second.resize(side == ws::role::server ? 8 : 4);
        ws::reader r(side, limits);
        r.feed(first);
        CHECK(r.next().kind == event_kind::need_more);
        r.feed(second);
        const ws::event e = r.next();
        CHECK(to_text(e) == "error:44:1009");
        CHECK(r.held_bytes() == 0);
        CHECK(r.next().kind == event_kind::need_more);
        CHECK(r.ended());
    }
}

TEST_CASE("F17: the first wrong byte is enough, wherever the rest is", "[ws][reader]") {
    for (const ws::role side : both_roles) {
        const byte_vector whole = frame(side, ws::opcode::text, "0123456789\xe2\x82\xac\xed\xa0\x80 and more");
        const std::size_t wrong = (side == ws::role::server ? 6u : 2u) + 14u;  // A0 after ED
        for (std::size_t n = 0; n <= wrong + 1; ++n) {
            ws::reader r(side);
            byte_vector chunk(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n));
            r.feed(chunk);
            CHECK(r.next().kind == (n <= wrong ? event_kind::need_more : event_kind::error));
        }
    }
}

TEST_CASE("F17: the first wrong byte is enough in the middle of a fragmented message", "[ws][reader]") {
    const std::string unit = "ascii, \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80 and \xed\x9f\xbf; ";
    std::string text;
    while (text.size() < 400)
        text += unit;
    for (const ws::role side : both_roles)
        for (std::size_t wrong = 0; wrong < text.size(); ++wrong) {
            std::string bad = text;
            bad[wrong] = '\xff';
            // Fragments that cut characters, with a control frame behind each.
            byte_vector input;
            std::size_t wrong_at = 0;  // in `input`
            std::size_t begin = 0;
            for (const std::size_t end : {std::size_t{70}, std::size_t{71}, std::size_t{245}, text.size()}) {
                const byte_vector one = frame(side, begin == 0 ? ws::opcode::text : ws::opcode::continuation,
                                              std::string_view(bad).substr(begin, end - begin), end == text.size());
                if (wrong >= begin && wrong < end) wrong_at = input.size() + one.size() - (end - wrong);
                hawser::append(input, one);
                hawser::append(input, frame(side, ws::opcode::ping, "\xff"));  // is no text
                begin = end;
            }
            const byte_view view(input);
            for (const std::size_t before : {std::size_t{0}, std::size_t{1}, std::size_t{40}, wrong_at}) {
                if (before > wrong_at) continue;
                ws::reader r(side);
                event_log out;
                feed_chunk(r, view.first(wrong_at - before), out);
                feed_chunk(r, view.subspan(wrong_at - before, before), out);
                const event_log pings(wrong < 70 ? 0 : wrong < 71 ? 1 : wrong < 245 ? 2 : 3, "ping:ff");
                if (out != pings) CHECK(out == pings);
                feed_chunk(r, view.subspan(wrong_at, 1), out);
                if (out.size() != pings.size() + 1 || out.back() != "error:49:1007")
                    CHECK(out.back() == "error:49:1007");
            }
            // The same when everything came at once.
            ws::reader r(side);
            event_log out;
            feed_chunk(r, view, out);
            if (out.back() != "error:49:1007") CHECK(out.back() == "error:49:1007");
        }
    SUCCEED("all places agree");
}

TEST_CASE("F17: text that ends within a character is refused at its end, not before", "[ws][reader]") {
    for (const ws::role side : both_roles)
        for (const std::size_t length : {5u, 40u, 64u, 125u, 200u, 1000u})
            for (const bool fragmented : {false, true}) {
                std::string text(length, 'a');
                text.replace(length - 3, 3, "\xf0\x9f\x98");
                const std::size_t cut = fragmented ? length / 2 : 0;
                byte_vector input;
                if (fragmented) input = frame(side, ws::opcode::text, text.substr(0, cut), false);
                hawser::append(input,
                               frame(side, fragmented ? ws::opcode::continuation : ws::opcode::text, text.substr(cut)));
                for (std::size_t split = input.size() - 5; split < input.size(); ++split) {
                    ws::reader r(side);
                    event_log out;
                    feed_chunk(r, byte_view(input).first(split), out);
                    CHECK(out.empty());
                    feed_chunk(r, byte_view(input).subspan(split), out);
                    CHECK(out == event_log{"error:49:1007"});
                }
            }
}

TEST_CASE("reader: memory goes back when the message was handed out and the chunk is read", "[ws][reader]") {
    for (const ws::role side : both_roles) {
        ws::reader r(side);
        const byte_vector message = frame(side, ws::opcode::binary, numbered(5000));
        const byte_vector ping = frame(side, ws::opcode::ping, "0123456789");
        event_log out;
        feed_chunk(r, byte_view(message).first(2000), out);
        CHECK(r.held_bytes() == 5000);
        feed_chunk(r, byte_view(message).subspan(2000), out);
        CHECK(r.held_bytes() == 0);
        feed_chunk(r, byte_view(ping).first(8), out);
        CHECK(r.held_bytes() == 10);
        feed_chunk(r, byte_view(ping).subspan(8), out);
        CHECK(r.held_bytes() == 0);
        CHECK(out.size() == 2);
        // A stream that ends each chunk within a message goes on using the buffer.
        const byte_vector two = join({message, message});
        feed_chunk(r, byte_view(two).first(2000), out);
        feed_chunk(r, byte_view(two).subspan(2000, 5000), out);
        CHECK(r.held_bytes() == 5000);
        feed_chunk(r, byte_view(two).subspan(7000), out);
        CHECK(r.held_bytes() == 0);
        CHECK(out.size() == 4);
    }
}

TEST_CASE("reader: an event's payload lives until the next call", "[ws][reader]") {
    ws::reader r(ws::role::server);
    const byte_vector whole =
        join({frame(ws::role::server, ws::opcode::text, "gathered"), frame(ws::role::server, ws::opcode::close,
                                                                           "\x03\xe8"
                                                                           "bye")});
    byte_vector one(whole.begin(), whole.begin() + 9), two(whole.begin() + 9, whole.end() - 2),
        three(whole.end() - 2, whole.end());
    r.feed(one);
    CHECK(r.next().kind == event_kind::need_more);
    std::fill(one.begin(), one.end(), std::byte{0});
    r.feed(two);
    const ws::event message = r.next();
    CHECK(hawser::as_text(message.payload) == "gathered");
    CHECK(r.next().kind == event_kind::need_more);
    r.feed(three);
    const ws::event close = r.next();
    std::fill(three.begin(), three.end(), std::byte{0});
    CHECK(close.reason() == "bye");
    CHECK(close.info().code == hawser::close_code::normal);
    CHECK(close.info().reason == "bye");
    CHECK(r.next().kind == event_kind::need_more);
    CHECK(r.held_bytes() == 0);
}

TEST_CASE("reader: bytes fed after a retain come after the retained ones", "[ws][reader]") {
    for (const ws::role side : both_roles) {
        const byte_vector input =
            join({frame(side, ws::opcode::text, "first"), frame(side, ws::opcode::binary, numbered(300), false),
                  frame(side, ws::opcode::ping, "p"), frame(side, ws::opcode::continuation, "end"),
                  frame(side, ws::opcode::text, "last")});
        ws::reader plain(side);
        const event_log expected = read_split(plain, input, {});
        REQUIRE(expected.size() == 4);
        for (std::size_t a = 0; a <= input.size(); a += 3)
            for (std::size_t b = a; b <= input.size(); b += 7)
                for (const std::size_t events_between : {0u, 1u, 2u}) {
                    // Three chunks, each retained; events are drawn before the next one comes.
                    ws::reader r(side);
                    event_log got;
                    const std::size_t cuts[] = {0, a, b, input.size()};
                    for (int i = 0; i < 3; ++i) {
                        byte_vector chunk(input.begin() + static_cast<std::ptrdiff_t>(cuts[i]),
                                          input.begin() + static_cast<std::ptrdiff_t>(cuts[i + 1]));
                        r.feed(chunk);
                        for (std::size_t n = 0; n < events_between; ++n) {
                            const ws::event e = r.next();
                            if (e.kind == event_kind::need_more) break;
                            got.push_back(to_text(e));
                        }
                        r.retain();
                        std::fill(chunk.begin(), chunk.end(), std::byte{0xee});
                    }
                    for (;;) {
                        const ws::event e = r.next();
                        if (e.kind == event_kind::need_more) break;
                        got.push_back(to_text(e));
                    }
                    if (got != expected) CHECK(got == expected);
                    CHECK(r.unread() == 0);
                    CHECK(r.held_bytes() == 0);
                }
    }
}

TEST_CASE("reader: can be moved while it holds retained bytes", "[ws][reader]") {
    byte_vector chunk =
        join({frame(ws::role::client, ws::opcode::text, "a"), frame(ws::role::client, ws::opcode::text, "b")});
    ws::reader r(ws::role::client);
    r.feed(chunk);
    CHECK(to_text(r.next()) == "text:61");
    r.retain();
    ws::reader moved = std::move(r);
    CHECK(moved.unread() == 3);
    CHECK(to_text(moved.next()) == "text:62");
    CHECK(moved.next().kind == event_kind::need_more);
}

TEST_CASE("F15: a reader knows whether a message is unfinished", "[ws][reader]") {
    ws::reader r(ws::role::client);
    event_log out;
    feed_chunk(r, frame(ws::role::client, ws::opcode::text, "a", false), out);
    CHECK(r.in_message());
    feed_chunk(r, frame(ws::role::client, ws::opcode::ping, ""), out);
    CHECK(r.in_message());
    feed_chunk(r, frame(ws::role::client, ws::opcode::continuation, "b"), out);
    CHECK_FALSE(r.in_message());
}

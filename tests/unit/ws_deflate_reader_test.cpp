// SPDX-License-Identifier: BSL-1.0
// Compressed messages as a reader sees them: the rows D of bad input, in both roles, at every split.
#include <hawser/deflate.hpp>

#include "support/catch.hpp"
#include "support/deflate_peer.hpp"
#include "support/ws_frames.hpp"

#include <string>
#include <vector>

using namespace ws_test;
using namespace deflate_test;
using hawser::errc;
using ws::opcode;
using ws::role;

namespace {

constexpr role both_roles[] = {role::client, role::server};
constexpr std::uint8_t rsv1 = ws::compressed_bit;

std::unique_ptr<ws::message_codec> codec(bool takeover = true) {
    static const auto with = hawser::deflate();
    static const auto without = hawser::deflate({.context_takeover = false, .peer_context_takeover = false});
    const std::vector<ws::extension> offers{{"permessage-deflate", {}}};
    std::unique_ptr<ws::message_codec> made;
    (void)(takeover ? with : without)->accept(offers, nullptr, made);
    REQUIRE(made);
    return made;
}

// Checks the events of `input` whole, at every split in two and byte by byte, with and without pauses, whole and
// in pieces that are put together again.
void expect(role side, const byte_vector& input, const event_log& expected, const ws::reader_limits& limits = {},
            bool takeover = true) {
    for (const auto& [pause, in_pieces] : {std::pair(false, false), {true, false}, {false, true}, {true, true}}) {
        for (std::size_t split = 0; split <= input.size(); ++split) {
            ws::reader r(side, limits, codec(takeover));
            r.hand_out_pieces(in_pieces);
            const event_log got = read_split(r, input, {split}, pause);
            if (got == expected) continue;
            CAPTURE(split, pause, in_pieces);
            REQUIRE(got == expected);
        }
        std::vector<std::size_t> all;
        for (std::size_t i = 1; i < input.size(); ++i)
            all.push_back(i);
        ws::reader r(side, limits, codec(takeover));
        r.hand_out_pieces(in_pieces);
        REQUIRE(read_split(r, input, all, pause) == expected);
    }
}
void expect(std::string_view kind, std::string_view text, role side, const byte_vector& input, bool takeover = true) {
    expect(side, input, {std::string(kind) + ":" + hex(hawser::as_bytes(text))}, {}, takeover);
}
std::string error(errc e, unsigned code) {
    return "error:" + std::to_string(static_cast<int>(e)) + ":" + std::to_string(code);
}
const std::string corrupt = error(errc::bad_compression, 1007);
const std::string bad_text = error(errc::invalid_utf8, 1007);
const std::string too_big = error(errc::message_too_big, 1009);
const std::string reserved = error(errc::reserved_bits, 1002);

}  // namespace

TEST_CASE("RFC 7692 7.2.3: the examples", "[ws][deflate]") {
    for (const role side : both_roles) {
        const auto one = [&](std::string_view payload) {
            return frame(side, opcode::text, from_hex(payload), true, rsv1);
        };
        expect("text", "Hello", side, one("f248cdc9c90700"));
        expect("text", "Hello", side, one("000500faff48656c6c6f00"));  // a block without compression
        expect("text", "Hello", side, one("f348cdc9c9070000"));        // a block that says it is the last
        expect("text", "Hello", side,
               one("f248050000"
                   "00ffffcac9c90700"));      // two blocks
        expect("text", "", side, one("00"));  // nothing
        expect("text", "Hello", side,
               join({frame(side, opcode::text, from_hex("f248cd"), false, rsv1),
                     frame(side, opcode::continuation, from_hex("c9c90700"))}));
    }
}

TEST_CASE("RFC 7692 7.2.3.2: with takeover a message refers back to earlier ones, without it does not",
          "[ws][deflate]") {
    for (const role side : both_roles) {
        const auto hello = frame(side, opcode::text, from_hex("f248cdc9c90700"), true, rsv1);
        const auto again = frame(side, opcode::text, from_hex("f200110000"), true, rsv1);
        const std::string text = "text:48656c6c6f";
        expect(side, join({hello, again, again}), {text, text, text});
        expect(side, join({hello, hello}), {text, text}, {}, false);
        expect(side, join({hello, again}), {text, corrupt}, {}, false);
    }
}

TEST_CASE("RFC 7692 7.2.3.4: the window outlives a block that says it is the last", "[ws][deflate]") {
    for (const role side : both_roles) {
        const auto last = frame(side, opcode::text, from_hex("f348cdc9c9070000"), true, rsv1);
        const auto cut = frame(side, opcode::text, from_hex("f348cdc9c90700"), true, rsv1);  // without the empty block
        const auto again = frame(side, opcode::text, from_hex("f200110000"), true, rsv1);
        const std::string text = "text:48656c6c6f";
        expect(side, join({last, again}), {text, text});
        expect(side, join({cut, again}), {text, text});
        // It may be the empty one whose end the sender leaves out (section 7.2.1).
        expect(side, join({last, frame(side, opcode::text, from_hex("01"), true, rsv1), again}), {text, "text:", text});
        // The same where the text exactly fills the memory that was made for it.
        const std::string full(512, 'a');
        const auto exact = zlib_compressor().run(hawser::as_bytes(full), Z_FINISH);
        expect("text", full, side, frame(side, opcode::text, exact, true, rsv1));
    }
}

TEST_CASE("F26: a message sent as it is on a compressed connection is delivered as it is", "[ws][deflate]") {
    for (const role side : both_roles)
        for (const bool takeover : {true, false}) {
            const auto hello = frame(side, opcode::text, from_hex("f248cdc9c90700"), true, rsv1);
            expect(side,
                   join({frame(side, opcode::text, "plain"), hello, frame(side, opcode::binary, "plain"),
                         frame(side, opcode::text, "pl", false), frame(side, opcode::continuation, "ain"), hello}),
                   {"text:706c61696e", "text:48656c6c6f", "binary:706c61696e", "text:706c61696e", "text:48656c6c6f"},
                   {}, takeover);
        }
}

TEST_CASE("F12: pings between the fragments of a compressed message", "[ws][deflate]") {
    for (const role side : both_roles)
        expect(
            side,
            join({frame(side, opcode::text, from_hex("f2"), false, rsv1), frame(side, opcode::ping, "1"),
                  frame(side, opcode::continuation, from_hex(""), false),
                  frame(side, opcode::continuation, from_hex("48cdc9"), false), frame(side, opcode::ping, "2"),
                  frame(side, opcode::continuation, from_hex("c90700"), false), frame(side, opcode::continuation, "")}),
            {"ping:31", "ping:32", "text:48656c6c6f"});
}

TEST_CASE("D1: a deflate bomb ends at the first byte over the limit, while it is inflated", "[ws][deflate]") {
    for (const role side : both_roles)
        for (const bool takeover : {true, false}) {
            zlib_compressor peer;
            const ws::reader_limits limits{.max_message_size = 1000};
            const auto exact = peer.message(std::string(1000, '\0'));
            peer.reset();
            const auto over = peer.message(std::string(1001, '\0'));
            const auto binary = [&](const byte_vector& p, bool fin = true) {
                return frame(side, opcode::binary, p, fin, rsv1);
            };
            expect(side, binary(exact), {"binary:" + std::string(2000, '0')}, limits, takeover);
            expect(side, binary(over), {too_big}, limits, takeover);
            // Without its end: it is not waited for.
            expect(side, binary(over, false), {too_big}, limits, takeover);
            // Text that is wrong before the limit is wrong; behind it, too long.
            peer.reset();
            const auto wrong = peer.message(std::string(999, 'a') + "\xff" + std::string(500, 'a'));
            peer.reset();
            const auto late = peer.message(std::string(1000, 'a') + "\xff" + std::string(500, 'a'));
            expect(side, frame(side, opcode::text, wrong, true, rsv1), {bad_text}, limits, takeover);
            expect(side, frame(side, opcode::text, late, true, rsv1), {too_big}, limits, takeover);
        }
}

TEST_CASE("D1: a GiB of zeros is refused with memory of about the limit, whatever it is fed in", "[ws][deflate]") {
    const byte_vector& bomb = gib_bomb();
    REQUIRE(bomb.size() > 1'000'000);  // 1 in about 1000
    for (const std::size_t limit : {std::size_t{1000}, std::size_t{1} << 20, std::size_t{64} << 20})
        for (const std::size_t chunk : {std::size_t{1}, std::size_t{1000}, std::size_t{65536}, std::size_t{4} << 20}) {
            CAPTURE(limit, chunk);
            ws::reader r(role::client, {.max_message_size = limit}, codec());
            byte_vector input = frame(role::client, opcode::binary, bomb, true, rsv1);
            std::size_t most = 0, at = 0;
            ws::event e;
            while (e.kind != ws::event_kind::error && at < input.size()) {
                const std::size_t n = std::min(chunk, input.size() - at);
                r.feed(byte_span(input).subspan(at, n));
                at += n;
                e = r.next();
                most = std::max(most, r.held_bytes());
            }
            CHECK(to_text(e) == too_big);
            CHECK(most <= limit + 1);
            // The bytes that a factor of about 1030 needs, and one chunk.
            CHECK(at <= limit / 1000 + 2 * chunk + 200);
        }
}

TEST_CASE("D1, F7: a compressed frame longer than any compressed message of the limit is refused by its header",
          "[ws][deflate]") {
    for (const role side : both_roles) {
        const ws::reader_limits limits{.max_message_size = 100'000};
        byte_vector head = frame(side, opcode::binary, byte_vector(113'000), true, rsv1);
        head.resize(side == role::server ? 14 : 10);
        expect(side, head, {too_big}, limits);
        // Data that do not compress, in stored blocks, are within it.
        zlib_compressor stored(15, 0);
        const auto data = noise(100'000);
        ws::reader r(side, limits, codec());
        CHECK(read_split(r, frame(side, opcode::binary, stored.message(data), true, rsv1), {50'000}) ==
              event_log{"binary:" + hex(data)});
    }
}

TEST_CASE("D2: corrupt compressed data get 1007", "[ws][deflate]") {
    for (const role side : both_roles)
        for (const bool takeover : {true, false})
            for (const std::string_view bad : {"07",                // a type of block that does not exist
                                               "ff",                // the same
                                               "0005000000",        // lengths that do not match
                                               "f200110000",        // a distance with nothing before it
                                               "f248cdc9",          // cut off within a block
                                               "f348cdc9c90700ff",  // garbage behind the last block
                                               "edc1010d000000c2"}) {
                CAPTURE(bad);
                const auto payload = from_hex(bad);
                expect(side, frame(side, opcode::binary, payload, true, rsv1), {corrupt}, {}, takeover);
                expect(side, frame(side, opcode::text, payload, true, rsv1), {corrupt}, {}, takeover);
            }
    // Cut off within a stored block, which then takes in the bytes that the receiver appends.
    for (const role side : both_roles)
        expect(side, frame(side, opcode::binary, from_hex("000900f6ff4865"), true, rsv1), {corrupt});
}

TEST_CASE("D2: compressed data are found to be corrupt before the message ends", "[ws][deflate]") {
    for (const role side : both_roles)
        expect(side, frame(side, opcode::binary, from_hex("f248cdc9c907ff"), false, rsv1), {corrupt});
}

TEST_CASE("D3: RSV1 on a control or a continuation frame gets 1002", "[ws][deflate]") {
    for (const role side : both_roles) {
        for (const opcode op : {opcode::ping, opcode::pong, opcode::close})
            expect(side, frame(side, op, from_hex("0000"), true, rsv1), {reserved});
        const auto begin = [&](std::uint8_t rsv) { return frame(side, opcode::text, from_hex("f248"), false, rsv); };
        expect(side, join({begin(rsv1), frame(side, opcode::continuation, from_hex("cdc9c90700"), true, rsv1)}),
               {reserved});
        expect(side, join({frame(side, opcode::text, "a", false), frame(side, opcode::continuation, "b", true, rsv1)}),
               {reserved});
        for (const std::uint8_t other :
             {std::uint8_t{1}, std::uint8_t{2}, std::uint8_t{5}, std::uint8_t{6}, std::uint8_t{7}})
            expect(side, begin(other), {reserved});
    }
}

TEST_CASE("F1: RSV1 where compression was not agreed on gets 1002", "[ws][deflate]") {
    for (const role side : both_roles)
        at_every_split(side, {}, frame(side, opcode::text, from_hex("f248cdc9c90700"), true, rsv1),
                       [](const event_log& got, std::size_t) { REQUIRE(got == event_log{reserved}); });
}

TEST_CASE("F17, F18: text is checked behind the inflater, and fails in the middle of the message", "[ws][deflate]") {
    for (const role side : both_roles)
        for (const bool takeover : {true, false}) {
            zlib_compressor peer;
            const auto text = [&](std::string_view t, bool fin = true) {
                peer.reset();
                return frame(side, opcode::text, fin ? peer.message(t) : peer.run(hawser::as_bytes(t), Z_SYNC_FLUSH),
                             fin, rsv1);
            };
            expect("text", "K\xc3\xb6ln \xf0\x9f\x98\x80", side, text("K\xc3\xb6ln \xf0\x9f\x98\x80"), takeover);
            expect(side, text("K\xc3\xb6ln \xed\xa0\x80"), {bad_text}, {}, takeover);
            expect(side, text("cut \xf0\x9f\x98"), {bad_text}, {}, takeover);
            expect(side, text("wrong \xff", false), {bad_text}, {}, takeover);  // no end is waited for
            // Binary is not text; and a code point may be split between frames.
            peer.reset();
            expect("binary", "\xff\xfe", side, frame(side, opcode::binary, peer.message("\xff\xfe"), true, rsv1),
                   takeover);
            peer.reset();
            const auto first = peer.run(hawser::as_bytes("\xf0\x9f"), Z_SYNC_FLUSH);
            expect("text", "\xf0\x9f\x98\x80", side,
                   join({frame(side, opcode::text, first, false, rsv1),
                         frame(side, opcode::continuation, peer.message("\x98\x80"))}),
                   takeover);
        }
}

TEST_CASE("max_fragments: it holds for a compressed message too", "[ws][deflate]") {
    for (const role side : both_roles)
        expect(side,
               join({frame(side, opcode::binary, from_hex("f2"), false, rsv1),
                     frame(side, opcode::continuation, "", false), frame(side, opcode::continuation, "", false)}),
               {too_big}, {.max_fragments = 2});
}

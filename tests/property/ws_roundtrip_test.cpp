// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/ws_frames.hpp"

#include <rapidcheck.h>

#include <algorithm>
#include <string>
#include <vector>

using namespace ws_test;
using hawser::errc;
using ws::opcode;
using ws::role;

namespace {

bool fill_random(void*, byte_span out) noexcept {
    static std::uint32_t state = 1;
    for (std::byte& b : out) {
        state = state * 1664525u + 1013904223u;
        b = static_cast<std::byte>(state >> 24);
    }
    return true;
}

std::string random_text() {
    static const char* const units[] = {"a",
                                        "ascii, and more than one block of it ",
                                        "\xc3\xa4",
                                        "\xe2\x82\xac",
                                        "\xed\x9f\xbf",
                                        "\xee\x80\x80",
                                        "\xf0\x9f\x98\x80",
                                        "\xf4\x8f\xbf\xbf"};
    std::string text;
    for (const std::size_t i : *rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(0, 8)))
        text += units[i];
    return text;
}

byte_vector random_bytes() {
    // Lengths around the three forms of the length field, and small ones.
    const std::size_t size =
        *rc::gen::oneOf(rc::gen::inRange<std::size_t>(0, 20), rc::gen::inRange<std::size_t>(120, 132),
                        rc::gen::inRange<std::size_t>(65'530, 65'542));
    byte_vector out(size);
    (void)fill_random(nullptr, out);
    return out;
}

// Sends one message in random pieces, with random pings between them.
void send_message(ws::endpoint& from, byte_vector& out, event_log& expected) {
    const bool text = *rc::gen::arbitrary<bool>();
    const byte_vector payload = text ? bytes(random_text()) : random_bytes();
    const auto op = text ? opcode::text : opcode::binary;
    const auto pieces = *rc::gen::inRange(0, 5);
    std::size_t begin = 0;
    for (int i = 0; i < pieces; ++i) {
        const std::size_t size = *rc::gen::inRange<std::size_t>(0, payload.size() - begin + 1);
        RC_ASSERT(from.send_fragment(out, i == 0 ? op : opcode::continuation, false,
                                     byte_view(payload).subspan(begin, size)) == errc{});
        begin += size;
        if (*rc::gen::inRange(0, 3) != 0) continue;
        const byte_vector ping(*rc::gen::inRange<std::size_t>(0, 126), std::byte{0x70});
        RC_ASSERT(from.ping(out, ping) == errc{});
        expected.push_back("ping:" + hex(ping));
    }
    const byte_view rest = byte_view(payload).subspan(begin);
    const std::size_t cut = rest.size() / 3;
    if (pieces != 0)
        RC_ASSERT(from.send_fragment(out, opcode::continuation, true, rest) == errc{});
    else
        RC_ASSERT(from.send(out, op, rest.first(cut), rest.subspan(cut)) == errc{});
    expected.push_back((text ? "text:" : "binary:") + hex(payload));
}

std::vector<std::size_t> random_splits(std::size_t size) {
    auto splits = *rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(0, size + 1));
    std::sort(splits.begin(), splits.end());
    return splits;
}

}  // namespace

TEST_CASE("F16: any messages, fragmented and split anyhow, arrive intact", "[ws][property]") {
    CHECK(rc::check("messages arrive intact", [] {
        hawser::entropy_pool pool(&fill_random, nullptr);
        const role side = *rc::gen::element(role::client, role::server);
        ws::endpoint from(side, {}, &pool), to(other(side));
        byte_vector wire;
        event_log expected;
        const int count = *rc::gen::inRange(0, 8);
        for (int i = 0; i < count; ++i)
            send_message(from, wire, expected);
        RC_ASSERT(from.close(wire, hawser::close_code::normal, "end") == errc{});
        expected.push_back("close:1000:656e64");
        RC_ASSERT(read_split(to, wire, random_splits(wire.size()), *rc::gen::arbitrary<bool>()) == expected);
        RC_ASSERT(to.input().held_bytes() == 0u);
    }));
}

TEST_CASE("F16: any bytes at any split give the same events", "[ws][property]") {
    CHECK(rc::check("the split does not matter", [] {
        const role side = *rc::gen::element(role::client, role::server);
        ws::reader_limits limits;
        limits.max_message_size = 300;
        limits.permitted_rsv = 4;
        // Frames that are valid in most respects, so that the bytes lead far into the reader.
        byte_vector input;
        const int count = *rc::gen::inRange(0, 6);
        for (int i = 0; i < count; ++i) {
            const auto op =
                *rc::gen::element(opcode::continuation, opcode::text, opcode::binary, opcode::ping, opcode::close);
            const auto fin = *rc::gen::inRange(0, 4) != 0;
            const auto rsv = static_cast<std::uint8_t>(*rc::gen::inRange(0, 8) == 0 ? 4 : 0);
            const std::string payload = op == opcode::close ? "\x03\xe8" + random_text() : random_text();
            hawser::append(input, frame(side, op, payload.substr(0, 330), fin, rsv));
        }
        if (!input.empty() && *rc::gen::arbitrary<bool>())
            input[*rc::gen::inRange<std::size_t>(0, input.size())] = static_cast<std::byte>(*rc::gen::inRange(0, 256));
        ws::reader whole(side, limits), split(side, limits);
        const event_log expected = read_split(whole, input, {});
        RC_ASSERT(read_split(split, input, random_splits(input.size()), *rc::gen::arbitrary<bool>()) == expected);
        RC_ASSERT(split.ended() == whole.ended());
    }));
}

// SPDX-License-Identifier: BSL-1.0
// Compression against zlib itself: what one side makes the other one understands, however it is cut.
#include <hawser/deflate.hpp>

#include "support/catch.hpp"
#include "support/deflate_peer.hpp"
#include "support/ws_frames.hpp"

#include <rapidcheck.h>

#include <algorithm>
#include <string>
#include <vector>

using namespace ws_test;
using namespace deflate_test;
using hawser::errc;
using ws::opcode;
using ws::role;

namespace {

// Bytes between noise and one byte again and again, often alike.
byte_vector random_payload() {
    const std::size_t size =
        *rc::gen::oneOf(rc::gen::inRange<std::size_t>(0, 100), rc::gen::inRange<std::size_t>(0, 5000),
                        rc::gen::inRange<std::size_t>(30'000, 70'000));
    const unsigned seed = *rc::gen::inRange(0u, 4u);
    switch (*rc::gen::inRange(0, 4)) {
        case 0:
            return noise(size, seed);
        case 1:
            return byte_vector(size, static_cast<std::byte>(seed));
        default:
            return bytes(feed_text(size, seed));
    }
}
std::vector<std::size_t> random_splits(std::size_t size) {
    auto splits = *rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(0, size + 1));
    std::sort(splits.begin(), splits.end());
    return splits;
}
std::unique_ptr<ws::message_codec> make(const hawser::deflate_options& o, std::string_view offer) {
    std::vector<ws::extension> offers;
    RC_ASSERT(ws::parse_extensions(offer, offers));
    std::unique_ptr<ws::message_codec> made;
    (void)hawser::deflate(o)->accept(offers, nullptr, made);
    RC_ASSERT(made != nullptr);
    return made;
}

// One message of the zlib side: flushed at random points in random ways, in random fragments.
void append_message(byte_vector& wire, role reader_side, zlib_compressor& zlib, byte_view payload, bool text) {
    byte_vector packed;
    std::size_t at = 0;
    for (int pieces = *rc::gen::inRange(0, 4); pieces > 0; --pieces) {
        const std::size_t size = *rc::gen::inRange<std::size_t>(0, payload.size() - at + 1);
        const int flush = *rc::gen::element(Z_NO_FLUSH, Z_PARTIAL_FLUSH, Z_SYNC_FLUSH, Z_FULL_FLUSH, Z_BLOCK);
        hawser::append(packed, zlib.run(payload.subspan(at, size), flush));
        at += size;
    }
    byte_vector rest = zlib.run(payload.subspan(at), Z_SYNC_FLUSH);
    // Where the last flush left nothing to do, zlib writes no empty block; a byte of header stands for it.
    if (rest.size() >= 4)
        rest.resize(rest.size() - 4);
    else if (packed.size() >= 4 && hex(byte_view(packed).last(4)) == "0000ffff")
        packed.resize(packed.size() - 4);
    else
        rest.push_back(std::byte{0});
    hawser::append(packed, rest);
    auto op = text ? opcode::text : opcode::binary;
    std::uint8_t rsv = ws::compressed_bit;
    std::size_t begin = 0;
    for (const std::size_t split : random_splits(packed.size())) {
        hawser::append(wire, frame(reader_side, op, byte_view(packed).subspan(begin, split - begin), false, rsv));
        begin = split;
        op = opcode::continuation;
        rsv = 0;
    }
    hawser::append(wire, frame(reader_side, op, byte_view(packed).subspan(begin), true, rsv));
}

}  // namespace

TEST_CASE("compression: zlib inflates what we compress", "[ws][deflate][property]") {
    CHECK(rc::check("zlib inflates it", [] {
        const int bits = *rc::gen::inRange(9, 16);
        const bool takeover = *rc::gen::arbitrary<bool>();
        const auto codec = make({.level = *rc::gen::inRange(1, 10),
                                 .memory_level = *rc::gen::inRange(1, 10),
                                 .window_bits = bits,
                                 .context_takeover = takeover,
                                 .min_size = 1},
                                "permessage-deflate");
        zlib_inflater peer(bits);
        for (int i = *rc::gen::inRange(0, 12); i > 0; --i) {
            const auto payload = random_payload();
            const std::size_t cut = *rc::gen::inRange<std::size_t>(0, payload.size() + 1);
            ws::gather_buffer out;
            if (*rc::gen::inRange(0, 8) == 0) codec->discard();
            if (!codec->compress(out, *rc::gen::arbitrary<bool>(), byte_view(payload).first(cut),
                                 byte_view(payload).subspan(cut)))
                continue;
            RC_ASSERT(out.size() < payload.size());
            RC_ASSERT(peer.message(out.bytes()) == payload);
            if (!takeover) peer.reset();
        }
    }));
}

TEST_CASE("F16: we inflate what zlib compresses, flushed, fragmented and split anyhow", "[ws][deflate][property]") {
    CHECK(rc::check("we inflate it", [] {
        const role side = *rc::gen::element(role::client, role::server);
        const int bits = *rc::gen::inRange(9, 16);
        const bool takeover = *rc::gen::arbitrary<bool>();
        const std::string offer = "permessage-deflate; client_max_window_bits=" + std::to_string(bits) +
                                  (takeover ? "" : "; client_no_context_takeover");
        zlib_compressor zlib(bits, *rc::gen::inRange(0, 10));
        byte_vector wire;
        event_log expected;
        for (int i = *rc::gen::inRange(0, 6); i > 0; --i) {
            const auto payload = random_payload();
            const bool text = hawser::ws::is_utf8(payload) && *rc::gen::arbitrary<bool>();
            if (*rc::gen::inRange(0, 4) == 0) {
                hawser::append(wire, frame(side, text ? opcode::text : opcode::binary, payload));
            } else {
                if (!takeover) zlib.reset();
                append_message(wire, side, zlib, payload, text);
            }
            expected.push_back((text ? "text:" : "binary:") + hex(payload));
        }
        ws::reader r(side, {}, make({}, offer));
        RC_ASSERT(read_split(r, wire, random_splits(wire.size()), *rc::gen::arbitrary<bool>()) == expected);
        RC_ASSERT(r.held_bytes() == 0u);
    }));
}

TEST_CASE("D1, D2, F16: damaged compressed data give the same at any split, and never more than the limit",
          "[ws][deflate][property]") {
    CHECK(rc::check("damaged data", [] {
        const role side = *rc::gen::element(role::client, role::server);
        ws::reader_limits limits;
        limits.max_message_size = *rc::gen::element<std::size_t>(10, 1000, 100'000);
        byte_vector wire;
        zlib_compressor zlib;
        for (int i = *rc::gen::inRange(1, 4); i > 0; --i) {
            auto payload = random_payload();
            if (*rc::gen::arbitrary<bool>() && !payload.empty())
                payload[*rc::gen::inRange<std::size_t>(0, payload.size())] =
                    static_cast<std::byte>(*rc::gen::inRange(0, 256));
            append_message(wire, side, zlib, payload, *rc::gen::arbitrary<bool>());
        }
        // Payload bits most of all: the frames stay what they are.
        for (int i = *rc::gen::inRange(0, 3); i > 0; --i)
            wire[*rc::gen::inRange<std::size_t>(std::min<std::size_t>(14, wire.size() - 1), wire.size())] ^=
                static_cast<std::byte>(1 << *rc::gen::inRange(0, 8));
        const std::string offer =
            *rc::gen::arbitrary<bool>() ? "permessage-deflate" : "permessage-deflate; client_no_context_takeover";
        ws::reader whole(side, limits, make({}, offer)), split(side, limits, make({}, offer));
        const event_log expected = read_split(whole, wire, {});
        RC_ASSERT(read_split(split, wire, random_splits(wire.size()), *rc::gen::arbitrary<bool>()) == expected);
        for (const auto& line : expected)
            RC_ASSERT(line.size() <= 2 * limits.max_message_size + 20);
    }));
}

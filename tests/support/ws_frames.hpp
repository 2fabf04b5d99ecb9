// SPDX-License-Identifier: BSL-1.0
// Builds frames, and writes down what a reader or an endpoint makes of bytes at given splits.
#pragma once

#include <hawser/protocol/ws/endpoint.hpp>
#include <hawser/protocol/ws/frame_header.hpp>
#include <hawser/protocol/ws/mask.hpp>
#include <hawser/protocol/ws/reader.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ws_test {

using hawser::byte_span;
using hawser::byte_vector;
using hawser::byte_view;
namespace ws = hawser::ws;

inline constexpr ws::mask_key test_key{std::byte{0x37}, std::byte{0xfa}, std::byte{0x21}, std::byte{0x3d}};

inline byte_vector bytes(std::string_view text) {
    const byte_view view = hawser::as_bytes(text);
    return {view.begin(), view.end()};
}
inline std::string hex(byte_view view) {
    std::string out;
    for (const std::byte b : view) {
        out += "0123456789abcdef"[std::to_integer<unsigned>(b) >> 4];
        out += "0123456789abcdef"[std::to_integer<unsigned>(b) & 15u];
    }
    return out;
}
inline byte_vector from_hex(std::string_view text) {
    const auto digit = [](char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10); };
    byte_vector out;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2)
        out.push_back(static_cast<std::byte>(digit(text[i]) << 4 | digit(text[i + 1])));
    return out;
}
inline ws::role other(ws::role side) { return side == ws::role::client ? ws::role::server : ws::role::client; }

/// A frame as a peer of `reader_side` sends it.
inline byte_vector frame(ws::role reader_side, ws::opcode op, byte_view payload, bool fin = true,
                         std::uint8_t rsv = 0) {
    const bool masked = reader_side == ws::role::server;
    const ws::frame_header header{fin, rsv, op, masked, payload.size(), masked ? test_key : ws::mask_key{}};
    byte_vector out(ws::max_header_size);
    out.resize(ws::encode(out.data(), header));
    const std::size_t begin = out.size();
    hawser::append(out, payload);
    if (masked) ws::mask(byte_span(out).subspan(begin), header.key);
    return out;
}
inline byte_vector frame(ws::role reader_side, ws::opcode op, std::string_view payload, bool fin = true,
                         std::uint8_t rsv = 0) {
    return frame(reader_side, op, hawser::as_bytes(payload), fin, rsv);
}
inline byte_vector join(std::initializer_list<byte_vector> parts) {
    byte_vector out;
    for (const byte_vector& part : parts)
        hawser::append(out, part);
    return out;
}

/// An event as text: "text:<hex>", "close:<code>:<hex>", "error:<errc>:<code>", ...
inline std::string to_text(const ws::event& e) {
    const std::string rsv = e.rsv == 0 ? "" : std::string("+").append(std::to_string(e.rsv));
    const std::string code = std::to_string(static_cast<unsigned>(e.code));
    switch (e.kind) {
        case ws::event_kind::need_more:
            return "need_more";
        case ws::event_kind::message:
            return (e.text ? "text" : "binary") + rsv + ":" + hex(e.payload);
        case ws::event_kind::ping:
            return "ping:" + hex(e.payload);
        case ws::event_kind::piece:
            return "piece:" + hex(e.payload);
        case ws::event_kind::pong:
            return "pong:" + hex(e.payload);
        case ws::event_kind::close:
            return "close:" + code + ":" + hex(e.payload);
        case ws::event_kind::error:
            return "error:" + std::to_string(static_cast<int>(e.error)) + ":" + code;
    }
    return "?";
}

using event_log = std::vector<std::string>;

/// Puts the pieces of a message together again.
struct joined_pieces {
    void add(const ws::event& e, event_log& out) {
        if (e.offset != bytes.size() || (e.payload.empty() && !e.last)) out.push_back("a piece out of its place");
        hawser::append(bytes, e.payload);
        if (!e.last) return;
        ws::event whole = e;
        whole.kind = ws::event_kind::message;
        whole.payload = bytes;
        out.push_back(to_text(whole));
        bytes.clear();
    }
    byte_vector bytes;
};

/// Feeds `chunk` from memory of its exact size, which is overwritten before it is released, and
/// drains `from`. With `pause` the rest is retained after each event, as a paused connection does.
template <typename Reader>
void feed_chunk(Reader& from, byte_view chunk, event_log& out, joined_pieces& pieces, bool pause = false) {
    const auto copy = std::make_unique<byte_vector>(chunk.begin(), chunk.end());
    from.feed(*copy);
    for (;;) {
        const ws::event e = from.next();
        if (e.kind == ws::event_kind::need_more) break;
        if (e.kind == ws::event_kind::piece) pieces.add(e, out);
        else out.push_back(to_text(e));
        if (!pause) continue;
        from.retain();
        for (std::byte& b : *copy)
            b = std::byte{0xee};
    }
    for (std::byte& b : *copy)
        b = std::byte{0xee};
}

/// The same where no message comes in pieces.
template <typename Reader>
void feed_chunk(Reader& from, byte_view chunk, event_log& out, bool pause = false) {
    joined_pieces none;
    feed_chunk(from, chunk, out, none, pause);
}

/// The events of `input` cut at `splits`, which ascend.
template <typename Reader>
event_log read_split(Reader& from, byte_view input, const std::vector<std::size_t>& splits, bool pause = false) {
    event_log out;
    joined_pieces pieces;
    std::size_t begin = 0;
    for (const std::size_t split : splits) {
        feed_chunk(from, input.subspan(begin, split - begin), out, pieces, pause);
        begin = split;
    }
    feed_chunk(from, input.subspan(begin), out, pieces, pause);
    return out;
}

/// Calls `check(event_log, label)` with the events of `input` whole, at every split in two, and byte by
/// byte, each also with pauses, and also with the messages in pieces, which are put together again.
template <typename Check>
void at_every_split(ws::role side, const ws::reader_limits& limits, byte_view input, Check check) {
    for (const bool in_pieces : {false, true})
        for (const bool pause : {false, true}) {
            for (std::size_t split = 0; split <= input.size(); ++split) {
                ws::reader r(side, limits);
                r.hand_out_pieces(in_pieces);
                check(read_split(r, input, {split}, pause), split);
            }
            std::vector<std::size_t> all;
            for (std::size_t i = 1; i < input.size(); ++i)
                all.push_back(i);
            ws::reader r(side, limits);
            r.hand_out_pieces(in_pieces);
            check(read_split(r, input, all, pause), input.size() + 1);
        }
}

}  // namespace ws_test

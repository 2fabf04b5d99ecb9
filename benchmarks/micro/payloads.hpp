// SPDX-License-Identifier: BSL-1.0
// Contents and frames for the benchmarks.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/protocol/ws/frame_header.hpp>
#include <hawser/protocol/ws/mask.hpp>

#include <array>
#include <cstddef>
#include <string_view>

namespace bench {

inline constexpr hawser::ws::mask_key key{std::byte{0x37}, std::byte{0xfa}, std::byte{0x21}, std::byte{0x3d}};

inline hawser::byte_vector binary(std::size_t size) {
    hawser::byte_vector out(size);
    for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::byte>(i * 131 + i / 251);
    return out;
}

/// Characters of one to four bytes, two thirds of the bytes not ASCII.
inline hawser::byte_vector text(std::size_t size) {
    static constexpr std::array<std::string_view, 6> words{"rope", "\xc3\xa4", "\xe7\xb9\xa9", "\xf0\x9f\x9a\xa2", "\xd0\xba", "a"};
    hawser::byte_vector out;
    for (std::size_t i = 0; out.size() < size; ++i) {
        const auto word = hawser::as_bytes(words[i % words.size()]);
        if (out.size() + word.size() <= size) hawser::append(out, word);
        else out.push_back(std::byte{'.'});
    }
    return out;
}

/// `count` equal frames of a client, masked with `key`.
inline hawser::byte_vector client_frames(hawser::ws::opcode op, hawser::byte_view payload, std::size_t count) {
    namespace ws = hawser::ws;
    ws::frame_header header;
    header.op = op;
    header.masked = true;
    header.length = payload.size();
    header.key = key;
    hawser::byte_vector one(ws::max_header_size);
    one.resize(ws::encode(one.data(), header));
    const std::size_t head = one.size();
    hawser::append(one, payload);
    ws::mask(hawser::byte_span(one).subspan(head), key);
    hawser::byte_vector out;
    for (std::size_t i = 0; i < count; ++i) hawser::append(out, one);
    return out;
}

}  // namespace bench

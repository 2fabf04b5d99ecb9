// SPDX-License-Identifier: BSL-1.0
/// \file
/// SHA-1 (FIPS 180-4), only for Sec-WebSocket-Accept. It protects nothing: do not use it elsewhere.
#pragma once

#include <hawser/core/bytes.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace hawser::inline v0::ws {

using sha1_digest = std::array<std::byte, 20>;

namespace detail {

inline void sha1_block(std::array<std::uint32_t, 5>& h, const std::byte* block) noexcept {
    std::array<std::uint32_t, 80> w;
    for (std::size_t i = 0; i < 16; ++i)
        w[i] = load_be<std::uint32_t>(block + 4 * i);
    for (std::size_t i = 16; i < 80; ++i)
        w[i] = std::rotl(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    auto [a, b, c, d, e] = h;
    for (std::size_t i = 0; i < 80; ++i) {
        std::uint32_t f = 0;
        if (i < 20)
            f = ((b & c) | (~b & d)) + 0x5a827999u;
        else if (i < 40)
            f = (b ^ c ^ d) + 0x6ed9eba1u;
        else if (i < 60)
            f = ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdcu;
        else
            f = (b ^ c ^ d) + 0xca62c1d6u;
        const std::uint32_t next = std::rotl(a, 5) + f + e + w[i];
        e = d;
        d = c;
        c = std::rotl(b, 30);
        b = a;
        a = next;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

}  // namespace detail

/// The SHA-1 digest of `data`.
[[nodiscard]] inline sha1_digest sha1(byte_view data) noexcept {
    std::array<std::uint32_t, 5> h{0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u, 0xc3d2e1f0u};
    const std::uint64_t bits = std::uint64_t{data.size()} * 8;
    while (data.size() >= 64) {
        detail::sha1_block(h, data.data());
        data = data.subspan(64);
    }
    std::array<std::byte, 128> tail{};
    if (!data.empty()) std::memcpy(tail.data(), data.data(), data.size());
    tail[data.size()] = std::byte{0x80};
    const std::size_t tail_size = data.size() < 56 ? 64 : 128;
    store_be<std::uint64_t>(tail.data() + tail_size - 8, bits);
    for (std::size_t at = 0; at < tail_size; at += 64)
        detail::sha1_block(h, tail.data() + at);
    sha1_digest out;
    for (std::size_t i = 0; i < 5; ++i)
        store_be<std::uint32_t>(out.data() + 4 * i, h[i]);
    return out;
}

}  // namespace hawser::inline v0::ws

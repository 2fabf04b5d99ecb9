// SPDX-License-Identifier: BSL-1.0
/// \file
/// Masking of payloads (RFC 6455 section 5.3): XOR with a key of four bytes.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/protocol/ws/detail/mask_blocks.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace hawser::inline v0 {
namespace ws {

using mask_key = std::array<std::byte, 4>;

namespace detail {

// The key repeated to eight bytes, in the order of memory, from the byte at `phase` on.
[[nodiscard]] inline std::uint64_t mask_word(mask_key key, std::size_t phase) noexcept {
    std::uint32_t half;
    std::memcpy(&half, key.data(), sizeof half);
    return mask_skip(half | std::uint64_t{half} << 32, phase);
}

}  // namespace detail

/// Masks or unmasks `data` in place; the two are the same operation.
/// `phase` is the offset of `data` within the payload, in bytes; only its value modulo 4 counts.
inline void mask(byte_span data, mask_key key, std::size_t phase = 0) noexcept {
    const std::uint64_t word = detail::mask_word(key, phase);
    if (data.size() <= detail::mask_small_to)
        detail::mask_small(data.data(), data.data(), data.size(), word);
    else
        detail::mask_blocks(data.data(), data.data(), data.size(), word);
}

/// Writes `src`, masked or unmasked, to `dst`, which has room for `src.size()` bytes and does
/// not overlap with `src` unless it begins at the same address. `phase` as for `mask`.
inline void mask_copy(std::byte* dst, byte_view src, mask_key key, std::size_t phase = 0) noexcept {
    detail::mask_blocks(dst, src.data(), src.size(), detail::mask_word(key, phase));
}

}  // namespace ws
}  // namespace hawser::inline v0

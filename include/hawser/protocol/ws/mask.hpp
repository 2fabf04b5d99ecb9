// SPDX-License-Identifier: BSL-1.0
/// \file
/// Masking of payloads (RFC 6455 section 5.3): XOR with a key of four bytes.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/protocol/ws/detail/lane.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace hawser::inline v0 {
namespace ws {

using mask_key = std::array<std::byte, 4>;

namespace detail {

// Below this size, in bytes, aligning the stores costs more than it gains.
inline constexpr std::size_t mask_align_from = 512;

// The compilers leave `p[i] ^= key[i & 3]` at a byte per step; lanes make them use vectors.
inline void mask_lane(std::byte* to, const std::byte* from, const lane& key) noexcept {
    store_lane(to, load_lane(from) ^ key);
}

// The key repeated to eight bytes, in the order of memory, and then moved on by `count` bytes.
[[nodiscard]] constexpr std::uint64_t mask_skip(std::uint64_t key, std::size_t count) noexcept {
    const int bits = static_cast<int>(count & 3) * 8;
    return std::endian::native == std::endian::little ? std::rotr(key, bits) : std::rotl(key, bits);
}
[[nodiscard]] inline std::uint64_t mask_word(mask_key key, std::size_t phase) noexcept {
    std::uint32_t half;
    std::memcpy(&half, key.data(), sizeof half);
    return mask_skip(half | std::uint64_t{half} << 32, phase);
}

template <typename Part>
inline void mask_part_at(std::byte* to, const std::byte* from, std::uint64_t key) noexcept {
    Part part;
    std::memcpy(&part, &key, sizeof part);
    Part value;
    std::memcpy(&value, from, sizeof value);
    value = static_cast<Part>(value ^ part);
    std::memcpy(to, &value, sizeof value);
}

// At most 15 bytes.
inline void mask_short(std::byte* to, const std::byte* from, std::size_t size, std::uint64_t key) noexcept {
    std::size_t done = 0;
    if ((size & 8) != 0) {
        mask_part_at<std::uint64_t>(to, from, key);
        done = 8;
    }
    if ((size & 4) != 0) {
        mask_part_at<std::uint32_t>(to + done, from + done, key);
        done += 4;
    }
    if ((size & 2) != 0) {
        mask_part_at<std::uint16_t>(to + done, from + done, key);
        done += 2;
        key = mask_skip(key, 2);
    }
    if ((size & 1) != 0) mask_part_at<std::uint8_t>(to + done, from + done, key);
}

// `to` and `from` are the same address or do not overlap.
inline void mask_blocks(std::byte* to, const std::byte* from, std::size_t size, std::uint64_t key) noexcept {
    constexpr std::size_t step = sizeof(lane);
    if (size >= mask_align_from) {  // stores that cross cache lines cost a third of the speed
        const std::size_t head = (0 - reinterpret_cast<std::uintptr_t>(to)) % step;
        mask_short(to, from, head, key);
        key = mask_skip(key, head);
        to += head;
        from += head;
        size -= head;
    }
    const lane wide = fill_lane(key);
    for (; size >= 4 * step; size -= 4 * step, to += 4 * step, from += 4 * step) {
        mask_lane(to, from, wide);
        mask_lane(to + step, from + step, wide);
        mask_lane(to + 2 * step, from + 2 * step, wide);
        mask_lane(to + 3 * step, from + 3 * step, wide);
    }
    for (; size >= step; size -= step, to += step, from += step)
        mask_lane(to, from, wide);
    mask_short(to, from, size, key);
}

}  // namespace detail

/// Masks or unmasks `data` in place; the two are the same operation.
/// `phase` is the offset of `data` within the payload, in bytes; only its value modulo 4 counts.
inline void mask(byte_span data, mask_key key, std::size_t phase = 0) noexcept {
    detail::mask_blocks(data.data(), data.data(), data.size(), detail::mask_word(key, phase));
}

/// Writes `src`, masked or unmasked, to `dst`, which has room for `src.size()` bytes and does
/// not overlap with `src` unless it begins at the same address. `phase` as for `mask`.
inline void mask_copy(std::byte* dst, byte_view src, mask_key key, std::size_t phase = 0) noexcept {
    detail::mask_blocks(dst, src.data(), src.size(), detail::mask_word(key, phase));
}

}  // namespace ws
}  // namespace hawser::inline v0

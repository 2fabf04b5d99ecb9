// SPDX-License-Identifier: BSL-1.0
/// \file
/// XOR with a key of four bytes, held as a word of eight: as many bytes at a time as the processor takes.
#pragma once

#include <hawser/core/detail/simd.hpp>
#include <hawser/protocol/ws/detail/lane.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace hawser::inline v0 {
namespace ws::detail {

using hawser::detail::best_simd;
using hawser::detail::simd;

// Below this size, in bytes, aligning the stores and asking for the processor cost more than they gain.
inline constexpr std::size_t mask_align_from = 512;
inline constexpr std::size_t mask_align_to = 32;

// The key as it lies in memory, moved on by `count` bytes.
[[nodiscard]] constexpr std::uint64_t mask_skip(std::uint64_t key, std::size_t count) noexcept {
    const int bits = static_cast<int>(count & 3) * 8;
    return std::endian::native == std::endian::little ? std::rotr(key, bits) : std::rotl(key, bits);
}

template <typename Part>
inline void mask_part(std::byte* to, const std::byte* from, std::uint64_t key) noexcept {
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
        mask_part<std::uint64_t>(to, from, key);
        done = 8;
    }
    if ((size & 4) != 0) {
        mask_part<std::uint32_t>(to + done, from + done, key);
        done += 4;
    }
    if ((size & 2) != 0) {
        mask_part<std::uint16_t>(to + done, from + done, key);
        done += 2;
        key = mask_skip(key, 2);
    }
    if ((size & 1) != 0) mask_part<std::uint8_t>(to + done, from + done, key);
}

inline constexpr std::size_t mask_small_to = 2 * sizeof(lane);

// At most 32 bytes: the two halves overlap, which costs less than asking which sizes the rest is made of. Both are
// read before one is written, since they may be written to where they lie.
HAWSER_IN_LINE inline void mask_small(std::byte* to, const std::byte* from, std::size_t size, std::uint64_t key) noexcept {
    constexpr std::size_t step = sizeof(lane);
    if (size >= step) {
        const lane begin = load_lane(from) ^ fill_lane(key);
        const lane end = load_lane(from + (size - step)) ^ fill_lane(mask_skip(key, size - step));
        store_lane(to, begin);
        store_lane(to + (size - step), end);
    } else {
        mask_short(to, from, size, key);
    }
}

// The compilers leave `p[i] ^= key[i & 3]` at a byte per step; lanes make them use vectors.
inline void mask_lane(std::byte* to, const std::byte* from, const lane& key) noexcept {
    store_lane(to, load_lane(from) ^ key);
}
inline void mask_lanes(std::byte* to, const std::byte* from, std::size_t size, std::uint64_t key) noexcept {
    constexpr std::size_t step = sizeof(lane);
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

#if HAWSER_X86_KERNELS
// Takes 32 bytes per instruction; returns how many bytes are done, all but fewer than 32.
__attribute__((target("avx2"))) inline std::size_t mask_avx2(std::byte* to, const std::byte* from, std::size_t size,
                                                             std::uint64_t key) noexcept {
    using words = std::uint64_t __attribute__((vector_size(32)));
    constexpr std::size_t step = sizeof(words);
    std::size_t done = 0;
#pragma GCC unroll 4
    for (; size - done >= step; done += step) {
        words value;
        std::memcpy(&value, from + done, step);
        value ^= key;
        std::memcpy(to + done, &value, step);
    }
    return done;
}
#endif

// `to` and `from` are the same address or do not overlap.
HAWSER_OUT_OF_LINE inline void mask_blocks(simd with, std::byte* to, const std::byte* from, std::size_t size,
                                              std::uint64_t key) noexcept {
    const auto advance = [&](std::size_t count) {
        key = mask_skip(key, count);
        to += count;
        from += count;
        size -= count;
    };
    if (size >= mask_align_from) {  // stores that cross cache lines cost a third of the speed
        const std::size_t head = (0 - reinterpret_cast<std::uintptr_t>(to)) % mask_align_to;
        mask_lanes(to, from, head, key);
        advance(head);
#if HAWSER_X86_KERNELS
        if (with == simd::avx2) advance(mask_avx2(to, from, size, key));
#else
        (void)with;
#endif
    }
    mask_lanes(to, from, size, key);
}
inline void mask_blocks(std::byte* to, const std::byte* from, std::size_t size, std::uint64_t key) noexcept {
    if (size < mask_align_from)
        mask_lanes(to, from, size, key);
    else
        mask_blocks(best_simd(), to, from, size, key);
}

}  // namespace ws::detail
}  // namespace hawser::inline v0

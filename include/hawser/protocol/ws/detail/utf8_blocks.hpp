// SPDX-License-Identifier: BSL-1.0
/// \file
/// UTF-8 judged by vectors, in the pass that unmasks it.
#pragma once

#include <hawser/protocol/ws/detail/mask_blocks.hpp>
#include <hawser/protocol/ws/detail/utf8_pairs.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#if HAWSER_X86_KERNELS

namespace hawser::inline v0 {
namespace ws::detail {

inline constexpr std::size_t utf8_stride = 64;

// Selects all bytes of a vector but the first three.
inline constexpr std::array<std::uint8_t, 32> after_three = [] {
    std::array<std::uint8_t, 32> mask{};
    for (std::size_t i = 3; i < mask.size(); ++i)
        mask[i] = 0xff;
    return mask;
}();

// What has no name that GCC and Clang share.
namespace ssse3 {

#define HAWSER_WS_KERNEL_TARGET __attribute__((target("ssse3")))
inline constexpr std::size_t width = 16;
using vec = unsigned char __attribute__((vector_size(width)));
using chars = char __attribute__((vector_size(width)));

HAWSER_WS_KERNEL_TARGET inline vec look_up(const vec& table, const vec& at) noexcept {
    return (vec)__builtin_ia32_pshufb128((chars)table, (chars)at);
}
HAWSER_WS_KERNEL_TARGET inline vec minus_saturated(const vec& a, const vec& b) noexcept {
#if defined(__clang__)
    return __builtin_elementwise_sub_sat(a, b);
#else
    return (vec)__builtin_ia32_psubusb128((chars)a, (chars)b);
#endif
}
HAWSER_WS_KERNEL_TARGET inline int high_bits(const vec& value) noexcept {
    return __builtin_ia32_pmovmskb128((chars)value);
}

}  // namespace ssse3
}  // namespace ws::detail
}  // namespace hawser::inline v0

#define HAWSER_WS_KERNEL ssse3
#include <hawser/protocol/ws/detail/utf8_kernel.hpp>
#undef HAWSER_WS_KERNEL
#undef HAWSER_WS_KERNEL_TARGET

namespace hawser::inline v0 {
namespace ws::detail::avx2 {

#define HAWSER_WS_KERNEL_TARGET __attribute__((target("avx2")))
inline constexpr std::size_t width = 32;
using vec = unsigned char __attribute__((vector_size(width)));
using chars = char __attribute__((vector_size(width)));

HAWSER_WS_KERNEL_TARGET inline vec look_up(const vec& table, const vec& at) noexcept {
    return (vec)__builtin_ia32_pshufb256((chars)table, (chars)at);
}
HAWSER_WS_KERNEL_TARGET inline vec minus_saturated(const vec& a, const vec& b) noexcept {
#if defined(__clang__)
    return __builtin_elementwise_sub_sat(a, b);
#else
    return (vec)__builtin_ia32_psubusb256((chars)a, (chars)b);
#endif
}
HAWSER_WS_KERNEL_TARGET inline int high_bits(const vec& value) noexcept {
    return __builtin_ia32_pmovmskb256((chars)value);
}

}  // namespace ws::detail::avx2
}  // namespace hawser::inline v0

#define HAWSER_WS_KERNEL avx2
#include <hawser/protocol/ws/detail/utf8_kernel.hpp>
#undef HAWSER_WS_KERNEL
#undef HAWSER_WS_KERNEL_TARGET

#endif

namespace hawser::inline v0 {
namespace ws::detail {

// Below this size vectors are not worth the way to them.
inline constexpr std::size_t utf8_vectors_from = 32;

// Looks for text that cannot be right in `size` bytes at `from`, which begin with a character. With
// `Unmask` they are masked, and are written to `to`, unmasked; `to` and `from` are the same address
// or do not overlap. Returns how many bytes, from the first on, hold no byte that is wrong after the
// one before it. A sequence that those bytes leave unfinished, or that starts with a byte which can
// start none, was not looked at: the automaton goes on from there, and finds the wrong byte, if
// the result is less than `size`. All bytes up to that wrong one are unmasked.
template <bool Unmask>
[[nodiscard]] inline std::size_t utf8_blocks(simd with, std::byte* to, const std::byte* from, std::size_t size,
                                             std::uint64_t key) noexcept {
#if HAWSER_X86_KERNELS
    if (size >= utf8_vectors_from) {
        if (with == simd::avx2) return avx2::utf8_blocks<Unmask>(to, from, size, key);
        if (with == simd::ssse3) return ssse3::utf8_blocks<Unmask>(to, from, size, key);
    }
#endif
    if constexpr (Unmask) mask_blocks(with, to, from, size, key);
    return 0;
}

}  // namespace ws::detail
}  // namespace hawser::inline v0

// SPDX-License-Identifier: BSL-1.0
/// \file
/// XXH3-64 of long inputs by AVX2, chosen at run time: xxHash itself chooses when it is compiled, and so takes SSE2.
/// Source: "The XXH3 algorithm", doc/xxhash_spec.md of xxHash.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/core/detail/simd.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>

#if HAWSER_X86_KERNELS

namespace hawser::inline v0::detail::xxh3_avx2 {

/// From this size on, in bytes, XXH3 takes stripes; what is smaller it hashes in other ways.
inline constexpr std::size_t min_size = 241;

inline constexpr std::size_t stripe_size = 64;
inline constexpr std::size_t stripes_per_block = 16;

// The default secret, little endian.
inline constexpr std::uint64_t secret[24] = {
    0xbe4ba423396cfeb8, 0x1cad21f72c81017c, 0xdb979083e96dd4de, 0x1f67b3b7a4a44072,
    0x78e5c0cc4ee679cb, 0x2172ffcc7dd05a82, 0x8e2443f7744608b8, 0x4c263a81e69035e0,
    0xcb00c391bb52283c, 0xa32e531b8b65d088, 0x4ef90da297486471, 0xd8acdea946ef1938,
    0x3f349ce33f76faa8, 0x1d4f0bc7c7bbdcf9, 0x3159b4cd4be0518a, 0x647378d9c97e9fc8,
    0xc3ebd33483acc5ea, 0xeb6313faffa081c5, 0x49daf0b751dd0d17, 0x9e68d429265516d3,
    0xfca1477d58be162b, 0xce31d07ad1b8f88f, 0x280416958f3acb45, 0x7e404bbbcafbd7af,
};
inline constexpr std::uint64_t prime32_1 = 0x9E3779B1, prime32_2 = 0x85EBCA77, prime32_3 = 0xC2B2AE3D;
inline constexpr std::uint64_t prime64_1 = 0x9E3779B185EBCA87, prime64_2 = 0xC2B2AE3D27D4EB4F, prime64_3 = 0x165667B19E3779F9,
                               prime64_4 = 0x85EBCA77C2B2AE63, prime64_5 = 0x27D4EB2F165667C5, prime_mx1 = 0x165667919E3779F9;

using words = std::uint64_t __attribute__((vector_size(32)));
using halves = std::uint32_t __attribute__((vector_size(32)));

#define HAWSER_XXH3_KERNEL __attribute__((target("avx2"), always_inline)) inline

HAWSER_XXH3_KERNEL words load(const void* from) noexcept {
    words w;
    std::memcpy(&w, from, sizeof w);
    return w;
}
// The products of the lower halves of each word.
HAWSER_XXH3_KERNEL words multiply_lower(words a, words b) noexcept {
#if defined(__clang__)
    return (a & 0xffffffff) * (b & 0xffffffff);
#else
    using ints = int __attribute__((vector_size(32)));
    return reinterpret_cast<words>(__builtin_ia32_pmuludq256(reinterpret_cast<ints>(a), reinterpret_cast<ints>(b)));
#endif
}
HAWSER_XXH3_KERNEL words swap_neighbours(words w) noexcept {
#if defined(__clang__)
    return __builtin_shufflevector(w, w, 1, 0, 3, 2);
#else
    return __builtin_shuffle(w, words{1, 0, 3, 2});
#endif
}

struct accumulators {
    words low, high;
};
HAWSER_XXH3_KERNEL words accumulate(words acc, words data, words key) noexcept {
    const words mixed = data ^ key;
    return acc + swap_neighbours(data) + multiply_lower(mixed, mixed >> 32);
}
HAWSER_XXH3_KERNEL void accumulate(accumulators& acc, const std::byte* stripe, const std::byte* key) noexcept {
    acc.low = accumulate(acc.low, load(stripe), load(key));
    acc.high = accumulate(acc.high, load(stripe + 32), load(key + 32));
}
HAWSER_XXH3_KERNEL words scramble(words acc, words key) noexcept {
    const words mixed = acc ^ (acc >> 47) ^ key;
    const words prime = words{prime32_1, prime32_1, prime32_1, prime32_1};
    return multiply_lower(mixed, prime) + (multiply_lower(mixed >> 32, prime) << 32);
}
#undef HAWSER_XXH3_KERNEL

inline std::uint64_t multiply_fold(std::uint64_t a, std::uint64_t b) noexcept {
    __extension__ using wide = unsigned __int128;
    const wide product = static_cast<wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}
inline std::uint64_t merge(const std::uint64_t (&acc)[8], const std::byte* key, std::uint64_t start) noexcept {
    for (std::size_t i = 0; i < 8; i += 2) {
        std::uint64_t k[2];
        std::memcpy(k, key + i * 8, sizeof k);
        start += multiply_fold(acc[i] ^ k[0], acc[i + 1] ^ k[1]);
    }
    start ^= start >> 37;
    start *= prime_mx1;
    return start ^ start >> 32;
}

/// Precondition: `min_size` or more, and `best_simd()` is AVX2.
__attribute__((target("avx2"))) inline std::uint64_t hash(byte_view bytes) noexcept {
    const auto* const keys = reinterpret_cast<const std::byte*>(secret);
    constexpr std::size_t last_key = sizeof secret - stripe_size;
    accumulators acc{words{prime32_3, prime64_1, prime64_2, prime64_3}, words{prime64_4, prime32_2, prime64_5, prime32_1}};
    const std::byte* at = bytes.data();
    std::size_t stripes = (bytes.size() - 1) / stripe_size;  // the last one is taken apart
    for (; stripes >= stripes_per_block; stripes -= stripes_per_block) {
        for (std::size_t i = 0; i < stripes_per_block; ++i, at += stripe_size) accumulate(acc, at, keys + 8 * i);
        acc = {scramble(acc.low, load(keys + last_key)), scramble(acc.high, load(keys + last_key + 32))};
    }
    for (std::size_t i = 0; i < stripes; ++i, at += stripe_size) accumulate(acc, at, keys + 8 * i);
    accumulate(acc, bytes.data() + bytes.size() - stripe_size, keys + last_key - 7);
    std::uint64_t out[8];
    std::memcpy(out, &acc, sizeof out);
    return merge(out, keys + 11, bytes.size() * prime64_1);
}

}  // namespace hawser::inline v0::detail::xxh3_avx2

#endif

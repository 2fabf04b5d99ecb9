// SPDX-License-Identifier: BSL-1.0
/// \file
/// A small seeded generator for jitter: the same numbers on every platform, unlike `std::`
/// distributions. Not for keys, nonces or tokens: those come from `entropy_pool`.
///
/// Sources: D. Blackman, S. Vigna, "Scrambled linear pseudorandom number generators"
/// (xoshiro256**, splitmix64; public domain reference code at prng.di.unimi.it).
#pragma once

#include <hawser/core/config.hpp>

#include <bit>
#include <concepts>
#include <cstdint>

namespace hawser::inline v0 {

/// Turns any seed, also 0 or 1, 2, 3, into well mixed words.
class splitmix64 {
public:
    /// Any seed will do.
    explicit constexpr splitmix64(std::uint64_t seed) noexcept : state_(seed) {}

    /// The next word.
    constexpr std::uint64_t operator()() noexcept {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }

private:
    std::uint64_t state_;
};

/// xoshiro256**: 32 bytes, period 2^256 - 1. Thread safety: none.
class xoshiro256 {
public:
    /// The seed is mixed by `splitmix64`.
    explicit constexpr xoshiro256(std::uint64_t seed) noexcept {
        splitmix64 mix{seed};
        for (auto& word : state_) word = mix();
    }

    /// The next word.
    constexpr std::uint64_t operator()() noexcept {
        const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
        const std::uint64_t t = state_[1] << 17;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= t;
        state_[3] = std::rotl(state_[3], 45);
        return result;
    }

private:
    std::uint64_t state_[4]{};
};

template <class T>
concept random_bits = requires(T& rng) {
    { rng() } -> std::same_as<std::uint64_t>;
};

/// A number in [low, high], each equally likely. Precondition: low <= high.
/// Draws are masked to the width of the range and those outside are thrown away: unbiased,
/// without 128-bit arithmetic, and fewer than two draws on average.
template <random_bits Rng>
[[nodiscard]] constexpr std::uint64_t uniform(Rng& rng, std::uint64_t low, std::uint64_t high) noexcept {
    const std::uint64_t range = high - low;
    if (range == 0) return low;
    const std::uint64_t mask = ~std::uint64_t{0} >> std::countl_zero(range);
    for (;;) {
        const std::uint64_t draw = rng() & mask;
        if (draw <= range) return low + draw;
    }
}

}  // namespace hawser::inline v0

// SPDX-License-Identifier: BSL-1.0
/// \file
/// The way from one simulated machine to another.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/policy/random.hpp>
#include <hawser/testing/scheduler.hpp>

#include <algorithm>

namespace hawser::inline v0::testing {

/// One direction between two machines, shared by all their connections.
struct path {
    duration latency = milliseconds{1};        ///< of each segment, at least
    duration jitter{0};                        ///< up to so much is added, for each segment anew
    std::uint64_t bytes_per_second = 0;        ///< 0: no limit
    std::uint32_t corrupted_per_million = 0;   ///< segments of which one bit arrives wrong
    bool blocked = false;                      ///< nothing arrives; it waits
    bool answers = true;                       ///< the machine at its beginning has power: it answers strangers with RST
    time_point clogged_until{};                ///< nothing arrives before
    time_point busy_until{};                   ///< the line is occupied (bandwidth)

    /// When `size` bytes that leave now arrive, behind `earlier`.
    [[nodiscard]] time_point arrival(time_point now, std::size_t size, time_point earlier, xoshiro256& rng) {
        if (bytes_per_second > 0) {
            const auto ns = static_cast<std::int64_t>(size * 1'000'000'000u / bytes_per_second);
            busy_until = std::max(busy_until, now) + std::chrono::nanoseconds(ns);
            now = busy_until;
        }
        duration extra{0};
        if (jitter > duration::zero())
            extra = duration(static_cast<duration::rep>(uniform(rng, 0, static_cast<std::uint64_t>(jitter.count()))));
        return std::max({now + latency + extra, earlier, clogged_until});
    }
    /// Changes a bit of the segment, as often as `corrupted_per_million` says.
    void damage(byte_vector& bytes, xoshiro256& rng) {
        if (corrupted_per_million == 0 || bytes.empty() || uniform(rng, 0, 999'999) >= corrupted_per_million) return;
        const std::uint64_t bit = uniform(rng, 0, bytes.size() * 8 - 1);
        bytes[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
        ++damaged;
    }
    std::uint64_t damaged = 0;  ///< how often that happened
};

}  // namespace hawser::inline v0::testing

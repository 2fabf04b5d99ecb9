// SPDX-License-Identifier: BSL-1.0
/// \file
/// Points in time and durations. Only a driver reads a clock; everything else is told `now`.
#pragma once

#include <hawser/core/config.hpp>

#include <chrono>

namespace hawser::inline v0 {

/// Monotonic time. Virtual drivers make their own points of the same type.
using time_point = std::chrono::steady_clock::time_point;
using duration = std::chrono::steady_clock::duration;  ///< of the same clock
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// "No deadline".
inline constexpr time_point never = time_point::max();

/// `now + wait`, without overflow: a wait too long to represent is `never`.
[[nodiscard]] constexpr time_point add_saturated(time_point now, duration wait) noexcept {
    if (wait >= never - now && now.time_since_epoch().count() >= 0) return never;
    return now + wait;
}

}  // namespace hawser::inline v0

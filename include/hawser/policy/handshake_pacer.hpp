// SPDX-License-Identifier: BSL-1.0
/// \file
/// How many handshakes a listener takes per second, and when those that it refuses should come again.
///
/// | state | event | effect |
/// |---|---|---|
/// | no limit | `admit` | come in |
/// | fewer than a second's worth within the last second | `admit` | come in |
/// | no room | `admit` | refused; it gets the next free moment of a queue that exists in numbers only |
///
/// After a restart all clients come at once. Telling each its own moment brings them back one after
/// the other, as fast as the server can take them, and without a memory of who waits.
///
/// Source: the generic cell rate algorithm (ITU-T I.371), once for entering and once for the queue.
#pragma once

#include <hawser/core/time.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>

namespace hawser::inline v0 {

/// Sixteen bytes and no allocation. Thread safety: none.
class handshake_pacer {
public:
    /// Handshakes per second, a second's worth at once at most; 0: no limit.
    explicit handshake_pacer(std::uint32_t per_second = 0) noexcept
        : interval_(per_second == 0 ? duration::zero() : duration(std::chrono::seconds{1}) / per_second),
          burst_(per_second == 0 ? duration::zero() : seconds{1}) {}

    /// Nothing: it may come in now. Otherwise how long it should wait, in whole seconds from 1 on, as
    /// Retry-After has them.
    [[nodiscard]] std::optional<seconds> admit(time_point now) noexcept {
        if (interval_ == duration::zero()) return std::nullopt;
        if (next_ <= now + burst_ - interval_) {
            next_ = std::max(next_, now) + interval_;
            return std::nullopt;
        }
        // A fifth is left for those who were told nothing, or do not come on time.
        queue_ = std::max(queue_, now) + interval_ * 5 / 4;
        return std::max(seconds{1}, std::chrono::ceil<seconds>(queue_ - now));
    }

private:
    duration interval_;
    duration burst_;
    time_point next_{};   // when the next is due; up to `burst_` ahead of the clock
    time_point queue_{};  // the last moment that was given away
};

}  // namespace hawser::inline v0

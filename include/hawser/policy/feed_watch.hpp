// SPDX-License-Identifier: BSL-1.0
/// \file
/// Whether a feed still brings something, or a connection is of use at all: a deadline that useful messages move.
///
/// | state | event | effect |
/// |---|---|---|
/// | off | `start` | watching; the time begins |
/// | watching | `on_useful` | the time begins anew |
/// | watching | `stale` at its end | true; off |
/// | watching | `stale` later than that by over `late_tolerance` | the time begins anew: it was us who slept |
/// | watching | `suspend` | suspended: what the peer sends cannot be seen |
/// | suspended | `resume` | watching; the time begins anew |
/// | any | `stop` | off |
#pragma once

#include <hawser/core/time.hpp>

#include <cstdint>

namespace hawser::inline v0 {

/// Use: keep a timer armed at `deadline()` and ask `stale` when it fires. `on_useful` only ever moves the
/// deadline out, so it needs no new timer. Thread safety: none.
class feed_watch {
public:
    /// A verdict that comes later than this after its time is not given.
    static constexpr duration late_tolerance = milliseconds{100};

    /// Off until `start`; 0: for ever.
    explicit feed_watch(milliseconds stale_after = milliseconds{0}) noexcept
        : limit_(static_cast<std::uint32_t>(stale_after.count())) {}

    ///@{
    /// See the table.
    void start(time_point now) noexcept {
        on_ = limit_.count() > 0;
        suspended_ = false;
        since_ = now;
    }
    void stop() noexcept { on_ = false; }
    void on_useful(time_point now) noexcept { since_ = now; }
    void suspend() noexcept { suspended_ = true; }
    void resume(time_point now) noexcept {
        suspended_ = false;
        since_ = now;
    }
    ///@}
    /// Whether there is anything to watch.
    [[nodiscard]] bool on() const noexcept { return on_; }
    /// When to ask `stale`; `never` when off or suspended.
    [[nodiscard]] time_point deadline() const noexcept {
        return on_ && !suspended_ ? add_saturated(since_, limit_) : never;
    }
    /// Whether nothing useful came for too long.
    [[nodiscard]] bool stale(time_point now) noexcept {
        const time_point end = deadline();
        if (now < end) return false;
        if (now - end > late_tolerance) {
            since_ = now;
            return false;
        }
        on_ = false;
        return true;
    }

private:
    time_point since_{};
    std::chrono::duration<std::uint32_t, std::milli> limit_;  // a day at most
    bool on_ = false;
    bool suspended_ = false;
};

}  // namespace hawser::inline v0

// SPDX-License-Identifier: BSL-1.0
/// \file
/// Whether the peer is still there: pings when nothing arrives, and a verdict.
///
/// | state | event | effect |
/// |---|---|---|
/// | off | `start` | idle |
/// | idle | `poll`, nothing received for `ping_interval` | `send_ping`; waiting |
/// | waiting | `poll`, something was received since the ping | idle |
/// | waiting | `poll` at `pong_timeout` after the ping | `dead`; off |
/// | waiting | `poll` later than that by over `late_tolerance` | `send_ping`; waiting anew: it was us who slept |
/// | idle, waiting | `suspend` | suspended: a ping per `ping_interval` still (the peer watches us too), no verdict |
/// | suspended | `resume` | waiting, with a whole `pong_timeout`, if a ping is open; else idle |
/// | any | `stop` | off |
///
/// Any bytes of the peer count as life. A machine that was suspended, or a clock that jumps,
/// gives one ping and a whole `pong_timeout` for its answer, never a death at once.
///
/// Source of names and defaults: engine.io.
#pragma once

#include <hawser/core/time.hpp>
#include <hawser/policy/check.hpp>

#include <algorithm>
#include <concepts>
#include <cstdint>

namespace hawser::inline v0 {

/// How a dead connection is found.
struct heartbeat_options {
    milliseconds ping_interval{25'000};  ///< silence before a ping; 1 ms to 24 h, or 0 = no heartbeat
    milliseconds pong_timeout{20'000};   ///< silence after the ping; 1 ms to 24 h

    /// Adds one sentence per wrong option, which is named with `prefix` before it.
    void check(std::vector<std::string>& problems, std::string_view prefix) const {
        constexpr milliseconds day = std::chrono::hours{24};
        detail::check_range(problems, prefix, "ping_interval", ping_interval, milliseconds{0}, day);
        detail::check_range(problems, prefix, "pong_timeout", pong_timeout, milliseconds{1}, day);
    }
};

/// What is to be done now.
enum class heartbeat_action : std::uint8_t {
    none,       ///< nothing
    send_ping,  ///< send a ping
    dead,       ///< give the connection up
};

template <class T>
concept has_heartbeat_lifetime = requires(T& t, time_point now) {
    t.start(now);
    t.stop();
    t.suspend(now);
    t.resume(now);
};
template <class T>
concept has_on_received = requires(T& t, time_point now) {
    { t.on_received(now) } noexcept;
};
template <class T>
concept has_poll = requires(T& t, const T& c, time_point now) {
    { t.poll(now) } -> std::same_as<heartbeat_action>;
    { c.deadline() } -> std::same_as<time_point>;
};
/// Thread safety: none needed, one per connection.
template <class T>
concept heartbeat_policy = std::constructible_from<T, const heartbeat_options&> && has_heartbeat_lifetime<T> &&
                           has_on_received<T> && has_poll<T>;

/// Never pings, never gives a verdict. The null model; empty.
struct no_heartbeat {
    no_heartbeat() = default;
    ///@{
    /// Nothing is ever due.
    explicit no_heartbeat(const heartbeat_options&) noexcept {}
    static void start(time_point) noexcept {}
    static void stop() noexcept {}
    static void suspend(time_point) noexcept {}
    static void resume(time_point) noexcept {}
    static void on_received(time_point) noexcept {}
    [[nodiscard]] static heartbeat_action poll(time_point) noexcept { return heartbeat_action::none; }
    [[nodiscard]] static time_point deadline() noexcept { return never; }
    ///@}
};

/// Use: keep a timer armed at `deadline()` and do what `poll` says when it fires; arm it anew after
/// `start`, `suspend`, `resume` and `poll`, but not after `on_received`: that only ever moves
/// the deadline out, and a timer that fires too early polls to `none`.
/// Precondition: `options.check` found nothing.
class interval_heartbeat {
public:
    /// A verdict that comes later than this after its time is not given: whoever was that late
    /// may have the pong in a buffer not read yet.
    static constexpr duration late_tolerance = milliseconds{100};

    /// Off until `start`.
    explicit interval_heartbeat(const heartbeat_options& options = {}) noexcept
        : interval_(to_short(options.ping_interval)), timeout_(to_short(options.pong_timeout)) {}

    /// The connection is open.
    void start(time_point now) noexcept {
        state_ = interval_.count() > 0 ? state::idle : state::off;
        suspended_ = false;
        since_ = now;
        heard_at_ = now;
        heard_ = false;
    }
    /// The connection is gone.
    void stop() noexcept { state_ = state::off; }

    /// Bytes of the peer arrived: two stores, nothing else.
    void on_received(time_point now) noexcept {
        heard_at_ = now;
        heard_ = true;
    }

    /// Reading is paused (plain mode): what the peer sends cannot be seen.
    void suspend(time_point now) noexcept {
        suspended_ = true;
        look_at_ = add_saturated(now, interval_);
    }
    /// Reading goes on; the peer has the whole `pong_timeout` again.
    void resume(time_point now) noexcept {
        if (!suspended_) return;
        suspended_ = false;
        since_ = now;
        look_at_ = next_look(now);
    }

    /// What is due now; to be called at `deadline()`.
    [[nodiscard]] heartbeat_action poll(time_point now) noexcept {
        if (state_ == state::waiting && heard_) state_ = state::idle;
        if (state_ == state::off || now < deadline()) return heartbeat_action::none;
        if (state_ == state::waiting && !suspended_) {
            const time_point verdict = add_saturated(since_, timeout_);
            if (now < verdict) {
                look_at_ = next_look(now);
                return heartbeat_action::none;
            }
            if (now - verdict <= late_tolerance) {
                state_ = state::off;
                return heartbeat_action::dead;
            }
        }
        state_ = state::waiting;
        since_ = now;
        heard_ = false;
        look_at_ = suspended_ ? add_saturated(now, interval_) : next_look(now);
        return heartbeat_action::send_ping;
    }

    /// When to call `poll` next; `never` when off.
    [[nodiscard]] time_point deadline() const noexcept {
        if (state_ == state::off) return never;
        if (state_ == state::waiting && !heard_) return look_at_;
        return add_saturated(std::max(since_, heard_at_), interval_);
    }

private:
    enum class state : std::uint8_t { off, idle, waiting };

    // A pong does not re-arm the timer, so where the interval is the shorter of the two, look
    // again that early: the next ping may be due before the verdict would have been.
    [[nodiscard]] time_point next_look(time_point now) const noexcept {
        return std::min(add_saturated(since_, timeout_), add_saturated(now, interval_));
    }

    // There is one per connection: a day fits into 32 bits.
    using short_milliseconds = std::chrono::duration<std::uint32_t, std::milli>;
    [[nodiscard]] static short_milliseconds to_short(milliseconds m) noexcept {
        return short_milliseconds{static_cast<std::uint32_t>(m.count())};
    }

    short_milliseconds interval_;
    short_milliseconds timeout_;
    time_point since_{};     // the last ping, or where the state began
    time_point heard_at_{};  // the last bytes
    time_point look_at_{};   // when to poll while waiting
    state state_ = state::off;
    bool heard_ = false;     // since the last ping
    bool suspended_ = false;
};

static_assert(heartbeat_policy<no_heartbeat> && heartbeat_policy<interval_heartbeat>);

}  // namespace hawser::inline v0

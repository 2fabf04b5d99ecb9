// SPDX-License-Identifier: BSL-1.0
/// \file
/// When to dial again: exponential backoff with jitter.
///
/// | state | event | effect |
/// |---|---|---|
/// | any | `next_delay` | one attempt more; a delay drawn from [0, ceiling], ceiling = min(max_delay, base_delay * multiplier^attempts) |
/// | any | `next_delay` with a hint of the server | the capped hint plus a draw of at most half of it (or `base_delay`): never earlier, and not all at once |
/// | `max_attempts` delays given | `next_delay` | nullopt: gave up |
/// | down | `on_connected` | up; the count stays: being accepted proves nothing yet |
/// | up | `on_progress` | count = 0, at most once per `min_reset_interval` |
/// | up | `on_disconnected`, `next_delay` | down; count = 0 if up for `min_connected_time_to_reset` |
/// | down | `on_progress`, `on_disconnected` | nothing |
///
/// There is no immediate first retry: after a restart of the server every client would use it
/// in the same moment. A server that accepts, acknowledges a little and drops the link can reset
/// the count once per `min_reset_interval` only, so between two resets the delays grow.
///
/// Sources: AWS Architecture Blog, "Exponential Backoff And Jitter" (full, equal, decorrelated);
/// gRPC "Connection Backoff Protocol" (1 s, 1.6); AWS C IoT (`min_connected_time_to_reset`).
#pragma once

#include <hawser/core/planted.hpp>
#include <hawser/core/time.hpp>
#include <hawser/policy/check.hpp>
#include <hawser/policy/random.hpp>

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <optional>

namespace hawser::inline v0 {

/// How long to wait before dialling again.
struct backoff_options {
    milliseconds base_delay{1000};    ///< ceiling of the first delay; 1 ms to 1 h
    double multiplier = 1.6;          ///< growth of the ceiling; 1 to 10
    milliseconds max_delay{30'000};   ///< no ceiling is higher; base_delay to 24 h
    milliseconds min_connected_time_to_reset{30'000};  ///< a link this old was a good one; 0 to 24 h
    milliseconds min_reset_interval{30'000};           ///< progress resets at most this often; 0 to 24 h
    milliseconds max_server_hint{300'000};             ///< a hint beyond it is cut to it; 0 to 24 h
    std::uint32_t max_attempts = 0;   ///< delays given before giving up; 0 = unlimited

    /// Adds one sentence per wrong option, which is named with `prefix` before it.
    void check(std::vector<std::string>& problems, std::string_view prefix) const {
        using namespace detail;
        constexpr milliseconds day = std::chrono::hours{24};
        check_range(problems, prefix, "base_delay", base_delay, milliseconds{1}, milliseconds{3'600'000});
        check_range(problems, prefix, "multiplier", multiplier, 1.0, 10.0);
        check_range(problems, prefix, "max_delay", max_delay, milliseconds{1}, day);
        check_at_least(problems, prefix, "max_delay", max_delay, "base_delay", base_delay);
        check_range(problems, prefix, "min_connected_time_to_reset", min_connected_time_to_reset, milliseconds{0}, day);
        check_range(problems, prefix, "min_reset_interval", min_reset_interval, milliseconds{0}, day);
        check_range(problems, prefix, "max_server_hint", max_server_hint, milliseconds{0}, day);
    }
};

/// What a jitter strategy draws from, in nanoseconds: 0 <= base <= ceiling <= max, previous <= max.
struct jitter_range {
    std::uint64_t base;      ///< `base_delay`
    std::uint64_t ceiling;   ///< of this attempt
    std::uint64_t max;       ///< `max_delay`
    std::uint64_t previous;  ///< what was drawn last, at first `base`
};

/// No randomness: the ceiling itself. All who lost a link together come back together.
struct no_jitter {
    /// The delay in nanoseconds.
    static std::uint64_t draw(xoshiro256&, const jitter_range& r) { return r.ceiling; }
};
/// From 0 to the ceiling: spreads most. The default.
struct full_jitter {
    /// The delay in nanoseconds.
    static std::uint64_t draw(xoshiro256& g, const jitter_range& r) { return uniform(g, 0, r.ceiling); }
};
/// From half of the ceiling to the ceiling: never very soon.
struct equal_jitter {
    /// The delay in nanoseconds.
    static std::uint64_t draw(xoshiro256& g, const jitter_range& r) { return uniform(g, r.ceiling / 2, r.ceiling); }
};
/// From `base` to three times the previous delay, whatever the count of attempts says.
struct decorrelated_jitter {
    /// The delay in nanoseconds.
    static std::uint64_t draw(xoshiro256& g, const jitter_range& r) {
        return std::min(r.max, uniform(g, r.base, std::max(r.base, r.previous * 3)));
    }
};

/// One function: (generator, range) -> a delay in [0, max] nanoseconds.
template <class T>
concept jitter_strategy = requires(xoshiro256& rng, const jitter_range& range) {
    { T::draw(rng, range) } -> std::same_as<std::uint64_t>;
};

template <class T>
concept has_next_delay = requires(T& t, time_point now, std::optional<duration> hint) {
    { t.next_delay(now, hint) } -> std::same_as<std::optional<duration>>;
    { t.next_delay(now) } -> std::same_as<std::optional<duration>>;
};
template <class T>
concept has_link_events = requires(T& t, time_point now) {
    t.on_connected(now);
    t.on_progress(now);
    t.on_disconnected(now);
};
template <class T>
concept has_attempts = requires(const T& t) {
    { t.attempts() } -> std::same_as<std::uint64_t>;
};
/// Made from the options and a seed; thread safety: none needed, one per socket.
template <class T>
concept reconnect_policy = std::constructible_from<T, const backoff_options&, std::uint64_t> &&
                           has_next_delay<T> && has_link_events<T> && has_attempts<T>;

/// Never dials again. The null model; empty.
struct no_reconnect {
    no_reconnect() = default;
    ///@{
    /// Gives up at the first attempt; everything else has no effect.
    no_reconnect(const backoff_options&, std::uint64_t) noexcept {}
    [[nodiscard]] static std::optional<duration> next_delay(time_point, std::optional<duration> = {}) noexcept { return std::nullopt; }
    static void on_connected(time_point) noexcept {}
    static void on_progress(time_point) noexcept {}
    static void on_disconnected(time_point) noexcept {}
    [[nodiscard]] static std::uint64_t attempts() noexcept { return 0; }
    ///@}
};

/// The ceiling after `attempts` earlier ones, in nanoseconds. At most 64 multiplications for any
/// count (squaring), and the same on every platform, which `std::pow` is not. The product may
/// reach infinity; the comparison handles that.
[[nodiscard]] constexpr std::uint64_t backoff_ceiling(const backoff_options& options, std::uint64_t attempts) noexcept {
    const auto max = static_cast<double>(duration{options.max_delay}.count());
    auto ceiling = static_cast<double>(duration{options.base_delay}.count());
    for (double power = options.multiplier; attempts != 0 && ceiling < max; attempts >>= 1, power *= power)
        if ((attempts & 1) != 0) ceiling *= power;
    return static_cast<std::uint64_t>(ceiling < max ? ceiling : max);
}

/// Exponential backoff. Precondition: `options.check` found nothing. Thread safety: none.
template <jitter_strategy Jitter = full_jitter>
class exponential_backoff {
public:
    /// `seed` comes from the system, per instance; `attempts` continues a count kept elsewhere.
    exponential_backoff(const backoff_options& options, std::uint64_t seed, std::uint64_t attempts = 0) noexcept
        : options_(options), rng_(seed), attempts_(attempts), previous_(nanoseconds(options.base_delay)) {}

    /// How long to wait from `now` on; nullopt when the attempts are used up.
    /// In [0, max_delay], or with a hint in [hint, hint + max_delay], the hint cut to `max_server_hint`.
    [[nodiscard]] std::optional<duration> next_delay(time_point now, std::optional<duration> server_hint = {}) noexcept {
        on_disconnected(now);
        if (options_.max_attempts != 0 && attempts_ >= options_.max_attempts) return std::nullopt;
        const std::uint64_t max = nanoseconds(options_.max_delay);
        const duration hint = std::clamp<duration>(server_hint.value_or(duration{0}), duration{0}, options_.max_server_hint);
        const std::uint64_t base = nanoseconds(options_.base_delay);
        jitter_range range{base, backoff_ceiling(options_, attempts_), max, previous_};
        // Who is told when to come spreads by half of that and no more: the server may have given each its own moment.
        if (server_hint) range.ceiling = std::min(range.ceiling, std::max(base, nanoseconds(hint) / 2));
        previous_ = std::min(Jitter::draw(rng_, range), max);
        if (attempts_ != UINT64_MAX) ++attempts_;
        if (detail::planted(detail::bug::delay_beyond_maximum)) previous_ *= 20;
        return hint + duration{static_cast<duration::rep>(previous_)};
    }

    /// The link is up. The count stays: being accepted proves nothing yet.
    void on_connected(time_point now) noexcept { connected_at_ = now; }

    /// The peer acknowledged something new: the link is worth coming back to quickly.
    void on_progress(time_point now) noexcept {
        if (!connected_at_) return;
        if (last_reset_ && now - *last_reset_ < options_.min_reset_interval) return;
        last_reset_ = now;
        reset();
    }

    /// The link is down. The count starts anew if it was up for `min_connected_time_to_reset`.
    void on_disconnected(time_point now) noexcept {
        if (!connected_at_) return;
        if (now - *connected_at_ >= options_.min_connected_time_to_reset) reset();
        connected_at_.reset();
    }

    /// Delays given since the last reset.
    [[nodiscard]] std::uint64_t attempts() const noexcept { return attempts_; }

private:
    static constexpr std::uint64_t nanoseconds(duration d) noexcept {
        return static_cast<std::uint64_t>(std::chrono::nanoseconds{d}.count());
    }
    void reset() noexcept {
        attempts_ = 0;
        previous_ = nanoseconds(options_.base_delay);
    }

    backoff_options options_;
    xoshiro256 rng_;
    std::uint64_t attempts_;
    std::uint64_t previous_;
    std::optional<time_point> connected_at_;  // set while the link is up
    std::optional<time_point> last_reset_;    // by progress
};

static_assert(reconnect_policy<no_reconnect> && reconnect_policy<exponential_backoff<>>);
static_assert(reconnect_policy<exponential_backoff<decorrelated_jitter>>);

}  // namespace hawser::inline v0

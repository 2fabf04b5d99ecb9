// SPDX-License-Identifier: BSL-1.0
/// \file
/// What happens to a message when the queue of waiting messages is full. Decisions only: the
/// queue itself lives in the session.
///
/// | model | state | event | effect |
/// |---|---|---|---|
/// | all | open | `on_enqueue`, nothing queued | `accept`, whatever its size |
/// | all | open | `on_enqueue`, fits | `accept` |
/// | blocking | open | `on_enqueue`, would pass the high watermark or the count | `wait`; paused |
/// | blocking | paused | `on_enqueue` | `wait`, also what would fit: nobody overtakes |
/// | blocking | paused | `on_drained` at or below the low watermark and half the count | true, once; open |
/// | rejecting | | `on_enqueue`, would pass a limit | `reject` |
/// | drop_oldest | | the same | `drop_oldest`: asked again after each message that went |
/// | drop_newest | | the same | `drop_newest`: the new one has an outcome at once, `dropped` |
/// | coalescing | | as blocking | `coalesce`: what replaces a waiting message passes, other messages wait |
/// | closing | | `on_enqueue`, would pass a limit | `close`: the socket fails with `queue_full`, nothing more is sent |
/// | closing | | `on_aged`: a message has waited for `max_age` | the same; with the other models it ends `expired` |
///
/// What had a number is in nobody's reach: it counts, and is never dropped. A message displaces none of a more
/// urgent class; where that does not make room, it is refused with `queue_full`, and nothing was dropped.
/// Each pause gets exactly one resume. `on_drained` is to be called whenever the queue shrank, also
/// to nothing.
///
/// Source: the watermarks of Netty and Reactive Streams; Node.js streams (`drain`, once).
#pragma once

#include <hawser/core/config.hpp>
#include <hawser/core/planted.hpp>
#include <hawser/core/time.hpp>
#include <hawser/policy/check.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>

namespace hawser::inline v0 {

/// Of the waiting messages of one socket, object overhead counted.
struct overflow_limits {
    std::size_t high_watermark = std::size_t{1} << 20;   ///< bytes; 1 to 2^40
    std::size_t low_watermark = std::size_t{256} << 10;  ///< bytes; at most the high one
    std::size_t max_messages = 65'536;                   ///< 1 to 2^30
    milliseconds max_age{0};                             ///< a message waits at most so long; 0: without a limit; at most 30 days

    /// Adds one sentence per wrong option, which is named with `prefix` before it.
    void check(std::vector<std::string>& problems, std::string_view prefix) const {
        // On 32-bit machines the limit is what they can address.
        constexpr auto most = sizeof(std::size_t) > 4 ? static_cast<std::size_t>(std::uint64_t{1} << 40) : SIZE_MAX;
        detail::check_range(problems, prefix, "high_watermark", high_watermark, std::size_t{1}, most);
        detail::check_range(problems, prefix, "low_watermark", low_watermark, std::size_t{0}, most);
        detail::check_at_least(problems, prefix, "high_watermark", high_watermark, "low_watermark", low_watermark);
        detail::check_range(problems, prefix, "max_messages", max_messages, std::size_t{1}, std::size_t{1} << 30);
        detail::check_range(problems, prefix, "max_age", max_age, milliseconds{0}, milliseconds{std::chrono::hours{24 * 30}});
    }

    /// Whether one more of `size` bytes goes in. One is always allowed when nothing is queued.
    [[nodiscard]] constexpr bool fits(std::size_t queued_bytes, std::size_t queued_messages, std::size_t size) const noexcept {
        if (queued_messages == 0 || detail::planted(detail::bug::limits_ignored)) return true;
        return queued_messages < max_messages && queued_bytes <= high_watermark && size <= high_watermark - queued_bytes;
    }
};

/// What becomes of one more message.
enum class overflow_action : std::uint8_t {
    accept,       ///< it goes into the queue
    wait,         ///< its producer waits; who cannot is told `would_block`
    reject,       ///< `queue_full`
    drop_oldest,  ///< the oldest waiting of the least urgent class ends `dropped`; then it is asked again
    drop_newest,  ///< it is taken, and ends `dropped` at once
    coalesce,     ///< it goes into the queue if it replaces a message there; else as `wait`
    close,        ///< the socket ends `failed`, and nothing more is sent
};

template <class T>
concept has_on_enqueue = requires(T& t, std::size_t n) {
    { t.on_enqueue(n, n, n) } -> std::same_as<overflow_action>;
};
template <class T>
concept has_on_drained = requires(T& t, const T& c, std::size_t n) {
    { t.on_drained(n, n) } -> std::same_as<bool>;
    { c.paused() } -> std::same_as<bool>;
};
/// Thread safety: none needed, one per socket.
template <class T>
concept overflow_policy = std::constructible_from<T, const overflow_limits&> && has_on_enqueue<T> && has_on_drained<T>;

/// Accepts everything. The null model; for tests and for producers that are bounded themselves.
struct no_overflow {
    no_overflow() = default;
    ///@{
    /// Accepts, and has nobody waiting.
    explicit no_overflow(const overflow_limits&) noexcept {}
    [[nodiscard]] static overflow_action on_enqueue(std::size_t, std::size_t, std::size_t) noexcept { return overflow_action::accept; }
    [[nodiscard]] static bool on_drained(std::size_t, std::size_t) noexcept { return false; }
    [[nodiscard]] static bool paused() noexcept { return false; }
    ///@}
};

/// Producers wait above the high watermark until the queue is at the low one.
class blocking_overflow {
public:
    /// Nobody waits yet.
    explicit blocking_overflow(const overflow_limits& limits = {}) noexcept
        : high_watermark_(limits.high_watermark), low_watermark_(limits.low_watermark),
          max_messages_(static_cast<std::uint32_t>(std::min<std::size_t>(limits.max_messages, UINT32_MAX))) {}

    /// Whether one more of `size` bytes goes in; from the first that does not, all wait.
    [[nodiscard]] overflow_action on_enqueue(std::size_t queued_bytes, std::size_t queued_messages, std::size_t size) noexcept {
        const overflow_limits limits{high_watermark_, low_watermark_, max_messages_};
        if (!paused_ && limits.fits(queued_bytes, queued_messages, size)) return overflow_action::accept;
        paused_ = true;
        return overflow_action::wait;
    }
    /// True exactly once per pause: the waiting producers may go on.
    [[nodiscard]] bool on_drained(std::size_t queued_bytes, std::size_t queued_messages) noexcept {
        if (!paused_ || queued_bytes > low_watermark_ || queued_messages > max_messages_ / 2) return false;
        paused_ = detail::planted(detail::bug::pause_without_resume);
        return !paused_;
    }
    /// Whether producers wait.
    [[nodiscard]] bool paused() const noexcept { return paused_; }

private:
    // Without what it does not look at, since there is one per socket.
    std::size_t high_watermark_;
    std::size_t low_watermark_;
    std::uint32_t max_messages_;
    bool paused_ = false;
};

namespace detail {

/// Never lets anybody wait. `Action`: what happens to what does not fit.
template <overflow_action Action>
class unpaused_overflow {
public:
    explicit unpaused_overflow(const overflow_limits& limits = {}) noexcept : limits_(limits) {}

    [[nodiscard]] overflow_action on_enqueue(std::size_t queued_bytes, std::size_t queued_messages, std::size_t size) const noexcept {
        return limits_.fits(queued_bytes, queued_messages, size) ? overflow_action::accept : Action;
    }
    [[nodiscard]] static bool on_drained(std::size_t, std::size_t) noexcept { return false; }
    [[nodiscard]] static bool paused() noexcept { return false; }

private:
    overflow_limits limits_;
};

}  // namespace detail

/// Refuses what does not fit; nobody waits.
class rejecting_overflow : public detail::unpaused_overflow<overflow_action::reject> {
    using unpaused_overflow::unpaused_overflow;
};
/// Makes room for what is new: what waits longest in the least urgent class is dropped.
class drop_oldest_overflow : public detail::unpaused_overflow<overflow_action::drop_oldest> {
    using unpaused_overflow::unpaused_overflow;
};
/// What does not fit is dropped, and its producer goes on.
class drop_newest_overflow : public detail::unpaused_overflow<overflow_action::drop_newest> {
    using unpaused_overflow::unpaused_overflow;
};
/// For peers that are too slow to be worth waiting for: the first message that does not fit, or gets too old, ends
/// the socket.
class closing_overflow : public detail::unpaused_overflow<overflow_action::close> {
    using unpaused_overflow::unpaused_overflow;

public:
    /// A message has waited for `max_age`.
    [[nodiscard]] static overflow_action on_aged() noexcept { return overflow_action::close; }
};
/// For state of which only the newest counts: what replaces a waiting message (`send_options::coalesce_key`)
/// always passes, as long as it is not larger; the others wait as with `blocking_overflow`.
class coalescing_overflow : public blocking_overflow {
public:
    using blocking_overflow::blocking_overflow;

    /// As `blocking_overflow`, with `coalesce` for `wait`.
    [[nodiscard]] overflow_action on_enqueue(std::size_t queued_bytes, std::size_t queued_messages, std::size_t size) noexcept {
        const auto action = blocking_overflow::on_enqueue(queued_bytes, queued_messages, size);
        return action == overflow_action::wait ? overflow_action::coalesce : action;
    }
};

static_assert(overflow_policy<no_overflow> && overflow_policy<blocking_overflow> && overflow_policy<rejecting_overflow> &&
              overflow_policy<drop_oldest_overflow> && overflow_policy<drop_newest_overflow> &&
              overflow_policy<coalescing_overflow> && overflow_policy<closing_overflow>);

}  // namespace hawser::inline v0

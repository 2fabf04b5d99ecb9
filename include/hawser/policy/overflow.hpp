// SPDX-License-Identifier: BSL-1.0
/// \file
/// What happens to a message when the queue of waiting messages is full. Decisions only: the
/// queue itself lives in the session.
///
/// | model | state | event | effect |
/// |---|---|---|---|
/// | both | open | `on_enqueue`, nothing queued | `accept`, whatever its size |
/// | both | open | `on_enqueue`, fits | `accept` |
/// | blocking | open | `on_enqueue`, would pass the high watermark or the count | `wait`; paused |
/// | blocking | paused | `on_enqueue` | `wait`, also what would fit: nobody overtakes |
/// | blocking | paused | `on_drained` at or below the low watermark and half the count | true, once; open |
/// | rejecting | open | `on_enqueue`, would pass a limit | `reject` |
///
/// Each pause gets exactly one resume. `on_drained` is to be called whenever the queue shrank, also
/// to nothing. Later models (drop_oldest, drop_newest, coalesce_by_key, close) add actions.
///
/// Source: the watermarks of Netty and Reactive Streams; Node.js streams (`drain`, once).
#pragma once

#include <hawser/core/config.hpp>
#include <hawser/core/planted.hpp>
#include <hawser/policy/check.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>

namespace hawser::inline v0 {

/// Of the waiting messages of one socket, object overhead counted.
struct overflow_limits {
    std::size_t high_watermark = std::size_t{1} << 20;   ///< bytes; 1 to 2^40
    std::size_t low_watermark = std::size_t{256} << 10;  ///< bytes; at most the high one
    std::size_t max_messages = 65'536;                   ///< 1 to 2^30

    /// Adds one sentence per wrong option, which is named with `prefix` before it.
    void check(std::vector<std::string>& problems, std::string_view prefix) const {
        // On 32-bit machines the limit is what they can address.
        constexpr auto most = sizeof(std::size_t) > 4 ? static_cast<std::size_t>(std::uint64_t{1} << 40) : SIZE_MAX;
        detail::check_range(problems, prefix, "high_watermark", high_watermark, std::size_t{1}, most);
        detail::check_range(problems, prefix, "low_watermark", low_watermark, std::size_t{0}, most);
        detail::check_at_least(problems, prefix, "high_watermark", high_watermark, "low_watermark", low_watermark);
        detail::check_range(problems, prefix, "max_messages", max_messages, std::size_t{1}, std::size_t{1} << 30);
    }

    /// Whether one more of `size` bytes goes in. One is always allowed when nothing is queued.
    [[nodiscard]] constexpr bool fits(std::size_t queued_bytes, std::size_t queued_messages, std::size_t size) const noexcept {
        if (queued_messages == 0 || detail::planted(detail::bug::limits_ignored)) return true;
        return queued_messages < max_messages && queued_bytes <= high_watermark && size <= high_watermark - queued_bytes;
    }
};

/// What becomes of one more message.
enum class overflow_action : std::uint8_t {
    accept,  ///< it goes into the queue
    wait,    ///< its producer waits; who cannot is told `would_block`
    reject,  ///< `queue_full`
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
    explicit blocking_overflow(const overflow_limits& limits = {}) noexcept : limits_(limits) {}

    /// Whether one more of `size` bytes goes in; from the first that does not, all wait.
    [[nodiscard]] overflow_action on_enqueue(std::size_t queued_bytes, std::size_t queued_messages, std::size_t size) noexcept {
        if (!paused_ && limits_.fits(queued_bytes, queued_messages, size)) return overflow_action::accept;
        paused_ = true;
        return overflow_action::wait;
    }
    /// True exactly once per pause: the waiting producers may go on.
    [[nodiscard]] bool on_drained(std::size_t queued_bytes, std::size_t queued_messages) noexcept {
        if (!paused_ || queued_bytes > limits_.low_watermark || queued_messages > limits_.max_messages / 2) return false;
        paused_ = detail::planted(detail::bug::pause_without_resume);
        return !paused_;
    }
    /// Whether producers wait.
    [[nodiscard]] bool paused() const noexcept { return paused_; }

private:
    overflow_limits limits_;
    bool paused_ = false;
};

/// Refuses what does not fit; nobody waits.
class rejecting_overflow {
public:
    /// Its limits.
    explicit rejecting_overflow(const overflow_limits& limits = {}) noexcept : limits_(limits) {}

    /// Whether one more of `size` bytes goes in.
    [[nodiscard]] overflow_action on_enqueue(std::size_t queued_bytes, std::size_t queued_messages, std::size_t size) const noexcept {
        return limits_.fits(queued_bytes, queued_messages, size) ? overflow_action::accept : overflow_action::reject;
    }
    ///@{
    /// Nobody ever waits.
    [[nodiscard]] static bool on_drained(std::size_t, std::size_t) noexcept { return false; }
    [[nodiscard]] static bool paused() noexcept { return false; }
    ///@}

private:
    overflow_limits limits_;
};

static_assert(overflow_policy<no_overflow> && overflow_policy<blocking_overflow> && overflow_policy<rejecting_overflow>);

}  // namespace hawser::inline v0

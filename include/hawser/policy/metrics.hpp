// SPDX-License-Identifier: BSL-1.0
/// \file
/// Where a socket counts what it does.
///
/// | event | effect in `counting_metrics` |
/// |---|---|
/// | `add(counter, n)` | the counter grows by n; it never falls |
/// | `record(histogram, value)` | one more value in its bucket; negative counts as 0 |
/// | `snapshot()` | a plain copy; each number on its own is exact, together they may be some events apart |
#pragma once

#include <hawser/core/time.hpp>
#include <hawser/policy/detail/latency_histogram.hpp>

#include <array>
#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace hawser::inline v0 {

/// What is counted. Append only: numbers and names are stable.
enum class counter : std::uint8_t {
    connects_attempted, connects_succeeded, connects_failed, disconnects, reconnects,
    messages_sent, messages_received, bytes_sent, bytes_received,
    messages_acknowledged, messages_unknown, messages_rejected, messages_cancelled, messages_expired,
    messages_replayed, duplicates_dropped,
    sessions_started, sessions_resumed, session_resumes_failed, sessions_ended,
    pings_sent, heartbeat_timeouts, protocol_errors,
    breaker_opened, breaker_refused, queue_paused, queue_rejected, handler_failures, log_failures, accept_failures,
    handler_fallbacks, handlers_skipped, feeds_stale, subscriptions_failed, credentials_refused,
    rejections_untold, messages_replaced, messages_dropped, idle_timeouts,
};
/// The names of `counter`, in its order.
inline constexpr std::array<std::string_view, 39> counter_names{
    "connects_attempted", "connects_succeeded", "connects_failed", "disconnects", "reconnects",
    "messages_sent", "messages_received", "bytes_sent", "bytes_received",
    "messages_acknowledged", "messages_unknown", "messages_rejected", "messages_cancelled", "messages_expired",
    "messages_replayed", "duplicates_dropped",
    "sessions_started", "sessions_resumed", "session_resumes_failed", "sessions_ended",
    "pings_sent", "heartbeat_timeouts", "protocol_errors",
    "breaker_opened", "breaker_refused", "queue_paused", "queue_rejected", "handler_failures", "log_failures", "accept_failures",
    "handler_fallbacks", "handlers_skipped", "feeds_stale", "subscriptions_failed", "credentials_refused",
    "rejections_untold", "messages_replaced", "messages_dropped", "idle_timeouts",
};
static_assert(counter_names.size() == static_cast<std::size_t>(counter::idle_timeouts) + 1);

/// What is measured in time. Append only.
enum class histogram : std::uint8_t { ack_latency, connect_time };
/// The names of `histogram`, in its order.
inline constexpr std::array<std::string_view, 2> histogram_names{"ack_latency", "connect_time"};
static_assert(histogram_names.size() == static_cast<std::size_t>(histogram::connect_time) + 1);

/// The name. Throws std::out_of_range for another value.
[[nodiscard]] constexpr std::string_view to_string(counter c) noexcept { return counter_names.at(static_cast<std::size_t>(c)); }
/// The name. Throws std::out_of_range for another value.
[[nodiscard]] constexpr std::string_view to_string(histogram h) noexcept { return histogram_names.at(static_cast<std::size_t>(h)); }

template <class T>
concept has_enabled_flag = requires {
    { T::enabled } -> std::convertible_to<bool>;  // a constant: `if constexpr (metrics::enabled)`
};
template <class T>
concept has_add = requires(const T& t, counter c, std::uint64_t n) {
    { t.add(c) } noexcept;
    { t.add(c, n) } noexcept;
};
template <class T>
concept has_record = requires(const T& t, histogram h, duration value) {
    { t.record(h, value) } noexcept;
};
/// Copies share one sink; `add` and `record` are called from several threads at once.
template <class T>
concept metrics_policy = std::copyable<T> && has_enabled_flag<T> && has_add<T> && has_record<T>;

/// Counts nothing. The null model; empty, every call compiles to nothing.
struct no_metrics {
    ///@{
    /// Nothing is counted.
    static constexpr bool enabled = false;
    static void add(counter, std::uint64_t = 1) noexcept {}
    static void record(histogram, duration) noexcept {}
    ///@}
};

/// Plain copies of all numbers.
struct metrics_snapshot {
    std::array<std::uint64_t, counter_names.size()> counters{};         ///< by number of `counter`
    std::array<latency_snapshot, histogram_names.size()> histograms{};  ///< by number of `histogram`

    /// The number of one counter.
    [[nodiscard]] std::uint64_t operator[](counter c) const noexcept { return counters[static_cast<std::size_t>(c)]; }
    /// The values of one histogram.
    [[nodiscard]] const latency_snapshot& operator[](histogram h) const noexcept { return histograms[static_cast<std::size_t>(h)]; }
};

/// A handle to one block of counters (about 9 KB) that sockets and threads share.
/// Thread safety: all members, of one or several copies, at once. Relaxed atomic additions; a socket counts the
/// messages and bytes of a read batch together, at its end. Give threads sinks of their own and add the snapshots
/// up if the sharing shows in a profile.
class counting_metrics {
public:
    static constexpr bool enabled = true;  ///< things are counted

    counting_metrics() : shared_(std::make_shared<shared>()) {}

    /// The counter grows by `n`. One relaxed atomic addition.
    void add(counter c, std::uint64_t n = 1) const noexcept {
        shared_->counters[static_cast<std::size_t>(c)].fetch_add(n, std::memory_order_relaxed);
    }
    /// One more value; a negative one counts as 0.
    void record(histogram h, duration value) const noexcept { shared_->histograms[static_cast<std::size_t>(h)].record(value); }

    /// The present number of one counter.
    [[nodiscard]] std::uint64_t value(counter c) const noexcept {
        return shared_->counters[static_cast<std::size_t>(c)].load(std::memory_order_relaxed);
    }
    /// A copy of all numbers; each is exact, together they may be some events apart.
    [[nodiscard]] metrics_snapshot snapshot() const {
        metrics_snapshot result;
        for (std::size_t i = 0; i < result.counters.size(); ++i) result.counters[i] = value(static_cast<counter>(i));
        for (std::size_t i = 0; i < result.histograms.size(); ++i) result.histograms[i] = shared_->histograms[i].snapshot();
        return result;
    }

    /// Whether both handles count into one place.
    friend bool operator==(const counting_metrics&, const counting_metrics&) = default;

private:
    struct shared {
        std::array<std::atomic<std::uint64_t>, counter_names.size()> counters{};
        std::array<detail::latency_histogram, histogram_names.size()> histograms{};
    };
    std::shared_ptr<shared> shared_;
};

static_assert(metrics_policy<no_metrics> && metrics_policy<counting_metrics>);

}  // namespace hawser::inline v0

// SPDX-License-Identifier: BSL-1.0
/// \file
/// Times from a microsecond to nineteen hours in 528 counters, each value known to 6.25 %.
///
/// Source: G. Tene, HdrHistogram: buckets that double, each cut into 16 equal parts.
#pragma once

#include <hawser/core/time.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace hawser::inline v0 {

namespace detail {

// Values 0 to 15 us have a bucket each; then 16 per power of two, up to 2^36 us.
struct latency_buckets {
    static constexpr unsigned parts_log2 = 4;
    static constexpr std::uint64_t parts = 1u << parts_log2;
    static constexpr unsigned top_bits = 36;
    static constexpr std::uint64_t largest_us = (std::uint64_t{1} << top_bits) - 1;
    static constexpr std::size_t count = (top_bits - parts_log2 + 1) * parts;

    [[nodiscard]] static constexpr std::size_t index(std::uint64_t us) noexcept {
        us = std::min(us, largest_us);
        if (us < parts) return static_cast<std::size_t>(us);
        const unsigned shift = static_cast<unsigned>(std::bit_width(us)) - 1 - parts_log2;
        return static_cast<std::size_t>((shift + 1) * parts + ((us >> shift) - parts));
    }
    /// The largest value of bucket `i`.
    [[nodiscard]] static constexpr std::uint64_t upper(std::size_t i) noexcept {
        if (i < parts) return i;
        const unsigned shift = static_cast<unsigned>(i / parts) - 1;
        return ((parts + i % parts + 1) << shift) - 1;
    }
};

}  // namespace detail

/// A plain copy of a histogram.
struct latency_snapshot {
    std::array<std::uint64_t, detail::latency_buckets::count> buckets{};
    std::uint64_t count = 0;   ///< of values; the sum of the buckets
    std::uint64_t sum_us = 0;  ///< of all values
    std::uint64_t max_us = 0;  ///< the largest, exact

    /// The value below or at which `percent` (0 to 100) of all values lie, never too low and at
    /// most 6.25 % (at least 1 us) too high; 0 when there are none.
    [[nodiscard]] microseconds percentile(double percent) const noexcept {
        if (count == 0) return microseconds{0};
        const double wanted = std::clamp(percent, 0.0, 100.0) / 100 * static_cast<double>(count);
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < buckets.size(); ++i) {
            seen += buckets[i];
            if (seen != 0 && static_cast<double>(seen) >= wanted) return to_us(i + 1 == buckets.size() ? max_us : std::min(detail::latency_buckets::upper(i), max_us));
        }
        return to_us(max_us);
    }
    [[nodiscard]] microseconds mean() const noexcept { return to_us(count == 0 ? 0 : sum_us / count); }

    /// Adds the values of `other`.
    void merge(const latency_snapshot& other) noexcept {
        for (std::size_t i = 0; i < buckets.size(); ++i) buckets[i] += other.buckets[i];
        count += other.count;
        sum_us += other.sum_us;
        max_us = std::max(max_us, other.max_us);
    }

private:
    static constexpr microseconds to_us(std::uint64_t us) noexcept { return microseconds{static_cast<microseconds::rep>(us)}; }
};

namespace detail {

/// Thread safety: all members at once. 4.2 KB, no allocation.
class latency_histogram {
public:
    void record(duration value) noexcept {
        const auto us = std::chrono::duration_cast<microseconds>(value).count();
        const std::uint64_t v = us > 0 ? static_cast<std::uint64_t>(us) : 0;
        // The largest first: a snapshot that sees the value must not see a smaller maximum.
        std::uint64_t max = max_us_.load(std::memory_order_relaxed);
        while (v > max && !max_us_.compare_exchange_weak(max, v, std::memory_order_relaxed)) {}
        sum_us_.fetch_add(v, std::memory_order_relaxed);
        buckets_[latency_buckets::index(v)].fetch_add(1, std::memory_order_release);
    }
    [[nodiscard]] latency_snapshot snapshot() const noexcept {
        latency_snapshot result;
        for (std::size_t i = 0; i < buckets_.size(); ++i) {
            result.buckets[i] = buckets_[i].load(std::memory_order_acquire);
            result.count += result.buckets[i];
        }
        result.sum_us = sum_us_.load(std::memory_order_relaxed);
        result.max_us = max_us_.load(std::memory_order_relaxed);
        return result;
    }

private:
    std::array<std::atomic<std::uint64_t>, latency_buckets::count> buckets_{};
    std::atomic<std::uint64_t> sum_us_{0};
    std::atomic<std::uint64_t> max_us_{0};
};

}  // namespace detail

}  // namespace hawser::inline v0

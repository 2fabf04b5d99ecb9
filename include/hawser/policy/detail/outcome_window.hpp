// SPDX-License-Identifier: BSL-1.0
/// \file
/// Calls and failures within the last so many seconds, or the last so many calls.
#pragma once

#include <hawser/core/time.hpp>

#include <array>
#include <cstdint>
#include <vector>

namespace hawser::inline v0::detail {

struct outcome_totals {
    std::uint64_t calls = 0;
    std::uint64_t failures = 0;
};

/// Slides over time in steps of 1/60 of its length. O(1) amortised, at most 60 steps after any
/// jump of the clock; about 1 KB. Thread safety: none.
class time_outcome_window {
public:
    explicit time_outcome_window(duration length) noexcept : step_(length / 60 > duration{1} ? length / 60 : duration{1}) {}

    void record(time_point now, bool failed) noexcept {
        slide(now);
        bucket& b = buckets_[static_cast<std::size_t>(current_ % buckets_.size())];
        ++b.calls, ++totals_.calls;
        if (failed) ++b.failures, ++totals_.failures;
    }
    [[nodiscard]] outcome_totals totals(time_point now) noexcept {
        slide(now);
        return totals_;
    }
    void clear() noexcept {
        buckets_.fill({});
        totals_ = {};
        started_ = false;
    }

private:
    struct bucket {
        std::uint64_t calls = 0, failures = 0;
    };

    // Threads see slightly different times: an older `now` counts to the current bucket.
    void slide(time_point now) noexcept {
        if (!started_) {
            started_ = true;
            origin_ = now;
            current_ = 0;
        }
        if (now <= origin_) return;
        const auto target = static_cast<std::uint64_t>((now - origin_) / step_);
        if (target <= current_) return;
        const std::uint64_t passed = target - current_;
        for (std::uint64_t i = 1; i <= passed && i <= buckets_.size(); ++i) {
            bucket& old = buckets_[static_cast<std::size_t>((current_ + i) % buckets_.size())];
            totals_.calls -= old.calls;
            totals_.failures -= old.failures;
            old = {};
        }
        current_ = target;
    }

    duration step_;
    time_point origin_{};
    std::uint64_t current_ = 0;  // steps since origin_
    bool started_ = false;
    outcome_totals totals_;
    std::array<bucket, 60> buckets_{};
};

/// The last `size` calls, one bit each; O(1). Thread safety: none.
class count_outcome_window {
public:
    explicit count_outcome_window(std::uint32_t size) : size_(size == 0 ? 1 : size), failed_(size_) {}

    void record(time_point, bool failed) {
        if (totals_.calls == size_) {
            if (failed_[next_]) --totals_.failures;
        } else {
            ++totals_.calls;
        }
        failed_[next_] = failed;
        if (failed) ++totals_.failures;
        next_ = next_ + 1 == size_ ? 0 : next_ + 1;
    }
    [[nodiscard]] outcome_totals totals(time_point) const noexcept { return totals_; }
    void clear() noexcept {
        totals_ = {};
        next_ = 0;
    }

private:
    std::uint32_t size_;
    std::uint32_t next_ = 0;
    outcome_totals totals_;
    std::vector<bool> failed_;
};

}  // namespace hawser::inline v0::detail

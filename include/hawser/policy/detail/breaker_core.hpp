// SPDX-License-Identifier: BSL-1.0
/// \file
/// The circuit breaker without its lock: options, permits and the state machine.
#pragma once

#include <hawser/core/planted.hpp>
#include <hawser/core/time.hpp>
#include <hawser/policy/check.hpp>
#include <hawser/policy/detail/outcome_window.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <variant>

namespace hawser::inline v0 {

enum class breaker_state : std::uint8_t { closed, open, half_open };

[[nodiscard]] constexpr const char* to_string(breaker_state state) noexcept {
    return state == breaker_state::closed ? "closed" : state == breaker_state::open ? "open" : "half_open";
}

struct breaker_options {
    enum class window_type : std::uint8_t { time, count };

    double failure_rate_threshold = 50;  ///< percent of the calls in the window; over 0, up to 100
    window_type sliding_window_type = window_type::time;
    milliseconds sliding_window_duration{60'000};  ///< for `time`; 100 ms to 24 h
    std::uint32_t sliding_window_calls = 100;      ///< for `count`; 1 to 1,000,000
    std::uint32_t minimum_number_of_calls = 5;     ///< below it the rate says nothing; 1 to 1,000,000
    milliseconds wait_duration_in_open_state{5000};  ///< the first wait; 1 ms to 24 h
    double open_wait_multiplier = 2;                 ///< growth per failed half-open; 1 to 10
    milliseconds max_wait_duration_in_open_state{60'000};
    std::uint32_t permitted_number_of_calls_in_half_open_state = 1;  ///< 1 to 10,000
    milliseconds max_wait_duration_in_half_open_state{30'000};       ///< never unlimited; 1 ms to 24 h
    milliseconds half_open_recheck_interval{500};  ///< how soon one refused in half-open asks again; 1 ms to 1 h

    void check(std::vector<std::string>& problems, std::string_view prefix) const {
        using namespace detail;
        using ms = milliseconds;
        constexpr ms day = std::chrono::hours{24};
        constexpr std::uint32_t million = 1'000'000;
        check_range(problems, prefix, "failure_rate_threshold", failure_rate_threshold, 0.001, 100.0);
        check_range(problems, prefix, "sliding_window_duration", sliding_window_duration, ms{100}, day);
        check_range(problems, prefix, "sliding_window_calls", sliding_window_calls, 1u, million);
        check_range(problems, prefix, "minimum_number_of_calls", minimum_number_of_calls, 1u, million);
        // A window that never holds the minimum would be a breaker that never opens.
        if (sliding_window_type == window_type::count)
            check_at_least(problems, prefix, "sliding_window_calls", sliding_window_calls, "minimum_number_of_calls", minimum_number_of_calls);
        check_range(problems, prefix, "wait_duration_in_open_state", wait_duration_in_open_state, ms{1}, day);
        check_range(problems, prefix, "open_wait_multiplier", open_wait_multiplier, 1.0, 10.0);
        check_range(problems, prefix, "max_wait_duration_in_open_state", max_wait_duration_in_open_state, ms{1}, day);
        check_at_least(problems, prefix, "max_wait_duration_in_open_state", max_wait_duration_in_open_state, "wait_duration_in_open_state", wait_duration_in_open_state);
        check_range(problems, prefix, "permitted_number_of_calls_in_half_open_state", permitted_number_of_calls_in_half_open_state, 1u, 10'000u);
        check_range(problems, prefix, "max_wait_duration_in_half_open_state", max_wait_duration_in_half_open_state, ms{1}, day);
        check_range(problems, prefix, "half_open_recheck_interval", half_open_recheck_interval, ms{1}, ms{3'600'000});
    }
};

/// Leave to try once, tagged with the state that gave it. Give it back exactly once.
struct breaker_permit {
    std::uint64_t generation = 0;
    bool probe = false;  ///< given in half-open
};

/// How often each state was entered.
struct breaker_transitions {
    std::uint64_t opened = 0;
    std::uint64_t half_opened = 0;
    std::uint64_t closed = 0;
};

namespace detail {

/// Thread safety: none.
class breaker_core {
public:
    explicit breaker_core(const breaker_options& options)
        : options_(options), open_wait_(options.wait_duration_in_open_state), window_(make_window(options)) {}

    [[nodiscard]] std::optional<breaker_permit> try_acquire(time_point now) {
        if (state_ == breaker_state::half_open && now >= until_) end_half_open(now);
        if (state_ == breaker_state::open && now >= until_) enter_half_open(now);
        if (state_ == breaker_state::open && !planted(bug::open_breaker_permits)) return std::nullopt;
        if (state_ == breaker_state::closed) return breaker_permit{generation_, false};
        if (!slot_free()) return std::nullopt;
        ++outstanding_;
        return breaker_permit{generation_, true};
    }

    /// Returns true when a failure opened, or a success closed.
    bool finish(breaker_permit permit, time_point now, bool failed) {
        if (!current(permit)) return false;
        if (state_ == breaker_state::closed) {
            const outcome_totals t = record(now, failed);
            if (!failed || t.calls < options_.minimum_number_of_calls || !over_threshold(t.failures, t.calls)) return false;
            enter_open(now);
            return true;
        }
        --outstanding_;
        ++(failed ? failures_ : successes_);
        settle(now);
        return state_ == (failed ? breaker_state::open : breaker_state::closed);
    }

    void release(breaker_permit permit, time_point) noexcept {
        if (current(permit) && state_ == breaker_state::half_open) --outstanding_;
    }

    [[nodiscard]] breaker_state state() const noexcept { return state_; }
    [[nodiscard]] const breaker_transitions& transitions() const noexcept { return transitions_; }
    [[nodiscard]] time_point permitted_from() const noexcept {
        const bool now = state_ == breaker_state::closed || (state_ == breaker_state::half_open && slot_free());
        return now ? time_point::min() : until_;
    }

private:
    using window = std::variant<time_outcome_window, count_outcome_window>;

    static window make_window(const breaker_options& o) {
        if (o.sliding_window_type == breaker_options::window_type::time) return time_outcome_window{o.sliding_window_duration};
        return count_outcome_window{o.sliding_window_calls};
    }
    outcome_totals record(time_point now, bool failed) {
        return std::visit([&](auto& w) { w.record(now, failed); return w.totals(now); }, window_);
    }

    // A permit given back twice must not make a slot out of nothing.
    [[nodiscard]] bool current(breaker_permit p) const noexcept {
        return p.generation == generation_ && state_ != breaker_state::open &&
               (state_ != breaker_state::half_open || outstanding_ != 0);
    }
    // Calls that have a result keep their slot: the verdict is on so many calls and no more.
    [[nodiscard]] bool slot_free() const noexcept {
        return outstanding_ + failures_ + successes_ < options_.permitted_number_of_calls_in_half_open_state;
    }
    [[nodiscard]] bool over_threshold(std::uint64_t failures, std::uint64_t calls) const noexcept {
        return static_cast<double>(failures) * 100 >= options_.failure_rate_threshold * static_cast<double>(calls);
    }

    // The verdict, once it stands whatever the remaining calls bring.
    void settle(time_point now) {
        const std::uint64_t all = options_.permitted_number_of_calls_in_half_open_state;
        if (over_threshold(failures_, all)) reopen(now);
        else if (!over_threshold(all - successes_, all)) enter_closed();
    }
    void end_half_open(time_point now) {
        const std::uint64_t failed = failures_ + outstanding_;
        const std::uint64_t all = failed + successes_;
        if (all == 0) until_ = add_saturated(now, options_.max_wait_duration_in_half_open_state);
        else if (over_threshold(failed, all)) reopen(now);
        else enter_closed();
    }
    void reopen(time_point now) {
        const double grown = static_cast<double>(open_wait_.count()) * options_.open_wait_multiplier;
        const double max = static_cast<double>(options_.max_wait_duration_in_open_state.count());
        open_wait_ = milliseconds{static_cast<milliseconds::rep>(std::min(grown, max))};
        enter_open(now);
    }

    void enter_open(time_point now) {
        enter(breaker_state::open);
        until_ = add_saturated(now, open_wait_);
        ++transitions_.opened;
    }
    void enter_half_open(time_point now) {
        enter(breaker_state::half_open);
        until_ = add_saturated(now, options_.max_wait_duration_in_half_open_state);
        outstanding_ = 0, failures_ = 0, successes_ = 0;
        ++transitions_.half_opened;
    }
    void enter_closed() {
        enter(breaker_state::closed);
        open_wait_ = options_.wait_duration_in_open_state;
        std::visit([](auto& w) { w.clear(); }, window_);
        ++transitions_.closed;
    }
    void enter(breaker_state next) noexcept {
        state_ = next;
        ++generation_;
    }

    breaker_options options_;
    breaker_state state_ = breaker_state::closed;
    std::uint64_t generation_ = 1;  // 0 is no permit of ours
    time_point until_{};            // end of the wait in open, or of the time in half-open
    milliseconds open_wait_;        // the next wait in open
    std::uint64_t outstanding_ = 0, failures_ = 0, successes_ = 0;  // of this half-open
    breaker_transitions transitions_;
    window window_;
};

}  // namespace detail

}  // namespace hawser::inline v0

// SPDX-License-Identifier: BSL-1.0
/// \file
/// Whether the peer confirmed what was asked for on connect.
///
/// | state | event | effect |
/// |---|---|---|
/// | off | `start` | pending |
/// | pending | `judge(undecided)` | `keep` the message |
/// | pending | `judge(confirmed)`, more are needed | `consume` it |
/// | pending | `judge(confirmed)`, the last | `open`; off |
/// | pending | `judge(failed)` | `fail`; off |
/// | pending | the deadline passes | the owner calls `stop` and fails |
/// | any | `stop` | off |
#pragma once

#include <hawser/core/time.hpp>
#include <hawser/policy/feed_options.hpp>

#include <cstdint>

namespace hawser::inline v0 {

/// What becomes of a message that came before the subscription was confirmed.
enum class subscription_step : std::uint8_t { keep, consume, open, fail };

/// One round of asking and being answered, anew for each connection. Thread safety: none.
class subscription {
public:
    /// `needed` confirmations within `limit`.
    subscription(std::uint32_t needed, milliseconds limit) noexcept : needed_(needed), limit_(limit) {}

    ///@{
    /// See the table.
    void start(time_point now) noexcept {
        missing_ = needed_;
        deadline_ = add_saturated(now, limit_);
    }
    void stop() noexcept {
        missing_ = 0;
        deadline_ = never;
    }
    [[nodiscard]] subscription_step judge(subscription_answer answer) noexcept {
        if (answer == subscription_answer::undecided) return subscription_step::keep;
        if (answer == subscription_answer::confirmed && --missing_ > 0) return subscription_step::consume;
        stop();
        return answer == subscription_answer::confirmed ? subscription_step::open : subscription_step::fail;
    }
    ///@}
    /// Whether an answer is waited for.
    [[nodiscard]] bool pending() const noexcept { return missing_ > 0; }
    /// Until when; `never` when off.
    [[nodiscard]] time_point deadline() const noexcept { return deadline_; }

private:
    std::uint32_t needed_;
    std::uint32_t missing_ = 0;
    milliseconds limit_;
    time_point deadline_ = never;
};

}  // namespace hawser::inline v0

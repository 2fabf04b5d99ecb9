// SPDX-License-Identifier: BSL-1.0
/// \file
/// What follows when a callback of the application fails.
///
/// | callback | fallback | then |
/// |---|---|---|
/// | returns | - | a message is accepted |
/// | throws | none | critical: the socket is `failed`, the message is not accepted; non-critical: the link goes on, the message counts as handed over |
/// | throws | returns | the link goes on; the fallback took the message, so it is accepted |
/// | throws | throws | as without a fallback |
/// | not called: its breaker is open | returns, throws | as above |
///
/// With `acceptance_mode::on_processed` nothing is accepted before `ack()`, whoever calls it.
#pragma once

#include <hawser/core/message.hpp>
#include <hawser/core/outcome.hpp>
#include <hawser/core/state.hpp>
#include <hawser/policy/detail/breaker_core.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace hawser::inline v0 {

/// What an exception out of a callback means. It is counted and logged in any case.
enum class handler_criticality : std::uint8_t {
    critical,      ///< the socket enters `failed` with `errc::handler_failed`; a message in `on_message` is not accepted
    non_critical,  ///< the link goes on; a message counts as handed over
};

/// Told to `handler_options::on_failure`. Nothing in it is owned: it is valid during the call.
struct handler_failure {
    std::string_view callback;    ///< `on_message`, `on_state` or `on_outcome`
    std::error_code error{};      ///< the exception as a code; `errc::circuit_open` if the callback was skipped
    std::string_view what{};      ///< what the exception says
    bool skipped = false;         ///< its breaker was open: the callback was not called
    bool breaker_opened = false;  ///< by this failure
    bool helped = false;          ///< the fallback was called and returned
};

/// For one callback; `Args` are its arguments.
template <class... Args>
struct handler_options {
    std::optional<handler_criticality> criticality{};  ///< absent: `options::handler_errors`
    /// Called in place of the callback when that threw or its breaker is open. If it returns, all is well.
    std::function<void(Args...)> fallback{};
    /// After repeated failures the callback is skipped for a time, then tried again. Needs a fallback: a message that
    /// is skipped must go somewhere.
    std::optional<breaker_options> breaker{};
    /// Told of each failure and of each call that was skipped, after the fallback. An exception out of it is logged.
    std::function<void(const handler_failure&)> on_failure{};

    /// All problems, one sentence each.
    [[nodiscard]] std::vector<std::string> problems() const {
        std::vector<std::string> found;
        if (breaker) breaker->check(found, "handler_options.breaker");
        if (breaker && !fallback) found.push_back("handler_options.breaker is given, but needs handler_options.fallback");
        return found;
    }
};

using message_handler_options = handler_options<const message_view&>;  ///< of `on_message`
using state_handler_options = handler_options<const state_change&>;    ///< of `on_state`
using outcome_handler_options = handler_options<ticket, outcome>;      ///< of `on_outcome`

}  // namespace hawser::inline v0

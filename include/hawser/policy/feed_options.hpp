// SPDX-License-Identifier: BSL-1.0
/// \file
/// What a feed may ask for beside a connection: no copies, no silence, a confirmed subscription.
#pragma once

#include <hawser/core/message.hpp>
#include <hawser/core/time.hpp>
#include <hawser/policy/check.hpp>
#include <hawser/policy/handler_options.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace hawser::inline v0 {

/// What becomes of messages that are sent while there is no open connection.
enum class offline_sends : std::uint8_t {
    queue,   ///< they wait, within the limits of the queue
    refuse,  ///< `errc::not_connected`, at once
};

/// What `feed_options::confirm` says of a received message.
enum class subscription_answer : std::uint8_t {
    undecided,  ///< not the answer: it is kept, and handed over once the subscription is confirmed
    confirmed,  ///< one confirmation; `on_message` does not get it
    failed,     ///< the peer refused
};

/// Dialling side, plain connections. All of it is off by default and costs nothing then. The functions are
/// called on the strand for each message and must be quick; an exception counts as one of a handler
/// (`options::handler_errors`).
struct feed_options {
    /// The id of a message, in its own bytes or in memory that outlives the call. A message whose id was here already
    /// is dropped and counted (`duplicates_dropped`); one with an empty id, or whose id cannot be told because this
    /// threw, is handed over. `options::dedup` says how many ids are kept, and how long.
    std::function<std::string_view(const message_view&)> id{};
    bool by_digest = false;  ///< as if the whole content were the id (XXH3-128 and length)

    milliseconds stale_after{0};  ///< nothing useful for so long: dial again, `errc::feed_stale`; 1 ms to 24 h, 0: never
    /// Whether a message is useful, so that heartbeats of the application do not count; absent: all are, but copies.
    std::function<bool(const message_view&)> useful{};

    /// Looks for the answer to `options::on_connect` in what the peer sends. Until it was found, the state stays
    /// `connecting`, nothing is handed over and nothing else is sent.
    std::function<subscription_answer(const message_view&)> confirm{};
    std::uint32_t confirmations = 1;       ///< how many times `confirmed`, such as one per subscription; 1 to 10,000
    milliseconds confirm_timeout{10'000};  ///< for all of them; then `errc::subscription_timeout`; 1 ms to 24 h
    handler_criticality subscription = handler_criticality::non_critical;  ///< if it fails: dial again; `critical`: `failed`

    offline_sends offline = offline_sends::queue;  ///< `refuse` only without a session

    /// Whether there is anything to do for a message.
    [[nodiscard]] bool active() const noexcept { return id || by_digest || stale_after > milliseconds{0} || confirm; }

    /// Adds one sentence per wrong option, which is named with `prefix` before it.
    void check(std::vector<std::string>& problems, std::string_view prefix) const {
        constexpr milliseconds day = std::chrono::hours{24};
        detail::check_range(problems, prefix, "stale_after", stale_after, milliseconds{0}, day);
        detail::check_range<std::uint32_t>(problems, prefix, "confirmations", confirmations, 1, 10'000);
        detail::check_range(problems, prefix, "confirm_timeout", confirm_timeout, milliseconds{1}, day);
        if (id && by_digest)
            problems.push_back(detail::option_name(prefix, "by_digest") + " is true, but must be false where " +
                               detail::option_name(prefix, "id") + " is given");
        if (useful && stale_after == milliseconds{0})
            problems.push_back(detail::option_name(prefix, "useful") + " is given, but " +
                               detail::option_name(prefix, "stale_after") + " is 0 ms, which never asks it");
    }
};

}  // namespace hawser::inline v0

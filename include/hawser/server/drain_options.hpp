// SPDX-License-Identifier: BSL-1.0
/// \file
/// How a listener gets rid of its clients without a crowd at the next one.
#pragma once

#include <hawser/core/url.hpp>
#include <hawser/policy/check.hpp>
#include <hawser/protocol/session/frame.hpp>

#include <chrono>
#include <string>
#include <vector>

namespace hawser::inline v0 {

/// Options of `listener::async_drain`.
struct drain_options {
    milliseconds window{10'000};  ///< within it each client goes, at a moment of its own; 1 ms to 24 h
    milliseconds first{0};        ///< nobody is told to go earlier: in place, how long until the next process listens
    std::string target{};         ///< URL to go to, for clients with `follow_target`; empty: to the same one
    session::goaway_reason reason = session::goaway_reason::restart;  ///< for people and logs

    /// All problems, one sentence each, naming the option, its value and what is allowed.
    [[nodiscard]] std::vector<std::string> problems() const {
        std::vector<std::string> found;
        detail::check_range(found, "", "window", window, milliseconds{1}, milliseconds{std::chrono::hours{24}});
        detail::check_range(found, "", "first", first, milliseconds{0}, window);
        url parsed;
        std::string why;
        if (target.size() > session::max_target_size) found.push_back("target is longer than 2048 bytes");
        else if (!target.empty() && parse_url(target, parsed, &why)) found.push_back("target: " + why);
        return found;
    }
};

}  // namespace hawser::inline v0

// SPDX-License-Identifier: BSL-1.0
/// \file
/// How often credentials that were refused may be tried again, because somebody renews them.
///
/// | state | event | effect |
/// |---|---|---|
/// | fewer than `max_retries` refusals in a row | `refused` | one more; try again |
/// | `max_retries` refusals in a row | `refused` | give up |
/// | refused by the upgrade | `opened` | they were accepted: from 0 |
/// | refused by a close code | `opened` | proves nothing: the count stays |
/// | open for long | `lost`, or `refused` by a close code | from 0, before the refusal is counted |
///
/// Trying the same credentials again is pointless and may lock an account; so this is asked only where
/// `options::on_attempt` can bring others.
#pragma once

#include <hawser/core/close_code.hpp>
#include <hawser/core/time.hpp>
#include <hawser/policy/check.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hawser::inline v0 {

/// Dialling: what counts as refused credentials beside 401, 403 and certificates, and what follows.
struct authentication_options {
    /// Further attempts in a row, with the delays of the reconnection strategy, where `options::on_attempt` may
    /// renew the credentials; 0 to 1,000. Without `on_attempt` there are none.
    std::uint32_t max_retries = 3;
    /// Plain connections: close codes by which the peer refuses credentials; at most 64.
    std::vector<close_code> close_codes{close_code::policy_violation, close_code{4401}, close_code{4403}};

    /// Adds one sentence per wrong option, which is named with `prefix` before it.
    void check(std::vector<std::string>& problems, std::string_view prefix) const {
        detail::check_range<std::uint32_t>(problems, prefix, "max_retries", max_retries, 0, 1'000);
        detail::check_range(problems, prefix, "close_codes.size()", close_codes.size(), std::size_t{0}, std::size_t{64});
    }
    /// Whether a plain connection that the peer closed with `code` was refused for its credentials.
    [[nodiscard]] bool means_refused(close_code code) const noexcept {
        return std::find(close_codes.begin(), close_codes.end(), code) != close_codes.end();
    }
};

/// Counts refusals. Thread safety: none.
class credential_retries {
public:
    /// `long_enough`: a connection that lasted so long had good credentials.
    credential_retries(std::uint32_t max_retries, duration long_enough) noexcept
        : max_(max_retries), long_enough_(long_enough) {}

    /// Refused, after the connection was open (by a close code) or before. Whether to try again.
    [[nodiscard]] bool refused(time_point now, bool after_open) noexcept {
        if (after_open) lost(now);
        by_close_code_ = after_open;
        if (count_ >= max_) return false;
        ++count_;
        return true;
    }
    /// The connection is open.
    void opened(time_point now) noexcept {
        opened_at_ = now;
        if (!by_close_code_) count_ = 0;
    }
    /// An open connection ended.
    void lost(time_point now) noexcept {
        if (now - opened_at_ >= long_enough_) count_ = 0;
    }
    /// Refusals in a row.
    [[nodiscard]] std::uint32_t count() const noexcept { return count_; }

private:
    std::uint32_t max_;
    duration long_enough_;
    std::uint32_t count_ = 0;
    time_point opened_at_{};
    bool by_close_code_ = false;
};

}  // namespace hawser::inline v0

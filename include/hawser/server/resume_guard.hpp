// SPDX-License-Identifier: BSL-1.0
/// \file
/// Limits how often an address may present a wrong resume token.
#pragma once

#include <hawser/core/time.hpp>

#include <map>
#include <string>
#include <utility>

namespace hawser::inline v0::detail {

/// Counts failures per address in fixed windows of a minute. Bounded: beyond `max_addresses`
/// the table is emptied, which forgives everybody once. Thread safety: none.
class resume_guard {
public:
    resume_guard(std::size_t max_failures, std::size_t max_addresses) noexcept
        : max_failures_(max_failures), max_addresses_(max_addresses) {}

    /// Counts one failure; false when the address has had too many in the present window.
    [[nodiscard]] bool permit_failure(const std::string& address, time_point now) {
        if (failures_.size() >= max_addresses_ && !failures_.contains(address)) failures_.clear();
        auto& f = failures_[address];
        if (f.count == 0 || now - f.since >= window) f = {now, 0};
        return ++f.count <= max_failures_;
    }

private:
    static constexpr auto window = seconds{60};
    struct entry {
        time_point since{};
        std::size_t count = 0;
    };
    std::size_t max_failures_;
    std::size_t max_addresses_;
    std::map<std::string, entry> failures_;
};

}  // namespace hawser::inline v0::detail

// SPDX-License-Identifier: BSL-1.0
/// \file
/// Limits how often an address, or a principal, may present a wrong resume token.
#pragma once

#include <hawser/core/time.hpp>

#include <map>
#include <string>
#include <utility>

namespace hawser::inline v0::detail {

/// Counts failures per name, an address or a principal, in fixed windows of a minute. Bounded: beyond `max_names`
/// the table is emptied, which forgives everybody once. Thread safety: none.
class resume_guard {
public:
    resume_guard(std::size_t max_failures, std::size_t max_names) noexcept
        : max_failures_(max_failures), max_names_(max_names) {}

    /// Counts one failure; false when `name` has had too many in the present window. Nobody, an empty
    /// name, has no limit.
    [[nodiscard]] bool permit_failure(const std::string& name, time_point now) {
        if (name.empty()) return true;
        if (failures_.size() >= max_names_ && !failures_.contains(name)) failures_.clear();
        auto& f = failures_[name];
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
    std::size_t max_names_;
    std::map<std::string, entry> failures_;
};

}  // namespace hawser::inline v0::detail

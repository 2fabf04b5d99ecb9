// SPDX-License-Identifier: BSL-1.0
/// \file
/// Thrown where options are taken that are outside of what is allowed.
#pragma once

#include <hawser/core/config.hpp>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace hawser::inline v0 {

/// Names every wrong option, its value and what is allowed. `options::problems()` tells the same
/// without throwing.
class option_error : public std::invalid_argument {
public:
    /// One sentence per problem; `what()` joins them.
    explicit option_error(std::vector<std::string> problems)
        : std::invalid_argument(join(problems)), problems_(std::move(problems)) {}
    /// The sentences.
    [[nodiscard]] const std::vector<std::string>& problems() const noexcept { return problems_; }

private:
    static std::string join(const std::vector<std::string>& problems) {
        std::string text;
        for (const auto& p : problems) {
            if (!text.empty()) text += "; ";
            text += p;
        }
        return text;
    }
    std::vector<std::string> problems_;
};

}  // namespace hawser::inline v0

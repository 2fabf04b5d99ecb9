// SPDX-License-Identifier: BSL-1.0
/// \file
/// How options report what is wrong with them: one sentence per problem, which names the
/// option, its value and what is allowed.
#pragma once

#include <hawser/core/time.hpp>

#include <charconv>
#include <concepts>
#include <string>
#include <string_view>
#include <vector>

namespace hawser::inline v0::detail {

template <std::integral T>
[[nodiscard]] std::string option_text(T value) {
    return std::to_string(value);
}
// Not std::to_string: it gives six decimals and the decimal comma of the user's locale.
[[nodiscard]] inline std::string option_text(double value) {
    char buffer[32];
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
    return {buffer, end};
}
[[nodiscard]] inline std::string option_text(milliseconds value) {
    return std::to_string(value.count()) + " ms";
}

/// `prefix` + `name`, as the user wrote it: `reconnect.multiplier`.
[[nodiscard]] inline std::string option_name(std::string_view prefix, std::string_view name) {
    std::string text{prefix};
    if (!text.empty() && text.back() != '.') text += '.';
    return text.append(name);
}

/// Adds "reconnect.multiplier is 0.5, but must be between 1 and 10" unless low <= value <= high.
template <class T>
void check_range(std::vector<std::string>& problems, std::string_view prefix, std::string_view name,
                 const T& value, const T& low, const T& high) {
    if (low <= value && value <= high) return;  // written so that NaN fails
    problems.push_back(option_name(prefix, name) + " is " + option_text(value) + ", but must be between " +
                       option_text(low) + " and " + option_text(high));
}

/// Adds "reconnect.max_delay is 1 ms, but must be at least reconnect.base_delay (1000 ms)".
template <class T>
void check_at_least(std::vector<std::string>& problems, std::string_view prefix, std::string_view name,
                    const T& value, std::string_view other_name, const T& other) {
    if (other <= value) return;
    problems.push_back(option_name(prefix, name) + " is " + option_text(value) + ", but must be at least " +
                       option_name(prefix, other_name) + " (" + option_text(other) + ")");
}

/// The longest time an option may ask for: a year.
inline constexpr milliseconds longest_option = std::chrono::hours{24 * 365};

}  // namespace hawser::inline v0::detail

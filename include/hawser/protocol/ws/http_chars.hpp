// SPDX-License-Identifier: BSL-1.0
/// \file
/// Character classes, tokens and comma-separated lists of HTTP (RFC 9110 section 5.6).
#pragma once

#include <hawser/core/config.hpp>
#include <hawser/core/detail/uri_syntax.hpp>

#include <cstddef>
#include <string_view>

namespace hawser::inline v0::ws {

/// A byte of a token: a visible ASCII character that is no delimiter (RFC 9110 section 5.6.2).
[[nodiscard]] constexpr bool is_token_char(char c) noexcept {
    if (!hawser::detail::is_visible_ascii(c)) return false;
    return std::string_view("\"(),/:;<=>?@[\\]{}").find(c) == std::string_view::npos;
}
[[nodiscard]] constexpr bool is_token(std::string_view text) noexcept {
    for (const char c : text)
        if (!is_token_char(c)) return false;
    return !text.empty();
}

/// A byte of a field value: VCHAR, SP, HTAB or obs-text (RFC 9110 section 5.5).
[[nodiscard]] constexpr bool is_value_char(char c) noexcept {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}
[[nodiscard]] constexpr bool is_value(std::string_view text) noexcept {
    for (const char c : text)
        if (!is_value_char(c)) return false;
    return true;
}

/// Equal but for the case of ASCII letters.
[[nodiscard]] constexpr bool iequals(std::string_view a, std::string_view b) noexcept {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i)
        if (hawser::detail::to_lower(a[i]) != hawser::detail::to_lower(b[i])) return false;
    return true;
}

/// `text` without the spaces and tabs around it.
[[nodiscard]] constexpr std::string_view trim(std::string_view text) noexcept {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
        text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
        text.remove_suffix(1);
    return text;
}

/// Takes the next element off a comma-separated list, without white space; empty elements are
/// skipped (RFC 9110 section 5.6.1.2). Returns an empty view at the end. Quoted strings are not
/// understood: use it for lists of tokens.
[[nodiscard]] constexpr std::string_view next_element(std::string_view& list) noexcept {
    while (!list.empty()) {
        const auto comma = list.find(',');
        const auto element = trim(list.substr(0, comma));
        list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
        if (!element.empty()) return element;
    }
    return {};
}

}  // namespace hawser::inline v0::ws

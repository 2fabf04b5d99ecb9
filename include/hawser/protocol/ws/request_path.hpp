// SPDX-License-Identifier: BSL-1.0
/// \file
/// Finds paths that were written to climb out of a tree or to break a log or a header.
#pragma once

#include <hawser/core/detail/uri_syntax.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace hawser::inline v0::ws::detail {

/// `text` with its valid %-escapes decoded once.
[[nodiscard]] inline std::string percent_decoded(std::string_view text) {
    using hawser::detail::hex_value;
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%' && i + 2 < text.size() && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0) {
            out += static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
            i += 2;
        } else {
            out += text[i];
        }
    }
    return out;
}

// Control bytes (CR, LF and NUL among them), and bytes that UTF-8 never has: they are how '.' and
// '/' are hidden in overlong forms.
[[nodiscard]] constexpr bool is_hostile_byte(char c) noexcept {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f || byte == 0xc0 || byte == 0xc1 || byte >= 0xf5;
}

/// Whether a segment is "..", where '/' and '\' separate segments and ';' begins its parameters.
[[nodiscard]] constexpr bool has_parent_segment(std::string_view path) noexcept {
    while (!path.empty()) {
        const auto end = path.find_first_of("/\\");
        const auto segment = path.substr(0, end);
        if (segment.substr(0, segment.find(';')) == "..") return true;
        if (end == std::string_view::npos) return false;
        path.remove_prefix(end + 1);
    }
    return false;
}

/// Whether `path`, decoded once or twice (a proxy may decode once more), has a ".." segment or a
/// byte that no path of an honest client has.
[[nodiscard]] inline bool is_hostile_path(std::string_view path) {
    std::string decoded(path);
    for (int round = 0; round < 2; ++round) {
        decoded = percent_decoded(decoded);
        for (const char c : decoded)
            if (is_hostile_byte(c)) return true;
        if (has_parent_segment(decoded)) return true;
    }
    return false;
}

/// Whether `query`, decoded once, has an end of line: it would split the header or the log that it is copied to. Its
/// other bytes are data of the application.
[[nodiscard]] inline bool has_line_end(std::string_view query) {
    return percent_decoded(query).find_first_of("\r\n") != std::string::npos;
}

}  // namespace hawser::inline v0::ws::detail

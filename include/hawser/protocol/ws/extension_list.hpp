// SPDX-License-Identifier: BSL-1.0
/// \file
/// Sec-WebSocket-Extensions (RFC 6455 section 9.1), parsed once from left to right.
#pragma once

#include <hawser/protocol/ws/http_chars.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hawser::inline v0::ws {

struct extension_param {
    std::string name;
    std::optional<std::string> value;  ///< unquoted; always a token
};

/// One offer of a client, or one choice of a server.
struct extension {
    std::string name;
    std::vector<extension_param> params;
};

namespace detail {

/// Reads tokens, quoted tokens and delimiters. It never goes back, so time is linear in the input.
class extension_scanner {
public:
    explicit extension_scanner(std::string_view text) noexcept : rest_(trim(text)) {}

    [[nodiscard]] bool at_end() const noexcept { return rest_.empty(); }
    [[nodiscard]] bool take(char delimiter) noexcept {
        if (!rest_.starts_with(delimiter)) return false;
        skip(1);
        return true;
    }
    [[nodiscard]] bool take_token(std::string& out) {
        std::size_t n = 0;
        while (n < rest_.size() && is_token_char(rest_[n]))
            ++n;
        out.assign(rest_.substr(0, n));
        skip(n);
        return n != 0;
    }
    // RFC 6455 section 9.1: what is quoted must be a token once it is unquoted.
    [[nodiscard]] bool take_value(std::string& out) {
        if (!rest_.starts_with('"')) return take_token(out);
        out.clear();
        std::size_t i = 1;
        for (; i < rest_.size() && rest_[i] != '"'; ++i) {
            if (rest_[i] == '\\' && ++i == rest_.size()) return false;
            out += rest_[i];
        }
        if (i == rest_.size()) return false;
        skip(i + 1);
        return is_token(out);
    }

private:
    void skip(std::size_t n) noexcept {
        rest_.remove_prefix(n);
        while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t'))
            rest_.remove_prefix(1);
    }
    std::string_view rest_;
};

[[nodiscard]] inline bool parse_extension(extension_scanner& in, extension& out, std::size_t max_params) {
    if (!in.take_token(out.name)) return false;
    while (in.take(';')) {
        if (out.params.size() == max_params) return false;
        auto& param = out.params.emplace_back();
        if (!in.take_token(param.name)) return false;
        if (in.take('=') && !in.take_value(param.value.emplace())) return false;
    }
    return true;
}

}  // namespace detail

/// Parses `text` into `out` (replaced). Empty elements are skipped; an empty text is an empty list.
/// Returns false when `text` is malformed, or has more than `max_elements` extensions or an
/// extension with more parameters than that.
[[nodiscard]] inline bool parse_extensions(std::string_view text, std::vector<extension>& out,
                                           std::size_t max_elements = 32) {
    out.clear();
    detail::extension_scanner in(text);
    for (;;) {
        while (in.take(',')) {
        }
        if (in.at_end()) return true;
        if (out.size() == max_elements) return false;
        if (!detail::parse_extension(in, out.emplace_back(), max_elements)) return false;
        if (!in.at_end() && !in.take(',')) return false;
    }
}

[[nodiscard]] inline bool has_extension(const std::vector<extension>& list, std::string_view name) noexcept {
    for (const auto& element : list)
        if (element.name == name) return true;
    return false;
}

}  // namespace hawser::inline v0::ws

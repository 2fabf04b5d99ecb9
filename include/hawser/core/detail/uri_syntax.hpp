// SPDX-License-Identifier: BSL-1.0
/// \file
/// Syntax of hosts, ports and request targets (RFC 3986), shared by URLs and the HTTP upgrade.
#pragma once

#include <hawser/core/config.hpp>
#include <hawser/core/planted.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace hawser::inline v0::detail {

/// What is wrong with a part of a URL. `rule` reads on from the quoted part:
/// the port "99999" + "is not a number from 1 to 65535".
struct syntax_fault {
    const char* what = nullptr;
    std::string_view part;
    const char* rule = nullptr;
    explicit operator bool() const noexcept { return rule != nullptr; }
};

[[nodiscard]] constexpr int hex_value(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}
[[nodiscard]] constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
[[nodiscard]] constexpr char to_lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
[[nodiscard]] constexpr bool is_visible_ascii(char c) noexcept { return c > 0x20 && c < 0x7f; }

/// `text` in double quotes, at most 64 bytes of it, bytes that are not visible ASCII as `\xNN`.
[[nodiscard]] inline std::string quoted(std::string_view text) {
    constexpr std::size_t limit = 64;
    constexpr char digits[] = "0123456789abcdef";
    std::string out = "\"";
    for (const char c : text.substr(0, limit)) {
        if (is_visible_ascii(c) || c == ' ') {
            if (c == '"' || c == '\\') out += '\\';
            out += c;
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        out += "\\x";
        out += digits[byte >> 4];
        out += digits[byte & 15];
    }
    out += text.size() > limit ? "...\"" : "\"";
    return out;
}

/// Decodes %-escapes into `out`; false where one is malformed.
[[nodiscard]] inline bool unescape(std::string_view text, std::string& out) {
    out.clear();
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        const int high = text.size() - i > 2 ? hex_value(text[i + 1]) : -1, low = high >= 0 ? hex_value(text[i + 2]) : -1;
        if (low < 0) return false;
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return true;
}
/// The reverse, for a path: letters, digits, '/', '-', '_', '.' and '~' stay as they are.
[[nodiscard]] inline std::string escaped_path(std::string_view path) {
    constexpr char digits[] = "0123456789ABCDEF";
    std::string out;
    for (const char c : path) {
        const char lower = to_lower(c);
        if (is_digit(c) || (lower >= 'a' && lower <= 'z') || c == '/' || c == '-' || c == '_' || c == '.' || c == '~') {
            out += c;
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        out += '%';
        out += digits[byte >> 4];
        out += digits[byte & 15];
    }
    return out;
}

/// Four decimal numbers without leading zeros. Other spellings ("127.1", "0x7f.1", "010.0.0.1")
/// mean different addresses to different resolvers and are refused.
[[nodiscard]] constexpr bool is_ipv4(std::string_view text) noexcept {
    for (int part = 0; part < 4; ++part) {
        std::size_t n = 0;
        int value = 0;
        while (n < text.size() && n < 3 && is_digit(text[n]))
            value = value * 10 + (text[n++] - '0');
        if (n == 0 || value > 255 || (n > 1 && text[0] == '0')) return false;
        text.remove_prefix(n);
        if (part == 3) return text.empty();
        if (text.empty() || text[0] != '.') return false;
        text.remove_prefix(1);
    }
    return false;
}

/// An IPv6 address as in RFC 3986 section 3.2.2, without brackets and without a zone.
[[nodiscard]] constexpr bool is_ipv6(std::string_view text) noexcept {
    int groups = 0;
    bool gap = text.starts_with("::");
    if (gap) text.remove_prefix(2);
    while (!text.empty()) {
        if (groups <= 6 && is_ipv4(text)) return gap ? groups <= 5 : groups == 6;
        std::size_t n = 0;
        while (n < text.size() && n < 5 && hex_value(text[n]) >= 0)
            ++n;
        if (n == 0 || n > 4 || ++groups > 8) return false;
        text.remove_prefix(n);
        if (text.empty()) break;
        if (text.starts_with("::")) {
            if (gap) return false;
            gap = true;
            text.remove_prefix(2);
        } else {
            if (text[0] != ':' || text.size() == 1) return false;
            text.remove_prefix(1);
        }
    }
    return gap ? groups <= 7 : groups == 8;
}

/// A last label that is a number makes resolvers read the whole name as an address.
[[nodiscard]] constexpr bool ends_in_number(std::string_view name) noexcept {
    const auto dot = name.rfind('.');
    auto label = dot == std::string_view::npos ? name : name.substr(dot + 1);
    const bool hex = label.starts_with("0x") || label.starts_with("0X");
    if (hex) label.remove_prefix(2);
    for (const char c : label)
        if (hex ? hex_value(c) < 0 : !is_digit(c)) return false;
    return hex || !label.empty();
}

/// Checks a DNS name or an IPv4 address: labels of 1 to 63 letters, digits, '-' and '_'
/// that neither begin nor end with '-'; at most 253 bytes; one final dot is allowed.
[[nodiscard]] inline syntax_fault check_host(std::string_view host) noexcept {
    constexpr auto what = "host";
    if (host.empty()) return {what, host, "is empty; a name or an address is needed"};
    std::string_view name = host;
    if (name.ends_with('.')) name.remove_suffix(1);
    if (name.size() > 253) return {what, host, "is longer than 253 bytes"};
    std::size_t start = 0;
    for (std::size_t i = 0; i <= name.size(); ++i) {
        if (i < name.size() && name[i] != '.') {
            const char c = to_lower(name[i]);
            if (!is_digit(c) && !(c >= 'a' && c <= 'z') && c != '-' && c != '_')
                return {what, host,
                        "has a byte other than letters, digits, '-', '_' and '.' "
                        "(an international name is written in its xn-- form)"};
            continue;
        }
        const auto label = name.substr(start, i - start);
        start = i + 1;
        if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-')
            return {what, host, "has a label that is empty, longer than 63 bytes, or begins or ends with '-'"};
    }
    if (ends_in_number(name) && !is_ipv4(host))
        return {what, host, "is not an IPv4 address; it has four numbers from 0 to 255 without leading zeros"};
    return {};
}

/// The parts of `host[:port]`; views into what was parsed.
struct authority_parts {
    std::string_view host;   ///< without brackets
    std::uint16_t port = 0;  ///< 0: absent
    bool ipv6_literal = false;
    bool empty_port = false;  ///< "host:", which RFC 3986 section 3.2.3 allows
};

[[nodiscard]] inline syntax_fault parse_port(std::string_view text, authority_parts& out) noexcept {
    out.empty_port = text.empty();
    std::uint32_t value = 0;
    bool good = text.size() <= 5;
    for (const char c : text.substr(0, 5)) {
        good = good && is_digit(c);
        value = value * 10 + static_cast<std::uint32_t>(c - '0');
    }
    if (!text.empty() && (!good || value == 0 || (value > 65535 && !planted(bug::port_wraps))))
        return {"port", text, "is not a number from 1 to 65535"};
    out.port = static_cast<std::uint16_t>(value);
    return {};
}

/// Splits and checks `host`, `host:port`, `[v6]` or `[v6]:port`, without user information.
[[nodiscard]] inline syntax_fault parse_authority(std::string_view text, authority_parts& out) noexcept {
    std::string_view rest;
    if (text.starts_with('[')) {
        const auto end = text.find(']');
        out.host = text.substr(1, end == std::string_view::npos ? end : end - 1);
        out.ipv6_literal = true;
        if (end == std::string_view::npos || !is_ipv6(out.host))
            return {"host", text, "is not an IPv6 address in brackets, such as [::1] (a zone is not allowed)"};
        rest = text.substr(end + 1);
        if (!rest.empty() && rest[0] != ':')
            return {"text", rest, "behind the IPv6 address is not allowed; only ':' and a port may follow"};
    } else {
        const auto colon = text.find(':');
        out.host = text.substr(0, colon);
        if (const auto fault = check_host(out.host)) return fault;
        if (colon != std::string_view::npos) rest = text.substr(colon);
    }
    return rest.empty() ? syntax_fault{} : parse_port(rest.substr(1), out);
}

/// Checks a target in origin-form: it begins with '/', bytes that browsers send unescaped are
/// accepted, a backslash only in the query. With `stray_percent` a '%' without two hex digits is
/// left alone in the query, as browsers send it.
[[nodiscard]] inline syntax_fault check_target(std::string_view target, bool stray_percent = false) noexcept {
    if (!target.starts_with('/')) return {"path", target.substr(0, 16), "does not begin with '/'"};
    bool query = false;
    for (std::size_t i = 0; i < target.size(); ++i) {
        const char c = target[i];
        query = query || c == '?';
        if (!is_visible_ascii(c) || c == '"' || c == '<' || c == '>' || c == '#' || (c == '\\' && !query))
            return {"byte", target.substr(i, 1), "is not allowed in a path or query; percent-encode it"};
        if (c != '%' || (stray_percent && query)) continue;
        if (i + 2 >= target.size() || hex_value(target[i + 1]) < 0 || hex_value(target[i + 2]) < 0)
            return {"escape", target.substr(i, 3),
                    "is not '%' and two hexadecimal digits (a plain '%' is written %25)"};
    }
    return {};
}

}  // namespace hawser::inline v0::detail

// SPDX-License-Identifier: BSL-1.0
/// \file
/// WebSocket URLs (RFC 6455 section 3, RFC 3986), parsed strictly and explained in sentences.
///
/// | URL | means |
/// |---|---|
/// | `ws://host:port/target` | TCP |
/// | `wss://host:port/target` | TLS on TCP |
/// | `ws+unix:///path/to/socket:/target` | a socket file; the target is "/" where the text has none |
#pragma once

#include <hawser/core/detail/uri_syntax.hpp>
#include <hawser/core/errc.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

namespace hawser::inline v0 {

/// The longest target (path and query) of a URL, in bytes.
inline constexpr std::size_t max_url_target_bytes = 8 * 1024;

/// The longest path of a socket file, in bytes: what `sockaddr_un` of Linux holds.
inline constexpr std::size_t max_socket_path_bytes = 107;

/// A parsed `ws`, `wss` or `ws+unix` URL. Scheme and host are in lower case.
struct url {
    std::string scheme;         ///< "ws", "wss" or "ws+unix"
    std::string host;           ///< name or address, without brackets; "localhost" of a socket file
    std::string target;         ///< path and query as written; at least "/"
    std::uint16_t port = 0;     ///< never 0 after parsing; 80 or 443 where the text has none
    bool ipv6_literal = false;  ///< `host` is an IPv6 address
    std::string socket_path{};  ///< of the socket file, decoded; empty: TCP

    /// Whether the scheme asks for TLS.
    [[nodiscard]] bool secure() const noexcept { return scheme == "wss"; }
    /// The port where the text has none.
    [[nodiscard]] std::uint16_t default_port() const noexcept { return secure() ? 443 : 80; }

    /// The value of the Host header field: brackets around IPv6, the port only where it is not
    /// the scheme's default (RFC 6455 section 4.1).
    [[nodiscard]] std::string authority() const {
        std::string out = ipv6_literal ? "[" + host + "]" : host;
        if (port != default_port()) out += ":" + std::to_string(port);
        return out;
    }

    /// The URL in its normal form.
    [[nodiscard]] std::string text() const {
        return scheme + "://" + (socket_path.empty() ? authority() : detail::escaped_path(socket_path) + ":") + target;
    }

    /// Whether all parts are equal.
    friend bool operator==(const url&, const url&) = default;
};

namespace detail {

inline std::error_code bad_url(std::string* why, std::string sentence) {
    if (why != nullptr) *why = "bad URL: " + std::move(sentence);
    return errc::invalid_argument;
}
inline std::error_code bad_url(std::string* why, const syntax_fault& fault) {
    return bad_url(why, std::string("the ") + fault.what + " " + quoted(fault.part) + " " + fault.rule);
}

[[nodiscard]] inline std::string lower_case(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        c = to_lower(c);
    return out;
}

// Only the scheme is quoted: what follows may hold a password.
inline std::error_code take_scheme(std::string_view& rest, url& out, std::string* why) {
    const auto end = rest.find("://");
    if (end == std::string_view::npos)
        return bad_url(why, quoted(rest.substr(0, rest.find_first_of(":/?#@"))) +
                                " is not followed by \"://\"; a URL begins with ws:// or wss://");
    out.scheme = lower_case(rest.substr(0, end));
    if (out.scheme != "ws" && out.scheme != "wss" && out.scheme != "ws+unix")
        return bad_url(why, "the scheme " + quoted(rest.substr(0, rest.find_first_of(":/?#@"))) +
                                " is not supported; ws, wss and ws+unix are");
    rest.remove_prefix(end + 3);
    return {};
}

inline std::error_code take_authority(std::string_view& rest, url& out, std::string* why) {
    const auto text = rest.substr(0, rest.find_first_of("/?#"));
    if (const auto at = text.rfind('@'); at != std::string_view::npos)
        return bad_url(why, "credentials before " + quoted(text.substr(at)) +
                                " are not allowed; send them in a header such as Authorization");
    authority_parts parts;
    if (const auto fault = parse_authority(text, parts)) return bad_url(why, fault);
    if (parts.empty_port)
        return bad_url(why, "no port follows the ':' in " + quoted(text) + "; a port is a number from 1 to 65535");
    out.host = lower_case(parts.host);
    out.ipv6_literal = parts.ipv6_literal;
    out.port = parts.port != 0 ? parts.port : out.default_port();
    rest.remove_prefix(text.size());
    return {};
}

// From "/path/to/socket:/target"; a colon, or any other byte, of the path may be written as %3A.
inline std::error_code take_socket_path(std::string_view& rest, url& out, std::string* why) {
    const auto text = rest.substr(0, rest.find_first_of(":?#"));
    if (!text.starts_with('/'))
        return bad_url(why, "the path " + quoted(text) + " of a socket file does not begin with '/'; write ws+unix:///path/to/socket:/target");
    if (!unescape(text, out.socket_path) || out.socket_path.find('\0') != std::string::npos)
        return bad_url(why, "the path " + quoted(text) + " has a bad %-escape");
    if (out.socket_path.size() > max_socket_path_bytes)
        return bad_url(why, "the path of the socket file has " + std::to_string(out.socket_path.size()) + " bytes; the limit is " +
                                std::to_string(max_socket_path_bytes));
    rest.remove_prefix(text.size());
    if (rest.starts_with(':')) rest.remove_prefix(1);
    out.host = "localhost";
    out.port = out.default_port();
    return {};
}

}  // namespace detail

/// Parses `text` into `out`.
///
/// Refused: schemes other than ws, wss and ws+unix, credentials, a fragment (RFC 6455 section 3), bytes
/// that are not visible ASCII (so CR, LF and spaces), an empty or malformed host, a port outside
/// of 1 to 65535, bad %-escapes, and targets over `max_url_target_bytes`.
///
/// Errors: `errc::invalid_argument`; `out` is then unchanged, and `*why` (where given) is a sentence
/// that quotes the offending part, never credentials, and says what is allowed.
[[nodiscard]] inline std::error_code parse_url(std::string_view text, url& out, std::string* why = nullptr) {
    for (std::size_t i = 0; i < text.size(); ++i)
        if (!detail::is_visible_ascii(text[i]))
            return detail::bad_url(why, "the byte " + detail::quoted(text.substr(i, 1)) + " at position " +
                                            std::to_string(i) +
                                            " is not allowed; spaces, control and non-ASCII bytes are percent-encoded");
    url parsed;
    if (const auto ec = detail::take_scheme(text, parsed, why)) return ec;
    const bool local = parsed.scheme == "ws+unix";
    if (const auto ec = local ? detail::take_socket_path(text, parsed, why) : detail::take_authority(text, parsed, why)) return ec;
    if (text.find('#') != std::string_view::npos)
        return detail::bad_url(why,
                               "a fragment (\"#...\") is not allowed in a WebSocket URL; write a literal '#' as %23");
    if (!text.starts_with('/')) parsed.target = "/";
    parsed.target += text;
    if (parsed.target.size() > max_url_target_bytes)
        return detail::bad_url(why, "the path and query have " + std::to_string(parsed.target.size()) +
                                        " bytes; the limit is " + std::to_string(max_url_target_bytes));
    if (const auto fault = detail::check_target(parsed.target)) return detail::bad_url(why, fault);
    out = std::move(parsed);
    return {};
}

}  // namespace hawser::inline v0

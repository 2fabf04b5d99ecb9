// SPDX-License-Identifier: BSL-1.0
/// \file
/// What a server writes in answer to an upgrade request: the 101, or a refusal.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/core/errc.hpp>
#include <hawser/protocol/ws/http.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

namespace hawser::inline v0::ws {

/// The longest body of a refusal, in bytes; what is longer is cut.
inline constexpr std::size_t max_refusal_body_bytes = 1024;

/// The usual reason phrase of a status (RFC 9110 section 15), or "Refused".
[[nodiscard]] constexpr std::string_view reason_phrase(unsigned status) noexcept {
    switch (status) {
        case 301:
            return "Moved Permanently";
        case 302:
            return "Found";
        case 303:
            return "See Other";
        case 307:
            return "Temporary Redirect";
        case 308:
            return "Permanent Redirect";
        case 400:
            return "Bad Request";
        case 401:
            return "Unauthorized";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 408:
            return "Request Timeout";
        case 409:
            return "Conflict";
        case 410:
            return "Gone";
        case 413:
            return "Content Too Large";
        case 414:
            return "URI Too Long";
        case 421:
            return "Misdirected Request";
        case 426:
            return "Upgrade Required";
        case 429:
            return "Too Many Requests";
        case 431:
            return "Request Header Fields Too Large";
        case 500:
            return "Internal Server Error";
        case 502:
            return "Bad Gateway";
        case 503:
            return "Service Unavailable";
        case 504:
            return "Gateway Timeout";
        case 505:
            return "HTTP Version Not Supported";
        default:
            return "Refused";
    }
}

namespace detail {

[[nodiscard]] inline bool has_prefix(std::string_view name, std::string_view prefix) noexcept {
    return iequals(name.substr(0, prefix.size()), prefix);
}

/// Whether the upgrade writes the field itself, or the field would change how the message is read.
[[nodiscard]] inline bool is_reserved(std::string_view name) noexcept {
    for (const std::string_view own : {"Connection", "Upgrade", "Content-Length", "Transfer-Encoding"})
        if (iequals(name, own)) return true;
    return has_prefix(name, "Sec-WebSocket-");
}

/// A field that can be written without becoming something else: no CR, LF, NUL, no odd name.
[[nodiscard]] inline bool is_writable(const header& field) noexcept {
    return is_token(field.name) && is_value(field.value);
}

inline void append_field(std::string& out, std::string_view name, std::string_view value) {
    out.append(name).append(": ").append(value).append("\r\n");
}

// Cuts at a boundary of UTF-8, so that the end of a body is never half of a character.
[[nodiscard]] inline std::string_view cut_body(std::string_view text) noexcept {
    if (text.size() <= max_refusal_body_bytes) return text;
    std::size_t n = max_refusal_body_bytes;
    while (n > 0 && (static_cast<unsigned char>(text[n]) & 0xc0) == 0x80)
        --n;
    return text.substr(0, n);
}

/// Appends a refusal. `without_body`: it answers HEAD, whose response has none. `date` is that of the message, empty where
/// nobody knows it; one in `extra` goes first.
[[nodiscard]] inline std::error_code write_refusal(byte_vector& out, unsigned status, std::string_view text,
                                                   std::span<const header> extra, bool without_body, std::string_view date = {}) {
    if (status < 300 || status > 599) return errc::invalid_argument;
    const auto body = cut_body(text.empty() ? reason_phrase(status) : text);
    std::string head = "HTTP/1.1 " + std::to_string(status) + " ";
    head.append(reason_phrase(status)).append("\r\n");
    append_field(head, "Connection", status == 426 ? "Upgrade, close" : "close");
    if (status == 426) {
        append_field(head, "Upgrade", "websocket");
        append_field(head, "Sec-WebSocket-Version", "13");
    }
    if (status == 405) append_field(head, "Allow", "GET");
    append_field(head, "Content-Type", "text/plain; charset=utf-8");
    append_field(head, "X-Content-Type-Options", "nosniff");
    append_field(head, "Content-Length", std::to_string(body.size()));
    for (const auto& field : extra) {
        if (!is_writable(field) || is_reserved(field.name) || iequals(field.name, "Content-Type"))
            return errc::invalid_argument;
        append_field(head, field.name, field.value);
        if (iequals(field.name, "Date")) date = {};
    }
    if (!date.empty()) append_field(head, "Date", date);
    head += "\r\n";
    if (!without_body) head += body;
    append(out, as_bytes(head));
    return {};
}

}  // namespace detail
}  // namespace hawser::inline v0::ws

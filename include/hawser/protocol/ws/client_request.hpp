// SPDX-License-Identifier: BSL-1.0
/// \file
/// The upgrade request that a client writes (RFC 6455 section 4.1).
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/core/errc.hpp>
#include <hawser/core/url.hpp>
#include <hawser/protocol/ws/base64.hpp>
#include <hawser/protocol/ws/upgrade_response.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace hawser::inline v0::ws::detail {

inline std::error_code bad_argument(std::string* why, std::string sentence) {
    if (why != nullptr) *why = std::move(sentence);
    return errc::invalid_argument;
}

// A `url` is a plain struct: its fields may have been set by hand since it was parsed.
[[nodiscard]] inline std::error_code check_url(const url& where, std::string* why) {
    if (where.scheme != "ws" && where.scheme != "wss" && where.scheme != "ws+unix")
        return bad_argument(why, "the scheme of the URL is ws, wss or ws+unix, not " + hawser::detail::quoted(where.scheme));
    if (where.port == 0) return bad_argument(why, "the port of the URL is 0; it is a number from 1 to 65535");
    if (where.ipv6_literal ? !hawser::detail::is_ipv6(where.host) : bool(hawser::detail::check_host(where.host)))
        return bad_argument(why, "the host of the URL is malformed: " + hawser::detail::quoted(where.host));
    if (where.target.size() > max_url_target_bytes)
        return bad_argument(why, "the path and query of the URL are too long");
    if (const auto fault = hawser::detail::check_target(where.target))
        return bad_argument(why, std::string("in the path or query of the URL the ") + fault.what + " " +
                                     hawser::detail::quoted(fault.part) + " " + fault.rule);
    return {};
}

[[nodiscard]] inline std::error_code check_subprotocols(std::span<const std::string> offered, const http_limits& limits,
                                                        std::string* why) {
    if (offered.size() > limits.max_list_elements)
        return bad_argument(why, "too many subprotocols; the limit is " + std::to_string(limits.max_list_elements));
    for (std::size_t i = 0; i < offered.size(); ++i) {
        if (!is_token(offered[i]))
            return bad_argument(why, "the subprotocol " + hawser::detail::quoted(offered[i]) +
                                         " is not a token: visible ASCII without spaces and delimiters");
        for (std::size_t j = 0; j < i; ++j)
            if (offered[i] == offered[j])
                return bad_argument(why, "the subprotocol " + hawser::detail::quoted(offered[i]) + " is offered twice");
    }
    return {};
}

// Values are never quoted: they are where credentials live.
[[nodiscard]] inline std::error_code check_header(const header& field, std::string* why) {
    const auto name = hawser::detail::quoted(field.name);
    if (!is_token(field.name))
        return bad_argument(why,
                            "the header name " + name + " is not a token: visible ASCII without spaces and delimiters");
    if (is_reserved(field.name) || iequals(field.name, "Host"))
        return bad_argument(why, "the header " + name + " is written by the upgrade itself and may not be set");
    if (!is_value(field.value))
        return bad_argument(why, "the value of the header " + name + " has a control byte such as CR, LF or NUL");
    return {};
}

/// Everything of the request but the key.
struct request_parts {
    const url& where;
    std::span<const std::string> subprotocols;
    std::string_view extensions;
    std::span<const header> headers;
};

[[nodiscard]] inline std::error_code check_parts(const request_parts& parts, const http_limits& limits,
                                                 std::string* why) {
    if (const auto ec = check_url(parts.where, why)) return ec;
    if (const auto ec = check_subprotocols(parts.subprotocols, limits, why)) return ec;
    if (parts.headers.size() > limits.max_headers)
        return bad_argument(why, "too many headers; the limit is " + std::to_string(limits.max_headers));
    for (const auto& field : parts.headers)
        if (const auto ec = check_header(field, why)) return ec;
    return {};
}

[[nodiscard]] inline std::string write_request(const request_parts& parts, std::string_view key) {
    std::string out = "GET " + parts.where.target + " HTTP/1.1\r\n";
    append_field(out, "Host", parts.where.authority());
    append_field(out, "Upgrade", "websocket");
    append_field(out, "Connection", "Upgrade");
    append_field(out, "Sec-WebSocket-Key", key);
    append_field(out, "Sec-WebSocket-Version", "13");
    std::string offered;
    for (const auto& subprotocol : parts.subprotocols)
        offered.append(offered.empty() ? "" : ", ").append(subprotocol);
    if (!offered.empty()) append_field(out, "Sec-WebSocket-Protocol", offered);
    if (!parts.extensions.empty()) append_field(out, "Sec-WebSocket-Extensions", parts.extensions);
    for (const auto& field : parts.headers)
        append_field(out, field.name, field.value);
    return out += "\r\n";
}

}  // namespace hawser::inline v0::ws::detail

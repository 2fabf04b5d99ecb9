// SPDX-License-Identifier: BSL-1.0
/// \file
/// The rules that a server applies to an upgrade request (RFC 6455 section 4.2.1).
#pragma once

#include <hawser/core/detail/uri_syntax.hpp>
#include <hawser/core/planted.hpp>
#include <hawser/protocol/ws/accept_key.hpp>
#include <hawser/protocol/ws/request_path.hpp>
#include <hawser/protocol/ws/upgrade_request.hpp>

#include <algorithm>
#include <string>
#include <string_view>

namespace hawser::inline v0::ws::detail {

[[nodiscard]] inline upgrade_failure bad_request(std::string_view text) noexcept {
    return {errc::bad_request, 400, text};
}

[[nodiscard]] inline upgrade_failure check_version(std::string_view version) noexcept {
    if (version == "HTTP/1.1") return {};
    const bool well_formed = version.size() == 8 && version.starts_with("HTTP/") && version[6] == '.' &&
                             hawser::detail::is_digit(version[5]) && hawser::detail::is_digit(version[7]);
    if (!well_formed) return bad_request("malformed request line");
    if (version == "HTTP/1.0") return bad_request("an upgrade needs HTTP/1.1");
    return {errc::bad_request, 505, "only HTTP/1.1 is supported"};
}

/// Splits `method SP target SP version` (RFC 9112 section 3) and checks method and version.
[[nodiscard]] inline upgrade_failure check_request_line(std::string_view line, const http_limits& limits,
                                                        std::string_view& target) noexcept {
    const auto first = line.find(' ');
    const auto method = line.substr(0, first);
    if (first == std::string_view::npos || !is_token(method)) return bad_request("malformed request line");
    const auto second = line.find(' ', first + 1);
    if (second == std::string_view::npos || second == first + 1) return bad_request("malformed request line");
    target = line.substr(first + 1, second - first - 1);
    if (const auto failure = check_version(line.substr(second + 1))) return failure;
    if (target.size() > limits.max_target) return {errc::target_too_long, 414, "the request target is too long"};
    if (method != "GET") return {errc::method_not_allowed, 405, "the method of an upgrade is GET"};
    return {};
}

// A field that two parsers could read differently when it is there twice is refused when it is.
[[nodiscard]] inline upgrade_failure check_singletons(const http_head& head) noexcept {
    for (const std::string_view name :
         {"Sec-WebSocket-Key", "Sec-WebSocket-Version", "Content-Length", "Origin", "Authorization"})
        if (head.count(name) > 1) return bad_request("a header field that may occur once occurs twice");
    return {};
}

[[nodiscard]] inline upgrade_failure check_host_field(upgrade_request& request) {
    const auto host = request.head.find("Host");
    if (!host) return bad_request("the Host header field is missing");
    const bool any = hawser::detail::planted(hawser::detail::bug::second_host_taken);
    if (request.head.count("Host") > 1 && !any) return bad_request("more than one Host header field");
    hawser::detail::authority_parts parts;
    if (hawser::detail::parse_authority(*host, parts)) return bad_request("malformed Host header field");
    request.host = *host;
    return {};
}

/// Origin-form, or absolute-form whose authority is that of Host (RFC 9112 section 3.2.2): a
/// request that names two hosts could be routed by one and authorised by the other.
[[nodiscard]] inline upgrade_failure check_request_target(std::string_view target, upgrade_request& request) {
    if (!target.starts_with('/')) {
        const auto scheme_end = target.find("://");
        const auto scheme = target.substr(0, scheme_end);
        if (scheme_end == std::string_view::npos ||
            !(iequals(scheme, "http") || iequals(scheme, "https") || iequals(scheme, "ws") || iequals(scheme, "wss")))
            return bad_request("the request target is not a path");
        target.remove_prefix(scheme_end + 3);
        const auto authority = target.substr(0, target.find_first_of("/?#"));
        if (!iequals(authority, request.host)) return bad_request("the request target and Host name different hosts");
        target.remove_prefix(authority.size());
        if (!target.starts_with('/')) request.target = "/";
    }
    request.target += target;
    if (hawser::detail::check_target(request.target, true)) return bad_request("malformed request target");
    if (is_hostile_path(request.path())) return bad_request("the path has a forbidden segment or byte");
    if (has_line_end(request.query())) return bad_request("the query has an end of line");
    return {};
}

[[nodiscard]] inline upgrade_failure check_no_body(const http_head& head) noexcept {
    constexpr upgrade_failure has_body{errc::body_not_allowed, 413, "an upgrade request has no body"};
    if (head.find("Transfer-Encoding")) return has_body;
    const auto length = head.find("Content-Length");
    if (!length) return {};
    if (length->empty() || !std::all_of(length->begin(), length->end(), hawser::detail::is_digit))
        return bad_request("malformed Content-Length header field");
    return length->find_first_not_of('0') == std::string_view::npos ? upgrade_failure{} : has_body;
}

/// Upgrade, Connection, version and key; on success `accept` is set for the response.
[[nodiscard]] inline upgrade_failure check_websocket(const http_head& head, std::string& accept) {
    constexpr upgrade_failure wants_upgrade{errc::upgrade_required, 426, "this is a WebSocket endpoint"};
    if (!head.has_token("Upgrade", "websocket")) return wants_upgrade;
    if (!head.has_token("Connection", "upgrade")) return bad_request("the Connection header field lacks \"upgrade\"");
    if (head.find("Sec-WebSocket-Version") != "13")
        return {errc::upgrade_required, 426, "only version 13 of the WebSocket protocol is supported"};
    const auto key = head.find("Sec-WebSocket-Key");
    if (!key) return bad_request("the Sec-WebSocket-Key header field is missing");
    byte_vector nonce;
    if (key->size() != 24 || !base64_decode(*key, nonce) || nonce.size() != 16)
        return bad_request("Sec-WebSocket-Key is not 16 bytes in base64");
    accept = accept_key(*key);
    return {};
}

[[nodiscard]] inline upgrade_failure check_offers(upgrade_request& request, const http_limits& limits) {
    auto& offered = request.subprotocols;
    for (const auto field : request.head) {
        if (!iequals(field.name, "Sec-WebSocket-Protocol")) continue;
        auto list = field.value;
        auto element = next_element(list);
        if (element.empty()) return bad_request("an empty Sec-WebSocket-Protocol header field");
        for (; !element.empty(); element = next_element(list)) {
            if (!is_token(element)) return bad_request("a subprotocol that is not a token");
            if (request.offers(element)) return bad_request("a subprotocol is offered twice");
            // Bounded also because the search for duplicates is quadratic.
            if (offered.size() == limits.max_list_elements) return bad_request("too many subprotocols");
            offered.emplace_back(element);
        }
    }
    request.extensions = request.head.joined("Sec-WebSocket-Extensions");
    if (!parse_extensions(request.extensions, request.extension_offers, limits.max_list_elements))
        return bad_request("malformed or too long Sec-WebSocket-Extensions header field");
    return {};
}

/// All rules in the order of the HTTP message. `request.head` is set, the rest is filled in.
[[nodiscard]] inline upgrade_failure check_request(upgrade_request& request, const http_limits& limits,
                                                   std::string& accept) {
    std::string_view target;
    if (const auto f = check_request_line(request.head.first_line(), limits, target)) return f;
    if (const auto f = check_singletons(request.head)) return f;
    if (const auto f = check_host_field(request)) return f;
    if (const auto f = check_request_target(target, request)) return f;
    if (const auto f = check_no_body(request.head)) return f;
    if (const auto f = check_websocket(request.head, accept)) return f;
    request.origin = request.head.find("Origin").value_or("");
    return check_offers(request, limits);
}

}  // namespace hawser::inline v0::ws::detail

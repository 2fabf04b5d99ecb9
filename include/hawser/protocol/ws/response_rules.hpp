// SPDX-License-Identifier: BSL-1.0
/// \file
/// The rules that a client applies to the answer to its upgrade request (RFC 6455 section 4.1).
#pragma once

#include <hawser/core/errc.hpp>
#include <hawser/core/time.hpp>
#include <hawser/protocol/ws/extension_list.hpp>
#include <hawser/protocol/ws/http.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace hawser::inline v0::ws::detail {

/// The status of `HTTP/1.1 SP 3DIGIT [SP reason]`, or 0 when the line is malformed. HTTP/1.0 is
/// taken for refusals only: proxies in front of a server that is down still answer so, and the
/// status tells whether to try again.
[[nodiscard]] inline unsigned parse_status_line(std::string_view line) noexcept {
    const bool old = line.starts_with("HTTP/1.0 ");
    if (!old && !line.starts_with("HTTP/1.1 ")) return 0;
    line.remove_prefix(9);
    if (line.size() < 3 || (line.size() > 3 && line[3] != ' ')) return 0;
    unsigned status = 0;
    for (const char c : line.substr(0, 3)) {
        if (!hawser::detail::is_digit(c)) return 0;
        status = status * 10 + static_cast<unsigned>(c - '0');
    }
    return status < (old ? 200u : 100u) || status > 599 ? 0 : status;
}

/// Retry-After in its form of delta-seconds (RFC 9110 section 10.2.3), at most 2^31 - 1. A date is
/// ignored: it would need a clock that agrees with the server's.
[[nodiscard]] inline std::optional<seconds> parse_retry_after(const http_head& head) noexcept {
    constexpr std::int64_t limit = 2147483647;
    const auto value = head.find("Retry-After");
    if (!value || value->empty() || head.count("Retry-After") > 1) return std::nullopt;
    std::int64_t total = 0;
    for (const char c : *value) {
        if (!hawser::detail::is_digit(c)) return std::nullopt;
        total = total * 10 + (c - '0');
        if (total > limit) total = limit;
    }
    return seconds(total);
}

/// The error of a response other than 101.
[[nodiscard]] inline errc refusal_of(unsigned status, const http_head& head) noexcept {
    if (status == 401 || status == 403) return errc::unauthorized;
    const bool redirect = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    return redirect && head.count("Location") == 1 ? errc::redirected : errc::refused;
}

/// Every token of Upgrade is "websocket" and there is one; Connection has "upgrade"; no body.
[[nodiscard]] inline bool switches_to_websocket(const http_head& head) noexcept {
    bool seen = false;
    for (const auto field : head) {
        if (iequals(field.name, "Transfer-Encoding")) return false;
        if (iequals(field.name, "Content-Length") && field.value != "0") return false;
        if (!iequals(field.name, "Upgrade")) continue;
        for (auto list = field.value; !list.empty(); seen = true)
            if (!iequals(next_element(list), "websocket")) return false;
    }
    return seen && head.has_token("Connection", "upgrade");
}

/// The subprotocol that the server chose; empty where it chose none. Returns false when it is not
/// exactly one of `offered` (case matters: RFC 6455 section 11.5).
[[nodiscard]] inline bool take_subprotocol(const http_head& head, std::span<const std::string> offered,
                                           std::string& out) {
    const auto chosen = head.find("Sec-WebSocket-Protocol");
    if (!chosen) return true;
    if (head.count("Sec-WebSocket-Protocol") > 1) return false;
    for (const auto& one : offered)
        if (one == *chosen) return out = one, true;
    return false;
}

/// The extensions that the server chose. Returns false when the list is malformed, repeats an
/// extension, or has one that is not among `offered`.
[[nodiscard]] inline bool take_extensions(const http_head& head, const std::vector<extension>& offered,
                                          std::vector<extension>& out, const http_limits& limits) {
    if (!parse_extensions(head.joined("Sec-WebSocket-Extensions"), out, limits.max_list_elements)) return false;
    for (std::size_t i = 0; i < out.size(); ++i) {
        if (!has_extension(offered, out[i].name)) return false;
        for (std::size_t j = 0; j < i; ++j)
            if (out[j].name == out[i].name) return false;
    }
    return true;
}

}  // namespace hawser::inline v0::ws::detail

// SPDX-License-Identifier: BSL-1.0
/// \file
/// A client's request to upgrade to WebSocket, as a server sees it after it was checked.
#pragma once

#include <hawser/core/errc.hpp>
#include <hawser/protocol/ws/extension_list.hpp>
#include <hawser/protocol/ws/http.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace hawser::inline v0::ws {

/// A valid upgrade request. Views it hands out live as long as it does, unmoved.
struct upgrade_request {
    std::string target;                       ///< origin-form: path and query as sent, not decoded
    std::string host;                         ///< value of Host: name or address, perhaps a port
    std::string origin;                       ///< value of Origin; empty where there is none
    std::vector<std::string> subprotocols;    ///< in the client's order of preference, no duplicates
    std::string extensions;                   ///< all Sec-WebSocket-Extensions lines, joined by ", "
    std::vector<extension> extension_offers;  ///< the same, parsed
    http_head head;                           ///< every field; iterable as `header_view`

    /// The target before '?', not decoded. No segment of it decodes to "..", no byte to a control.
    [[nodiscard]] std::string_view path() const noexcept {
        return std::string_view(target).substr(0, target.find('?'));
    }
    /// The target behind the first '?', not decoded; empty where there is none. No byte of it decodes to an end of line.
    [[nodiscard]] std::string_view query() const noexcept {
        const auto mark = target.find('?');
        return mark == std::string::npos ? std::string_view{} : std::string_view(target).substr(mark + 1);
    }
    /// The value of the first field called `name`, in any case.
    [[nodiscard]] std::optional<std::string_view> find_header(std::string_view name) const noexcept {
        return head.find(name);
    }
    [[nodiscard]] bool offers(std::string_view subprotocol) const noexcept {
        for (const auto& offered : subprotocols)
            if (offered == subprotocol) return true;
        return false;
    }
};

/// Whether `text` can be the value of Origin: "null", or a scheme, "://" and an authority (RFC 6454 section 7).
[[nodiscard]] inline bool is_origin(std::string_view text) noexcept {
    const auto end = text.find("://");
    if (end == std::string_view::npos) return text == "null";
    hawser::detail::authority_parts parts;
    return is_token(text.substr(0, end)) && !hawser::detail::parse_authority(text.substr(end + 3), parts);
}

/// Why an upgrade request is refused, and the HTTP status that says so.
struct upgrade_failure {
    errc code{};
    unsigned http_status = 0;  ///< 0: no failure
    std::string_view text;     ///< static text, for the body of the response and for logs

    explicit operator bool() const noexcept { return http_status != 0; }
    [[nodiscard]] std::error_code error() const noexcept {
        return http_status == 0 ? std::error_code{} : make_error_code(code);
    }
};

}  // namespace hawser::inline v0::ws

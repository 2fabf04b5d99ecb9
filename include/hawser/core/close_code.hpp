// SPDX-License-Identifier: BSL-1.0
/// \file
/// WebSocket close codes: RFC 6455 section 7.4 and the 4xxx codes of hawser.v1.
#pragma once

#include <hawser/core/config.hpp>

#include <cstdint>
#include <string>

namespace hawser::inline v0 {

/// Close codes. Any 16-bit value may be held; the numbers of the named ones are stable.
enum class close_code : std::uint16_t {
    none = 0,  ///< no close frame yet

    normal = 1000,
    going_away = 1001,
    protocol_error = 1002,
    unsupported_data = 1003,
    no_status = 1005,         ///< local only: a close frame without a code
    abnormal = 1006,          ///< local only: the connection ended without a close frame
    invalid_payload = 1007,
    policy_violation = 1008,
    message_too_big = 1009,
    mandatory_extension = 1010,
    internal_error = 1011,
    service_restart = 1012,
    try_again_later = 1013,
    bad_gateway = 1014,
    tls_handshake = 1015,     ///< local only

    // hawser.v1: after each of these the session may be resumed.
    superseded = 4000,        ///< a newer connection attached to the session
    stale_resume = 4001,      ///< the RESUME carried an attempt number already seen
    sequence_gap = 4002,      ///< a sequence number was skipped; resume to repair
    bad_checksum = 4003,      ///< a frame was damaged on its way; resume to repair
    attach_timeout = 4004,    ///< HELLO or RESUME, or its confirmation, did not arrive in time
    session_expired = 4005,   ///< the session this connection belonged to has ended
    version_mismatch = 4006,  ///< no version of hawser in common
};

/// Whether `code` may stand in a close frame on the wire (RFC 6455 section 7.4.1, 7.4.2
/// and the IANA registry).
[[nodiscard]] constexpr bool is_sendable(close_code code) noexcept {
    const auto c = static_cast<std::uint16_t>(code);
    if (c >= 3000 && c <= 4999) return true;
    return (c >= 1000 && c <= 1003) || (c >= 1007 && c <= 1014);
}

/// How a connection ended.
struct close_info {
    close_code code = close_code::none;  ///< the peer's code, or 1005/1006 where there is none
    std::string reason{};                  ///< the peer's reason, at most 123 bytes of UTF-8
    bool remote = false;                 ///< the peer closed first
};

}  // namespace hawser::inline v0

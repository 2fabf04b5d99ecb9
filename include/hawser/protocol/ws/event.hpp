// SPDX-License-Identifier: BSL-1.0
/// \file
/// What a reader or an endpoint has found in the bytes of the peer.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/core/close_code.hpp>
#include <hawser/core/errc.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace hawser::inline v0 {
namespace ws {

enum class event_kind : std::uint8_t {
    need_more,  ///< nothing complete is left; the chunk may be reused
    message,    ///< a whole text or binary message
    piece,      ///< a part of one, in order, where `reader::hand_out_pieces` asked for it
    ping,       ///< a ping; an endpoint has noted it for its pong already
    pong,       ///< a pong, asked for or not
    close,      ///< the peer's close frame; nothing follows
    error,      ///< the peer broke a rule, or memory ran out; nothing follows
};

/// One event. `payload` is valid until the next call on the object that returned it.
struct event {
    event_kind kind = event_kind::need_more;
    bool text = false;                   ///< message, piece: text, and otherwise binary
    bool last = false;                   ///< piece: it ends the message
    std::uint8_t rsv = 0;                ///< message, piece: the reserved bits of its first frame
    bool remote = false;                 ///< close: the peer closed first (set by an endpoint)
    close_code code = close_code::none;  ///< close: the peer's, or 1005; error: the one to close with
    hawser::errc error{};                ///< error: the rule that was broken
    std::uint64_t offset = 0;            ///< piece: of its first byte in the message
    byte_view payload{};                 ///< message, piece, ping, pong; close: the reason

    /// close: the peer's reason, at most 123 bytes of valid UTF-8.
    [[nodiscard]] std::string_view reason() const noexcept { return as_text(payload); }
    /// close: an owned copy of what the peer said. Allocates where the reason is long.
    [[nodiscard]] close_info info() const { return {code, std::string(reason()), remote}; }
};

/// The close code that answers a violation which a reader reports.
[[nodiscard]] constexpr close_code close_code_of(errc error) noexcept {
    switch (error) {
        case errc::invalid_utf8:
        case errc::bad_compression:
            return close_code::invalid_payload;
        case errc::message_too_big:
            return close_code::message_too_big;
        case errc::control_flood:
        case errc::message_timeout:
            return close_code::policy_violation;
        case errc::out_of_memory:
            return close_code::internal_error;
        default:
            return close_code::protocol_error;
    }
}

}  // namespace ws
}  // namespace hawser::inline v0

// SPDX-License-Identifier: BSL-1.0
/// \file
/// What a session endpoint asks its shell to do, and to write.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/core/close_code.hpp>
#include <hawser/core/errc.hpp>
#include <hawser/core/message.hpp>
#include <hawser/core/message_id.hpp>
#include <hawser/core/time.hpp>

#include <cstdint>
#include <string_view>
#include <system_error>

namespace hawser::inline v0 {
namespace session {

/// What the shell has to do after a frame. Views point into the frame.
struct action {
    enum class kind : std::uint8_t {
        none,
        deliver,      ///< a message of the application: payload, text, seq, id, key
        datagram,     ///< an unnumbered message: payload, text
        established,  ///< a new session; messages may flow
        resumed,      ///< the session goes on
        epoch_lost,   ///< it cannot be resumed; outcomes are known, a HELLO follows on this link
        pong,         ///< the peer answered a ping
        goaway,       ///< the server asks to go at a moment: delay, key is the target, or empty
        close_link,   ///< close the link with `code`, because of `error`; the session stays
        end_session,  ///< as close_link, and the session is over: call `end_epoch`
    };
    kind what = kind::none;
    bool text = false;
    bool transfer = false;  ///< the message belongs to a transfer
    byte_view payload;
    std::uint64_t seq = 0;
    message_id id;
    std::string_view key;
    std::error_code error;
    close_code code = close_code::none;
    milliseconds delay{0};
};

/// The next frame to write: `head` followed by `payload`.
struct outgoing_frame {
    byte_view head;
    byte_view payload;
    const message* body = nullptr;  ///< whose bytes are the payload, or a part of which is
    bool again = false;             ///< the message was written before, on an earlier link
    bool more = false;              ///< a part, and not the last

    /// The payload is all of the message, which may be written from where it is.
    [[nodiscard]] bool is_whole() const noexcept { return body && payload.size() == body->size(); }
};

}  // namespace session
}  // namespace hawser::inline v0

// SPDX-License-Identifier: BSL-1.0
/// \file
/// Sec-WebSocket-Accept from Sec-WebSocket-Key (RFC 6455 section 4.2.2).
#pragma once

#include <hawser/protocol/ws/base64.hpp>
#include <hawser/protocol/ws/sha1.hpp>

#include <string>
#include <string_view>

namespace hawser::inline v0::ws {

/// The value of Sec-WebSocket-Accept that answers `key`, the value of Sec-WebSocket-Key as sent.
[[nodiscard]] inline std::string accept_key(std::string_view key) {
    std::string text(key);
    text += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    return base64_encode(sha1(as_bytes(text)));
}

}  // namespace hawser::inline v0::ws

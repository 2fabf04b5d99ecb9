// SPDX-License-Identifier: BSL-1.0
/// \file
/// Opcodes of RFC 6455 section 5.2, and the role of this side.
#pragma once

#include <hawser/core/config.hpp>

#include <cstdint>

namespace hawser::inline v0 {
namespace ws {

/// The opcode of a frame. A decoded header may hold any 4-bit value.
enum class opcode : std::uint8_t {
    continuation = 0,
    text = 1,
    binary = 2,
    close = 8,
    ping = 9,
    pong = 10,
};

/// The role of this side of the connection: a client masks what it sends and takes unmasked
/// frames, a server does the opposite (RFC 6455 section 5.1).
enum class role : std::uint8_t { client, server };

/// Opcodes 8 to 15: at most 125 bytes, never fragmented (RFC 6455 section 5.5).
[[nodiscard]] constexpr bool is_control(opcode op) noexcept { return (static_cast<unsigned>(op) & 8u) != 0; }
/// Whether RFC 6455 gives `op` a meaning; the others are reserved.
[[nodiscard]] constexpr bool is_known(opcode op) noexcept {
    return op <= opcode::binary || (op >= opcode::close && op <= opcode::pong);
}

}  // namespace ws
}  // namespace hawser::inline v0

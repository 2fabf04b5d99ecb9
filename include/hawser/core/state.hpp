// SPDX-License-Identifier: BSL-1.0
/// \file
/// The state of a socket, and what is told when it changes.
#pragma once

#include <hawser/core/close_code.hpp>
#include <hawser/core/time.hpp>

#include <cstdint>
#include <string>
#include <system_error>

namespace hawser::inline v0 {

/// State of a `resilient_socket`. `closed` and `failed` are final.
enum class connection_state : std::uint8_t {
    idle,        ///< `connect` was not called yet
    connecting,  ///< an attempt is under way
    open,        ///< messages flow
    waiting,     ///< the dialling side waits for its next attempt
    detached,    ///< the accepting side waits for its peer to resume, for `session_ttl`
    closing,     ///< `close` was called
    closed,      ///< ended in order
    failed,      ///< ended by an error that no retry can mend
};

/// The name of the enumerator; "?" for another value.
[[nodiscard]] constexpr const char* to_string(connection_state s) noexcept {
    switch (s) {
    case connection_state::idle: return "idle";
    case connection_state::connecting: return "connecting";
    case connection_state::open: return "open";
    case connection_state::waiting: return "waiting";
    case connection_state::detached: return "detached";
    case connection_state::closing: return "closing";
    case connection_state::closed: return "closed";
    case connection_state::failed: return "failed";
    }
    return "?";
}

/// Told to `on_state`.
struct state_change {
    connection_state from = connection_state::idle;  ///< the state left
    connection_state to = connection_state::idle;    ///< the state entered
    std::error_code reason{};        ///< why a link was left; none for a wanted change
    close_info close{};              ///< how the last connection ended, where one ended
    bool resumed = false;          ///< `open`: an earlier session goes on
    bool session = false;          ///< `open`: hawser.v1 is spoken, not plain WebSocket
    std::uint64_t attempt = 0;     ///< attempts since the last success
    duration retry_in{};           ///< `waiting`: time until the next attempt
    unsigned http_status = 0;      ///< of the last attempt, where its upgrade was refused
    std::string refusal{};         ///< beginning of that answer's body, any bytes
};

}  // namespace hawser::inline v0

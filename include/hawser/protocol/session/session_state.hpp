// SPDX-License-Identifier: BSL-1.0
/// \file
/// What a session is besides its positions and messages, as bytes for a store.
#pragma once

#include <hawser/protocol/session/frame.hpp>
#include <hawser/protocol/session/sha256.hpp>
#include <hawser/protocol/session/varint.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace hawser::inline v0 {
namespace session {

/// What only the server knows of a session: who may resume it.
struct server_facts {
    token_hash current{};
    token_hash previous{};
    bool has_previous = false;
    std::uint64_t generation = 1;
    std::uint64_t highest_attempt = 0;
    std::string principal{};
    friend bool operator==(const server_facts&, const server_facts&) = default;
};

struct session_state {
    origin_id origin{};       ///< of the messages sent from here
    origin_id peer_origin{};
    std::uint64_t id_base = 0;
    std::uint64_t peer_id_base = 0;
    std::uint64_t features = 0;
    std::uint64_t peer_max_message = 0;
    bool peer_durable = false;     ///< the peer's store survives its process
    bool peer_dedup_kept = false;  ///< as the server told in WELCOME
    resume_token token{};     ///< client
    server_facts server{};    ///< server
    friend bool operator==(const session_state&, const session_state&) = default;
};

inline constexpr std::uint8_t session_state_format = 1;

/// Throws std::bad_alloc.
[[nodiscard]] inline std::string encode(const session_state& s) {
    byte_vector out;
    out.push_back(static_cast<std::byte>(session_state_format));
    out.push_back(static_cast<std::byte>((s.peer_durable ? 1U : 0U) | (s.peer_dedup_kept ? 2U : 0U) |
                                         (s.server.has_previous ? 4U : 0U)));
    append(out, s.origin);
    append(out, s.peer_origin);
    append(out, s.token);
    append(out, s.server.current);
    append(out, s.server.previous);
    for (const std::uint64_t v : {s.id_base, s.peer_id_base, s.features, s.peer_max_message, s.server.generation,
                                  s.server.highest_attempt})
        put_varint(out, v);
    append(out, as_bytes(s.server.principal));
    return std::string(as_text(out));
}

/// False if the bytes are not of this format.
[[nodiscard]] inline bool decode(std::string_view bytes, session_state& s) {
    cursor in(as_bytes(bytes));
    if (in.u8() != session_state_format) return false;
    const unsigned bits = in.u8();
    s.peer_durable = (bits & 1) != 0;
    s.peer_dedup_kept = (bits & 2) != 0;
    s.server.has_previous = (bits & 4) != 0;
    in.copy(s.origin);
    in.copy(s.peer_origin);
    in.copy(s.token);
    in.copy(s.server.current);
    in.copy(s.server.previous);
    for (std::uint64_t* v : {&s.id_base, &s.peer_id_base, &s.features, &s.peer_max_message, &s.server.generation,
                             &s.server.highest_attempt})
        *v = in.varint();
    s.server.principal = as_text(in.rest());
    return in.ok();
}

}  // namespace session
}  // namespace hawser::inline v0

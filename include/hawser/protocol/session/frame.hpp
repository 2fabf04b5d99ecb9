// SPDX-License-Identifier: BSL-1.0
/// \file
/// The frames of hawser.v1 as values; docs/protocol.md specifies every byte. One frame is the
/// payload of one binary WebSocket message. See encode.hpp, decode.hpp and checksum.hpp.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/core/planted.hpp>
#include <hawser/protocol/session/exceptions.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace hawser::inline v0 {
namespace session {

using hawser::detail::bug;

inline constexpr std::string_view subprotocol = "hawser.v1";
inline constexpr std::uint8_t version = 1;
/// Sequence numbers end here; the session ends before it is reached.
inline constexpr std::uint64_t max_seq = std::uint64_t{1} << 63;
inline constexpr std::size_t max_key_size = 255;
/// What DATA and DATAGRAM may have before their payload: envelope, extensions and fields.
inline constexpr std::size_t max_data_head_size = 512;
/// A frame without a payload that is longer than this is malformed.
inline constexpr std::size_t max_control_size = 4096;

using origin_id = std::array<std::byte, 16>;
using epoch_id = std::array<std::byte, 16>;
using resume_token = std::array<std::byte, 32>;

enum class frame_type : std::uint8_t {
    hello = 1,
    welcome = 2,
    resume = 3,
    resumed = 4,
    resume_failed = 5,
    data = 6,
    ack = 7,
    ping = 8,
    pong = 9,
    datagram = 10,
    goaway = 11,
};
/// Types from here on are skipped by a receiver that does not know them.
inline constexpr std::uint8_t first_skippable_type = 64;

/// Flags. 0x01 and 0x80 mean the same in every frame, the others depend on the type.
namespace flag {
inline constexpr std::uint8_t extensions = 0x01;
inline constexpr std::uint8_t checksum = 0x80;
inline constexpr std::uint8_t durable = 0x02;       // hello, welcome
inline constexpr std::uint8_t dedup_kept = 0x04;    // welcome
inline constexpr std::uint8_t has_position = 0x02;  // resume_failed
inline constexpr std::uint8_t text = 0x02;          // data, datagram
inline constexpr std::uint8_t more = 0x04;          // data: not the last part
inline constexpr std::uint8_t ack_now = 0x08;       // data
inline constexpr std::uint8_t has_ack = 0x10;       // data
inline constexpr std::uint8_t last_part = 0x20;     // data
}  // namespace flag

/// Feature bits of HELLO and WELCOME.
namespace feature {
inline constexpr std::uint64_t checksum = 1;
inline constexpr std::uint64_t exceptions = 2;  ///< duplicate and rejected messages are named
inline constexpr std::uint64_t parts = 4;       ///< a message may come in several frames
inline constexpr std::uint64_t goaway = 8;      ///< the client knows GOAWAY
inline constexpr std::uint64_t transfers = 32;
inline constexpr std::uint64_t all = checksum | exceptions | parts | goaway;
}  // namespace feature

/// Why a RESUME was refused. A client needs only the position; the reason is for people.
enum class resume_failure : std::uint8_t {
    unknown = 1,    ///< the token is not known here
    not_here = 2,   ///< reserved: another node may know it
    ended = 3,      ///< the session is over
    epoch = 4,      ///< the token belongs to another epoch
    regressed = 5,  ///< one side went back behind what it had said before
    lost = 6,       ///< one side no longer has what the other still needs
};

/// Why a server asks its clients to go; for people.
enum class goaway_reason : std::uint8_t {
    restart = 1,   ///< it will be back
    moved = 2,     ///< another one takes over
    overload = 3,  ///< it has too much to do
};
inline constexpr std::size_t max_target_size = 2048;

/// Extension ids. On the wire the lowest bit says "critical", the id is above it.
inline constexpr std::uint64_t extension_key = 1;  ///< idempotency key, on data
inline constexpr std::uint64_t extension_transfer = 8;  ///< on data, critical, empty: the message belongs to a transfer
inline constexpr std::uint64_t extension_exceptions = 2;  ///< critical; wherever a position is told, but on data
inline constexpr std::uint64_t extension_known = 3;       ///< position known to the sender's outbox, on ping and pong

/// Body of ACK, PING and PONG, and part of DATA.
struct ack_fields {
    std::uint64_t accepted = 0;
    std::uint64_t credit_messages = 0;  ///< highest sequence number the peer may send
    std::uint64_t credit_bytes = 0;     ///< payload bytes since number 1 the peer may send
    exception_view exceptions{};        ///< up to `accepted`; not on data
    std::uint64_t known = 0;            ///< ping, pong: what was acknowledged to the sender; 0: not told
    friend bool operator==(const ack_fields&, const ack_fields&) = default;
};
struct hello {
    std::uint8_t version_min = version, version_max = version;
    std::uint64_t features = 0, max_message_size = 0, credit_messages = 0, credit_bytes = 0;
    origin_id origin{};
    std::uint64_t id_base = 0;
    bool durable = false;
    friend bool operator==(const hello&, const hello&) = default;
};
struct welcome {
    std::uint8_t version = session::version;
    std::uint64_t features = 0, max_message_size = 0, credit_messages = 0, credit_bytes = 0;
    epoch_id epoch{};
    resume_token token{};
    origin_id origin{};
    std::uint64_t id_base = 0, session_ttl_ms = 0;
    bool durable = false, dedup_kept = false;
    friend bool operator==(const welcome&, const welcome&) = default;
};
struct resume {
    std::uint8_t version = session::version;
    resume_token token{};
    epoch_id epoch{};
    std::uint64_t attempt = 0, accepted = 0, first_retained = 0, next_seq = 0;
    exception_view exceptions{};
    friend bool operator==(const resume&, const resume&) = default;
};
struct resumed {
    std::uint64_t accepted = 0, first_retained = 0, next_seq = 0;
    resume_token token{};
    std::uint64_t credit_messages = 0, credit_bytes = 0;
    exception_view exceptions{};
    friend bool operator==(const resumed&, const resumed&) = default;
};
struct resume_failed {
    resume_failure reason = resume_failure::unknown;
    bool has_position = false;
    std::uint64_t accepted = 0;
    exception_view exceptions{};
    friend bool operator==(const resume_failed&, const resume_failed&) = default;
};
/// The server will go. `target`: where to connect then; empty: to the same URL.
struct goaway {
    goaway_reason reason = goaway_reason::restart;
    std::uint64_t delay_ms = 0;   ///< the client's own moment, from now
    std::uint64_t window_ms = 0;  ///< after which no client is left
    std::string_view target;
    friend bool operator==(const goaway&, const goaway&) = default;
};
/// Everything of DATA but its payload.
struct data {
    std::uint64_t seq = 0;
    std::int64_t id_delta = 0;  ///< message counter minus seq minus the sender's id_base, modulo 2^64
    bool text = false, ack_now = false, has_ack = false;
    ack_fields ack;
    std::string_view key;
    bool transfer = false;  ///< part of a transfer: not for the application
    bool more = false, last_part = false;  ///< a part; it has no number before the last, but where it is sent again
    std::uint64_t offset = 0;              ///< of a part: bytes of the message before it
    friend bool operator==(const data&, const data&) = default;
};

/// A decoded envelope: the parts all frames have in common. Views point into the input.
struct envelope {
    frame_type type{};
    std::uint8_t flags = 0;
    byte_view body;        ///< after extensions
    std::string_view key;  ///< extension_key, if present
    bool transfer = false;  ///< extension_transfer is present
    exception_view exceptions;
    std::uint64_t known = 0;
    std::size_t body_offset = 0;

    [[nodiscard]] bool has(std::uint8_t bit) const noexcept { return (flags & bit) != 0; }
};

/// Whether the tail of a frame of this type is the application's.
[[nodiscard]] constexpr bool carries_payload(frame_type t) noexcept {
    return t == frame_type::data || t == frame_type::datagram;
}
/// Whether these flags of DATA announce a whole message without extensions.
[[nodiscard]] constexpr bool is_simple_data(unsigned flags) noexcept {
    return (flags & (flag::extensions | flag::more | flag::last_part)) == 0;
}
/// Whether a frame of this type tells a position, and what it covers that was not simply accepted.
[[nodiscard]] constexpr bool tells_exceptions(frame_type t) noexcept {
    return (t >= frame_type::resume && t <= frame_type::resume_failed) ||
           (t >= frame_type::ack && t <= frame_type::pong);
}
/// The flags that have a meaning in a frame of this type.
[[nodiscard]] constexpr std::uint8_t known_flags(frame_type t) noexcept {
    constexpr unsigned common = flag::extensions | flag::checksum;
    switch (t) {
    case frame_type::hello: return common | flag::durable;
    case frame_type::welcome: return common | flag::durable | flag::dedup_kept;
    case frame_type::resume_failed: return common | flag::has_position;
    case frame_type::data:
        return common | flag::text | flag::more | flag::ack_now | flag::has_ack | flag::last_part;
    case frame_type::datagram: return common | flag::text;
    default: return static_cast<std::uint8_t>(t) >= first_skippable_type ? 0xff : common;
    }
}

}  // namespace session
}  // namespace hawser::inline v0

// SPDX-License-Identifier: BSL-1.0
/// \file
/// The frames of hawser.v1 and their encoding; docs/protocol.md specifies every byte.
/// One frame is the payload of one binary WebSocket message.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/core/errc.hpp>
#include <hawser/core/xxh3.hpp>
#include <hawser/protocol/session/varint.hpp>

#include <array>
#include <cstdint>
#include <string_view>

namespace hawser::inline v0 {
namespace session {

inline constexpr std::string_view subprotocol = "hawser.v1";
inline constexpr std::uint8_t version = 1;
/// Sequence numbers end here; the session ends before it is reached.
inline constexpr std::uint64_t max_seq = std::uint64_t{1} << 63;
inline constexpr std::size_t max_key_size = 255;
/// Head of the longest DATA: type, flags, checksum, key, acknowledgement, number, id.
inline constexpr std::size_t max_data_head_size = 512;
/// A control frame longer than this is malformed.
inline constexpr std::size_t max_control_size = 4096;

using origin_id = std::array<std::byte, 16>;
using epoch_id = std::array<std::byte, 16>;
using resume_token = std::array<std::byte, 32>;

enum class frame_type : std::uint8_t {
    hello = 1, welcome = 2, resume = 3, resumed = 4, resume_failed = 5,
    data = 6, ack = 7, ping = 8, pong = 9, datagram = 10, goaway = 11,
};
/// Types from here on may be skipped by a receiver that does not know them.
inline constexpr std::uint8_t first_skippable_type = 64;

/// Flags. 0x01 and 0x80 mean the same in every frame, the others depend on the type.
namespace flag {
inline constexpr std::uint8_t extensions = 0x01;
inline constexpr std::uint8_t checksum = 0x80;
inline constexpr std::uint8_t durable = 0x02;        // hello, welcome
inline constexpr std::uint8_t dedup_kept = 0x04;     // welcome
inline constexpr std::uint8_t has_position = 0x02;   // resume_failed
inline constexpr std::uint8_t text = 0x02;           // data, datagram
inline constexpr std::uint8_t more = 0x04;           // data, reserved
inline constexpr std::uint8_t ack_now = 0x08;        // data
inline constexpr std::uint8_t has_ack = 0x10;        // data
}  // namespace flag

/// Feature bits of HELLO and WELCOME.
namespace feature {
inline constexpr std::uint64_t checksum = 1;
}

enum class resume_failure : std::uint8_t { unknown = 1, not_here = 2, ended = 3, epoch = 4, regressed = 5, lost = 6 };

/// Extension ids. The lowest bit of the encoded id says "critical".
inline constexpr std::uint64_t extension_key = 1;  ///< idempotency key, on data

struct ack_fields {
    std::uint64_t accepted = 0;
    std::uint64_t credit_messages = 0;  ///< highest sequence number the peer may send
    std::uint64_t credit_bytes = 0;     ///< payload bytes since number 1 the peer may send
    friend bool operator==(const ack_fields&, const ack_fields&) = default;
};
struct hello {
    std::uint8_t version_min = version, version_max = version;
    std::uint64_t features = 0, max_message_size = 0, credit_messages = 0, credit_bytes = 0;
    origin_id origin{};
    std::uint64_t id_base = 0;
    bool durable = false;
};
struct welcome {
    std::uint8_t version = session::version;
    std::uint64_t features = 0, max_message_size = 0, credit_messages = 0, credit_bytes = 0;
    epoch_id epoch{};
    resume_token token{};
    origin_id origin{};
    std::uint64_t id_base = 0, session_ttl_ms = 0;
    bool durable = false, dedup_kept = false;
};
struct resume {
    std::uint8_t version = session::version;
    resume_token token{};
    epoch_id epoch{};
    std::uint64_t attempt = 0, accepted = 0, first_retained = 0, next_seq = 0;
};
struct resumed {
    std::uint64_t accepted = 0, first_retained = 0, next_seq = 0;
    resume_token token{};
    std::uint64_t credit_messages = 0, credit_bytes = 0;
};
struct resume_failed {
    resume_failure reason = resume_failure::unknown;
    bool has_position = false;
    std::uint64_t accepted = 0;
};
/// Everything of DATA but its payload.
struct data {
    std::uint64_t seq = 0;
    std::int64_t id_delta = 0;  ///< message counter minus seq minus the sender's id_base
    bool text = false, ack_now = false, has_ack = false;
    ack_fields ack;
    std::string_view key;
};

/// A decoded envelope: the parts all frames have in common. Views point into the input.
struct envelope {
    frame_type type{};
    std::uint8_t flags = 0;
    byte_view body;        ///< after extensions
    std::string_view key;  ///< extension_key, if present
    std::size_t body_offset = 0;

    [[nodiscard]] bool has(std::uint8_t bit) const noexcept { return (flags & bit) != 0; }
};

// ---- encoding -------------------------------------------------------------------------

namespace detail {

/// The checksum covers the frame without the checksum's own four bytes: `head` is everything
/// before the payload, `payload` is what the application sent (DATA and DATAGRAM only).
[[nodiscard]] inline std::uint32_t checksum(std::uint8_t type, std::uint8_t flags, byte_view head_rest,
                                            byte_view payload, bool has_payload) {
    // Type and flags are mixed in as a number, so that the head can be hashed where it lies.
    std::uint64_t h = xxh3_64(head_rest) ^ (std::uint64_t{type} << 8 | flags) * 0x9E3779B97F4A7C15ULL;
    if (has_payload) h ^= xxh3_64(payload) >> 32;
    return static_cast<std::uint32_t>(h ^ (h >> 29));
}

inline constexpr std::size_t checksum_offset = 2;
inline constexpr std::size_t checksum_size = 4;

inline void begin(byte_vector& out, frame_type type, std::uint8_t flags) {
    out.clear();
    out.push_back(static_cast<std::byte>(type));
    out.push_back(static_cast<std::byte>(flags));
    if (flags & flag::checksum) out.resize(checksum_offset + checksum_size);
}
inline void finish(byte_vector& out, byte_view payload, bool has_payload) {
    const auto flags = static_cast<std::uint8_t>(out[1]);
    if ((flags & flag::checksum) == 0) return;
    const auto sum = checksum(static_cast<std::uint8_t>(out[0]), flags,
                              byte_view(out).subspan(checksum_offset + checksum_size), payload, has_payload);
    store_le<std::uint32_t>(out.data() + checksum_offset, sum);
}
inline void put_ack(byte_vector& out, const ack_fields& a) {
    put_varint(out, a.accepted);
    put_varint(out, a.credit_messages);
    put_varint(out, a.credit_bytes);
}
[[nodiscard]] constexpr std::uint8_t sum_flag(bool checksum) noexcept {
    return checksum ? flag::checksum : std::uint8_t{0};
}
[[nodiscard]] constexpr std::uint8_t bit_if(bool on, std::uint8_t bit) noexcept { return on ? bit : std::uint8_t{0}; }
[[nodiscard]] constexpr std::uint8_t bits(std::uint8_t a, std::uint8_t b) noexcept {
    return static_cast<std::uint8_t>(a | b);
}
[[nodiscard]] constexpr bool carries_payload(frame_type t) noexcept {
    return t == frame_type::data || t == frame_type::datagram;
}

}  // namespace detail

// Each function replaces `out` by the encoded frame. With `sum` a checksum is included.

inline void encode(byte_vector& out, const hello& f, bool sum) {
    using namespace detail;
    begin(out, frame_type::hello, bits(sum_flag(sum), bit_if(f.durable, flag::durable)));
    out.push_back(static_cast<std::byte>(f.version_min));
    out.push_back(static_cast<std::byte>(f.version_max));
    for (const auto v : {f.features, f.max_message_size, f.credit_messages, f.credit_bytes}) put_varint(out, v);
    append(out, f.origin);
    put_varint(out, f.id_base);
    finish(out, {}, false);
}
inline void encode(byte_vector& out, const welcome& f, bool sum) {
    using namespace detail;
    begin(out, frame_type::welcome,
          bits(sum_flag(sum), bits(bit_if(f.durable, flag::durable), bit_if(f.dedup_kept, flag::dedup_kept))));
    out.push_back(static_cast<std::byte>(f.version));
    for (const auto v : {f.features, f.max_message_size, f.credit_messages, f.credit_bytes}) put_varint(out, v);
    append(out, f.epoch);
    append(out, f.token);
    append(out, f.origin);
    put_varint(out, f.id_base);
    put_varint(out, f.session_ttl_ms);
    finish(out, {}, false);
}
inline void encode(byte_vector& out, const resume& f, bool sum) {
    using namespace detail;
    begin(out, frame_type::resume, sum_flag(sum));
    out.push_back(static_cast<std::byte>(f.version));
    append(out, f.token);
    append(out, f.epoch);
    for (const auto v : {f.attempt, f.accepted, f.first_retained, f.next_seq}) put_varint(out, v);
    finish(out, {}, false);
}
inline void encode(byte_vector& out, const resumed& f, bool sum) {
    using namespace detail;
    begin(out, frame_type::resumed, sum_flag(sum));
    for (const auto v : {f.accepted, f.first_retained, f.next_seq}) put_varint(out, v);
    append(out, f.token);
    put_varint(out, f.credit_messages);
    put_varint(out, f.credit_bytes);
    finish(out, {}, false);
}
inline void encode(byte_vector& out, const resume_failed& f, bool sum) {
    using namespace detail;
    begin(out, frame_type::resume_failed, bits(sum_flag(sum), bit_if(f.has_position, flag::has_position)));
    out.push_back(static_cast<std::byte>(f.reason));
    if (f.has_position) put_varint(out, f.accepted);
    finish(out, {}, false);
}
/// ACK, PING and PONG have the same body.
inline void encode(byte_vector& out, frame_type type, const ack_fields& f, bool sum) {
    using namespace detail;
    begin(out, type, sum_flag(sum));
    put_ack(out, f);
    finish(out, {}, false);
}
/// The head of DATA; the payload follows it directly on the wire. `f.key` is at most
/// `max_key_size` bytes.
inline void encode(byte_vector& out, const data& f, byte_view payload, bool sum) {
    using namespace detail;
    std::uint8_t flags = bits(sum_flag(sum), bit_if(f.text, flag::text));
    flags = bits(flags, bits(bit_if(f.ack_now, flag::ack_now), bit_if(f.has_ack, flag::has_ack)));
    flags = bits(flags, bit_if(!f.key.empty(), flag::extensions));
    begin(out, frame_type::data, flags);
    if (!f.key.empty()) {
        const std::size_t length_size = f.key.size() < 128 ? 1 : 2;
        put_varint(out, 1 + length_size + f.key.size());
        put_varint(out, extension_key << 1);
        put_varint(out, f.key.size());
        append(out, as_bytes(f.key));
    }
    if (f.has_ack) put_ack(out, f.ack);
    put_varint(out, f.seq);
    put_varint(out, zigzag(f.id_delta));
    finish(out, payload, true);
}
inline void encode_datagram(byte_vector& out, bool text, byte_view payload, bool sum) {
    using namespace detail;
    begin(out, frame_type::datagram, bits(sum_flag(sum), bit_if(text, flag::text)));
    finish(out, payload, true);
}

// ---- decoding -------------------------------------------------------------------------

namespace detail {

[[nodiscard]] inline std::error_code read_extensions(cursor& in, envelope& e) noexcept {
    cursor block(in.take(in.varint()));
    if (!in.ok()) return errc::session_malformed;
    while (!block.at_end()) {
        const std::uint64_t id = block.varint();
        const byte_view value = block.take(block.varint());
        if (!block.ok()) return errc::session_malformed;
        if (id >> 1 == extension_key && e.type == frame_type::data) {
            if (value.size() > max_key_size) return errc::session_malformed;
            e.key = as_text(value);
        } else if ((id & 1) != 0) {
            return errc::unknown_extension;
        }
    }
    return {};
}

}  // namespace detail

/// Decodes the envelope. `session_malformed` and `unknown_extension` end the connection.
[[nodiscard]] inline std::error_code decode(byte_view frame, envelope& e) noexcept {
    cursor in(frame);
    e.type = static_cast<frame_type>(in.u8());
    e.flags = in.u8();
    if (e.has(flag::checksum)) (void)in.take(detail::checksum_size);
    if (!in.ok()) return errc::session_malformed;
    if (!detail::carries_payload(e.type) && frame.size() > max_control_size) return errc::session_malformed;
    e.key = {};
    if (e.has(flag::extensions))
        if (auto ec = detail::read_extensions(in, e)) return ec;
    e.body = in.rest();
    e.body_offset = frame.size() - e.body.size();
    return {};
}

/// Verifies the checksum, where the frame has one. `payload` is the tail of `frame` that is
/// application data (empty for frames without).
[[nodiscard]] inline bool checksum_matches(byte_view frame, const envelope& e, byte_view payload) {
    if (!e.has(flag::checksum)) return true;
    constexpr std::size_t head = detail::checksum_offset + detail::checksum_size;
    const byte_view rest = frame.subspan(head, frame.size() - head - payload.size());
    return load_le<std::uint32_t>(frame.data() + detail::checksum_offset) ==
           detail::checksum(static_cast<std::uint8_t>(e.type), e.flags, rest, payload,
                            detail::carries_payload(e.type));
}

namespace detail {
[[nodiscard]] inline ack_fields take_ack(cursor& in) noexcept {
    ack_fields a;
    a.accepted = in.varint();
    a.credit_messages = in.varint();
    a.credit_bytes = in.varint();
    return a;
}
}  // namespace detail

// Each function returns false when the body is malformed. Trailing bytes are malformed too:
// what is added later goes into extensions.

[[nodiscard]] inline bool decode(const envelope& e, hello& f) noexcept {
    cursor in(e.body);
    f.durable = e.has(flag::durable);
    f.version_min = in.u8();
    f.version_max = in.u8();
    f.features = in.varint();
    f.max_message_size = in.varint();
    f.credit_messages = in.varint();
    f.credit_bytes = in.varint();
    in.copy(f.origin);
    f.id_base = in.varint();
    return in.ok() && in.at_end() && f.version_min <= f.version_max && f.id_base < max_seq;
}
[[nodiscard]] inline bool decode(const envelope& e, welcome& f) noexcept {
    cursor in(e.body);
    f.durable = e.has(flag::durable);
    f.dedup_kept = e.has(flag::dedup_kept);
    f.version = in.u8();
    f.features = in.varint();
    f.max_message_size = in.varint();
    f.credit_messages = in.varint();
    f.credit_bytes = in.varint();
    in.copy(f.epoch);
    in.copy(f.token);
    in.copy(f.origin);
    f.id_base = in.varint();
    f.session_ttl_ms = in.varint();
    return in.ok() && in.at_end() && f.id_base < max_seq;
}
[[nodiscard]] inline bool decode(const envelope& e, resume& f) noexcept {
    cursor in(e.body);
    f.version = in.u8();
    in.copy(f.token);
    in.copy(f.epoch);
    f.attempt = in.varint();
    f.accepted = in.varint();
    f.first_retained = in.varint();
    f.next_seq = in.varint();
    return in.ok() && in.at_end() && f.next_seq >= 1 && f.next_seq <= max_seq && f.accepted < max_seq &&
           f.first_retained >= 1 && f.first_retained <= f.next_seq;
}
[[nodiscard]] inline bool decode(const envelope& e, resumed& f) noexcept {
    cursor in(e.body);
    f.accepted = in.varint();
    f.first_retained = in.varint();
    f.next_seq = in.varint();
    in.copy(f.token);
    f.credit_messages = in.varint();
    f.credit_bytes = in.varint();
    return in.ok() && in.at_end() && f.next_seq >= 1 && f.next_seq <= max_seq && f.accepted < max_seq &&
           f.first_retained >= 1 && f.first_retained <= f.next_seq;
}
[[nodiscard]] inline bool decode(const envelope& e, resume_failed& f) noexcept {
    cursor in(e.body);
    f.reason = static_cast<resume_failure>(in.u8());
    f.has_position = e.has(flag::has_position);
    f.accepted = f.has_position ? in.varint() : 0;
    return in.ok() && in.at_end();
}
[[nodiscard]] inline bool decode(const envelope& e, ack_fields& f) noexcept {
    cursor in(e.body);
    f = detail::take_ack(in);
    return in.ok() && in.at_end();
}
/// `payload` becomes the view of the application's bytes.
[[nodiscard]] inline bool decode(const envelope& e, data& f, byte_view& payload) noexcept {
    cursor in(e.body);
    f.text = e.has(flag::text);
    f.ack_now = e.has(flag::ack_now);
    f.has_ack = e.has(flag::has_ack);
    f.key = e.key;
    if (f.has_ack) f.ack = detail::take_ack(in);
    f.seq = in.varint();
    f.id_delta = unzigzag(in.varint());
    payload = in.rest();
    return in.ok() && f.seq >= 1 && f.seq < max_seq;
}

}  // namespace session
}  // namespace hawser::inline v0

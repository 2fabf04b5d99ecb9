// SPDX-License-Identifier: BSL-1.0
/// \file
/// From frames to bytes. Each function replaces `out` by the encoded frame, so that one
/// buffer serves them all; with `sum` a checksum is included.
#pragma once

#include <hawser/protocol/session/checksum.hpp>
#include <hawser/protocol/session/frame.hpp>
#include <hawser/protocol/session/varint.hpp>

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>

namespace hawser::inline v0 {
namespace session {

namespace detail {

/// Writes the envelope; a checksum is filled in by `finish_frame`, when all the rest is there.
inline void begin_frame(byte_vector& out, frame_type type, unsigned flags) {
    out.clear();
    out.push_back(static_cast<std::byte>(type));
    out.push_back(static_cast<std::byte>(flags));
    if ((flags & flag::checksum) != 0) out.resize(checksum_offset + checksum_size);
}
inline void finish_frame(byte_vector& out, byte_view payload = {}) noexcept {
    const auto flags = static_cast<std::uint8_t>(out[1]);
    if ((flags & flag::checksum) == 0) return;
    const byte_view head = byte_view(out).subspan(checksum_offset + checksum_size);
    const auto type = static_cast<frame_type>(out[0]);
    store_le<std::uint32_t>(out.data() + checksum_offset, checksum_of(type, flags, head, payload));
}
inline void put_varints(byte_vector& out, std::initializer_list<std::uint64_t> values) {
    for (const std::uint64_t v : values) put_varint(out, v);
}
inline void put_ack(byte_vector& out, const ack_fields& a) {
    put_varints(out, {a.accepted, a.credit_messages, a.credit_bytes});
}
[[nodiscard]] constexpr unsigned flag_if(bool on, std::uint8_t bit) noexcept { return on ? bit : 0U; }

// The same for DATA, where there is room at `to`.
[[nodiscard]] inline std::byte* begin_data(std::byte* to, unsigned flags) noexcept {
    to[0] = static_cast<std::byte>(frame_type::data);
    to[1] = static_cast<std::byte>(flags);
    return to + checksum_offset + ((flags & flag::checksum) != 0 ? checksum_size : 0);
}
// Returns the size of what lies from `to` to `end`.
[[nodiscard]] inline std::size_t finish_data(std::byte* to, const std::byte* end, byte_view payload) noexcept {
    const auto flags = static_cast<std::uint8_t>(to[1]);
    if ((flags & flag::checksum) != 0) {
        const byte_view head(to + checksum_offset + checksum_size, end);
        store_le<std::uint32_t>(to + checksum_offset, checksum_of(frame_type::data, flags, head, payload));
    }
    return static_cast<std::size_t>(end - to);
}
[[nodiscard]] inline std::byte* put_ack(std::byte* to, const ack_fields& a) noexcept {
    return put_varint(put_varint(put_varint(to, a.accepted), a.credit_messages), a.credit_bytes);
}
[[nodiscard]] inline std::byte* put_extensions(std::byte* to, const data& f) noexcept {
    assert(f.key.size() <= max_key_size);
    const std::size_t key_size = f.key.empty() ? 0 : 1 + varint_size(f.key.size()) + f.key.size();
    to = put_varint(to, key_size + (f.transfer ? 2 : 0));
    if (f.transfer) to = put_varint(put_varint(to, (extension_transfer << 1) | 1), 0);
    if (f.key.empty()) return to;
    to = put_varint(put_varint(to, extension_key << 1), f.key.size());
    std::memcpy(to, f.key.data(), f.key.size());
    return to + f.key.size();
}

// The extensions of a frame that tells a position; `begin_frame` was told that there are some.
inline void put_position_extensions(byte_vector& out, exception_view exceptions, std::uint64_t known = 0) {
    const std::size_t listed = exceptions.value().size();
    std::size_t size = listed == 0 ? 0 : 1 + varint_size(listed) + listed;
    if (known != 0) size += 2 + varint_size(known);
    put_varint(out, size);
    if (listed != 0) {
        put_varints(out, {extension_exceptions << 1 | 1, listed});
        append(out, exceptions.value());
    }
    if (known != 0) put_varints(out, {extension_known << 1, varint_size(known), known});
}

}  // namespace detail

inline void encode(byte_vector& out, const hello& f, bool sum) {
    using namespace detail;
    begin_frame(out, frame_type::hello, flag_if(sum, flag::checksum) | flag_if(f.durable, flag::durable));
    out.push_back(static_cast<std::byte>(f.version_min));
    out.push_back(static_cast<std::byte>(f.version_max));
    put_varints(out, {f.features, f.max_message_size, f.credit_messages, f.credit_bytes});
    append(out, f.origin);
    put_varint(out, f.id_base);
    finish_frame(out);
}
inline void encode(byte_vector& out, const welcome& f, bool sum) {
    using namespace detail;
    begin_frame(out, frame_type::welcome,
                flag_if(sum, flag::checksum) | flag_if(f.durable, flag::durable) |
                    flag_if(f.dedup_kept, flag::dedup_kept));
    out.push_back(static_cast<std::byte>(f.version));
    put_varints(out, {f.features, f.max_message_size, f.credit_messages, f.credit_bytes});
    append(out, f.epoch);
    append(out, f.token);
    append(out, f.origin);
    put_varints(out, {f.id_base, f.session_ttl_ms});
    finish_frame(out);
}
inline void encode(byte_vector& out, const resume& f, bool sum) {
    using namespace detail;
    begin_frame(out, frame_type::resume,
                flag_if(sum, flag::checksum) | flag_if(!f.exceptions.empty(), flag::extensions));
    if (!f.exceptions.empty()) put_position_extensions(out, f.exceptions);
    out.push_back(static_cast<std::byte>(f.version));
    append(out, f.token);
    append(out, f.epoch);
    put_varints(out, {f.attempt, f.accepted, f.first_retained, f.next_seq});
    finish_frame(out);
}
inline void encode(byte_vector& out, const resumed& f, bool sum) {
    using namespace detail;
    begin_frame(out, frame_type::resumed,
                flag_if(sum, flag::checksum) | flag_if(!f.exceptions.empty(), flag::extensions));
    if (!f.exceptions.empty()) put_position_extensions(out, f.exceptions);
    put_varints(out, {f.accepted, f.first_retained, f.next_seq});
    append(out, f.token);
    put_varints(out, {f.credit_messages, f.credit_bytes});
    finish_frame(out);
}
inline void encode(byte_vector& out, const resume_failed& f, bool sum) {
    using namespace detail;
    begin_frame(out, frame_type::resume_failed,
                flag_if(sum, flag::checksum) | flag_if(f.has_position, flag::has_position) |
                    flag_if(!f.exceptions.empty(), flag::extensions));
    if (!f.exceptions.empty()) put_position_extensions(out, f.exceptions);
    out.push_back(static_cast<std::byte>(f.reason));
    if (f.has_position) put_varint(out, f.accepted);
    finish_frame(out);
}
/// ACK, PING and PONG have the same body.
inline void encode(byte_vector& out, frame_type type, const ack_fields& f, bool sum) {
    using namespace detail;
    const bool more = !f.exceptions.empty() || f.known != 0;
    begin_frame(out, type, flag_if(sum, flag::checksum) | flag_if(more, flag::extensions));
    if (more) put_position_extensions(out, f.exceptions, f.known);
    put_ack(out, f);
    finish_frame(out);
}
/// `f.target` is at most `max_target_size` bytes.
inline void encode(byte_vector& out, const goaway& f, bool sum) {
    using namespace detail;
    begin_frame(out, frame_type::goaway, flag_if(sum, flag::checksum));
    out.push_back(static_cast<std::byte>(f.reason));
    put_varints(out, {f.delay_ms, f.window_ms, f.target.size()});
    append(out, as_bytes(f.target));
    finish_frame(out);
}
/// Room for the head of DATA, whatever the numbers are.
[[nodiscard]] inline std::size_t max_head_size(const data& f) noexcept {
    constexpr std::size_t fields = 6 * max_varint_size;  // acknowledgement, seq, delta, offset
    constexpr std::size_t extension = 8;                 // sizes and ids
    return checksum_offset + checksum_size + fields + extension + f.key.size();
}
/// Writes the head of DATA, which the payload follows directly on the wire, at `to`, where there is room for
/// `max_head_size(f)`; returns its size. `f.key` is at most `max_key_size` bytes.
[[nodiscard]] inline std::size_t encode(std::byte* const to, const data& f, byte_view payload, bool sum) noexcept {
    using namespace detail;
    const bool extended = !f.key.empty() || f.transfer;
    const unsigned flags = flag_if(sum, flag::checksum) | flag_if(f.text, flag::text) | flag_if(f.ack_now, flag::ack_now) |
                           flag_if(f.has_ack, flag::has_ack) | flag_if(f.more, flag::more) |
                           flag_if(f.last_part, flag::last_part) | flag_if(extended, flag::extensions);
    std::byte* at = begin_data(to, flags);
    if (extended) at = put_extensions(at, f);
    if (f.has_ack) at = put_ack(at, f.ack);
    at = put_varint(at, f.seq);
    if (!f.more) at = put_varint(at, zigzag(f.id_delta));
    if (f.more || f.last_part) at = put_varint(at, f.offset);
    return finish_data(to, at, payload);
}
/// The same where `is_simple_data(flags)`; `ack` is looked at if they say that there is one.
[[nodiscard]] inline std::size_t encode_simple(std::byte* const to, unsigned flags, const ack_fields& ack, std::uint64_t seq,
                                               std::int64_t id_delta, byte_view payload) noexcept {
    using namespace detail;
    std::byte* at = begin_data(to, flags);
    if ((flags & flag::has_ack) != 0) at = put_ack(at, ack);
    return finish_data(to, put_varint(put_varint(at, seq), zigzag(id_delta)), payload);
}
inline void encode(byte_vector& out, const data& f, byte_view payload, bool sum) {
    out.resize(max_head_size(f));
    out.resize(encode(out.data(), f, payload, sum));
}
inline void encode_datagram(byte_vector& out, bool text, byte_view payload, bool sum) {
    using namespace detail;
    begin_frame(out, frame_type::datagram, flag_if(sum, flag::checksum) | flag_if(text, flag::text));
    finish_frame(out, payload);
}

}  // namespace session
}  // namespace hawser::inline v0

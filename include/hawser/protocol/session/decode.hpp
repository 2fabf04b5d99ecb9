// SPDX-License-Identifier: BSL-1.0
/// \file
/// From bytes to frames. Nothing is allocated and nothing is read behind the input, whatever
/// the input is; the views of the results point into it.
#pragma once

#include <hawser/core/errc.hpp>
#include <hawser/protocol/session/checksum.hpp>
#include <hawser/protocol/session/frame.hpp>
#include <hawser/protocol/session/varint.hpp>

#include <cstdint>
#include <system_error>

namespace hawser::inline v0 {
namespace session {

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
        } else if (id >> 1 == extension_transfer && e.type == frame_type::data) {
            if (!value.empty()) return errc::session_malformed;
            e.transfer = true;
        } else if (id >> 1 == extension_exceptions && tells_exceptions(e.type)) {
            e.exceptions = exception_view(value);
        } else if (id >> 1 == extension_known && (e.type == frame_type::ping || e.type == frame_type::pong)) {
            cursor known(value);
            e.known = known.varint();
            if (!known.ok() || !known.at_end()) return errc::session_malformed;
        } else if ((id & 1) != 0) {
            return errc::unknown_extension;
        }
    }
    return {};
}
[[nodiscard]] inline ack_fields take_ack(cursor& in) noexcept {
    ack_fields a;
    a.accepted = in.varint();
    a.credit_messages = in.varint();
    a.credit_bytes = in.varint();
    return a;
}
// What every RESUME and RESUMED of a working peer satisfies.
template <class F>
[[nodiscard]] bool plausible_positions(const F& f) noexcept {
    return f.next_seq >= 1 && f.next_seq <= max_seq && f.accepted < max_seq && f.first_retained >= 1 &&
           (f.first_retained <= f.next_seq || planted(bug::first_retained_unchecked)) &&
           f.exceptions.valid(f.accepted);
}

}  // namespace detail

/// Decodes the envelope. Errors: `session_malformed`, `unknown_extension`.
[[nodiscard]] inline std::error_code decode(byte_view frame, envelope& e) noexcept {
    cursor in(frame);
    e.type = static_cast<frame_type>(in.u8());
    e.flags = in.u8();
    if (e.has(flag::checksum)) (void)in.take(checksum_size);
    if (!in.ok() || (e.flags & ~known_flags(e.type)) != 0) return errc::session_malformed;
    if (!carries_payload(e.type) && frame.size() > max_control_size) return errc::session_malformed;
    e.key = {};
    e.transfer = false;
    e.exceptions = {};
    e.known = 0;
    if (e.has(flag::extensions))
        if (auto ec = detail::read_extensions(in, e)) return ec;
    e.body = in.rest();
    e.body_offset = frame.size() - e.body.size();
    if (carries_payload(e.type) && e.body_offset > max_data_head_size) return errc::session_malformed;
    return {};
}

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
/// A RESUME of another version than this one is malformed: there is no session of another.
[[nodiscard]] inline bool decode(const envelope& e, resume& f) noexcept {
    cursor in(e.body);
    f.version = in.u8();
    in.copy(f.token);
    in.copy(f.epoch);
    f.attempt = in.varint();
    f.accepted = in.varint();
    f.first_retained = in.varint();
    f.next_seq = in.varint();
    f.exceptions = e.exceptions;
    return in.ok() && in.at_end() && f.version == version && detail::plausible_positions(f);
}
[[nodiscard]] inline bool decode(const envelope& e, resumed& f) noexcept {
    cursor in(e.body);
    f.accepted = in.varint();
    f.first_retained = in.varint();
    f.next_seq = in.varint();
    in.copy(f.token);
    f.credit_messages = in.varint();
    f.credit_bytes = in.varint();
    f.exceptions = e.exceptions;
    return in.ok() && in.at_end() && detail::plausible_positions(f);
}
[[nodiscard]] inline bool decode(const envelope& e, resume_failed& f) noexcept {
    cursor in(e.body);
    f.reason = static_cast<resume_failure>(in.u8());
    f.has_position = e.has(flag::has_position);
    f.accepted = f.has_position ? in.varint() : 0;
    f.exceptions = e.exceptions;
    return in.ok() && in.at_end() && f.exceptions.valid(f.accepted);
}
/// The body of ACK, PING and PONG.
[[nodiscard]] inline bool decode(const envelope& e, ack_fields& f) noexcept {
    cursor in(e.body);
    f = detail::take_ack(in);
    f.exceptions = e.exceptions;
    f.known = e.known;
    return in.ok() && in.at_end() && f.exceptions.valid(f.accepted);
}
[[nodiscard]] inline bool decode(const envelope& e, goaway& f) noexcept {
    cursor in(e.body);
    f.reason = static_cast<goaway_reason>(in.u8());
    f.delay_ms = in.varint();
    f.window_ms = in.varint();
    f.target = as_text(in.take(in.varint()));
    return in.ok() && in.at_end() && f.target.size() <= max_target_size;
}
/// `payload` becomes the view of the application's bytes.
[[nodiscard]] inline bool decode(const envelope& e, data& f, byte_view& payload) noexcept {
    cursor in(e.body);
    f.text = e.has(flag::text);
    f.ack_now = e.has(flag::ack_now);
    f.has_ack = e.has(flag::has_ack);
    f.key = e.key;
    f.transfer = e.transfer;
    f.more = e.has(flag::more);
    f.last_part = e.has(flag::last_part);
    if (f.has_ack) f.ack = detail::take_ack(in);
    f.seq = in.varint();
    f.id_delta = f.more ? 0 : unzigzag(in.varint());
    f.offset = f.more || f.last_part ? in.varint() : 0;
    payload = in.rest();
    const std::size_t head_size = e.body_offset + (e.body.size() - payload.size());
    if (!in.ok() || head_size > max_data_head_size || f.seq >= max_seq) return false;
    // A part says nothing that its message will say.
    if (f.more) return !f.last_part && !f.text && !f.ack_now && f.key.empty() && !f.transfer && !payload.empty();
    return f.seq >= 1 && (!f.last_part || f.offset >= 1);
}

}  // namespace session
}  // namespace hawser::inline v0

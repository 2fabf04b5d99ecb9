// SPDX-License-Identifier: BSL-1.0
/// \file
/// What comes in: messages, positions, and everything that may not come.
#pragma once

#include <hawser/core/planted.hpp>
#include <hawser/protocol/session/endpoint.hpp>
#include <hawser/protocol/ws/utf8.hpp>

namespace hawser::inline v0 {
namespace session {

inline action endpoint::fail(std::error_code ec, close_code code) noexcept {
    action a;
    a.what = action::kind::close_link;
    a.error = ec;
    a.code = code;
    return a;
}
inline action endpoint::simple(action::kind k) noexcept {
    action a;
    a.what = k;
    return a;
}
// A frame without its checksum is as suspect as one with a wrong checksum.
inline std::error_code endpoint::verify(byte_view frame, const envelope& e, byte_view payload) const noexcept {
    if (!checksum_matches(frame, e, payload)) return errc::session_checksum;
    if (checksum() && has_epoch_ && !e.has(flag::checksum)) return errc::session_checksum;
    return {};
}

// The next message, whole and without extensions, as almost all are. False: it is something else, or something is
// wrong, and the general way decides; an acknowledgement is then taken twice, which changes nothing.
inline bool endpoint::takes_simple(byte_view frame, time_point now, action& a) {
    constexpr std::size_t sum_end = checksum_offset + checksum_size;
    if (frame.size() < sum_end || static_cast<frame_type>(frame[0]) != frame_type::data) return false;
    const auto flags = static_cast<std::uint8_t>(frame[1]);
    const bool summed = (flags & flag::checksum) != 0;
    if (phase_ != phase::attached || summed != checksum()) return false;
    if (!is_simple_data(flags) || (flags & ~known_flags(frame_type::data)) != 0) return false;
    cursor in(frame.subspan(summed ? sum_end : checksum_offset));
    const bool has_ack = (flags & flag::has_ack) != 0;
    const ack_fields ack = has_ack ? detail::take_ack(in) : ack_fields();
    const std::uint64_t seq = in.varint();
    const std::int64_t id_delta = unzigzag(in.varint());
    const byte_view payload = in.rest();
    if (!in.ok() || seq != in_.received() + 1 || seq >= max_seq || payload.size() > options_.max_message_size) return false;
    if (summed && !checksum_matches(frame, frame_type::data, flags, payload)) return false;
    if (has_ack)
        if (auto ec = apply(ack, now)) {
            a = fail(ec);
            return true;
        }
    if (in_.on_data(seq, payload.size(), (flags & flag::ack_now) != 0, now) != inbox::verdict::fresh) return false;
    gap_seen_ = false;
    a.what = action::kind::deliver;
    a.text = (flags & flag::text) != 0;
    a.payload = payload;
    a.seq = seq;
    a.id = {peer_origin_, seq + peer_id_base_ + static_cast<std::uint64_t>(id_delta)};
    return true;
}

inline action endpoint::on_frame(byte_view frame, time_point now) {
    action a;
    if (parts_done_) drop_parts();
    if (!takes_simple(frame, now, a)) a = on_any_frame(frame, now);
    return a;
}
inline action endpoint::on_any_frame(byte_view frame, time_point now) {
    envelope e;
    if (auto ec = decode(frame, e)) return fail(ec);
    switch (e.type) {
    case frame_type::data: return on_data(frame, e, now);
    case frame_type::ack:
    case frame_type::ping:
    case frame_type::pong: return on_position(frame, e, now);
    case frame_type::welcome: return on_welcome(frame, e);
    case frame_type::resumed: return on_resumed(frame, e, now);
    case frame_type::resume_failed: return on_resume_failed(frame, e);
    case frame_type::datagram: return on_datagram(frame, e);
    case frame_type::goaway: return on_goaway(frame, e);
    default: return on_other(frame, e);
    }
}
// The checksum decides first: a damaged type must not make a frame vanish silently.
inline action endpoint::on_other(byte_view frame, const envelope& e) const noexcept {
    if (auto ec = verify(frame, e, {})) return fail(ec, close_code::bad_checksum);
    const bool skippable = static_cast<std::uint8_t>(e.type) >= first_skippable_type;
    return skippable && phase_ == phase::attached ? action{} : fail(errc::session_protocol);
}

inline action endpoint::on_position(byte_view frame, const envelope& e, time_point now) {
    ack_fields f;
    if (!decode(e, f)) return fail(errc::session_malformed);
    if (auto ec = verify(frame, e, {})) return fail(ec, close_code::bad_checksum);
    if (phase_ == phase::awaiting_confirm && e.type == frame_type::ack) return on_confirmation(f, now);
    if (phase_ != phase::attached) return fail(errc::session_protocol);
    if (auto ec = apply(f, now)) return fail(ec);
    if (out_.exhausted()) {
        action a = fail(errc::sequence_exhausted,
                        options_.side == side::client ? close_code::normal : close_code::session_expired);
        a.what = action::kind::end_session;
        return a;
    }
    if (e.type == frame_type::ping) pong_wanted_ = true;
    return e.type == frame_type::pong ? simple(action::kind::pong) : action{};
}
inline std::error_code endpoint::apply(const ack_fields& f, time_point now) {
    if (auto ec = apply_exceptions(f.accepted, f.exceptions)) return ec;
    if (f.known != 0) in_.peer_knows(f.known, now);
    out_.on_credit(f.credit_messages, f.credit_bytes);
    ping_if_exhausted();
    return {};
}
inline std::error_code endpoint::apply_exceptions(std::uint64_t accepted, exception_view exceptions) {
    if (exceptions.empty()) return out_.on_ack(accepted);
    if (!speaks(feature::exceptions)) return errc::unknown_extension;
    echo_due_ = true;
    return out_.on_ack(accepted, exceptions);
}
// All numbers are used and nothing else may be under way: the answer is the position that ends the
// session.
inline void endpoint::ping_if_exhausted() noexcept {
    if (out_.exhausted()) ping_wanted_ = true;
}

inline action endpoint::on_data(byte_view frame, const envelope& e, time_point now) {
    data d;
    action a;
    if (phase_ != phase::attached) return fail(errc::session_protocol);
    if (!decode(e, d, a.payload)) return fail(errc::session_malformed);
    if (auto ec = verify(frame, e, a.payload)) return fail(ec, close_code::bad_checksum);
    if ((d.more || d.last_part) && !speaks(feature::parts)) return fail(errc::session_protocol);
    if (d.transfer && !takes_transfers()) return fail(errc::session_protocol);
    if (d.offset > options_.max_message_size || a.payload.size() > options_.max_message_size - d.offset)
        return fail(errc::message_too_big, close_code::message_too_big);
    if (d.has_ack)
        if (auto ec = apply(d.ack, now)) return fail(ec);
    if (d.more || d.last_part) {
        if (auto ec = gather(d, a.payload)) return fail(ec);
        if (d.more) return {};
        if (d.seq == in_.received() + 1) a.payload = parts_;
    }
    switch (in_.on_data(d.seq, a.payload.size(), d.ack_now, now)) {
    case inbox::verdict::duplicate:
        if (planted(bug::copies_delivered)) break;
        return {};
    case inbox::verdict::overrun: return fail(errc::session_protocol);
    case inbox::verdict::gap: return planted(bug::gap_ignored) ? action{} : on_gap();
    case inbox::verdict::fresh: break;
    }
    gap_seen_ = false;
    a.what = action::kind::deliver;
    a.text = d.text;
    a.transfer = d.transfer;
    a.seq = d.seq;
    a.key = d.key;
    a.id = {peer_origin_, d.seq + peer_id_base_ + static_cast<std::uint64_t>(d.id_delta)};
    return a;
}
// Parts of a message that was received already, and the last one of a message after a gap, are not kept.
inline std::error_code endpoint::gather(const data& d, byte_view payload) {
    if (d.seq != 0 && d.seq != in_.received() + 1) return {};
    if (d.offset == 0) drop_parts();
    if (d.offset != parts_.size() && !planted(bug::part_misplaced)) return errc::session_protocol;
    if (d.more && !in_.takes_part(d.offset + payload.size())) return errc::session_protocol;
    append(parts_, payload);
    parts_done_ = !d.more;
    return {};
}
inline void endpoint::drop_parts() noexcept {
    parts_done_ = false;
    byte_vector().swap(parts_);
}
inline action endpoint::on_goaway(byte_view frame, const envelope& e) const noexcept {
    goaway g;
    if (phase_ != phase::attached || options_.side == side::server) return fail(errc::session_protocol);
    if (!decode(e, g)) return fail(errc::session_malformed);
    if (auto ec = verify(frame, e, {})) return fail(ec, close_code::bad_checksum);
    if (!speaks(feature::goaway)) return fail(errc::session_protocol);
    action a = simple(action::kind::goaway);
    constexpr std::uint64_t longest = 24ULL * 3600 * 1000;
    a.delay = milliseconds(static_cast<milliseconds::rep>(g.delay_ms < longest ? g.delay_ms : longest));
    a.key = g.target;
    return a;
}
// One RESUME may mend a gap; a second one without progress in between will not.
inline action endpoint::on_gap() noexcept {
    action a = fail(errc::session_gap, close_code::sequence_gap);
    if (gap_seen_ && !planted(bug::second_gap_mended)) a.what = action::kind::end_session;
    gap_seen_ = true;
    return a;
}
inline action endpoint::on_datagram(byte_view frame, const envelope& e) {
    if (phase_ != phase::attached) return fail(errc::session_protocol);
    if (auto ec = verify(frame, e, e.body)) return fail(ec, close_code::bad_checksum);
    if (e.body.size() > options_.max_message_size) return fail(errc::message_too_big, close_code::message_too_big);
    if (e.has(flag::text) && !ws::is_utf8(e.body)) return fail(errc::invalid_utf8, close_code::invalid_payload);
    action a = simple(action::kind::datagram);
    a.text = e.has(flag::text);
    a.payload = e.body;
    return a;
}

}  // namespace session
}  // namespace hawser::inline v0

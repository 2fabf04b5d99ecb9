// SPDX-License-Identifier: BSL-1.0
/// \file
/// What goes out, in this order: the opening frame of a link and nothing before it, then
/// control frames, then messages, then parts of a large one, then an ACK that no message carried.
#pragma once

#include <hawser/core/config.hpp>
#include <hawser/core/planted.hpp>
#include <hawser/protocol/session/endpoint.hpp>

#include <utility>

namespace hawser::inline v0 {
namespace session {

// Of the buffer only the front is used: it does not shrink, so that nothing is cleared for each message.
inline std::byte* endpoint::room_for_head(std::size_t size) {
    if (head_.size() < size) head_.resize(size);
    return head_.data();
}
inline byte_view endpoint::encode_data(const data& d, byte_view payload) {
    const std::size_t size = encode(room_for_head(max_head_size(d)), d, payload, checksum());
    return byte_view(head_).first(size);
}
// `ack_now`: without it the peer would wait for more, which cannot come before its answer.
HAWSER_IN_LINE inline outgoing_frame endpoint::data_frame(outbox::entry& e) {
    const std::uint64_t seq = out_.cursor();
    const std::size_t offset = out_.part_offset(e);
    const byte_view payload = e.body.bytes().subspan(offset);
    if (payload.size() > out_.part_size()) return part_frame(e, seq);
    const auto id_delta = static_cast<std::int64_t>(e.counter - seq - out_.epoch_id_base());
    const bool ack_now = out_.last_for_now();
    const bool has_ack = in_.ack_useful() && in_.exceptions_kept() == 0;  // it has no room for exceptions
    byte_view head;
    if (offset == 0 && !e.extras && e.body.kind() != message_kind::transfer) {
        const unsigned flags = detail::flag_if(checksum(), flag::checksum) | detail::flag_if(e.body.is_text(), flag::text) |
                               detail::flag_if(ack_now, flag::ack_now) | detail::flag_if(has_ack, flag::has_ack);
        std::byte* const to = room_for_head(max_head_size({}));
        head = {to, encode_simple(to, flags, has_ack ? in_.ack() : ack_fields(), seq, id_delta, payload)};
    } else {
        data d;
        d.seq = seq;
        d.id_delta = id_delta;
        d.text = e.body.is_text();
        d.ack_now = ack_now;
        d.has_ack = has_ack;
        d.last_part = offset > 0;
        d.offset = offset;
        d.transfer = e.body.kind() == message_kind::transfer;
        if (e.extras) d.key = e.extras->key;
        if (has_ack) d.ack = in_.ack();
        head = encode_data(d, payload);
    }
    if (has_ack) in_.announced();
    const bool again = e.written;
    out_.written(e);
    return {head, payload, &e.body, again};
}

inline std::optional<outgoing_frame> endpoint::next_frame() {
    if (opening_ != opening::none) return opening_frame();
    if (phase_ != phase::attached) return std::nullopt;
    if (std::exchange(pong_wanted_, false)) return position_frame(frame_type::pong);
    // Exceptions are told again until the peer is known to know them, so they come with a question.
    if (ping_wanted_ || in_.has_untold()) return position_frame(frame_type::ping);
    if (goaway_) return goaway_frame();
    if (outbox::entry* e = out_.next_to_write()) return data_frame(*e);
    if (outbox::entry* e = out_.next_part()) return part_frame(*e, 0);
    if (in_.ack_wanted() && in_.ack_useful()) return position_frame(frame_type::ack);
    return std::nullopt;
}
inline byte_view endpoint::datagram_head(const message& m) {
    if (phase_ != phase::attached || opening_ != opening::none) return {};
    encode_datagram(head_, m.is_text(), m.bytes(), checksum());
    return head_;
}

inline std::optional<outgoing_frame> endpoint::opening_frame() {
    if (opening_lsn_ > log_.durable() && !planted(bug::opening_before_commit)) return std::nullopt;
    switch (opening_) {
    case opening::none: return std::nullopt;
    case opening::hello: encode_hello(); break;
    case opening::resume: encode_resume(); break;
    case opening::welcome: encode_welcome(); break;
    case opening::resumed: encode_resumed(); break;
    case opening::confirm: (void)position_frame(frame_type::ack); break;
    }
    opening_ = opening::none;
    return outgoing_frame{head_, {}};
}
inline void endpoint::encode_hello() {
    hello_id_base_ = out_.id_base();
    hello h;
    h.features = offered_features();
    h.max_message_size = options_.max_message_size;
    h.credit_messages = options_.receive.window_messages;
    h.credit_bytes = options_.receive.window_bytes;
    h.origin = options_.origin;
    h.id_base = hello_id_base_;
    h.durable = options_.durable;
    encode(head_, h, options_.checksum);
}
inline void endpoint::encode_resume() {
    resume r;
    r.token = token_;
    r.epoch = epoch_;
    r.attempt = (std::uint64_t{options_.boot} << 32) + attempt_;
    r.accepted = planted(bug::resume_tells_received) ? in_.received() : in_.durable_accepted();
    r.first_retained = out_.first_retained();
    r.next_seq = out_.next_seq();
    r.exceptions = in_.exceptions();
    encode(head_, r, options_.checksum);
    in_.exceptions_told();
}
inline void endpoint::encode_welcome() {
    welcome w;
    w.features = features_;
    w.max_message_size = options_.max_message_size;
    w.credit_messages = options_.receive.window_messages;
    w.credit_bytes = options_.receive.window_bytes;
    w.epoch = epoch_;
    w.token = token_;
    w.origin = options_.origin;
    w.id_base = out_.epoch_id_base();
    w.session_ttl_ms = static_cast<std::uint64_t>(options_.session_ttl.count());
    w.durable = options_.durable;
    w.dedup_kept = options_.dedup_kept;
    encode(head_, w, checksum());
}
inline void endpoint::encode_resumed() {
    const ack_fields position = in_.ack();
    resumed r;
    r.accepted = position.accepted;
    r.first_retained = out_.first_retained();
    r.next_seq = out_.next_seq();
    r.token = token_;
    r.credit_messages = position.credit_messages;
    r.credit_bytes = position.credit_bytes;
    r.exceptions = in_.exceptions();
    encode(head_, r, checksum());
    in_.announced();
}

inline outgoing_frame endpoint::position_frame(frame_type type) {
    ack_fields f = in_.ack();
    f.exceptions = in_.exceptions();
    if (echo_due_ && type != frame_type::ack) f.known = out_.acked();
    encode(head_, type, f, checksum());
    in_.announced();
    if (f.known != 0) echo_due_ = false;
    if (type == frame_type::ping) ping_wanted_ = false;
    return {head_, {}};
}
inline bool endpoint::announce_goaway(goaway_reason reason, milliseconds delay, milliseconds window,
                                      std::string_view target) {
    if (phase_ != phase::attached || !speaks(feature::goaway)) return false;
    goaway_ = std::make_unique<departure>(departure{{}, std::string(target)});
    goaway_->frame = {reason, static_cast<std::uint64_t>(delay.count()), static_cast<std::uint64_t>(window.count()), {}};
    return true;
}
inline outgoing_frame endpoint::goaway_frame() {
    goaway_->frame.target = goaway_->target;
    encode(head_, goaway_->frame, checksum());
    goaway_.reset();
    return {head_, {}};
}
// Without a number, but where the message has one from an earlier link: the receiver may have it already.
inline outgoing_frame endpoint::part_frame(outbox::entry& e, std::uint64_t seq) {
    data d;
    d.more = true;
    d.seq = seq;
    d.offset = out_.part_offset(e);
    const byte_view payload = e.body.bytes().subspan(static_cast<std::size_t>(d.offset), static_cast<std::size_t>(out_.part_size()));
    const byte_view head = encode_data(d, payload);
    out_.part_written(e, payload.size());
    return {head, payload, &e.body, e.written, true};
}

}  // namespace session
}  // namespace hawser::inline v0

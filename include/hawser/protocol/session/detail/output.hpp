// SPDX-License-Identifier: BSL-1.0
/// \file
/// What goes out, in this order: the opening frame of a link and nothing before it, then
/// control frames, then messages, then an ACK that no message carried.
#pragma once

#include <hawser/core/planted.hpp>
#include <hawser/protocol/session/endpoint.hpp>

#include <utility>

namespace hawser::inline v0 {
namespace session {

inline std::optional<outgoing_frame> endpoint::next_frame() {
    if (opening_ != opening::none) return opening_frame();
    if (phase_ != phase::attached) return std::nullopt;
    if (std::exchange(pong_wanted_, false)) return position_frame(frame_type::pong);
    if (std::exchange(ping_wanted_, false)) return position_frame(frame_type::ping);
    if (outbox::entry* e = out_.next_to_write()) return data_frame(*e);
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
    return outgoing_frame{head_, nullptr};
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
    encode(head_, r, options_.checksum);
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
    encode(head_, r, checksum());
    in_.announced();
}

inline outgoing_frame endpoint::position_frame(frame_type type) {
    encode(head_, type, in_.ack(), checksum());
    in_.announced();
    return {head_, nullptr};
}
// `ack_now`: without it the peer would wait for more, which cannot come before its answer.
inline outgoing_frame endpoint::data_frame(outbox::entry& e) {
    data d;
    d.seq = out_.cursor();
    d.id_delta = static_cast<std::int64_t>(e.counter - d.seq - out_.epoch_id_base());
    d.text = e.body.is_text();
    d.transfer = e.body.kind() == message_kind::transfer;
    d.ack_now = out_.last_for_now();
    d.has_ack = in_.ack_useful();
    if (e.key) d.key = *e.key;
    if (d.has_ack) d.ack = in_.ack();
    encode(head_, d, e.body.bytes(), checksum());
    if (d.has_ack) in_.announced();
    const bool again = e.written;
    out_.written(e);
    return {head_, &e.body, again};
}

}  // namespace session
}  // namespace hawser::inline v0

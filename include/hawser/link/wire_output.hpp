// SPDX-License-Identifier: BSL-1.0
/// \file
/// What a wire writes: frames into the queue, the queue into the stream, the last bytes at the end.
#pragma once

#include <hawser/link/wire.hpp>

namespace hawser::inline v0::detail {

inline bool wire::send_compressed(ws::opcode op, byte_view head, byte_view body) {
    if (!compresses() || body.empty() || !ws_->send_compressed(out_.tail(), op, head, body)) return false;
    defer_flush();
    return true;
}
HAWSER_OUT_OF_LINE inline std::error_code wire::send_any(ws::opcode op, byte_view head, byte_view body) {
    return send_compressed(op, head, body) ? std::error_code() : send_as_it_is(op, head, body);
}
inline std::error_code wire::send_any(ws::opcode op, byte_view head, const message& body) {
    if (phase_ != phase::open) return errc::not_connected;
    if (body.compressible() && send_compressed(op, head, body.bytes())) return {};
    if (side_ == ws::role::client || body.size() < by_reference) return send_as_it_is(op, head, body.bytes());
    out_.reserve(ws::max_header_size + head.size());  // all of the frame or nothing
    if (ws_->send_header(out_.tail(), op, head.size() + body.size()) == 0) return errc::closed;
    hawser::append(out_.tail(), head);
    out_.append(body);
    defer_flush();
    return {};
}
inline std::error_code wire::send_as_it_is(ws::opcode op, byte_view head, byte_view body) {
    if (goes_at_once(body.size())) return send_at_once(op, head, body);
    if (const errc e = ws_->send(out_.tail(), op, head, body); e != errc{}) return e;
    defer_flush();
    return {};
}
inline std::error_code wire::send_piece(const message_piece& piece) {
    if (phase_ != phase::open) return errc::not_connected;
    const auto begin = piece.kind == message_kind::text ? ws::opcode::text : ws::opcode::binary;
    const auto op = piece.offset == 0 ? begin : ws::opcode::continuation;
    if (goes_at_once(piece.bytes.size())) return send_at_once(op, {}, piece.bytes, piece.last);
    if (const errc e = ws_->send_fragment(out_.tail(), op, piece.last, piece.bytes); e != errc{}) return e;
    defer_flush();
    return {};
}
inline std::error_code wire::send_at_once(ws::opcode op, byte_view head, byte_view body, bool fin) {
    byte_vector& out = out_.tail();
    try {
        out.reserve(ws::max_header_size + head.size() + body.size());  // nothing fails once bytes are out
    } catch (const std::bad_alloc&) {
        return errc::out_of_memory;
    }
    if (ws_->send_header(out, op, head.size() + body.size(), fin) == 0) return errc::closed;
    hawser::append(out, head);
    const std::size_t front = out.size();
    const std::array<byte_view, 2> pieces{byte_view(out), body};
    const std::size_t written = stream_->write_some(pieces).bytes;
    if (written < front + body.size()) {
        const byte_view rest = body.subspan(written > front ? written - front : 0);
        out.insert(out.end(), rest.begin(), rest.end());  // `append` would write each byte twice
        defer_flush();
    }
    out_.consume(std::min(written, front));
    return {};
}
inline void wire::end_of_turn() {
    if (std::exchange(resume_due_, false) && phase_ != phase::ended && !paused_) {
        bool gone = false;
        const destruction_mark::watch guard(mark_, gone);
        if (ws_) pump();
        if (gone || phase_ == phase::ended) return;
        if (!paused_) stream_->resume_reading();
    }
    flush_and_tell();
}
inline void wire::flush_and_tell() {
    const bool was_backed_up = backed_up();
    bool gone = false;
    const destruction_mark::watch guard(mark_, gone);
    flush();
    if (!gone && phase_ != phase::ended && was_backed_up && !backed_up()) owner_->on_wire_writable(*this);
}
inline write_result wire::write_plain() {
    const byte_view all = out_.plain();
    return stream_->write_some({&all, 1});
}
inline write_result wire::write_gathered() {
    std::array<byte_view, write_queue::max_buffers> list;
    const std::size_t n = out_.gather(list);
    return stream_->write_some(std::span(list).first(n));
}
inline void wire::flush() {
    if (!stream_ || phase_ == phase::dialling || phase_ == phase::ended) return;
    append_control();
    while (!out_.empty()) {
        const write_result r = out_.has_bodies() ? write_gathered() : write_plain();
        if (r.error) return end_now(r.error);
        if (r.bytes == 0) break;
        out_.consume(r.bytes);
        limits_.stall = never;
        if (!out_.empty()) continue;
        pongs_ = 0;
        append_control();
    }
    if (out_.empty()) {
        limits_.stall = never;
    } else if (limits_.stall == never) {
        limits_.stall = add_saturated(driver_.now(), options_.write_stall_timeout);
        rearm();
    }
}
// Of pings from a peer that does not read only so many get a pong each; beyond it the newest does, once there is room.
inline void wire::append_control() {
    if (!ws_ || !ws_->control_due() || pongs_ == most_pongs) return;
    ++pongs_;
    (void)ws_->flush_control(out_.tail());
}
inline void wire::close(close_code code, std::string_view reason, duration limit) {
    if (phase_ == phase::dialling || phase_ == phase::upgrading) return end_now(errc::closed);
    if (phase_ != phase::open) return;
    (void)ws_->close(out_.tail(), code, reason);
    phase_ = phase::closing;
    limits_.phase = add_saturated(driver_.now(), limit);
    rearm();
    if (paused_) resume();
    defer_flush();
}
inline void wire::drop(close_code code, std::string_view reason) {
    if (phase_ == phase::ended) return;
    if (code != close_code::none && phase_ == phase::open) {
        (void)ws_->close(out_.tail(), code, reason);
        return linger();
    }
    discard();
}
inline void wire::linger() {
    auto taken = std::move(stream_);
    auto rest = std::move(out_);
    discard();
    if (taken && driver_.alive())
        lingering_close::start(driver_, std::move(taken), std::move(rest),
                               {options_.linger_timeout, options_.max_linger_bytes, side_ == ws::role::client},
                               owner_->linger_count());
}
inline void wire::discard() noexcept {
    phase_ = phase::ended;
    withdraw();
    timer_.cancel();
    stream_.reset();
    out_ = write_queue(driver_);
}
// It may read on, as after shutdown() of its side: a reset would take from it what was written before. What the system does
// not take now is lost, as nobody waits for room any more.
inline void wire::peer_ended() {
    if (phase_ != phase::dialling) write_rest();
    end_now(errc::connection_lost, false);
}
inline void wire::write_rest() noexcept {
    try {
        while (!out_.empty()) {
            const write_result r = out_.has_bodies() ? write_gathered() : write_plain();
            if (r.error || r.bytes == 0) return;
            out_.consume(r.bytes);
        }
    } catch (...) {
        // There is no memory to wait for room, for which nobody waits.
    }
}
inline void wire::end_now(std::error_code why, bool reset) {
    if (phase_ == phase::ended) return;
    wire_end end;
    end.error = phase_ == phase::closing && why == errc::connection_lost ? std::error_code{} : why;
    end.close.code = close_code::abnormal;
    if (stream_ && reset) stream_->abort();
    discard();
    owner_->on_wire_closed(*this, end);
}

}  // namespace hawser::inline v0::detail

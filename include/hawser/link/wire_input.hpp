// SPDX-License-Identifier: BSL-1.0
/// \file
/// What a wire reads: frames out of bytes, and what each of them brings about.
#pragma once

#include <hawser/link/wire.hpp>

namespace hawser::inline v0::detail {

inline void wire::take_bytes(byte_span chunk) {
    if (phase_ == phase::upgrading && !upgrade(chunk)) return;
    if (!ws_ || phase_ == phase::ended) return;
    owner_->on_wire_input(*this);
    ws_->feed(chunk);
    pump();
}
inline void wire::pump() {
    bool gone = false;
    const destruction_mark::watch guard(mark_, gone);
    pumping_ = true;
    while (!paused_) {
        byte_view whole;
        bool text = false;
        if (ws_->next_whole(whole, text)) {  // no deadline of a message runs here
            owner_->on_wire_message(*this, whole, text);
        } else {
            const ws::event e = ws_->next();
            if (e.kind == ws::event_kind::need_more) break;
            handle(e);
        }
        if (gone) return;
        if (phase_ == phase::ended) break;
    }
    pumping_ = false;
    if (phase_ == phase::ended) return;
    if (paused_) ws_->retain();
    if (!paused_ && ws_->input().in_message() && limits_.message == never) {
        limits_.message = add_saturated(driver_.now(), options_.message_timeout);
        rearm();
    }
    if (ws_->control_due()) defer_flush();
}
inline void wire::handle(const ws::event& e) {
    switch (e.kind) {
    case ws::event_kind::message:
        limits_.message = never;
        return owner_->on_wire_message(*this, e.payload, e.text);
    case ws::event_kind::piece:
        limits_.message = never;  // each piece has its time
        return owner_->on_wire_piece(*this, {e.payload, e.text ? message_kind::text : message_kind::binary, e.offset, e.last});
    case ws::event_kind::pong:
    case ws::event_kind::ping:
        if (control_flood()) return fail(errc::control_flood, close_code::policy_violation);
        if (e.kind == ws::event_kind::ping) answer_ping();
        return;
    case ws::event_kind::close: return on_close_frame(e);
    case ws::event_kind::error: {
        wire_end end;
        end.error = e.error;
        end.close.code = e.code;
        (void)ws_->flush_control(out_.tail());
        linger();
        return owner_->on_wire_closed(*this, end);
    }
    case ws::event_kind::need_more: return;
    }
}
inline void wire::on_close_frame(const ws::event& e) {
    wire_end end;
    end.close = e.info();
    (void)ws_->flush_control(out_.tail());
    linger();
    owner_->on_wire_closed(*this, end);
}
// At once, in its place among the messages.
inline void wire::answer_ping() {
    append_control();
    defer_flush();
}
inline bool wire::control_flood() noexcept {
    const time_point now = driver_.now();
    if (now - control_window_ >= seconds{1}) {
        control_window_ = now;
        control_count_ = 0;
    }
    return ++control_count_ > options_.max_control_frames_per_second;
}
inline void wire::fail(errc why, close_code code) {
    wire_end end;
    end.error = why;
    end.close.code = code;
    (void)ws_->close(out_.tail(), code);
    linger();
    owner_->on_wire_closed(*this, end);
}
inline void wire::expire(time_point now) {
    if (limits_.phase <= now) {
        if (phase_ != phase::upgrading) return end_now(errc::close_timeout);
        reject(408, "the request did not arrive in time");
        (void)refuse(errc::handshake_timeout);
        return;
    }
    if (limits_.stall <= now) return end_now(errc::write_stalled);
    if (limits_.message <= now) return fail(errc::message_timeout, close_code::policy_violation);
    rearm();
}

}  // namespace hawser::inline v0::detail

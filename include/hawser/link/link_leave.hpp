// SPDX-License-Identifier: BSL-1.0
/// \file
/// A planned end: the server says when, the client goes then, and nothing is in flight that could get lost.
#pragma once

#include <hawser/link/link.hpp>

namespace hawser::inline v0::detail {

// ---- accepting side ------------------------------------------------------------------------------------

// Who can be told goes by itself; the others are ended at their moment.
template <class P>
void link<P>::ask_to_leave(const departure_plan& plan) {
    if (is_final() || orphaned || state_ == connection_state::closing) return;
    leave_at_ = add_saturated(driver_.now(), plan.delay);
    rearm();
    driver_.defer(*this);
    if (session_on_ && session_) peer_leaves_ = session_->announce_goaway(plan.reason, plan.delay, plan.window, plan.target);
}

// ---- dialling side -------------------------------------------------------------------------------------

template <class P>
void link<P>::on_goaway(milliseconds delay, std::string_view target) {
    objects_.logger.log(log_level::info, "goaway", {{"delay_ms", std::to_string(delay.count())}});
    leave_at_ = add_saturated(driver_.now(), delay);
    rearm();
    dial_->target.reset();
    if (target.empty() || !options_->follow_target) return;
    url where;
    std::string why;
    if (!parse_url(target, where, &why) && (where.secure() || !dial_->where.secure())) dial_->target = std::move(where);
    else objects_.logger.log(log_level::warning, "bad_target", {{"why", why.empty() ? "no way from wss to ws" : why}});
}

template <class P>
void link<P>::reconnect_at(time_point when, std::error_code why, const close_info& close) {
    const time_point now = driver_.now();
    dial_->next_planned = add_saturated(now, options_->reconnect.min_connected_time_to_reset);
    dial_->retry_at = std::max(when, now);
    set_state(connection_state::waiting, {.reason = why, .close = close, .attempt = dial_->reconnect.attempts(),
                                          .retry_in = dial_->retry_at - now});
    rearm();
    driver_.defer(*this);
}

// ---- both ----------------------------------------------------------------------------------------------

template <class P>
void link<P>::begin_leaving(time_point now) {
    leave_at_ = never;
    if (std::exchange(leaving_, true)) return leave();
    if (!dial_ && !session_on_) return close(close_code::service_restart, "the server goes", 0, {});
    if (!link_ready_) return leave();
    // As long as for closing: what is in flight is acknowledged by then.
    leave_at_ = add_saturated(now, options_->close_timeout);
    driver_.defer(*this);
}

template <class P>
void link<P>::maybe_leave() {
    if (!leaving_ || !link_ready_ || state_ == connection_state::closing) return;
    if (peer_leaves_ || outbox().in_flight() > 0 || session_->commit_pending()) return;
    leave();
}

template <class P>
void link<P>::leave() {
    if (link_ready_) {
        session_->flush_ack();
        write_session();
        if (!wire_) return;  // lost in writing, which told that already
    }
    if (wire_) wire_->drop(close_code::service_restart, "the server goes");
    const auto gone = std::move(wire_);
    link_lost(errc::going_away, {close_code::service_restart, {}, false}, {});
}

}  // namespace hawser::inline v0::detail

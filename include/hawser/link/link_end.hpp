// SPDX-License-Identifier: BSL-1.0
/// \file
/// How a link ends: closed in order, failed, let go of by its owner, or abandoned with its io_context.
#pragma once

#include <hawser/link/link.hpp>

namespace hawser::inline v0::detail {

template <class P>
link<P>::~link() {
    traffic_.count(objects_.metrics);
    if (host_) host_->on_link_gone(this);
    if (is_listed()) driver_.delist(*this);
    if (sender_queue* q = senders_) {
        (void)q->close();
        q->let_go();
    }
    if (handed_->acks) handed_->acks->close();
    if (dedup_) dedup_->leave();
}

template <class P>
void link<P>::close(close_code code, std::string reason, std::uint64_t serial, plain_completion done) {
    const driver::turn t(driver_);
    if (is_final()) return done(orphaned ? final_error_ : std::error_code{});
    if (done) (void)extras_.make().closers.push_back({serial, std::move(done), true});
    if (state_ == connection_state::closing) return;
    closing_code_ = code;
    try {
        if (!reason.empty()) closing_reason_ = std::make_unique<std::string>(std::move(reason));
    } catch (const std::bad_alloc&) {
        // It closes all the same, and gives no reason.
    }
    close_deadline_ = add_saturated(driver_.now(), options_->close_timeout);
    set_state(connection_state::closing);
    if (const auto port = extras_->transfers) port->on_link_closed(errc::closed);
    rearm();
    driver_.defer(*this);
}

// What was accepted for sending leaves first; then the close handshake. A link that is down
// comes back for that, as long as the deadline allows.
template <class P>
void link<P>::maybe_close() {
    if (state_ != connection_state::closing || close_sent_) return;
    const bool drained = (!session_ || session_->out().drained()) && !anybody_blocked() && !(wire_ && wire_->sending_message());
    if (!drained && (link_ready_ || dial_ || session_on_)) return;
    if (!link_ready_) return finish(connection_state::closed, {}, {});
    if (session_on_) {
        session_->flush_ack();
        write_session();
        // The last positions are acknowledged before the close frame.
        if (!wire_ || session_->commit_pending()) return;
    }
    close_sent_ = true;
    wire_->close(closing_code_, closing_reason_ ? *closing_reason_ : std::string_view(), close_deadline_ - driver_.now());
}

template <class P>
void link<P>::end_session(std::error_code why, std::optional<std::uint64_t> position, close_code code, bool tells,
                          session::exception_view exceptions) {
    if (state_ == connection_state::closed || state_ == connection_state::failed) return;
    over_ = true;
    if (session_ && P::store::durable) session_->bury(tells ? std::optional(session_->in().accepted()) : std::nullopt);
    try {
        if (session_) session_->end_epoch(position, exceptions);
    } catch (const std::bad_alloc&) {
        // Without its position: what was written ends `unknown`.
    }
    if (wire_) wire_->drop(code);
    finish(connection_state::closed, why, {});
}

template <class P>
void link<P>::lose_host() {
    if (!ends_without_host()) return;
    if (P::store::durable) finish(connection_state::closed, errc::session_expired, {});
    else end_session(errc::session_expired, std::nullopt);
}

template <class P>
void link<P>::finish(connection_state final, std::error_code why, const close_info& close) {
    if (state_ == connection_state::closed || state_ == connection_state::failed) return;
    const bool broken = why == errc::handler_failed || store_failed_ || why == errc::store_failed;
    stored_ = P::store::durable && store_ && !over_;
    const auto code = why == errc::queue_full ? close_code::try_again_later : broken ? close_code::internal_error : close_code::normal;
    if (wire_) wire_->drop(code);
    const auto gone = std::move(wire_);
    attach_deadline_ = close_deadline_ = leave_at_ = gather_until_ = never;
    if (dial_) dial_->retry_at = never;
    link_ready_ = false;
    heartbeat_.stop();
    idle_.stop();
    timer_.cancel();
    if (dial_ && dial_->feed) dial_->feed->stop();
    if (dial_ && dial_->permit) {
        breaker().release(*dial_->permit, driver_.now());
        dial_->permit.reset();
    }
    std::optional<std::uint64_t> accepted;
    if (session_) {
        // What is being committed counts: nobody is told before that is done.
        accepted = P::store::durable ? session_->in().accepted() : session_->in().durable_accepted();
        if (P::store::durable && over_) session_->bury(accepted);
        session_->detach();
    }
    if (session_on_) count(counter::sessions_ended);
    final_error_ = why;
    driver_.defer(*this);
    tell_host(accepted);
    set_state(final, {.reason = why, .close = close});
    fail_operations(why ? why : make_error_code(errc::closed));
    if (const auto port = extras_->transfers) port->on_link_closed(final_error());
    end_messages();
}

// Of a socket that is over. Each end of a message takes memory; where there is none, the rest follows later.
template <class P>
void link<P>::end_messages() {
    if (stored_) leave_to_store(final_error_ ? final_error_ : make_error_code(errc::closed));
    else if (session_) session_->out().finish_all(outcome::cancelled);
}

// Operations that still wait end with `why`; what was received may still be read.
template <class P>
void link<P>::fail_operations(std::error_code why) {
    if (extras_) {
        link_extras& e = extras_.make();
        while (!e.blocked.empty()) {
            blocked_send b = e.blocked.pop_front();
            b.complete(why, outcome::cancelled);
        }
        complete_all(e.openers, why);
        complete_all(e.loaders, why);
        complete_all(e.writers, why);
        complete_all(e.closers, orphaned ? why : std::error_code{});
    }
    if (receiver_ && (orphaned || ready_.empty())) receiver_(why, message{});
    if (sender_queue* q = senders_) count(counter::messages_cancelled, q->close());
}

template <class P>
void link<P>::complete_all(ring<waiting_operation>& list, std::error_code ec) {
    while (!list.empty()) list.pop_front().done(ec);
}

template <class P>
void link<P>::orphan(std::shared_ptr<link> self) {
    orphaned = true;
    if (!driver_.alive()) return;
    const bool final = state_ == connection_state::closed || state_ == connection_state::failed;
    if (wire_) wire_->drop(P::store::durable && session_on_ ? close_code::going_away : close_code::normal);
    const auto gone = std::move(wire_);
    timer_.cancel();
    if (dial_ && dial_->permit) breaker().release(*dial_->permit, driver_.now());
    const std::error_code aborted = asio::error::operation_aborted;
    while (!extras_->accepted.empty()) extras_.make().accepted.pop_front().complete(aborted, false);
    if (!final) stored_ = P::store::durable && store_ && !over_;
    if (session_) {
        if (!final) tell_host(session_->in().durable_accepted());
        // First those who wait: ending the messages one by one takes memory.
        session_->out().find_if([&](auto& m) {
            outcome result = stored_ ? outcome::pending : outcome::cancelled;
            if constexpr (requires { m.result; }) result = m.result;
            else if (m.written && !stored_) result = outcome::unknown;
            if (planted(bug::told_after_destruction) && extras_->on_outcome) extras_->on_outcome(ticket{m.counter}, result);
            for (auto w = std::move(m.waiters); w; w = std::move(w->next))
                static_cast<send_waiter&>(*w).done(aborted, result);
            return false;
        });
        try {
            if (!stored_) session_->out().finish_all(outcome::cancelled);
            session_->out().drain_finished([](session::finished_message&) {});
        } catch (const std::bad_alloc&) {
            // Who asks for an outcome only now is told `operation_aborted`.
        }
    }
    if (!final) tell_host(std::nullopt);
    if (!final) state_ = connection_state::closed;
    if (const auto port = extras_ ? std::exchange(extras_.make().transfers, nullptr) : nullptr) port->on_link_closed(aborted);
    final_error_ = aborted;  // also of operations that a lazy token starts only now
    const auto untaken = std::move(ready_);
    fail_operations(aborted);
    if (handed_->acks) handed_->acks->close();
    // Its messages in processing will never be finished: another session may hand them over.
    if (dedup_) dedup_->abandon(this);
    keep_alive_ = std::move(self);
    on_its_own_ = true;
    driver_.defer(*this);
}

// The io_context is being destroyed, or this is a forked child's copy. Handlers are destroyed without being called, and one of
// them may own this very socket: all are moved out before the first is destroyed.
template <class P>
void link<P>::abandon() noexcept {
    orphaned = true;
    if (!is_final()) state_ = connection_state::closed;  // the copy in a forked child may still be asked
    link_ready_ = false;
    timer_.cancel();
    withdraw();
    if (sender_queue* q = senders_) (void)q->close();
    if (handed_->acks) handed_->acks->close();
    const auto keep = std::move(keep_alive_);
    const auto message_function = std::exchange(on_message_, nullptr);
    const auto state_function = std::exchange(on_state_, nullptr);
    const auto retired = std::move(retired_);
    const auto gone = std::move(wire_);
    const auto session = std::move(session_);
    const auto store = std::move(store_);
    const auto extras = std::move(extras_);
    const auto receiver = std::move(receiver_);
    const auto ready = std::move(ready_);
}

}  // namespace hawser::inline v0::detail

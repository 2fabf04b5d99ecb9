// SPDX-License-Identifier: BSL-1.0
/// \file
/// From the application to the queue, from the queue to a plain connection, and back with outcomes.
#pragma once

#include <hawser/link/link.hpp>

namespace hawser::inline v0::detail {

// Whether one more message goes in: none, `would_block` (wait), or why not.
template <class P>
std::error_code link<P>::admission(std::size_t size) {
    if (state_ == connection_state::closed || state_ == connection_state::failed)
        return final_error_ ? final_error_ : make_error_code(errc::closed);
    if (state_ == connection_state::closing) return errc::closed;
    if (!link_ready_ && options_->feed.offline == offline_sends::refuse) {
        count(counter::queue_rejected);
        return errc::not_connected;
    }
    if (!blocked_.empty() || awaits_store()) return errc::would_block;
    const bool was_paused = overflow_.paused();
    switch (overflow_.on_enqueue(queued_bytes(), queued_messages(), size)) {
    case overflow_action::accept: return {};
    case overflow_action::reject: count(counter::queue_rejected); return errc::queue_full;
    case overflow_action::wait: break;
    }
    if (!was_paused) count(counter::queue_paused);
    return errc::would_block;
}

// Plain mode with an empty queue: straight into the connection's buffer.
template <class P>
HAWSER_IN_LINE inline bool link<P>::direct() const noexcept {
    return link_ready_ && !session_on_ && wire_ && wire_->is_open() && !wire_->backed_up() &&
           (!session_ || session_->out().drained());
}

template <class P>
std::uint64_t link<P>::put(message body, std::string_view key) {
    driver_.defer(*this);
    return outbox().enqueue(std::move(body), key, nullptr, driver_.now());
}

// The operation is taken when nothing can fail any more.
template <class P>
void link<P>::put_awaited(message body, std::string_view key, send_completion& done, std::uint64_t serial) {
    auto waiter = std::make_unique<send_waiter>(send_completion(), serial, true);
    const std::uint64_t counter = put(std::move(body), key);
    waiter->done = std::move(done);
    (void)outbox().add_waiter(counter, std::move(waiter));
}

template <class P>
void link<P>::put_accepted(message body, std::string_view key, enqueue_completion& done, std::uint64_t serial) {
    accepted_.reserve_one();
    const ticket t{put(std::move(body), key)};
    (void)accepted_.push_back({serial, session_->last_lsn(), t, std::move(done)});
}

template <class P>
send_result link<P>::try_send(byte_view bytes, message_kind kind) {
    if (direct() && state_ != connection_state::closing) {
        const auto op = kind == message_kind::text ? ws::opcode::text : ws::opcode::binary;
        if (auto ec = wire_->send(op, {}, bytes)) return {ec, {}};
        count_sent(bytes.size());
        return {{}, {session_ ? session_->out().take_counter() : ++direct_counter_}};
    }
    return try_send(message::copy(bytes, kind), {});
}

template <class P>
send_result link<P>::try_send(const message& body, std::string_view key) {
    if (key.size() > session::max_key_size) return {errc::invalid_argument, {}};
    if (auto ec = admission(session::outbox::footprint(body))) return {ec, {}};
    if (direct()) {
        const auto op = body.is_text() ? ws::opcode::text : ws::opcode::binary;
        if (auto ec = wire_->send(op, {}, body)) return {ec, {}};
        count_sent(body.size());
        return {{}, {session_ ? session_->out().take_counter() : ++direct_counter_}};
    }
    return {{}, {put(body, key)}};
}

template <class P>
std::error_code link<P>::try_send_datagram(const message& body) {
    if (!link_ready_ || !wire_ || !wire_->is_open()) return errc::not_connected;
    if (!session_on_) return errc::session_unsupported;
    if (wire_->backed_up()) return errc::would_block;
    if (body.size() > session_->peer_max_message_size()) return errc::message_too_big;
    const byte_view head = session_->datagram_head(body);
    return head.empty() ? make_error_code(errc::not_connected) : wire_->send(ws::opcode::binary, head, body);
}

template <class P>
void link<P>::send(std::uint64_t serial, message body, std::string key, send_completion done) {
    if (key.size() > session::max_key_size) return done(errc::invalid_argument, outcome::refused);
    const auto ec = admission(session::outbox::footprint(body));
    if (ec == errc::would_block) {
        if (blocked_.size() >= options_->max_waiters) return done(errc::too_many_waiters, outcome::refused);
        (void)blocked_.push_back({serial, std::move(body), std::move(key), std::move(done), {}});
    } else if (ec) {
        done(ec, outcome::refused);
    } else if (direct()) {
        const send_result r = try_send(body, key);
        done(r.error, r ? outcome::written : outcome::refused);
    } else {
        put_awaited(std::move(body), key, done, serial);
    }
}

template <class P>
void link<P>::enqueue(std::uint64_t serial, message body, std::string key, enqueue_completion done) {
    if (key.size() > session::max_key_size) return done(errc::invalid_argument, ticket{});
    const auto ec = admission(session::outbox::footprint(body));
    if (ec == errc::would_block) {
        if (blocked_.size() >= options_->max_waiters) return done(errc::too_many_waiters, ticket{});
        (void)blocked_.push_back({serial, std::move(body), std::move(key), {}, std::move(done)});
    } else if (ec) {
        done(ec, ticket{});
    } else if (direct()) {
        const send_result r = try_send(body, key);
        done(r.error, r.ticket);
    } else {
        put_accepted(std::move(body), key, done, serial);
    }
}

template <class P>
void link<P>::await_outcome(std::uint64_t serial, ticket t, send_completion done) {
    const outcome normally = options_->session == session_mode::off ? outcome::written : outcome::acknowledged;
    std::optional<outcome> known;
    if (session_) known = session_->out().lookup(t.counter, normally);
    else if (t.counter != 0 && t.counter <= direct_counter_) known = normally;
    if (!known) return done(errc::unknown_ticket, outcome::pending);
    if (*known != outcome::pending) return done(error_of(*known), *known);
    if (orphaned) return done(asio::error::operation_aborted, outcome::pending);
    (void)session_->out().add_waiter(t.counter, std::make_unique<send_waiter>(std::move(done), serial, false));
}

template <class P>
void link<P>::write_plain() {
    if (!session_) return;
    begin_commit();
    while (link_ready_ && wire_ && wire_->is_open() && !wire_->backed_up()) {
        // Its end first: that may fail, and what was sent must not be sent again.
        const auto body = session_->out().begin_plain();
        if (!body) return;
        const auto op = body->is_text() ? ws::opcode::text : ws::opcode::binary;
        if (const auto ec = wire_->send(op, {}, *body)) {
            session_->out().undo_plain();
        } else {
            count_sent(body->size());
        }
        begin_commit();
    }
}

// Without a session there is no store: the order of the records is all there is.
template <class P>
void link<P>::commit_now() {
    if (!session_->wants_commit()) return;
    (void)session_->begin_commit();
    session_->end_commit();
}

template <class P>
void link<P>::report_outcomes() {
    if (!session_) return;
    const time_point now = driver_.now();
    while (!accepted_.empty() && accepted_.front().lsn <= session_->durable_lsn()) {
        accepted_enqueue a = accepted_.pop_front();
        a.done({}, a.ticket);
    }
    while (auto f = session_ ? session_->out().pop_finished() : std::nullopt) {
        if (f->result == outcome::acknowledged || f->result == outcome::duplicate) {
            if (!planted(bug::acknowledged_not_counted)) count(counter::messages_acknowledged);
            objects_.metrics.record(histogram::ack_latency, now - f->enqueued);
            if (dial_) dial_->reconnect.on_progress(now);
        } else if (f->result == outcome::rejected) {
            count(counter::messages_rejected);
        } else if (f->result == outcome::unknown) {
            count(counter::messages_unknown);
        } else if (f->result == outcome::cancelled) {
            count(counter::messages_cancelled);
        }
        for (auto w = std::move(f->waiters); w; w = std::move(w->next))
            static_cast<send_waiter&>(*w).done(error_of(f->result), f->result);
        if (transfers_ && transfers_->on_outcome(f->counter, f->result)) continue;
        if (!on_outcome_ || orphaned) continue;
        try {
            on_outcome_(ticket{f->counter}, f->result);
        } catch (...) {
            handler_threw("on_outcome_threw");
        }
    }
}

template <class P>
void link<P>::admit_blocked() {
    if (awaits_store()) return;
    if (overflow_.paused() && !overflow_.on_drained(queued_bytes(), queued_messages())) return;
    while (!blocked_.empty() && state_ != connection_state::closed && state_ != connection_state::failed) {
        const std::size_t size = session::outbox::footprint(blocked_.front().body);
        if (overflow_.on_enqueue(queued_bytes(), queued_messages(), size) != overflow_action::accept) return;
        blocked_send& b = blocked_.front();
        if (b.send) put_awaited(b.body, b.key, b.send, b.serial);
        else put_accepted(b.body, b.key, b.enqueue, b.serial);
        (void)blocked_.pop_front();
    }
}

template <class P>
std::shared_ptr<sender_queue> link<P>::senders() {
    // From any thread, once per socket: a mutex of its own would cost each socket its room.
    static std::mutex making;
    const std::lock_guard lock(making);
    if (!senders_) {
        // Woken on the strand while the queue is open, which ends before the link does.
        senders_ = std::make_shared<sender_queue>(driver_.executor(), options_->queue, [this] {
            const driver::turn t(driver_);
            take_from_senders();
        });
        if (orphaned) (void)senders_->close();
        open_senders_.store(senders_.get(), std::memory_order_release);
    }
    return senders_;
}

template <class P>
void link<P>::take_from_senders() {
    sender_queue* queue = open_senders_.load(std::memory_order_acquire);
    if (!queue || orphaned || state_ == connection_state::closing) return;
    if (is_final()) return count(counter::messages_cancelled, queue->close());
    // What does not fit stays there, in its own bounds.
    while (blocked_.empty() && !overflow_.paused() && !awaits_store()) {
        auto body = queue->pop([this](const message& m) {
            return options_->queue.fits(queued_bytes(), queued_messages(), session::outbox::footprint(m));
        });
        if (!body) return;
        if (direct()) (void)try_send(*body, {});
        else (void)put(std::move(*body), {});
    }
}

}  // namespace hawser::inline v0::detail

// SPDX-License-Identifier: BSL-1.0
/// \file
/// From the application to the queue, from the queue to a plain connection, and back with outcomes.
#pragma once

#include <hawser/link/link.hpp>
#include <hawser/link/link_overflow.hpp>

#include <algorithm>
#include <new>

namespace hawser::inline v0::detail {

// Plain mode with an empty queue: straight into the connection's buffer.
template <class P>
HAWSER_IN_LINE inline bool link<P>::nothing_waits() const noexcept {
    return link_ready_ && !session_on_ && wire_ && wire_->takes_messages() && !wire_->backed_up() &&
           (!session_ || session_->out().drained());
}
template <class P>
HAWSER_IN_LINE inline bool link<P>::direct() const noexcept {
    return nothing_waits() && options_->gather_delay <= milliseconds{0};
}

template <class P>
HAWSER_IN_LINE inline std::uint64_t link<P>::put_usual(message&& body) {
    driver_.defer(*this);
    return outbox().intake().enqueue(std::move(body), driver_.now());
}

template <class P>
std::uint64_t link<P>::put(message body, const send_options& how, bool dropped) {
    driver_.defer(*this);
    if (dropped) return outbox().intake().enqueue_dropped(driver_.now());
    if (how.is_usual()) return put_usual(std::move(body));
    return outbox().enqueue(std::move(body), how, nullptr, driver_.now());
}

template <class P>
ticket_range link<P>::put_all(std::span<const message> bodies, const send_options& how, bool dropped) {
    if (!dropped) {
        driver_.defer(*this);
        return {{outbox().intake().enqueue_batch(bodies, how, driver_.now())}, bodies.size()};
    }
    ticket_range all{{outbox().next_counter()}, 0};
    while (all.count < bodies.size()) (void)put({}, how, true), ++all.count;
    return all;
}

// The operation is taken when nothing can fail any more.
template <class P>
void link<P>::put_awaited(submission& what, send_completion& done, std::uint64_t serial, bool dropped) {
    auto waiter = std::make_unique<send_waiter>(send_completion(), serial, true);
    const std::uint64_t counter = put(what.body, what.how, dropped);  // not moved: it waits on where there is no memory
    waiter->done = std::move(done);
    (void)outbox().add_waiter(counter, std::move(waiter));
}

template <class P>
void link<P>::put_accepted(submission& what, enqueue_completion& one, batch_completion& several, std::uint64_t serial, bool dropped) {
    extras_.make().accepted.reserve_one();
    const ticket_range t = what.batch.empty() ? ticket_range{{put(what.body, what.how, dropped)}, 1}
                                              : put_all(what.batch, what.how, dropped);
    (void)extras_.make().accepted.push_back({serial, session_->last_lsn(), t, std::move(one), std::move(several)});
}

template <class P>
send_result link<P>::try_send(byte_view bytes, message_kind kind) {
    if (direct() && state_ != connection_state::closing) {
        const auto op = kind == message_kind::text ? ws::opcode::text : ws::opcode::binary;
        if (auto ec = wire_->send(op, {}, bytes)) return {ec, {}};
        count_sent(bytes.size());
        return {{}, {session_ ? session_->out().take_counter() : ++direct_counter_}};
    }
    static const send_options usual;
    message body = message::copy(bytes, kind);
    const admitted a = admission(usual, session::footprint(body));
    if (a.error) return {a.error, {}};
    if (direct()) return send_directly(body);
    return {{}, {a.dropped ? put({}, usual, true) : put_usual(std::move(body))}};
}

template <class P>
send_result link<P>::try_send(message body, const send_options& how) {
    if (!how.valid()) return {errc::invalid_argument, {}};
    const admitted a = admission(how, session::footprint(body, how));
    if (a.error) return {a.error, {}};
    if (direct()) return send_directly(body);
    return {{}, {put(std::move(body), how, a.dropped)}};
}

template <class P>
send_result link<P>::send_directly(const message& body) {
    const auto op = body.is_text() ? ws::opcode::text : ws::opcode::binary;
    if (auto ec = wire_->send(op, {}, body)) return {ec, {}};
    count_sent(body.size());
    return {{}, {session_ ? session_->out().take_counter() : ++direct_counter_}};
}

template <class P>
batch_result link<P>::try_send_batch(std::span<const message> bodies, const send_options& how) {
    if (const auto fault = batch_fault(bodies, how)) return {fault, {}};
    const admitted a = admission(how, submission::footprint(bodies, how), bodies.size());
    if (a.error) return {a.error, {}};
    return {{}, put_all(bodies, how, a.dropped)};
}

template <class P>
std::error_code link<P>::try_send_datagram(const message& body) {
    if (!link_ready_ || !wire_ || !wire_->is_open()) return errc::not_connected;
    if (!session_on_) return errc::session_unsupported;
    if (wire_->backed_up()) return errc::would_block;
    if (body.size() > session_->peer_max_message_size()) return errc::message_too_big;
    const byte_view head = session_->datagram_head(body);
    if (head.empty()) return errc::not_connected;
    note_message();
    return wire_->send(ws::opcode::binary, head, body);
}

template <class P>
void link<P>::send(std::uint64_t serial, message body, send_options how, send_completion done) {
    if (!how.valid()) return done(errc::invalid_argument, outcome::refused);
    submission what{std::move(body), {}, std::move(how)};
    const admitted a = admission(what.how, what.footprint());
    if (a.error == errc::would_block) {
        if (extras_->blocked.size() >= options_->max_waiters) return done(errc::too_many_waiters, outcome::refused);
        (void)extras_.make().blocked.push_back({serial, std::move(what), std::move(done), {}, {}});
    } else if (a.error) {
        done(a.error, outcome::refused);
    } else if (direct()) {
        const send_result r = try_send(what.body, what.how);
        done(r.error, r ? outcome::written : outcome::refused);
    } else {
        put_awaited(what, done, serial, a.dropped);
    }
}

template <class P>
void link<P>::enqueue(std::uint64_t serial, message body, send_options how, enqueue_completion done) {
    if (!how.valid()) return done(errc::invalid_argument, ticket{});
    submission what{std::move(body), {}, std::move(how)};
    const admitted a = admission(what.how, what.footprint());
    batch_completion none;
    if (a.error == errc::would_block) {
        if (extras_->blocked.size() >= options_->max_waiters) return done(errc::too_many_waiters, ticket{});
        (void)extras_.make().blocked.push_back({serial, std::move(what), {}, std::move(done), {}});
    } else if (a.error) {
        done(a.error, ticket{});
    } else if (direct()) {
        const send_result r = try_send(what.body, what.how);
        done(r.error, r.ticket);
    } else {
        put_accepted(what, done, none, serial, a.dropped);
    }
}

template <class P>
void link<P>::enqueue_batch(std::uint64_t serial, std::vector<message> bodies, send_options how, batch_completion done) {
    if (const auto fault = batch_fault(bodies, how)) return done(fault, ticket_range{});
    submission what{{}, std::move(bodies), std::move(how)};
    const admitted a = admission(what.how, what.footprint(), what.count());
    enqueue_completion none;
    if (a.error == errc::would_block) {
        if (extras_->blocked.size() >= options_->max_waiters) return done(errc::too_many_waiters, ticket_range{});
        (void)extras_.make().blocked.push_back({serial, std::move(what), {}, {}, std::move(done)});
    } else if (a.error) {
        done(a.error, ticket_range{});
    } else {
        put_accepted(what, none, done, serial, a.dropped);
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
    if (link_ready_ && gathering()) return;
    while (link_ready_ && wire_ && wire_->takes_messages() && !wire_->backed_up()) {
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
void link<P>::count_loss(outcome o) noexcept {
    switch (o) {
    case outcome::rejected: return count(counter::messages_rejected);
    case outcome::unknown: return count(counter::messages_unknown);
    case outcome::cancelled: return count(counter::messages_cancelled);
    case outcome::expired: return count(counter::messages_expired);
    case outcome::replaced: return count(counter::messages_replaced);
    case outcome::dropped: return count(counter::messages_dropped);
    default: return;
    }
}

// Those whose messages are durable.
template <class P>
void link<P>::report_accepted() {
    while (extras_ && !extras_->accepted.empty() && extras_.make().accepted.front().lsn <= session_->durable_lsn()) {
        accepted_enqueue a = extras_.make().accepted.pop_front();
        a.complete({}, true);
    }
}

template <class P>
void link<P>::report_outcomes() {
    if (!session_) return;
    const time_point now = driver_.now();
    report_accepted();
    while (auto f = session_ ? session_->out().pop_finished() : std::nullopt) {
        if (f->result == outcome::acknowledged || f->result == outcome::duplicate) {
            if (!planted(bug::acknowledged_not_counted)) count(counter::messages_acknowledged);
            objects_.metrics.record(histogram::ack_latency, now - f->enqueued);
            if (dial_) dial_->reconnect.on_progress(now);
        } else {
            count_loss(f->result);
        }
        for (auto w = std::move(f->waiters); w; w = std::move(w->next))
            static_cast<send_waiter&>(*w).done(error_of(f->result), f->result);
        if (!extras_) continue;
        if (extras_->transfers && extras_->transfers->on_outcome(f->counter, f->result)) continue;
        if (!extras_->on_outcome || orphaned) continue;
        try {
            extras_->on_outcome(ticket{f->counter}, f->result);
        } catch (...) {
            handler_threw("on_outcome_threw");
        }
    }
}

template <class P>
std::shared_ptr<sender_queue> link<P>::senders() {
    // From any thread, once per socket: a mutex of its own would cost each socket its room.
    static std::mutex making;
    const std::lock_guard lock(making);
    if (sender_queue* q = senders_.load(std::memory_order_relaxed)) return q->shared_from_this();
    // Woken on the strand while the queue is open, which ends before the link does.
    auto made = std::make_shared<sender_queue>(driver_.executor(), options_->queue, [this] {
        const driver::turn t(driver_);
        take_from_senders();
    });
    if (orphaned) (void)made->close();
    made->stay();
    senders_.store(made.get(), std::memory_order_release);
    return made;
}

// Nobody hears of a refusal here: what the connection does not take goes into the queue, which tells what becomes of it. The
// overflow policy is asked on neither way, as its answer would be one for a producer.
template <class P>
void link<P>::take_over(const handed_over& h) {
    if (direct()) {
        const std::error_code ec = send_directly(h.body).error;
        if (!ec) return;
        if (ec == errc::out_of_memory) throw std::bad_alloc();
    }
    (void)put(h.body, h.how ? *h.how : send_options{}, false);  // not moved: it waits on where there is no memory
}

template <class P>
void link<P>::take_from_senders() {
    sender_queue* queue = senders_.load(std::memory_order_acquire);
    if (!queue || orphaned || state_ == connection_state::closing) return;
    if (is_final()) return count(counter::messages_cancelled, queue->close());
    if (resume_at_ != never) return;  // once more in the same turn might be for ever
    // What does not fit stays there, in its own bounds.
    while (!anybody_blocked() && !overflow_.paused() && !awaits_store()) {
        const handed_over* next = queue->next([this](const handed_over& h) {
            const std::size_t size = h.how ? session::footprint(h.body, *h.how) : session::footprint(h.body);
            return options_->queue.fits(queued_bytes(), queued_messages(), size);
        });
        if (!next) return;
        try {
            take_over(*next);
        } catch (const std::bad_alloc&) {
            // Whoever handed it over was told that it is taken, and hears nothing any more: it is tried again.
            resume_at_ = std::min(resume_at_, add_saturated(driver_.now(), milliseconds{100}));
            return rearm();
        }
        queue->taken();
    }
}

}  // namespace hawser::inline v0::detail

// SPDX-License-Identifier: BSL-1.0
/// \file
/// From a connection to the application, and who has responsibility for a message.
#pragma once

#include <hawser/link/link.hpp>
#include <hawser/protocol/ws/utf8.hpp>

#include <mutex>
#include <new>

namespace hawser::inline v0::detail {

/// Brings `message::ack()` from any thread to the link. It never owns the link, which must not
/// end on a foreign thread, and touches it on the strand alone.
template <class P>
class ack_relay final : public ack_sink, public std::enable_shared_from_this<ack_relay<P>> {
public:
    explicit ack_relay(link<P>& target) : target_(&target) {}
    void acknowledge(std::uint64_t epoch_serial, std::uint64_t seq, const message_id& id, bool rejected) noexcept override {
        try {
            // `close` waits for the lock, so while it is open the io_context is there.
            std::unique_lock lock(mutex_);
            if (!target_) return;
            driver& d = target_->runtime();
            if (d.executor().running_in_this_thread()) {
                lock.unlock();
                return run(epoch_serial, seq, id, rejected);
            }
            asio::post(d.executor(), [self = this->shared_from_this(), epoch_serial, seq, id, rejected] {
                self->run(epoch_serial, seq, id, rejected);
            });
        } catch (...) {
            // Out of memory: the message stays unacknowledged and will be delivered again.
        }
    }
    /// The link is gone.
    void close() noexcept {
        const std::lock_guard lock(mutex_);
        target_ = nullptr;
    }

private:
    // On the strand, like the closing.
    void run(std::uint64_t epoch_serial, std::uint64_t seq, const message_id& id, bool rejected) {
        if (!target_) return;
        const driver::turn t(target_->runtime());
        target_->acknowledge(epoch_serial, seq, id, rejected);
    }

    std::mutex mutex_;
    link<P>* target_;
};

template <class P>
void link<P>::on_wire_message(wire&, byte_view payload, bool text) {
    if (orphaned || close_sent_) return;
    if (session_on_) return on_session_message(payload, text);
    deliver_plain(payload, text);
}

template <class P>
HAWSER_OUT_OF_LINE void link<P>::on_session_message(byte_view payload, bool text) {
    try {
        if (!payload.empty() && session::carries_payload(static_cast<session::frame_type>(payload[0]))) note_message();
        if (!text) {
            const session::action a = session_->on_frame(payload, driver_.now());
            if (a.what != session::action::kind::deliver) return on_action(a);
            driver_.defer(*this);
            return deliver(a);
        }
        session::action bad;
        bad.what = session::action::kind::close_link;
        bad.error = errc::session_malformed;
        bad.code = close_code::unsupported_data;
        on_action(bad);
    } catch (...) {
        failed();
    }
}

// Something could not be finished, and is half done. A message that was received and could not be
// kept would be taken for a copy when it comes again: the session ends too, and its sender is told.
template <class P>
void link<P>::break_off(std::error_code why) {
    if (orphaned || is_final()) return;
    driver_.defer(*this);
    // What the store has is not here, or not all of it: nothing may go on without that.
    if (awaits_store()) return finish(connection_state::failed, why, {});
    if (session_on_ && session_) {
        if (!dial_ && P::store::durable && store_) {
            // The store knows what was accepted: the session goes on from there.
            if (wire_) wire_->drop(close_code::internal_error);
            return finish(connection_state::closed, why, {});
        }
        if (!dial_) {
            if (wire_) wire_->drop(close_code::internal_error);  // while the host counts it
            // Without a position: what was handed over last may not be in it.
            if (host_) std::exchange(host_, nullptr)->on_link_ended(this, std::nullopt, link_end::over);
            return end_session(why, std::nullopt, close_code::internal_error);
        }
        if (wire_) wire_->drop(close_code::internal_error);  // first: nothing may follow the end in the journal
        session_->end_epoch(std::nullopt);
    }
    if (wire_) wire_->drop(close_code::internal_error);
    const auto gone = std::move(wire_);
    link_lost(why, {close_code::internal_error, {}, false}, {});
}

// In a catch clause: an exception in the library's own work, such as that of memory that ran out,
// costs this socket its connection and nobody else anything.
template <class P>
void link<P>::failed() noexcept {
    const bool again = std::exchange(failed_at_, driver_.now()) == driver_.now();
    try {
        objects_.logger.log(log_level::error, "internal_exception", {{"what", text_of_exception()}});
        if (!again && !is_final()) return break_off(error_of_exception());
    } catch (...) {
        broken_ = true;
    }
    // Once more in the same turn might be for ever.
    withdraw();
    resume_at_ = add_saturated(driver_.now(), milliseconds{100});
    rearm();
}

template <class P>
void link<P>::note_exception(std::string_view event, std::string_view callback) noexcept {
    count(counter::handler_failures);
    try {
        if (callback.empty()) objects_.logger.log(log_level::error, event, {{"what", text_of_exception()}});
        else objects_.logger.log(log_level::error, event, {{"callback", callback}, {"what", text_of_exception()}});
    } catch (...) {
        objects_.logger.log(log_level::error, event);  // no memory for the text
    }
}

// In a catch clause.
template <class P>
void link<P>::handler_threw(std::string_view event) noexcept {
    note_exception(event, {});
    handler_gave_up(options_->handler_errors);
}

// Not in the middle of what called the callback, but at the end of the turn a critical failure ends the socket.
template <class P>
void link<P>::handler_gave_up(handler_criticality how) noexcept {
    if (orphaned || is_final() || how != handler_criticality::critical) return;
    handler_failed_ = true;
    if (driver_.in_turn()) driver_.defer(*this);
}

template <class P>
HAWSER_IN_LINE inline void link<P>::deliver_plain(byte_view payload, bool text) {
    note_message();
    count_received(payload.size());
    const auto kind = text ? message_kind::text : message_kind::binary;
    if (feed_on_) return deliver_feed({.bytes = payload, .kind = kind});
    if (on_message_ && !held_ && ready_.empty()) return call_handler({.bytes = payload, .kind = kind});
    keep_plain(payload, kind);
}

template <class P>
HAWSER_OUT_OF_LINE void link<P>::keep_plain(byte_view payload, message_kind kind) {
    // Only volatile messages can come in a session without its credit.
    if (session_on_ && ready_bytes_ >= options_->receive_buffer_bytes) return;
    try {
        message body = message::copy(payload, kind);
        ready_bytes_ += body.footprint();
        ready_.emplace_back().body = std::move(body);
    } catch (...) {
        return failed();
    }
    kept();
}

// Accepted when the transfers have it: if this process dies, the sender finds out and goes on from what
// the receiver has on disk.
template <class P>
void link<P>::deliver_transfer(const session::action& a) {
    count_received(a.payload.size());
    const std::uint64_t serial = session_->epoch_serial();
    if (!extras_->transfers) extras_.make().transfers = std::make_shared<transfer_backlog>();
    const auto port = extras_->transfers;
    const std::error_code ec = port->on_message(a.payload);
    if (orphaned || !session_) return;
    session_->finish(serial, a.seq, driver_.now());
    if (!ec || is_final()) return;
    session::action bad;
    bad.what = session::action::kind::close_link;
    bad.error = ec;
    bad.code = ec == errc::table_full ? close_code::policy_violation : close_code::protocol_error;
    on_action(bad);
}

template <class P>
void link<P>::attach_transfers(std::shared_ptr<transfer_port> port) {
    const auto former = std::exchange(extras_.make().transfers, port);
    if (is_final() || orphaned) return port->on_link_closed(final_error());
    if (link_ready_) port->on_link_open(takes_transfers(), true);
    if (former) former->hand_over(*port);
}

template <class P>
void link<P>::deliver(const session::action& a) {
    if (a.transfer) return deliver_transfer(a);
    count_received(a.payload.size());
    if (a.text && !ws::is_utf8(a.payload)) return refuse_text(a);
    const auto kind = a.text ? message_kind::text : message_kind::binary;
    const std::uint64_t serial = session_->epoch_serial();
    if ((!on_message_ && !transactional()) || held_ || !ready_.empty() ||
        dedup_->check(a.id, driver_.now()) != dedup_state<P>::verdict::fresh)
        return keep({message::copy(a.payload, kind), a.id, a.seq, serial, std::string(a.key)});
    if (transactional()) return hand_to_store({message::copy(a.payload, kind), a.id, a.seq, serial, std::string(a.key)});
    if (options_->acceptance == acceptance_mode::on_processed) dedup_->begin(a.id, this);
    rejected_seq_ = 0;
    call_handler({a.payload, kind, a.seq, a.key, a.id, serial});
    if (orphaned || handler_broke()) return;
    if (options_->acceptance == acceptance_mode::on_hand_off && rejected_seq_ != a.seq)
        took_responsibility(serial, a.seq, a.id);
}

// It was sent as text and is none. Closing the link would not help: it would come again with the next one, for ever.
template <class P>
void link<P>::refuse_text(const session::action& a) {
    objects_.logger.log(log_level::warning, "text_refused", {{"seq", std::to_string(a.seq)}, {"why", "it is not UTF-8"}});
    tell_rejected(session_->epoch_serial(), a.seq);
}

// A copy of a message that the application has already: not handed over again, and accepted when
// the first one is finished. It takes the place of a first one that never will be.
template <class P>
void link<P>::drop_copy(typename dedup_state<P>::verdict verdict, ready_message m) {
    count(counter::duplicates_dropped);
    driver_.defer(*this);
    if (verdict == dedup_state<P>::verdict::duplicate)
        return session_->finish(m.epoch_serial, m.seq, driver_.now(), outcome::duplicate);
    const message_id id = m.id;
    dedup_->wait_for(id, [weak = this->weak_from_this(), m = std::move(m)](bool finished) {
        const auto self = weak.lock();
        if (!self || self->orphaned || self->session_->epoch_serial() != m.epoch_serial) return;
        if (!finished) return self->keep(m);
        self->session_->finish(m.epoch_serial, m.seq, self->driver_.now(), outcome::duplicate);
        self->driver_.defer(*self);
    });
}

template <class P>
HAWSER_IN_LINE inline void link<P>::call_handler(const message_view& view) {
    try {
        on_message_(view);
    } catch (...) {
        message_handler_threw();
    }
}

// In a catch clause.
template <class P>
void link<P>::message_handler_threw() noexcept {
    handler_threw("on_message_threw");
    fail_for_handler();
}

// At once: the next message is not for a handler that failed.
template <class P>
void link<P>::fail_for_handler() noexcept {
    if (!std::exchange(handler_failed_, false)) return;
    try {
        finish(connection_state::failed, errc::handler_failed, {});
    } catch (...) {
        failed();
    }
}

template <class P>
void link<P>::keep(ready_message m) {
    ready_bytes_ += m.body.footprint();
    (void)ready_.push_back(std::move(m));
    kept();
}

template <class P>
void link<P>::kept() {
    driver_.defer(*this);
    if (session_on_ || !wire_ || wire_->paused() || ready_bytes_ < options_->receive_buffer_bytes) return;
    wire_->pause();
    heartbeat_.suspend(driver_.now());
    idle_.suspend();
    if (dial_ && dial_->feed) dial_->feed->watch.suspend();
}

// One that waited is taken.
template <class P>
void link<P>::freed(const ready_message& m) {
    ready_bytes_ -= m.body.footprint();
    read_on();
}

template <class P>
void link<P>::read_on() {
    if (!wire_ || !wire_->paused() || ready_bytes_ > options_->receive_buffer_bytes / 2 || holds_pieces()) return;
    wire_->resume();
    heartbeat_.resume(driver_.now());
    idle_.resume(driver_.now());
    if (dial_ && dial_->feed) dial_->feed->watch.resume(driver_.now());
    driver_.defer(*this);  // its deadline is another now
}

// The next message for the application; copies of what it has are dropped here.
template <class P>
bool link<P>::take_ready(ready_message& out) {
    while (!ready_.empty()) {
        out = ready_.pop_front();
        freed(out);
        if (out.seq == 0 || out.given_back) return true;
        const auto verdict = dedup_->check(out.id, driver_.now());
        if (verdict == dedup_state<P>::verdict::fresh) {
            if (options_->acceptance == acceptance_mode::on_processed && !transactional()) dedup_->begin(out.id, this);
            return true;
        }
        drop_copy(verdict, std::move(out));
    }
    return false;
}

template <class P>
void link<P>::give_back(message m) {
    if (orphaned || !m) return;
    ready_message r{.body = std::move(m), .given_back = true};
    if (const auto info = r.body.take_delivery()) {
        r.id = info->id;
        r.seq = info->seq;
        r.epoch_serial = info->epoch_serial;
        r.key = std::move(info->key);
        forget_previous(r.seq, r.epoch_serial);
    }
    const std::size_t size = r.body.footprint();
    try {
        (void)ready_.push_front(std::move(r));
    } catch (...) {
        return failed();
    }
    ready_bytes_ += size;
    driver_.defer(*this);
}

template <class P>
message link<P>::own(ready_message m) {
    if (m.seq == 0) return std::move(m.body);
    std::unique_ptr<delivery> info;
    try {
        if (!handed_->acks) handed_.make().acks = std::make_shared<ack_relay<P>>(*this);
        info = std::make_unique<delivery>();
    } catch (...) {
        m.given_back = true;
        ready_bytes_ += m.body.footprint();
        (void)ready_.push_front(std::move(m));  // where it was taken from: there is room
        throw;
    }
    if (options_->acceptance == acceptance_mode::on_hand_off) handed_.make().previous = taken_message{m.epoch_serial, m.seq, m.id};
    *info = delivery{m.id, m.seq, m.epoch_serial, std::move(m.key), handed_->acks};
    m.body.set_delivery(std::move(info));
    return std::move(m.body);
}

template <class P>
void link<P>::drain_ready() {
    if (draining_) return;
    draining_ = true;
    const auto drained = [](bool* flag) { *flag = false; };
    const std::unique_ptr<bool, decltype(drained)> guard(&draining_, drained);
    ready_message m;
    const auto wanted = [this] { return ((on_message_ || transactional()) && !held_) || receiver_; };
    while (!orphaned && !handler_broke() && wanted() && take_ready(m)) {
        if (transactional() && m.seq != 0) {
            hand_to_store(std::move(m));
            continue;
        }
        if (receiver_) {
            message taken_over = own(std::move(m));
            receiver_({}, std::move(taken_over));
            continue;
        }
        if (!on_message_) continue;  // a volatile message is not for a transaction
        const taken_message at{m.epoch_serial, m.seq, m.id};
        rejected_seq_ = 0;
        call_handler({m.body.bytes(), m.body.kind(), m.seq, m.key, m.id, m.epoch_serial});
        if (orphaned || handler_broke()) break;
        if (at.seq != rejected_seq_ && at.seq != 0 && options_->acceptance == acceptance_mode::on_hand_off)
            took_responsibility(at.epoch_serial, at.seq, at.id);
    }
    if (extras_ && extras_->on_piece && ready_.empty()) apply_pieces();
    // All that came before the end were copies.
    if (receiver_ && is_final() && ready_.empty())
        receiver_(final_error_ ? final_error_ : make_error_code(errc::closed), message{});
}

template <class P>
void link<P>::receive(std::uint64_t serial, receive_completion done) {
    if (receiver_) return done(errc::operation_in_progress, message{});
    accept_previous();
    ready_message m;
    if (take_ready(m)) return done({}, own(std::move(m)));
    if (state_ == connection_state::closed || state_ == connection_state::failed)
        return done(final_error_ ? final_error_ : make_error_code(errc::closed), message{});
    receive_serial_ = serial;
    receiver_ = std::move(done);
}

template <class P>
std::optional<message> link<P>::try_receive() {
    accept_previous();
    if (!receiver_ && !ready_.empty() && ready_.front().seq == 0) {  // as below, and moves one word
        freed(ready_.front());
        std::optional<message> plain(std::move(ready_.front().body));
        ready_.drop_front();
        return plain;
    }
    ready_message m;
    if (receiver_ || !take_ready(m)) return std::nullopt;
    return own(std::move(m));
}

template <class P>
void link<P>::accept_previous() {
    if (!handed_) return;
    if (const auto p = std::exchange(handed_.make().previous, std::nullopt)) took_responsibility(p->epoch_serial, p->seq, p->id);
}

template <class P>
void link<P>::forget_previous(std::uint64_t seq, std::uint64_t epoch_serial) noexcept {
    if (const auto& p = handed_->previous; p && p->seq == seq && p->epoch_serial == epoch_serial) handed_.make().previous.reset();
}

template <class P>
void link<P>::took_responsibility(std::uint64_t epoch_serial, std::uint64_t seq, const message_id& id) {
    try {
        dedup_->processed(id, driver_.now());
    } catch (const std::bad_alloc&) {
        // Not remembered beyond this session; the message has been handed over and is accepted.
    }
    if (!session_) return;
    session_->finish(epoch_serial, seq, driver_.now());
    driver_.defer(*this);
}

// The first decision about a message stands: the inbox ignores another one. A peer that does not know
// rejections is told `acknowledged`: nothing else would let those behind it pass.
template <class P>
void link<P>::rejected(std::uint64_t epoch_serial, std::uint64_t seq, const message_id& id) {
    rejected_seq_ = seq;
    if (options_->acceptance == acceptance_mode::on_processed) dedup_->reject(id);
    tell_rejected(epoch_serial, seq);
}
template <class P>
void link<P>::tell_rejected(std::uint64_t epoch_serial, std::uint64_t seq) {
    if (!session_ || session_->epoch_serial() != epoch_serial || seq <= session_->in().accepted()) return;
    session_->finish(epoch_serial, seq, driver_.now(), outcome::rejected);
    driver_.defer(*this);
    if (session_->speaks(session::feature::exceptions)) return;
    count(counter::rejections_untold);
    objects_.logger.log(log_level::warning, "rejection_untold", {{"seq", std::to_string(seq)}});
}

template <class P>
void link<P>::acknowledge(std::uint64_t epoch_serial, std::uint64_t seq, const message_id& id, bool rejected) {
    if (orphaned || seq == 0 || !dedup_) return;
    forget_previous(seq, epoch_serial);
    if (rejected) return this->rejected(epoch_serial, seq, id);
    if (options_->acceptance == acceptance_mode::on_hand_off) return took_responsibility(epoch_serial, seq, id);
    dedup_->finish(id, driver_.now());
    if (!session_) return;
    session_->finish(epoch_serial, seq, driver_.now());
    driver_.defer(*this);
}

}  // namespace hawser::inline v0::detail

// SPDX-License-Identifier: BSL-1.0
/// \file
/// Executes the session's state machine: frames, the store, deadlines, and the end of a turn.
#pragma once

#include <hawser/link/link.hpp>

namespace hawser::inline v0::detail {

// Without a session on the wire only its queue is used.
template <class P>
session::endpoint& link<P>::session(std::string_view stream) {
    if (session_) return *session_;
    // A socket without a connection is one that will dial.
    if (dial_ || (stream.empty() && !wire_)) stream = client_stream;
    const bool stored = options_->session != session_mode::off && !stream.empty();
    session::endpoint_options o;
    o.side = stream == client_stream ? session::side::client : session::side::server;
    o.checksum = options_->checksum;
    o.transfers = options_->transfers;
    o.durable = P::store::durable;
    o.keep_records = P::store::keeps_records && stored;
    o.max_message_size = options_->max_message_size;
    o.send_window = options_->send_window_messages;
    o.receive = {options_->receive_window_messages, options_->receive_window_bytes, options_->ack_delay};
    o.send_window_bytes = options_->send_window_bytes;
    o.send_again = options_->lost_session == lost_session_policy::send_again;
    o.dedup_kept = !std::is_same_v<typename P::dedup, no_dedup>;
    o.session_ttl = options_->session_ttl;
    o.features = options_->session_features;
    o.part_size = options_->part_size;
    o.max_age = options_->queue.max_age;
    // An origin that is not unique would let the peer take new messages for old ones: one of
    // zeros, for want of randomness, is refused before a session begins.
    if (options_->session != session_mode::off && !driver_.entropy().take(o.origin)) o.origin = {};
    auto made = std::make_unique<session::endpoint>(o);
    made->out().begin_after(direct_counter_);
    if (!dedup_) dedup_ = std::make_shared<dedup_state<P>>(options_->dedup, random_seed(driver_));
    if (stored) store_ = objects_.store.open(driver_, *this, stream);
    session_ = std::move(made);  // all of it or nothing
    return *session_;
}

template <class P>
HAWSER_IN_LINE inline std::error_code link<P>::send_frame(const session::outgoing_frame& f) {
    if (f.is_whole()) return wire_->send(ws::opcode::binary, f.head, *f.body);
    if (f.body && !f.body->compressible()) return wire_->send_uncompressed(ws::opcode::binary, f.head, f.payload);
    return wire_->send(ws::opcode::binary, f.head, f.payload);
}

template <class P>
void link<P>::write_session() {
    if (!session_) return;
    const bool can_write = wire_ && wire_->is_open() && !close_sent_;
    if (can_write && !wire_->backed_up() && !stops_assigning() && !gathering()) session_->assign(wire_->room());
    begin_commit();
    while (can_write && wire_ && wire_->is_open() && !wire_->backed_up()) {
        const auto frame = session_->next_frame();
        if (!frame) return;
        const auto ec = send_frame(*frame);
        if (frame->more) driver_.defer(*this);  // the last part gets its number first
        if (frame->body) {
            const std::size_t size = frame->payload.size();
            if (!frame->again && !frame->more) {
                count_sent(size);
            } else {
                note_message();
                if (!frame->more) count(counter::messages_replayed);
                count(counter::bytes_sent, size);
            }
        }
        if (!ec && frame->more && !wire_->backed_up()) {
            // Between the parts of a large message others have their turn.
            session_->assign(wire_->room());
            begin_commit();
        }
        if (!ec) continue;
        // The frame is lost to this link and is sent again on the next one.
        wire_->drop();
        const auto gone = std::move(wire_);
        return link_lost(ec, {}, {});
    }
}

template <class P>
void link<P>::on_action(const session::action& a) {
    using kind = session::action::kind;
    driver_.defer(*this);
    switch (a.what) {
    case kind::none:
    case kind::pong: return;
    case kind::deliver: return;  // done by the caller
    case kind::datagram: return deliver_plain(a.payload, a.text);
    case kind::goaway: return on_goaway(a.delay, a.key);
    case kind::epoch_lost:
        count(counter::session_resumes_failed);
        return objects_.logger.log(log_level::warning, "session_lost");
    case kind::established:
    case kind::resumed: {
        const bool resumed = a.what == kind::resumed;
        link_up(resumed);
        if (host_) host_->on_link_confirmed(this, resumed);
        return;
    }
    case kind::end_session:
        if (!dial_) return end_session(a.error, std::nullopt, a.code);
        count(counter::session_resumes_failed);
        session_->end_epoch(std::nullopt);
        [[fallthrough]];
    case kind::close_link: {
        count(counter::protocol_errors);
        if (wire_) wire_->drop(a.code, a.error.message());
        const auto gone = std::move(wire_);
        if (a.error == errc::session_version && dial_) return finish(connection_state::failed, a.error, {});
        return link_lost(a.error, {a.code, {}, false}, {});
    }
    }
}

template <class P>
void link<P>::adopt_plain(std::unique_ptr<wire> w) {
    wire_ = std::move(w);
    wire_->set_owner(*this);
    session_on_ = false;
    loaded_ = true;
    try {
        link_up(false);
    } catch (...) {
        failed();
    }
}

template <class P>
std::error_code link<P>::adopt_session(std::unique_ptr<wire> w, const session::hello& h,
                                       const session::epoch_id& epoch, const session::resume_token& token,
                                       const session::server_facts& facts) {
    wire_ = std::move(w);
    wire_->set_owner(*this);
    session_on_ = loaded_ = true;
    if (session(session_stream(epoch)).options().origin == session::origin_id{}) return errc::random_failed;
    if (auto ec = session_->attach_hello(h, epoch, token, facts)) return ec;
    set_state(connection_state::connecting);
    attach_deadline_ = add_saturated(driver_.now(), options_->connect_timeout);
    rearm();
    driver_.defer(*this);
    return {};
}

template <class P>
void link<P>::adopt_resumed(std::unique_ptr<wire> w, const session::resume& r, const session::resume_token& token,
                            const session::server_facts& facts) {
    if (planted(bug::two_owners)) (void)wire_.release();
    if (wire_) wire_->drop(close_code::superseded, "a newer connection resumed the session");
    const auto gone = std::exchange(wire_, std::move(w));
    wire_->set_owner(*this);
    leave_at_ = never;
    leaving_ = peer_leaves_ = false;
    if (std::exchange(link_ready_, false)) {
        count(counter::disconnects);
        set_state(connection_state::detached, {.reason = errc::superseded});
    }
    heartbeat_.stop();
    idle_.stop();
    close_sent_ = false;
    session_->detach();
    attach_deadline_ = add_saturated(driver_.now(), options_->connect_timeout);
    rearm();
    driver_.defer(*this);
    try {
        session_->attach_resume(r, token, facts, driver_.now());
    } catch (...) {
        failed();
    }
}

// The end of a turn: what it caused leaves together.
template <class P>
void link<P>::run() {
    traffic_.count(objects_.metrics);
    try {
        if (orphaned) {
            if (!on_its_own_) return;  // its owner's farewell is on its way to the strand
            // The end of a session is on its way to the store: it is waited for.
            if (P::store::durable && over_ && store_ && !store_failed_ && session_->commit_pending()) return begin_commit();
            close_store();
            const auto last = on_its_own_ ? std::move(keep_alive_) : nullptr;
            return;
        }
        end_of_turn();
    } catch (...) {
        failed();
    }
}

template <class P>
void link<P>::end_of_turn() {
    if (std::exchange(handler_failed_, false)) finish(connection_state::failed, errc::handler_failed, {});
    if (std::exchange(overflowed_, false)) finish(connection_state::failed, errc::queue_full, {});
    if (is_final()) end_messages();
    if (is_final()) close_store();
    tell_pressure(false);
    if (orphaned) return;
    const auto retired = std::move(retired_);
    drain_ready();
    take_from_senders();
    admit_blocked();
    expire_waiting();
    if (session_on_ || (session_ && store_)) write_session();
    if (!session_on_) write_plain();
    if (extras_ && !extras_->writers.empty()) tell_writers();
    report_outcomes();
    tell_pressure(true);
    admit_blocked();
    if (orphaned) return;
    // The queue may have shrunk, and no other event may follow.
    take_from_senders();
    maybe_leave();
    maybe_close();
    if (on_message_) ready_.release();  // what is received by operations passes through it each time
    if (session_) session_->release();
    rearm();
}

template <class P>
void link<P>::rearm() {
    if (queued_messages() == 0) {
        gather_over_ = false;
        gather_until_ = never;
    }
    time_point first = std::min({attach_deadline_, close_deadline_, resume_at_, leave_at_, gather_until_});
    if (dial_) first = std::min(first, dial_->deadline());
    if (link_ready_) first = std::min({first, heartbeat_.deadline(), idle_.deadline()});
    // What a store keeps of a socket that ended waits for the next one.
    if (session_ && !is_final()) first = std::min(first, session_->deadline());
    if (first != never && first < timer_.deadline()) driver_.arm(timer_, first);
}

template <class P>
void link<P>::on_timer_due(time_point now) {
    try {
        expire(now);
    } catch (...) {
        failed();
    }
}

template <class P>
void link<P>::expire(time_point now) {
    if (orphaned && !on_its_own_) return;  // its owner's farewell is on its way to the strand
    if (resume_at_ <= now) {
        resume_at_ = never;
        driver_.defer(*this);
        if (std::exchange(broken_, false)) break_off(errc::out_of_memory);
    }
    if (leave_at_ <= now) begin_leaving(now);
    if (gather_until_ <= now) {
        gather_until_ = never;
        gather_over_ = true;
        driver_.defer(*this);
    }
    if (dial_ && dial_->retry_at <= now) start_attempt();
    if (attach_deadline_ <= now && wire_) {
        wire_->drop(session_on_ ? close_code::attach_timeout : close_code::none);
        const auto gone = std::move(wire_);
        if (!dial_ && state_ == connection_state::connecting)
            return finish(connection_state::closed, errc::connect_timeout, {});
        link_lost(errc::connect_timeout, {}, {});
    }
    if (close_deadline_ <= now) return finish(connection_state::closed, errc::close_timeout, {});
    if (link_ready_ && idle_.deadline() <= now) expire_idle(now);
    if (link_ready_ && heartbeat_.deadline() <= now) beat(now);
    if (dial_ && dial_->feed && dial_->feed->deadline() <= now) expire_feed(now);
    if (session_ && session_->deadline() <= now) {
        session_->on_time(now);
        expire_waiting();
        driver_.defer(*this);
    }
    rearm();
}

template <class P>
void link<P>::beat(time_point now) {
    const auto action = heartbeat_.poll(now);
    if (action == heartbeat_action::send_ping) {
        ready_.release();  // it is quiet
        if (session_on_ && dedup_) dedup_->expire(now);
        count(counter::pings_sent);
        if (session_on_) session_->request_ping();
        else wire_->ping();
        driver_.defer(*this);
    } else if (action == heartbeat_action::dead) {
        count(counter::heartbeat_timeouts);
        wire_->drop();
        const auto gone = std::move(wire_);
        link_lost(errc::heartbeat_timeout, {close_code::abnormal, {}, false}, {});
    }
}

template <class P>
void link<P>::expire_idle(time_point now) {
    if (close_sent_) return idle_.stop();
    if (wire_->in_message()) return idle_.on_useful(now);  // it has deadlines of its own
    if (!idle_.stale(now)) return;
    count(counter::idle_timeouts);
    const std::error_code why = errc::idle_timeout;
    wire_->drop(close_code::going_away, why.message());
    const auto gone = std::move(wire_);
    link_lost(why, {close_code::going_away, {}, false}, {});
}

}  // namespace hawser::inline v0::detail

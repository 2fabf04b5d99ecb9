// SPDX-License-Identifier: BSL-1.0
/// \file
/// Attempts, and the life of a connection.
#pragma once

#include <hawser/link/link.hpp>

namespace hawser::inline v0::detail {

template <class P>
link<P>::link(driver& d, std::shared_ptr<const options> o, policy_objects<P> objects)
    : driver_(d), options_(std::move(o)), objects_(std::move(objects)), heartbeat_(options_->heartbeat),
      overflow_(options_->queue), idle_(options_->idle_timeout) {
    driver_.enlist(*this);
}

template <class P>
void link<P>::connect(const url& where) {
    // The application may destroy this inside of `on_state`: a turn keeps it until its end.
    const driver::turn t(driver_);
    try {
        begin_dialling(where);
    } catch (...) {
        finish(connection_state::failed, error_of_exception(), {});
    }
}

template <class P>
void link<P>::begin_dialling(const url& where) {
    dial_ = std::make_unique<dialling>(*options_, random_seed(driver_));
    dial_->where = where;
    dial_->subprotocols = options_->subprotocols;
    if (options_->session != session_mode::off) {
        dial_->subprotocols.insert(dial_->subprotocols.begin(), std::string(session::subprotocol));
        set_state(connection_state::connecting);
        // The origin is part of the ids of messages: a new stream would keep one of zeros for ever.
        if (session().options().origin == session::origin_id{}) return finish(connection_state::failed, errc::random_failed, {});
        store_->load(session_->options().origin);
    } else {
        start_attempt();
    }
}

template <class P>
void link<P>::start_attempt() {
    const time_point now = driver_.now();
    dial_->retry_at = never;
    dial_->permit = breaker().try_acquire(now);
    if (!dial_->permit) {
        count(counter::breaker_refused);
        dial_->retry_at = std::max(breaker().retry_at(now), now + milliseconds{1});
        set_state(connection_state::waiting, {.reason = errc::circuit_open, .attempt = dial_->reconnect.attempts(),
                                              .retry_in = dial_->retry_at - now});
        return rearm();
    }
    count(counter::connects_attempted);
    dial_->started = now;
    dial_->refusal.clear();
    set_state(connection_state::connecting, {.attempt = dial_->reconnect.attempts()});
    if (orphaned) return;
    if (!planted(bug::attempt_without_deadline)) attach_deadline_ = add_saturated(now, options_->connect_timeout);
    rearm();
    const auto ec = dial(std::exchange(dial_->http_status, 0));
    if (!ec || orphaned) return;
    wire_.reset();
    const bool hopeless = ec == errc::invalid_argument || ec == errc::tls_missing ||
                          (ec == errc::handler_failed && std::exchange(handler_failed_, false));
    if (hopeless) return finish(connection_state::failed, ec, {});
    link_lost(ec, {}, {});
}

template <class P>
std::error_code link<P>::dial(unsigned last_status) {
    const auto make_wire = [this] { wire_ = std::make_unique<wire>(driver_, *options_, static_cast<wire_owner&>(*this)); };
    const url& to = dial_->target ? *dial_->target : dial_->where;
    // Another host does not get what was meant for this one.
    const bool foreign = to.authority() != dial_->where.authority() || to.socket_path != dial_->where.socket_path;
    const std::vector<ws::header> none, &headers = foreign ? none : options_->headers;
    if (!options_->on_attempt) {
        make_wire();
        return wire_->dial(objects_.transport, to, dial_->subprotocols, headers);
    }
    connect_attempt attempt{dial_->reconnect.attempts(), to.text(), headers, dial_->last_error, last_status};
    url where;
    if (const auto ec = ask_where(attempt, where)) return ec;
    make_wire();
    return wire_->dial(objects_.transport, where, dial_->subprotocols, attempt.headers);
}

template <class P>
std::error_code link<P>::ask_where(connect_attempt& attempt, url& where) {
    try {
        options_->on_attempt(attempt);
    } catch (...) {
        handler_threw("on_attempt_threw");
        return errc::handler_failed;
    }
    if (orphaned) return errc::closed;
    std::string why;
    const auto ec = parse_url(attempt.url, where, &why);
    if (ec) objects_.logger.log(log_level::error, "bad_attempt", {{"why", why}});
    return ec;
}

template <class P>
void link<P>::on_wire_open(wire& w) {
    if (w.subprotocol() == session::subprotocol) {
        session_on_ = true;
        if (session().ends()) session_->end_epoch(std::nullopt);  // a plain connection began it, and had no memory for the rest
        session_->attach_client();
        return driver_.defer(*this);
    }
    if (options_->session == session_mode::required) {
        wire_->drop(close_code::policy_violation, "hawser.v1 is required");
        return finish(connection_state::failed, errc::session_unsupported, {});
    }
    session_on_ = false;
    if (session_ && session_->has_epoch()) session_->end_epoch(std::nullopt);
    link_up(false);
}

// All of them or no connection: the peer's state would not be the one asked for.
template <class P>
std::error_code link<P>::send_on_connect() {
    for (const message& m : options_->on_connect)
        if (const auto ec = wire_->send(m.is_text() ? ws::opcode::text : ws::opcode::binary, {}, m)) return ec;
    return {};
}

template <class P>
void link<P>::link_up(bool resumed) {
    feed_on_ = dial_ && dial_->feed && !session_on_;
    apply_pieces();
    if (!session_on_ && dial_)
        if (const auto ec = send_on_connect()) {
            wire_->drop();  // without a close frame, which would take along what was appended
            const auto gone = std::move(wire_);
            return link_lost(ec, {}, {});
        }
    if (!await_subscription()) announce_open(resumed);
}

template <class P>
void link<P>::announce_open(bool resumed) {
    const time_point now = driver_.now();
    attach_deadline_ = never;
    link_ready_ = true;
    heartbeat_.start(now);
    idle_.start(now);
    if (wire_->paused()) {
        heartbeat_.suspend(now);
        idle_.suspend();
    }
    if (dial_) {
        if (dial_->permit) (void)breaker().on_success(*dial_->permit, now);
        dial_->permit.reset();
        dial_->reconnect.on_connected(now);
        dial_->credentials.opened(now);
        if (feed_on_) dial_->feed->watch.start(now);
        objects_.metrics.record(histogram::connect_time, now - dial_->started);
        count(counter::connects_succeeded);
        if (std::exchange(dial_->ever_up, true)) count(counter::reconnects);
    }
    if (session_on_) count(resumed ? counter::sessions_resumed : counter::sessions_started);
    set_state(connection_state::open, {.resumed = resumed, .session = session_on_});
    if (extras_) complete_all(extras_.make().openers, {});
    if (const auto port = extras_->transfers; port && link_ready_) port->on_link_open(takes_transfers(), resumed);
    driver_.defer(*this);
}

template <class P>
bool link<P>::is_permanent(const wire_end& end) noexcept {
    for (const errc e : {errc::redirected, errc::session_version, errc::tls_incompatible})
        if (end.error == e) return true;
    if (end.error != errc::refused) return false;
    const unsigned s = end.http_status;
    return s >= 400 && s < 500 && s != 408 && s != 425 && s != 429;
}

template <class P>
void link<P>::on_wire_closed(wire&, const wire_end& end) {
    const auto gone = std::move(wire_);
    if (orphaned) return;
    try {
        wire_ended(end);
    } catch (...) {
        failed();
    }
}

template <class P>
void link<P>::wire_ended(const wire_end& end) {
    // A normal close, from either side, is the end of the session; any other leaves it where it is kept.
    const bool ended_by_peer = !end.error && end.close.code == close_code::normal && end.close.remote;
    const bool ended_here = close_sent_ && closing_code_ == close_code::normal;
    if (session_on_ && link_ready_) over_ = over_ || ended_by_peer || ended_here;
    if (close_sent_) return finish(connection_state::closed, {}, end.close);
    if (session_on_ && link_ready_ && ended_by_peer)
        return finish(connection_state::closed, errc::session_ended, end.close);
    if (dial_ && end.http_status != 0) {
        dial_->http_status = end.http_status;
        dial_->refusal = end.refusal;
    }
    if (const auto why = refused_credentials(end)) return credentials_refused(why, end);
    if (dial_ && !link_ready_ && is_permanent(end)) {
        attempt_failed(end.error);
        const bool by_status = end.error == errc::refused;
        return finish(connection_state::failed, by_status ? make_error_code(errc::refused_for_good) : end.error, end.close);
    }
    if (end.error.category() == hawser_category() && end.error.value() >= 40 && end.error.value() < 80)
        count(counter::protocol_errors);
    link_lost(end.error, end.close, end.retry_after);
}

// None, or the error that says that the peer refuses this side's credentials, or this side the peer's.
template <class P>
std::error_code link<P>::refused_credentials(const wire_end& end) const noexcept {
    if (!dial_) return {};
    const bool ours = end.error.category() == hawser_category();
    if (!link_ready_ && ours && cause_of(end.error) == error_cause::authentication) return end.error;
    const bool by_code = !session_on_ && end.close.remote && options_->authentication.means_refused(end.close.code);
    return by_code ? make_error_code(errc::unauthorized) : std::error_code{};
}

// The same credentials would be refused again. Only `on_attempt` can bring others, for this side: not for a proxy,
// whose are options, and not for a peer whose certificate is not accepted here.
template <class P>
void link<P>::credentials_refused(std::error_code why, const wire_end& end) {
    count(counter::credentials_refused);
    const bool renewable = options_->on_attempt && (why == errc::unauthorized || why == errc::certificate_refused);
    if (renewable && dial_->credentials.refused(driver_.now(), link_ready_))
        return link_lost(why, end.close, end.retry_after);
    if (link_ready_) count(counter::disconnects);
    attempt_failed(why);
    finish(connection_state::failed, why, end.close);
}

// Want of descriptors, memory or randomness, credentials, and what `on_attempt` threw, say nothing about the endpoint.
template <class P>
bool link<P>::is_local(std::error_code why) noexcept {
    for (const auto local : {std::errc::too_many_files_open, std::errc::too_many_files_open_in_system,
                             std::errc::no_buffer_space, std::errc::not_enough_memory})
        if (why == local) return true;
    return why == errc::out_of_memory || why == errc::random_failed || why == errc::handler_failed ||
           (why.category() == hawser_category() && cause_of(why) == error_cause::authentication);
}

template <class P>
void link<P>::attempt_failed(std::error_code why, bool told_when) {
    if (!dial_->permit) return;
    count(counter::connects_failed);
    // A server that says when to come is well, and knows better than a breaker.
    if (is_local(why) || told_when) breaker().release(*dial_->permit, driver_.now());
    else if (breaker().on_failure(*dial_->permit, driver_.now())) count(counter::breaker_opened);
    dial_->permit.reset();
}

template <class P>
void link<P>::link_lost(std::error_code why, const close_info& close, std::optional<duration> hint) {
    const bool was_up = std::exchange(link_ready_, false);
    const time_point planned = std::exchange(leave_at_, never);
    const bool leaving = std::exchange(leaving_, false);
    attach_deadline_ = never;
    heartbeat_.stop();
    idle_.stop();
    if (session_) session_->detach();
    if (was_up) count(counter::disconnects);
    if (extras_->transfers) extras_->transfers->on_link_detached();
    if (dial_) {
        if (was_up) dial_->credentials.lost(driver_.now());
        if (dial_->feed) dial_->feed->stop();
        dial_->last_error = why;
        attempt_failed(why, hint.has_value());
        dial_->reconnect.on_disconnected(driver_.now());
        if (!was_up) dial_->target.reset();
        const bool told = leaving || planned != never;
        if (told && driver_.now() >= dial_->next_planned) return reconnect_at(leaving ? driver_.now() : planned, why, close);
        return retry_later(why, close, hint);
    }
    // Nobody could attach to the session of a listener that is gone.
    if (!session_on_ || !host_) return finish(connection_state::closed, why, close);
    set_state(connection_state::detached, {.reason = why, .close = close});
    if (host_) host_->on_link_detached(this);
    driver_.defer(*this);
}

template <class P>
void link<P>::retry_later(std::error_code why, const close_info& close, std::optional<duration> hint) {
    const time_point now = driver_.now();
    const auto delay = dial_->reconnect.next_delay(now, hint);
    if (!delay) return finish(connection_state::failed, errc::retries_exhausted, close);
    dial_->retry_at = add_saturated(now, *delay);
    set_state(connection_state::waiting, {.reason = why, .close = close, .attempt = dial_->reconnect.attempts(),
                                          .retry_in = *delay});
    rearm();
    driver_.defer(*this);
}

template <class P>
void link<P>::async_open(std::uint64_t serial, plain_completion done, bool dialled) {
    if (state_ == connection_state::open) return done({});
    if (state_ == connection_state::closed || state_ == connection_state::failed)
        return done(final_error_ ? final_error_ : make_error_code(errc::closed));
    if (extras_->openers.size() >= options_->max_waiters) return done(errc::too_many_waiters);
    (void)extras_.make().openers.push_back({serial, std::move(done), dialled});
}

template <class P>
void link<P>::set_state(connection_state to, state_change details) {
    const bool final = to == connection_state::closed || to == connection_state::failed;
    // Waiting for another reason, such as an open breaker, is told as well.
    const bool repeated = state_ == to && to != connection_state::waiting;
    if (repeated || (state_ == connection_state::closing && !final)) return;
    details.from = std::exchange(state_, to);
    details.to = to;
    try {
        if (dial_ && (to == connection_state::waiting || final)) {
            details.http_status = dial_->http_status;
            details.refusal = dial_->refusal;
        }
        if (objects_.logger.enabled(log_level::info)) {
            const std::string reason = details.reason ? details.reason.message() : std::string();
            objects_.logger.log(log_level::info, "state",
                                {{"from", to_string(details.from)}, {"to", to_string(to)}, {"reason", reason}});
        }
    } catch (const std::bad_alloc&) {
        // The state is told without the text, or not logged.
    }
    if (on_state_ && !orphaned) {
        try {
            on_state_(details);
        } catch (...) {
            handler_threw("on_state_threw");
        }
    }
}

}  // namespace hawser::inline v0::detail

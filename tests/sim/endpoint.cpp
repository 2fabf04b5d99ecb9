// SPDX-License-Identifier: BSL-1.0
#include "endpoint.hpp"

#include <stdexcept>

namespace sim {

using namespace std::chrono_literals;
using hawser::connection_state;
using hawser::counter;
using hawser::outcome;

endpoint::endpoint(shared_state& all, hawser::testing::process& p, std::uint32_t incarnation, const client_settings& how, socket s,
                   hawser::counting_metrics metrics)
    : all_(all), process_(p), incarnation_(incarnation), how_(how), socket_(std::move(s)), metrics_(std::move(metrics)),
      out_(all.truth.open(how.reliable)), by_handle_(all.truth.open(how.reliable)), left_(how.messages) {
    out_.may_be_unknown = by_handle_.may_be_unknown = all.plan.may_lose_windows;
    by_handle_.alive = false;  // nobody can ask what became of a message that was handed over
    last_ = socket_.state();
    dials_ = last_ == connection_state::idle;
    opened_ = last_ != connection_state::idle;
}

endpoint::~endpoint() {
    *gone_ = true;
    out_.alive = false;
    note_counters();
}

void endpoint::start() {
    const auto watch = [this, gone = gone_] {
        if (*gone) all_.world.fail("a callback after destruction");
        return *gone;
    };
    socket_.on_state([this, watch](const hawser::state_change& c) {
        if (!watch()) on_state(c);
    });
    socket_.on_outcome([this, watch](hawser::ticket t, outcome o) {
        if (!watch()) on_outcome(t, o);
    });
    if (how_.pull) receive();
    else
        socket_.on_message([this, watch](const hawser::message_view& m) {
            if (!watch()) on_message(m);
        });
    plan_next();
}

void endpoint::on_state(const hawser::state_change& c) {
    auto& w = all_.world;
    const auto now = w.now();
    w.trace(process_.where().name(), " #", out_.id, ": ", to_string(c.from), " -> ", to_string(c.to), " ", c.reason.message(), c.resumed ? ", resumed" : "");
    w.check(c.from == last_, "a change from a state that it was not in");
    w.check(last_ != connection_state::closed && last_ != connection_state::failed, "a change after the last one");
    last_ = c.to;
    switch (c.to) {
    case connection_state::connecting:
        w.check(socket_.breaker().state(now) != hawser::breaker_state::open, "an attempt while the breaker is open");
        break;
    case connection_state::waiting: {
        const auto most = std::max<hawser::duration>(how_.options.reconnect.max_delay + all_.plan.server.retry_after,
                                                     how_.options.breaker.max_wait_duration_in_open_state) + 1s;
        w.check(c.retry_in >= 0s && c.retry_in <= most, "a delay beyond its limit");
        break;
    }
    case connection_state::open:
        if (c.session && c.resumed) all_.reach(mark::resume_hit);
        if (c.session && !c.resumed && in_session_before_) all_.reach(mark::epoch_change), ++lost_sessions_;
        if (!c.session && opened_) all_.reach(mark::plain_reconnect);
        opened_ = true;
        in_session_before_ = in_session_before_ || c.session;
        break;
    case connection_state::detached:
        if (c.reason == hawser::errc::superseded) all_.reach(mark::session_takeover);
        break;
    case connection_state::closed:
    case connection_state::failed:
        if (c.reason == hawser::errc::session_expired) all_.reach(mark::expiry);
        process_.after(1ms, [this, gone = gone_] {
            if (*gone) return;
            over_ = true;
            leave();
        });
        break;
    default: break;
    }
}

// What is in processing is finished also when the session is over, as an application would do: a copy of it may
// come in the next session meanwhile. May destroy this.
void endpoint::leave() {
    if (over_ && unfinished_.empty() && on_final) on_final();
}

void endpoint::on_outcome(hawser::ticket t, outcome o) {
    if (o == outcome::acknowledged || o == outcome::duplicate) ++told_acknowledged_;
    if (o == outcome::unknown) all_.reach(mark::outcome_unknown);
    all_.truth.told(out_, t, o);
}

void endpoint::on_message(const hawser::message_view& m) {
    // A link that is to be closed comes up once more for what waits, and is not called open then.
    all_.world.check(opened_ || last_ == connection_state::closing, "a message before the socket was open");
    all_.world.check(!is_final() || last_ == connection_state::closing, "a message after the end");
    all_.truth.delivered(m, incarnation_, out_.id, true);
    if (!all_.quiet && hawser::uniform(all_.world.random(), 0, 999) < how_.slow_per_thousand) process_.spend(700ms);
    if (hawser::uniform(all_.world.random(), 0, 999) < how_.throws_per_thousand) {
        all_.reach(mark::handler_threw);
        throw std::runtime_error("a handler's trouble");
    }
}

void endpoint::receive() {
    socket_.async_receive([this, gone = gone_](std::error_code ec, hawser::message m) {
        if (*gone || ec) return;
        received(std::move(m));
        while (auto more = socket_.try_receive()) received(std::move(*more));
        receive();
    });
}

void endpoint::received(hawser::message m) {
    const hawser::message_view view{m.bytes(), m.kind(), m.seq(), m.key(), m.id()};
    // A message of a plain connection is the application's when it has it.
    const bool at_once = how_.options.acceptance != hawser::acceptance_mode::on_processed || m.seq() == 0;
    all_.truth.delivered(view, incarnation_, out_.id, at_once);
    if (at_once) return;
    unfinished_.push_back(std::move(m));
    const bool slow = !all_.quiet && hawser::uniform(all_.world.random(), 0, 4) == 0;
    const auto wait = hawser::milliseconds(hawser::uniform(all_.world.random(), 0, slow ? 5'000 : 50));
    process_.after(wait, [this, gone = gone_] {
        if (*gone || unfinished_.empty()) return;
        // In any order.
        const auto i = hawser::uniform(all_.world.random(), 0, unfinished_.size() - 1);
        std::swap(unfinished_[i], unfinished_.back());
        const auto& last = unfinished_.back();
        all_.truth.finished({last.bytes(), last.kind(), last.seq(), last.key(), last.id()}, incarnation_);
        last.ack();
        unfinished_.pop_back();
        leave();
    });
}

void endpoint::plan_next() {
    if (left_ == 0) return;
    const auto gap = hawser::uniform(all_.world.random(), 1'000, 2 * static_cast<std::uint64_t>(how_.mean_gap.count()));
    process_.after(hawser::duration(static_cast<hawser::duration::rep>(gap)), [this, gone = gone_] {
        if (*gone || is_final()) return;
        const auto burst = hawser::uniform(all_.world.random(), 0, 9) == 0 ? 8u : 1u;
        for (unsigned i = 0; i < burst && left_ > 0; ++i) send_one();
        if (!*gone) plan_next();
    });
}

void endpoint::send_one() {
    --left_;
    auto& rng = all_.world.random();
    const auto size = static_cast<std::uint32_t>(hawser::uniform(rng, 16, how_.largest));
    const auto way = hawser::uniform(rng, 0, 6);
    stream& s = way == 6 ? by_handle_ : out_;
    auto body = all_.truth.next(s, size);
    const std::uint64_t number = s.records.size();
    if (way < 2) {
        ++pending_;
        socket_.async_send(std::move(body), [this, gone = gone_, number](std::error_code, outcome o) {
            if (*gone) return;
            --pending_;
            const bool never_taken = o != outcome::acknowledged && o != outcome::duplicate && o != outcome::unknown && o != outcome::written;
            if (never_taken) return all_.truth.refused(out_, number);
            all_.truth.taken(out_, number, {});
            all_.truth.told_number(out_, number, o);
        });
    } else if (way < 4) {
        ++pending_;
        socket_.async_enqueue(std::move(body), [this, gone = gone_, number](std::error_code ec, hawser::ticket t) {
            if (*gone) return;
            --pending_;
            if (ec) all_.truth.refused(out_, number);
            else all_.truth.taken(out_, number, t);
        });
    } else if (way < 6) {
        const auto r = socket_.try_send(std::move(body));
        if (r) all_.truth.taken(out_, number, r.ticket);
        else all_.truth.refused(out_, number);
    } else if (socket_.handle().send(std::move(body))) {
        all_.truth.refused(s, number);
    } else {
        all_.truth.taken(s, number, {});
    }
    check_budget();
}

void endpoint::check_budget() {
    const auto& q = how_.options.queue;
    std::size_t limit = std::max<std::size_t>(q.high_watermark, how_.largest + 512);
    // What a lost session had in its window is in the queue again, and nothing of it may be dropped.
    if (lost_sessions_ > 0 || last_ != connection_state::open) limit += how_.options.send_window_messages * (std::min<std::size_t>(how_.largest, how_.options.send_window_bytes) + 512);
    if (socket_.queued_bytes() > limit)
        all_.world.fail("stream " + std::to_string(out_.id) + ": the queue holds " + std::to_string(socket_.queued_bytes()) + " bytes, its limit is " + std::to_string(limit));
}

void endpoint::note_counters() {
    if (!dials_) return;
    sim::note_counters(all_, metrics_);
    const auto t = socket_.breaker().transitions();
    const bool is_closed = socket_.breaker().state(all_.world.now()) == hawser::breaker_state::closed;
    // Opened from closed: once more than it closed, where it is not closed now.
    all_.reach(mark::half_open_failure, t.opened - std::min(t.opened, t.closed + (is_closed ? 0 : 1)));
}

void note_counters(shared_state& all, const hawser::counting_metrics& metrics) {
    const auto n = metrics.snapshot();
    all.reach(mark::resume_miss, n[counter::session_resumes_failed]);
    all.reach(mark::dedup_hit, n[counter::duplicates_dropped]);
    all.reach(mark::high_watermark, n[counter::queue_paused]);
    all.reach(mark::overflow_block, n[counter::queue_paused]);
    all.reach(mark::overflow_reject, n[counter::queue_rejected]);
    all.reach(mark::breaker_opened, n[counter::breaker_opened]);
    all.reach(mark::replayed, n[counter::messages_replayed]);
    all.reach(mark::heartbeat_timeout, n[counter::heartbeat_timeouts]);
}

void endpoint::check_counters() {
    const auto n = metrics_.snapshot();
    all_.world.check(n[counter::messages_acknowledged] == told_acknowledged_, "the counter of acknowledged messages is not what was told");
}

}  // namespace sim

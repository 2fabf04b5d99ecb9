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
    for (stream* one : {&out_, &by_handle_}) {
        one->max_age = how.options.queue.max_age;
        one->part_size = how.options.part_size;
        const auto kind = kind_of(how.options.queue);
        one->drops = kind == overflow_kind::drop_oldest || kind == overflow_kind::drop_newest;
        one->deliveries = out_.deliveries;
    }
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
    socket_.on_backpressure([this, watch](bool paused) {
        if (!watch()) on_backpressure(paused);
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
        ++opens_;
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
    if (o == outcome::expired) all_.reach(mark::expired);
    if (o == outcome::replaced) all_.reach(mark::replaced);
    if (o == outcome::dropped) all_.reach(mark::dropped);
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

void endpoint::on_backpressure(bool paused) {
    all_.world.check(paused != paused_, "a pause that was told twice, or a resume");
    paused_ = paused;
    if (!paused) all_.reach(mark::resumed_writing);
}

hawser::send_options endpoint::choose_options() {
    hawser::send_options how;
    if (!how_.uses_classes) return how;
    auto& rng = all_.world.random();
    how.priority = static_cast<hawser::message_priority>(hawser::uniform(rng, 0, 3));
    if (hawser::uniform(rng, 0, 4) == 0) how.ttl = hawser::milliseconds(hawser::uniform(rng, 1, 5'000));
    if (hawser::uniform(rng, 0, 4) == 0) how.coalesce_key = "key " + std::to_string(hawser::uniform(rng, 0, 3));
    return how;
}

// While there was no connection, a message cannot have got a number.
void endpoint::watch_expiry(std::uint64_t number, const hawser::send_options& how) {
    if (how.ttl == 0ms || last_ == connection_state::open || last_ == connection_state::closing) return;
    process_.after(how.ttl + 1s, [this, gone = gone_, number, opens = opens_] {
        if (*gone || opens_ != opens || is_final() || last_ == connection_state::closing) return;
        all_.truth.check_expired(out_, number);
    });
}

void endpoint::send_batch(bool waits) {
    auto how = choose_options();
    how.coalesce_key.clear();
    std::vector<hawser::message> bodies;
    const std::uint64_t first = out_.records.size() + 1;
    for (int i = 0; i < 3; ++i)
        bodies.push_back(all_.truth.next(out_, static_cast<std::uint32_t>(hawser::uniform(all_.world.random(), 16, how_.largest)), how));
    const auto settle = [this, first](std::error_code ec, const hawser::ticket_range& tickets) {
        if (!ec) all_.reach(mark::batch);
        for (std::uint64_t i = 0; i < 3; ++i)
            if (ec) all_.truth.refused(out_, first + i);
            else all_.truth.taken(out_, first + i, tickets[i]);
    };
    if (!waits) {
        const auto r = socket_.try_send_batch(bodies, how);
        return settle(r.error, r.tickets);
    }
    ++pending_;
    socket_.async_enqueue_batch(std::move(bodies), how, [this, gone = gone_, settle](std::error_code ec, hawser::ticket_range tickets) {
        if (*gone) return;
        --pending_;
        settle(ec, tickets);
    });
}

void endpoint::send_one() {
    --left_;
    auto& rng = all_.world.random();
    const auto way = hawser::uniform(rng, 0, 8);
    if (way > 6) {
        send_batch(way == 8);
        return check_budget();
    }
    const auto size = static_cast<std::uint32_t>(hawser::uniform(rng, 16, how_.largest));
    const auto how = choose_options();
    stream& s = way == 6 ? by_handle_ : out_;
    auto body = all_.truth.next(s, size, how);
    const std::uint64_t number = s.records.size();
    if (way < 2) {
        ++pending_;
        socket_.async_send(std::move(body), how, [this, gone = gone_, number](std::error_code, outcome o) {
            if (*gone) return;
            --pending_;
            if (o == outcome::refused || o == outcome::cancelled || o == outcome::pending) return all_.truth.refused(out_, number);
            all_.truth.taken(out_, number, {});
            all_.truth.told_number(out_, number, o);
        });
    } else if (way < 4) {
        ++pending_;
        socket_.async_enqueue(std::move(body), how, [this, gone = gone_, number](std::error_code ec, hawser::ticket t) {
            if (*gone) return;
            --pending_;
            if (ec) all_.truth.refused(out_, number);
            else all_.truth.taken(out_, number, t);
        });
    } else if (way < 6) {
        const auto r = socket_.try_send(std::move(body), how);
        if (!r) return all_.truth.refused(out_, number);
        all_.truth.taken(out_, number, r.ticket);
        watch_expiry(number, how);
    } else if (socket_.handle().send(std::move(body), how)) {
        all_.truth.refused(s, number);
    } else {
        all_.truth.taken(s, number, {});
    }
    check_budget();
}

void endpoint::check_budget() {
    const auto& q = how_.options.queue;
    // What a message takes with its bookkeeping; its memory may be an eighth larger than it is.
    const auto cost = [](std::size_t size) { return size + size / 8 + 1024; };
    std::size_t limit = std::max<std::size_t>(q.high_watermark, cost(how_.largest));
    // What a lost session had in its window is in the queue again, and nothing of it may be dropped.
    if (lost_sessions_ > 0 || last_ != connection_state::open) limit += how_.options.send_window_messages * cost(std::min<std::size_t>(how_.largest, how_.options.send_window_bytes));
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
    all.reach(mark::breaker_opened, n[counter::breaker_opened]);
    all.reach(mark::replayed, n[counter::messages_replayed]);
    all.reach(mark::heartbeat_timeout, n[counter::heartbeat_timeouts]);
}

void endpoint::check_counters() {
    const auto n = metrics_.snapshot();
    all_.world.check(n[counter::messages_acknowledged] == told_acknowledged_, "the counter of acknowledged messages is not what was told");
}

}  // namespace sim

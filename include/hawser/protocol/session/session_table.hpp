// SPDX-License-Identifier: BSL-1.0
/// \file
/// The server's sessions: who may resume what, decided in one atomic step. Sans-I/O.
#pragma once

#include <hawser/core/planted.hpp>
#include <hawser/core/time.hpp>
#include <hawser/protocol/session/session_record.hpp>
#include <hawser/protocol/session/sha256.hpp>

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace hawser::inline v0 {
namespace session {

/// All sessions of one listener. Bounded: beyond `max_sessions` the oldest tombstones are
/// forgotten first, and a new session is refused when all are alive. Only std::bad_alloc is
/// thrown, and nothing changed then. Thread safety: none.
class session_table {
public:
    explicit session_table(std::size_t max_sessions) : max_sessions_(max_sessions) {}
    session_table(const session_table&) = delete;
    session_table& operator=(const session_table&) = delete;

    /// Adds a session. Null when the table is full.
    session_record* add(const epoch_id& epoch, const resume_token& current, std::string principal, endpoint* state,
                        void* owner) {
        if (planted(bug::hello_replaces))
            for (auto& each : records_) each.second.alive = false;
        session_record record;
        record.epoch = epoch;
        record.current = sha256(current);
        record.principal = std::move(principal);
        record.state = state;
        record.owner = owner;
        return insert(std::move(record));
    }
    /// Adds a session that an earlier process left, without its endpoint: alive and detached, or a tombstone
    /// with its position and exceptions.
    /// Null when the table is full.
    session_record* restore(const epoch_id& epoch, const session_state& s, bool alive, std::optional<std::uint64_t> position,
                            exception_view exceptions, time_point expires) {
        session_record record;
        record.epoch = epoch;
        record.current = s.server.current;
        record.previous = s.server.previous;
        record.has_previous = s.server.has_previous;
        record.generation = s.server.generation;
        record.highest_attempt = s.server.highest_attempt;
        record.principal = s.server.principal;
        record.peer_origin = s.peer_origin;
        record.peer_durable = s.peer_durable;
        record.confirmed = true;
        record.expires = expires;
        if (!alive && position) append(record.exceptions, exceptions.value());
        session_record* kept = insert(std::move(record));
        if (kept && !alive) bury(*kept, position, expires);
        return kept;
    }
    /// The owner let go of it, but the store has it: a RESUME loads it.
    void shelve(session_record& s, time_point expires) noexcept {
        detach(s, expires);
        s.state = nullptr;
        s.owner = nullptr;
    }

    /// Rule 13: one atomic step, after authentication. The rows are those of docs/protocol.md.
    [[nodiscard]] resume_decision decide(const resume& r, std::string_view principal, time_point now) {
        session_record* s = find(r.token);
        // Row 1. A foreign principal's token is answered like one that does not exist.
        const bool forgotten = s && !s->alive && s->expires <= now;
        const bool foreign = s && s->principal != principal && !planted(bug::principal_ignored);
        if (!s || forgotten || foreign || is_too_old(*s, now)) return failed(resume_failure::unknown, std::nullopt);
        // Row 2.
        if (r.attempt <= s->highest_attempt && !planted(bug::stale_resume_taken)) return stale();
        if (s->alive && !s->state) return needs_load(*s);
        s->highest_attempt = r.attempt;
        // Rows 3 and 4.
        const bool answers = s->has_position && !planted(bug::tombstone_without_position);
        if (!s->alive) return dead(s, resume_failure::ended, answers);
        if (r.epoch != s->epoch && !planted(bug::epoch_not_compared)) return failed(resume_failure::epoch, std::nullopt);
        return decide_alive(*s, r, now);
    }

    /// After `decide` said resume: the token presented becomes the previous one, all others but
    /// the fresh one end.
    void rotate(session_record& s, const resume_token& presented, const resume_token& fresh) {
        const token_hash used = sha256(presented);
        const token_hash next = sha256(fresh);
        assert(used == s.current || (s.has_previous && used == s.previous));
        by_token_.emplace(next, &s);
        if (s.has_previous && s.previous != used) by_token_.erase(s.previous);
        if (s.current != used) by_token_.erase(s.current);
        if (planted(bug::previous_token_lost)) by_token_.erase(used);
        s.previous = used;
        s.has_previous = true;
        s.current = next;
        if (!planted(bug::generation_stays)) ++s.generation;
        s.attached = true;
        s.confirmed = false;
        if (!planted(bug::ttl_while_attached)) s.expires = never;
    }
    /// The client's first ACK arrived on the attached link: the previous token is retired.
    void confirm(session_record& s) noexcept {
        if (s.has_previous && !planted(bug::previous_token_kept)) by_token_.erase(s.previous);
        s.has_previous = false;
        s.confirmed = true;
    }
    void detach(session_record& s, time_point expires) noexcept {
        s.attached = false;
        s.expires = expires;
    }
    /// The session is over; a tombstone answers until `expires`.
    void bury(session_record& s, std::optional<std::uint64_t> accepted, time_point expires) noexcept {
        if (s.alive) append_tombstone(s);
        s.alive = s.attached = false;
        if (accepted && s.state) accepted = keep_exceptions(s, accepted);
        s.has_position = accepted.has_value();
        s.accepted = accepted.value_or(0);
        s.state = nullptr;
        s.owner = nullptr;
        s.expires = planted(bug::no_tombstone) ? time_point::min() : expires;
    }
    void remove(session_record& s) noexcept {
        if (on_removed) on_removed(s);
        if (!s.alive) unlink_tombstone(s);
        by_token_.erase(s.current);
        if (s.has_previous) by_token_.erase(s.previous);
        records_.erase(s.serial);
    }
    /// Removes the tombstones that `origin` of this principal does not need any more: it has a new session.
    void forget_tombstones(const origin_id& origin, std::string_view principal) noexcept {
        for (session_record* s = oldest_tombstone_; s;) {
            session_record& present = *std::exchange(s, s->newer);
            if (present.settled && present.peer_origin == origin && present.principal == principal) remove(present);
        }
    }
    /// Lifetime of tombstones made by `decide`.
    void set_tombstone_ttl(duration ttl) noexcept { tombstone_ttl_ = ttl; }

    /// A token older than this is not known any more; 0: it lives as long as its session.
    void set_token_lifetime(duration lifetime) noexcept { token_lifetime_ = lifetime; }

    /// Removes tombstones that have served; calls `on_expired(record)` for each live detached
    /// session whose time is over (the shell then ends its owner, which buries it).
    /// Linear in the number of sessions: call it every few seconds, not per message.
    template <class OnExpired>
    void expire(time_point now, OnExpired&& on_expired) {
        std::vector<session_record*> due;
        for (auto& [serial, record] : records_)
            if (record.expires <= now) due.push_back(&record);
        for (session_record* s : due) {
            // The end of one may have ended another, whose tombstone has only begun to serve.
            if (s->alive) on_expired(*s);
            else if (s->expires <= now) remove(*s);
        }
    }
    [[nodiscard]] std::size_t size() const noexcept { return records_.size(); }
    /// A session by its `serial`, or null.
    [[nodiscard]] session_record* find_serial(std::uint64_t serial) noexcept {
        const auto it = records_.find(serial);
        return it == records_.end() ? nullptr : &it->second;
    }

    std::function<void(session_record&)> on_removed;  ///< told of each that goes; must not throw

private:
    // Tokens are random, so any part of their hash is a good hash.
    struct hash_of_hash {
        std::size_t operator()(const token_hash& h) const noexcept {
            std::size_t v;
            std::memcpy(&v, h.data(), sizeof v);
            return v;
        }
    };

    session_record* insert(session_record record) {
        if (records_.size() >= max_sessions_) {
            if (!oldest_tombstone_) return nullptr;
            remove(*oldest_tombstone_);
        }
        const std::uint64_t serial = last_serial_ + 1;
        record.serial = serial;
        session_record& kept = records_.emplace(serial, std::move(record)).first->second;
        try {
            by_token_.emplace(kept.current, &kept);
            if (kept.has_previous) by_token_.emplace(kept.previous, &kept);
        } catch (...) {
            by_token_.erase(kept.current);
            records_.erase(serial);
            throw;
        }
        last_serial_ = serial;
        return &kept;
    }

    [[nodiscard]] session_record* find(const resume_token& t) const noexcept {
        const token_hash hash = sha256(t);
        const auto it = by_token_.find(hash);
        if (it == by_token_.end() || !equal_in_constant_time(it->first, hash)) return nullptr;
        return it->second;
    }
    [[nodiscard]] bool is_too_old(const session_record& s, time_point now) const noexcept {
        return token_lifetime_ != duration{0} && s.issued != never && now - s.issued >= token_lifetime_;
    }
    // Rows 5 to 8.
    [[nodiscard]] resume_decision decide_alive(session_record& s, const resume& r, time_point now) {
        const outbox& out = s.state->out();
        const inbox& in = s.state->in();
        // What is being committed counts: nobody is told before that is done (`settled`).
        const bool waits = s.state->options().durable;
        const std::uint64_t accepted = waits ? in.accepted() : in.durable_accepted();
        if (r.accepted > out.written_through() && !planted(bug::client_ahead_taken))
            return ended(s, resume_failure::regressed, accepted, std::nullopt, now);
        if (in.received() >= r.next_seq && !planted(bug::client_behind_taken))
            return ended(s, resume_failure::regressed, std::nullopt, r.accepted, now);
        const bool hole = r.first_retained > accepted + 1 || out.first_retained() > r.accepted + 1;
        if (hole && !planted(bug::hole_taken))
            return ended(s, resume_failure::lost, accepted, r.accepted, now);
        // Detached for too long, only that nobody looked yet.
        if (s.expires <= now) return ended(s, resume_failure::ended, accepted, r.accepted, now);
        resume_decision d;
        d.what = resume_decision::kind::resume;
        d.record = &s;
        d.owner = s.owner;
        return d;
    }
    [[nodiscard]] static resume_decision stale() noexcept {
        resume_decision d;
        d.what = resume_decision::kind::stale;
        return d;
    }
    [[nodiscard]] static resume_decision needs_load(session_record& s) noexcept {
        resume_decision d;
        d.what = resume_decision::kind::load;
        d.record = &s;
        return d;
    }
    [[nodiscard]] static resume_decision failed(resume_failure reason, std::optional<std::uint64_t> accepted,
                                                session_record* tombstone = nullptr) noexcept {
        resume_decision d;
        d.record = tombstone;
        d.answer = {reason, accepted.has_value(), accepted.value_or(0)};
        return d;
    }
    [[nodiscard]] resume_decision ended(session_record& s, resume_failure reason,
                                        std::optional<std::uint64_t> accepted, std::optional<std::uint64_t> own,
                                        time_point now) noexcept {
        resume_decision d = failed(reason, accepted);
        d.what = resume_decision::kind::ended;
        d.record = &s;
        d.owner = s.owner;
        d.own_position = own;
        bury(s, accepted, add_saturated(now, tombstone_ttl_));
        d.answer = dead(&s, reason, s.has_position).answer;
        return d;
    }
    [[nodiscard]] static resume_decision dead(session_record* s, resume_failure reason, bool with_position) noexcept {
        resume_decision d = failed(reason, with_position ? std::optional(s->accepted) : std::nullopt, s);
        if (with_position) d.answer.exceptions = exception_view(s->exceptions);
        return d;
    }
    // Without memory for them the position is not told either: it would say too much.
    [[nodiscard]] static std::optional<std::uint64_t> keep_exceptions(session_record& s,
                                                                      std::optional<std::uint64_t> accepted) noexcept {
        try {
            const byte_view list = s.state->unconfirmed_exceptions(*accepted).value();
            s.exceptions.assign(list.begin(), list.end());
            return accepted;
        } catch (const std::bad_alloc&) {
            return std::nullopt;
        }
    }
    // A list through the records, so that the oldest tombstone is found at once in a full table
    // and burying cannot fail.
    void append_tombstone(session_record& s) noexcept {
        s.older = newest_tombstone_;
        (s.older ? s.older->newer : oldest_tombstone_) = &s;
        newest_tombstone_ = &s;
    }
    void unlink_tombstone(session_record& s) noexcept {
        (s.older ? s.older->newer : oldest_tombstone_) = s.newer;
        (s.newer ? s.newer->older : newest_tombstone_) = s.older;
    }

    std::size_t max_sessions_;
    duration tombstone_ttl_ = seconds{120};
    duration token_lifetime_{0};
    std::uint64_t last_serial_ = 0;
    session_record* oldest_tombstone_ = nullptr;
    session_record* newest_tombstone_ = nullptr;
    std::map<std::uint64_t, session_record> records_;  // in order of their beginning
    std::unordered_map<token_hash, session_record*, hash_of_hash> by_token_;
};

}  // namespace session
}  // namespace hawser::inline v0

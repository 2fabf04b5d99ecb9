// SPDX-License-Identifier: BSL-1.0
/// \file
/// The server's sessions: who may resume what, decided in one atomic step. Sans-I/O.
#pragma once

#include <hawser/core/time.hpp>
#include <hawser/protocol/session/endpoint.hpp>
#include <hawser/protocol/session/sha256.hpp>

#include <cassert>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>

namespace hawser::inline v0 {
namespace session {

/// What a listener keeps of a session: alive with its endpoint, or a tombstone that answers
/// a late RESUME truthfully.
struct session_record {
    std::uint64_t serial = 0;
    epoch_id epoch{};
    token_hash current{};
    token_hash previous{};
    bool has_previous = false;
    bool alive = true;
    bool attached = false;
    bool confirmed = false;
    std::uint64_t generation = 1;
    std::uint64_t highest_attempt = 0;
    std::string principal;
    endpoint* state = nullptr;   ///< of the owner; null in a tombstone
    void* owner = nullptr;       ///< the shell's, given back by `decide`
    time_point expires = never;  ///< of a detached session, or of a tombstone
    bool has_position = false;
    std::uint64_t accepted = 0;  ///< of a tombstone
};

/// The answer to a RESUME.
struct resume_decision {
    enum class kind : std::uint8_t {
        failed,  ///< answer RESUME_FAILED with `answer`; nothing else changes
        stale,   ///< close the link; the session is untouched
        ended,   ///< as failed, and `record`'s session just became a tombstone: end its owner
        resume,  ///< attach `record`'s endpoint; its older link is superseded
    };
    kind what = kind::failed;
    resume_failed answer;
    session_record* record = nullptr;
    void* owner = nullptr;
    /// Position for the owner's own window when the session ended; none: outcomes unknown.
    std::optional<std::uint64_t> own_position;
};

/// All sessions of one listener. Bounded: beyond `max_sessions` the oldest tombstones are
/// forgotten first, and a new session is refused when all are alive. Thread safety: none.
class session_table {
public:
    explicit session_table(std::size_t max_sessions) : max_sessions_(max_sessions) {}

    /// Adds a session. Null when the table is full.
    session_record* add(const epoch_id& epoch, const resume_token& current, std::string principal, endpoint* state,
                        void* owner) {
        if (records_.size() >= max_sessions_ && !forget_oldest_tombstone()) return nullptr;
        auto record = std::make_unique<session_record>();
        record->epoch = epoch;
        record->current = sha256(current);
        record->principal = std::move(principal);
        record->state = state;
        record->owner = owner;
        session_record* raw = record.get();
        by_token_.emplace(raw->current, raw);
        raw->serial = ++last_serial_;
        records_.emplace(raw->serial, std::move(record));
        return raw;
    }

    /// Rule 13: one atomic step, after authentication.
    [[nodiscard]] resume_decision decide(const resume& r, std::string_view principal, time_point now) {
        resume_decision d;
        session_record* s = find(r.token);
        // A foreign principal's token is answered like one that does not exist.
        if (!s || s->principal != principal || s->expires <= now) {
            d.answer.reason = resume_failure::unknown;
            return d;
        }
        if (r.attempt <= s->highest_attempt) {
            d.what = resume_decision::kind::stale;
            return d;
        }
        s->highest_attempt = r.attempt;
        if (!s->alive) return failed(*s, resume_failure::ended);
        if (std::memcmp(r.epoch.data(), s->epoch.data(), r.epoch.size()) != 0)
            return failed(*s, resume_failure::epoch, true);
        outbox& out = s->state->out();
        const inbox& in = s->state->in();
        if (r.accepted > out.written_through() || r.accepted >= out.next_seq())
            return ended(*s, resume_failure::regressed, in.durable_accepted(), std::nullopt, now);
        if (in.received() >= r.next_seq) return ended(*s, resume_failure::regressed, std::nullopt, r.accepted, now);
        if (r.first_retained > in.durable_accepted() + 1 || out.first_retained() > r.accepted + 1)
            return ended(*s, resume_failure::lost, in.durable_accepted(), r.accepted, now);
        d.what = resume_decision::kind::resume;
        d.record = s;
        d.owner = s->owner;
        return d;
    }

    /// After `decide` said resume: the token presented becomes the previous one.
    void rotate(session_record& s, const resume_token& presented, const resume_token& fresh) {
        const token_hash used = sha256(presented);
        if (s.has_previous && s.previous != used) by_token_.erase(s.previous);
        if (s.current != used) by_token_.erase(s.current);
        s.previous = used;
        s.has_previous = true;
        s.current = sha256(fresh);
        by_token_[s.previous] = &s;
        by_token_[s.current] = &s;
        ++s.generation;
        s.attached = true;
        s.confirmed = false;
        s.expires = never;
    }
    /// The client's first ACK arrived on the attached link: the previous token is retired.
    void confirm(session_record& s) {
        if (s.has_previous) by_token_.erase(s.previous);
        s.has_previous = false;
        s.confirmed = true;
    }
    void detach(session_record& s, time_point expires) noexcept {
        s.attached = false;
        s.expires = expires;
    }
    /// The session is over; a tombstone answers until `expires`.
    void bury(session_record& s, std::optional<std::uint64_t> accepted, time_point expires) noexcept {
        s.alive = s.attached = false;
        s.has_position = accepted.has_value();
        s.accepted = accepted.value_or(0);
        s.state = nullptr;
        s.owner = nullptr;
        s.expires = expires;
    }
    void remove(session_record& s) {
        by_token_.erase(s.current);
        if (s.has_previous) by_token_.erase(s.previous);
        records_.erase(s.serial);
    }
    /// Lifetime of tombstones made by `decide`.
    void set_tombstone_ttl(duration ttl) noexcept { tombstone_ttl_ = ttl; }

    /// Removes tombstones that have served; calls `on_expired(record)` for each live detached
    /// session whose time is over (the shell then ends its owner, which buries it).
    /// Linear in the number of sessions: call it every few seconds, not per message.
    template <class OnExpired>
    void expire(time_point now, OnExpired&& on_expired) {
        std::vector<session_record*> due;
        for (auto& [serial, record] : records_)
            if (record->expires <= now) due.push_back(record.get());
        for (session_record* s : due) {
            if (s->alive) on_expired(*s);
            else remove(*s);
        }
    }
    [[nodiscard]] std::size_t size() const noexcept { return records_.size(); }

private:
    struct hash_of_hash {
        std::size_t operator()(const token_hash& h) const noexcept {
            std::size_t v;
            std::memcpy(&v, h.data(), sizeof v);
            return v;
        }
    };

    [[nodiscard]] session_record* find(const resume_token& t) const noexcept {
        const token_hash hash = sha256(t);
        const auto it = by_token_.find(hash);
        if (it == by_token_.end() || !equal_in_constant_time(it->first, hash)) return nullptr;
        return it->second;
    }
    [[nodiscard]] static resume_decision failed(session_record& s, resume_failure reason, bool withhold = false) {
        resume_decision d;
        d.answer.reason = reason;
        d.answer.has_position = s.has_position && !withhold;
        d.answer.accepted = d.answer.has_position ? s.accepted : 0;
        return d;
    }
    resume_decision ended(session_record& s, resume_failure reason, std::optional<std::uint64_t> accepted,
                          std::optional<std::uint64_t> own, time_point now) {
        resume_decision d;
        d.what = resume_decision::kind::ended;
        d.answer.reason = reason;
        d.answer.has_position = accepted.has_value();
        d.answer.accepted = accepted.value_or(0);
        d.record = &s;
        d.owner = s.owner;
        d.own_position = own;
        bury(s, accepted, add_saturated(now, tombstone_ttl_));
        return d;
    }
    bool forget_oldest_tombstone() {
        session_record* oldest = nullptr;
        for (auto& [serial, record] : records_)
            if (!record->alive && (!oldest || record->expires < oldest->expires)) oldest = record.get();
        if (!oldest) return false;
        remove(*oldest);
        return true;
    }

    std::size_t max_sessions_;
    duration tombstone_ttl_ = seconds{120};
    std::uint64_t last_serial_ = 0;
    std::map<std::uint64_t, std::unique_ptr<session_record>> records_;  // in order of their beginning
    std::unordered_map<token_hash, session_record*, hash_of_hash> by_token_;
};

}  // namespace session
}  // namespace hawser::inline v0

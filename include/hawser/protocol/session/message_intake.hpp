// SPDX-License-Identifier: BSL-1.0
/// \file
/// Where messages come in and wait; each may still be replaced, expire, or be dropped.
#pragma once

#include <hawser/core/config.hpp>
#include <hawser/core/planted.hpp>
#include <hawser/protocol/session/journal.hpp>
#include <hawser/protocol/session/outcome_log.hpp>
#include <hawser/protocol/session/waiting_queue.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

namespace hawser::inline v0 {
namespace session {

/// Gives counters, keeps the waiting queue and writes what happens to it into the journal. What it ends never had
/// a number. Thread safety: none.
class message_intake {
public:
    using entry = outgoing_message;

    message_intake(journal& log, outcome_log& outcomes, duration max_age) noexcept
        : log_(log), outcomes_(outcomes), max_age_(max_age) {}

    /// Appends a message, or puts it in the place of one with its coalescing key, and returns its counter. Throws
    /// std::bad_alloc, and nothing changed.
    std::uint64_t enqueue(message body, const send_options& how, std::unique_ptr<outcome_waiter> waiter, time_point now) {
        entry e = make_entry(std::move(body), how, now);
        e.waiters = std::move(waiter);
        entry* old = queue_.find_key(how.coalesce_key);
        return old ? replace(*old, std::move(e)) : append(std::move(e));
    }
    /// Appends a message without options for whose outcome nobody waits. Throws std::bad_alloc, and nothing changed but
    /// `body`.
    HAWSER_IN_LINE std::uint64_t enqueue(message&& body, time_point now) { return log(queue_.push_back(std::move(body), next_counter_, now)); }
    /// Appends all, in places next to each other, and returns the first counter. Throws std::bad_alloc, and nothing
    /// changed.
    std::uint64_t enqueue_batch(std::span<const message> bodies, const send_options& how, time_point now) {
        const std::uint64_t first = next_counter_;
        try {
            for (const message& body : bodies) (void)append(make_entry(body, how, now));
        } catch (...) {
            log_.take_back(next_counter_ - first);
            while (next_counter_ > first) queue_.undo_push_back(*queue_.find(--next_counter_));
            throw;
        }
        return first;
    }
    /// Where room is needed for a message of this class: the oldest waiting of the least urgent class that is not
    /// more urgent ends `dropped`. False if there is none: what has a number is never dropped.
    bool drop_for(message_priority p) {
        entry* e = queue_.oldest_for(p);
        if (e) end(*e, outcome::dropped);
        return e != nullptr;
    }
    /// Count and bytes of what `drop_for` may take.
    [[nodiscard]] std::pair<std::size_t, std::size_t> droppable_for(message_priority p) noexcept {
        std::pair<std::size_t, std::size_t> all{0, 0};
        for (auto c = static_cast<std::size_t>(p); c < priority_classes; ++c) {
            const auto part = queue_.expendable(c);
            all = {all.first + part.first, all.second + part.second};
        }
        return all;
    }
    /// What a message with this coalescing key would free by taking the place of another; nothing where none waits.
    [[nodiscard]] std::optional<std::size_t> replaceable(std::string_view key) noexcept {
        const entry* e = queue_.find_key(key);
        return e ? std::optional(session::footprint(*e)) : std::nullopt;
    }
    /// A message that cannot wait, as the overflow policy says: it has a counter and ends `dropped`. Throws
    /// std::bad_alloc, and nothing changed.
    std::uint64_t enqueue_dropped(time_point now) {
        entry e;
        e.counter = next_counter_;
        e.enqueued = now;
        (void)log_enqueued(e);  // a store knows only ends of what was there
        try {
            outcomes_.add(e, outcome::dropped);
        } catch (...) {
            log_.take_back(1);
            throw;
        }
        return next_counter_++;
    }
    /// Whether something waits for longer than `max_age`.
    [[nodiscard]] bool has_aged(time_point now) noexcept {
        for (std::size_t c = 0; c < priority_classes && max_age_ > duration{}; ++c)
            if (const entry* e = queue_.oldest_fixed(c); e && add_saturated(e->enqueued, max_age_) <= now) return true;
        return false;
    }
    /// Ends what waits and whose deadline has passed, or that is too old: `expired`. Throws std::bad_alloc, and may
    /// be called again.
    void expire(time_point now) {
        if (planted(bug::expiry_forgotten)) return;
        while (entry* e = queue_.first_expired(now)) end(*e, outcome::expired);
        for (std::size_t c = 0; c < priority_classes && max_age_ > duration{}; ++c)
            for (entry* e = queue_.oldest_fixed(c); e && add_saturated(e->enqueued, max_age_) <= now; e = queue_.oldest_fixed(c))
                end(*e, outcome::expired);
    }
    /// When `expire` is to be called.
    [[nodiscard]] time_point deadline() noexcept {
        if (planted(bug::expiry_forgotten)) return never;
        time_point first = queue_.next_expiry();
        for (std::size_t c = 0; c < priority_classes && max_age_ > duration{}; ++c)
            if (const entry* e = queue_.oldest_fixed(c)) first = std::min(first, add_saturated(e->enqueued, max_age_));
        return first;
    }
    /// A message that an earlier process left, in the order of counters. Throws std::bad_alloc, and nothing changed.
    void restore(message body, const send_options& how, std::uint64_t counter, time_point now) {
        entry e = make_entry(std::move(body), how, now);
        e.counter = counter;
        (void)queue_.push_back(std::move(e));
    }
    /// Without a counter.
    [[nodiscard]] entry make_entry(message body, const send_options& how, time_point now) const {
        entry e;
        e.body = std::move(body);
        e.enqueued = now;
        e.priority = how.priority;
        time_point deadline = how.ttl > milliseconds{0} ? add_saturated(now, how.ttl) : never;
        // The others expire by their place in the lane.
        if (!how.coalesce_key.empty() && max_age_ > duration{}) deadline = std::min(deadline, add_saturated(now, max_age_));
        if (how.key.empty() && how.coalesce_key.empty() && deadline == never) return e;
        e.extras = std::make_unique<message_extras>(message_extras{how.key, how.coalesce_key, deadline});
        return e;
    }
    /// A message that does not pass through the queue takes its counter here.
    [[nodiscard]] std::uint64_t take_counter() noexcept { return next_counter_++; }
    /// Counters up to `last` were given elsewhere. Before the first message.
    void begin_after(std::uint64_t last) noexcept { next_counter_ = last + 1; }
    [[nodiscard]] std::uint64_t next_counter() const noexcept { return next_counter_; }
    [[nodiscard]] waiting_queue& queue() noexcept { return queue_; }

private:
    std::uint64_t append(entry&& e) {
        e.counter = next_counter_;
        return log(queue_.push_back(std::move(e)));
    }
    HAWSER_IN_LINE std::uint64_t log(entry& kept) {
        try {
            kept.lsn = log_enqueued(kept);
        } catch (...) {
            queue_.undo_push_back(kept);
            throw;
        }
        return next_counter_++;
    }
    std::uint64_t replace(entry& old, entry e) {
        e.counter = next_counter_;
        queue_.prepare_replace(old, e);
        bool logged = false;
        try {
            e.lsn = log_enqueued(e);
            logged = true;
            if (!planted(bug::replaced_untold)) outcomes_.add(old, outcome::replaced);
        } catch (...) {
            if (logged) log_.take_back(1);
            queue_.undo_prepare(e);
            throw;
        }
        (void)queue_.replace(old, std::move(e));
        return next_counter_++;
    }
    std::uint64_t log_enqueued(const entry& e) {
        return log_.keeps_records() ? log_record(e) : log_.add(record_kind::enqueued, e.counter);
    }
    HAWSER_OUT_OF_LINE std::uint64_t log_record(const entry& e) {
        record r{.kind = record_kind::enqueued, .counter = e.counter, .body = e.body};
        r.priority = e.priority;
        if (e.extras) {
            r.key = e.extras->key;
            r.coalesce_key = e.extras->coalesce_key;
            if (e.deadline() != never) r.ttl = std::chrono::ceil<milliseconds>(e.deadline() - e.enqueued);
        }
        return log_.add(std::move(r));
    }
    void end(entry& e, outcome result) {
        outcomes_.add(e, result);
        queue_.withdraw(e);
    }

    journal& log_;
    outcome_log& outcomes_;
    waiting_queue queue_;
    duration max_age_;
    std::uint64_t next_counter_ = 1;
};

}  // namespace session
}  // namespace hawser::inline v0

// SPDX-License-Identifier: BSL-1.0
/// \file
/// The sending half of a session: messages wait in a queue, then fly in a window.
#pragma once

#include <hawser/core/errc.hpp>
#include <hawser/core/message.hpp>
#include <hawser/core/outcome.hpp>
#include <hawser/core/ring.hpp>
#include <hawser/core/time.hpp>
#include <hawser/protocol/session/journal.hpp>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

namespace hawser::inline v0 {
namespace session {

/// Somebody who wants to know what became of a message. Owned by the outbox until then.
struct outcome_waiter {
    virtual ~outcome_waiter() = default;
    std::unique_ptr<outcome_waiter> next;
};

/// A message whose outcome is known.
struct finished_message {
    std::uint64_t counter = 0;
    std::uint64_t lsn = 0;  ///< report it when the journal is durable up to here
    outcome result = outcome::pending;
    time_point enqueued{};
    std::unique_ptr<outcome_waiter> waiters;
};

/// Queue and window of one direction. Sequence numbers are assigned just before the first
/// write; from then on a message is acknowledged, or the epoch ends and its sender is told.
/// In plain mode only the queue is used. Thread safety: none.
class outbox {
public:
    struct entry {
        std::uint64_t counter = 0;
        std::uint64_t end_offset = 0;  ///< payload bytes of the epoch up to and with this message
        std::uint64_t lsn = 0;
        message body;
        std::unique_ptr<std::string> key;
        std::unique_ptr<outcome_waiter> waiters;
        time_point enqueued{};
        bool written = false;
        bool withdrawn = false;  ///< cancelled in the queue; skipped when its turn comes
    };

    outbox(journal& log, std::uint64_t window_messages) noexcept
        : log_(log), window_limit_(window_messages) {}

    // ---- the application's side --------------------------------------------------------

    /// Appends a message and returns its counter. Throws std::bad_alloc, and nothing changed.
    std::uint64_t enqueue(message body, std::string_view key, std::unique_ptr<outcome_waiter> waiter,
                          time_point now) {
        entry e;
        e.counter = next_counter_;
        if (!key.empty()) e.key = std::make_unique<std::string>(key);
        e.waiters = std::move(waiter);
        e.enqueued = now;
        const std::size_t cost = footprint(body);
        e.body = std::move(body);
        entry& kept = queue_.push_back(std::move(e));
        if (log_.keeps_records())
            kept.lsn = log_.add({.kind = record_kind::enqueued, .counter = kept.counter, .body = kept.body,
                                 .key = std::string(key)});
        else
            kept.lsn = log_.add(record_kind::enqueued, kept.counter);
        queued_bytes_ += cost;
        ++queued_;
        return next_counter_++;
    }

    /// Withdraws a message that was never written. False if it was, or is not waiting here.
    bool cancel(std::uint64_t counter, outcome result = outcome::cancelled) {
        entry* e = find_queued(counter);
        if (!e || e->written || e->withdrawn) return false;
        e->withdrawn = true;
        take_from_queue(*e);
        finish(std::move(*e), result);
        return true;
    }

    /// Attaches a waiter to a live message; gives it back if the message is not live.
    [[nodiscard]] std::unique_ptr<outcome_waiter> add_waiter(std::uint64_t counter,
                                                             std::unique_ptr<outcome_waiter> waiter) {
        entry* e = find(counter);
        if (!e) return waiter;
        waiter->next = std::move(e->waiters);
        e->waiters = std::move(waiter);
        return nullptr;
    }
    [[nodiscard]] entry* find(std::uint64_t counter) noexcept {
        for (std::size_t i = 0; i < window_.size(); ++i)
            if (window_[i].counter == counter) return &window_[i];
        entry* e = find_queued(counter);
        return e && !e->withdrawn ? e : nullptr;
    }
    /// Outcome of a message issued here; `pending` while it is live, nothing if it cannot be told.
    [[nodiscard]] std::optional<outcome> lookup(std::uint64_t counter, outcome normally) noexcept {
        if (counter == 0 || counter >= next_counter_) return std::nullopt;
        if (find(counter)) return outcome::pending;
        for (std::size_t i = exceptions_.size(); i-- > 0;)
            if (exceptions_[i].counter == counter) return exceptions_[i].result;
        if (counter <= forgotten_through_) return std::nullopt;
        return normally;
    }

    /// A message that does not pass through the queue takes its counter here.
    [[nodiscard]] std::uint64_t take_counter() noexcept { return next_counter_++; }
    /// Counters up to `last` were given elsewhere. Before the first message.
    void begin_after(std::uint64_t last) noexcept { next_counter_ = last + 1; }
    /// Calls `visit(entry)` for each live message until it returns true.
    template <class Visit>
    void find_if(Visit&& visit) {
        for (std::size_t i = 0; i < window_.size(); ++i)
            if (visit(window_[i])) return;
        for (std::size_t i = 0; i < queue_.size(); ++i)
            if (!queue_[i].withdrawn && visit(queue_[i])) return;
    }

    // ---- plain mode ----------------------------------------------------------------------

    /// Takes the oldest waiting message whose acceptance is durable; nothing if there is none.
    [[nodiscard]] std::optional<entry> pop_plain() {
        drop_withdrawn();
        if (queue_.empty() || queue_.front().lsn > log_.durable()) return std::nullopt;
        entry e = queue_.pop_front();
        take_from_queue(e);
        return e;
    }
    void finish_plain(entry e, outcome result) { finish(std::move(e), result); }

    // ---- the link's side -----------------------------------------------------------------

    /// The peer's `id_base` of a new epoch: the counter before that of the first message.
    [[nodiscard]] std::uint64_t id_base() noexcept {
        drop_withdrawn();
        return (queue_.empty() ? next_counter_ : queue_.front().counter) - 1;
    }
    /// A new epoch starts: numbers from 1, with the peer's credit.
    void begin_epoch(std::uint64_t id_base, std::uint64_t credit_messages, std::uint64_t credit_bytes) noexcept {
        epoch_id_base_ = id_base;
        credit_messages_ = credit_messages;
        credit_bytes_ = credit_bytes;
        acked_ = written_ = 0;
        next_seq_ = cursor_ = 1;
        assigned_bytes_ = 0;
    }
    /// A link attaches; everything not accepted by the peer is written again, in order.
    void attach() noexcept { cursor_ = acked_ + 1; }

    /// Gives numbers to waiting messages, as far as window, credit and `budget` (payload
    /// bytes that the link takes now) allow.
    void assign(std::size_t budget) {
        std::size_t taken = 0;
        for (;;) {
            drop_withdrawn();
            if (queue_.empty() || taken >= budget || window_.size() >= window_limit_ || next_seq_ >= max_seq) return;
            if (queue_.front().body.size() > max_body_) {
                refuse_front();
                continue;
            }
            const std::uint64_t end = assigned_bytes_ + queue_.front().body.size();
            if (!within_credit(next_seq_, end)) return;
            entry& e = window_.push_back(queue_.pop_front());
            take_from_queue(e);
            e.end_offset = assigned_bytes_ = end;
            e.lsn = log_.add(record_kind::assigned, e.counter, next_seq_);
            ++next_seq_;
            taken += e.body.size() + 64;
        }
    }
    /// The next message to write on this link, or null; its number is `cursor()`.
    [[nodiscard]] entry* next_to_write() noexcept {
        if (cursor_ >= next_seq_) return nullptr;
        entry& e = window_[static_cast<std::size_t>(cursor_ - acked_ - 1)];
        if (e.lsn > log_.durable() || !within_credit(cursor_, e.end_offset)) return nullptr;
        return &e;
    }
    void written(entry& e) noexcept {
        e.written = true;
        written_ = std::max(written_, cursor_);
        ++cursor_;
    }

    /// An acknowledged position. Beyond what was written is a protocol error, going back is ignored.
    [[nodiscard]] std::error_code on_ack(std::uint64_t accepted) {
        if (accepted > written_) return errc::session_protocol;
        while (acked_ < accepted) {
            finish(window_.pop_front(), outcome::acknowledged);
            ++acked_;
        }
        cursor_ = std::max(cursor_, acked_ + 1);
        return {};
    }
    /// The peer takes no larger message; one that waits and is larger ends `refused`.
    void set_max_body(std::uint64_t bytes) noexcept { max_body_ = bytes; }
    void on_credit(std::uint64_t messages, std::uint64_t bytes) noexcept {
        credit_messages_ = std::max(credit_messages_, messages);
        credit_bytes_ = std::max(credit_bytes_, bytes);
    }

    /// The epoch is over. Up to `position` messages are acknowledged; with a position the rest
    /// is sent again first, in old order; without one, what was written ends `unknown`.
    void end_epoch(std::optional<std::uint64_t> position) {
        if (position) (void)on_ack(std::min(*position, written_));
        while (!window_.empty()) {
            entry e = window_.pop_back();
            if (!position && e.written) {
                unknown_.push_back(std::move(e));
            } else {
                queued_bytes_ += footprint(e.body);
                ++queued_;
                (void)queue_.push_front(std::move(e));
            }
        }
        while (!unknown_.empty()) finish(unknown_.pop_back(), outcome::unknown);
        begin_epoch(0, 0, 0);
    }
    /// The socket ends: nothing stays behind. Written messages end `unknown`, others `result`.
    void finish_all(outcome result) {
        end_epoch(std::nullopt);
        while (!queue_.empty()) {
            entry e = queue_.pop_front();
            if (e.withdrawn) continue;
            take_from_queue(e);
            const outcome r = e.written ? outcome::unknown : result;
            finish(std::move(e), r);
        }
    }

    /// The next message whose outcome is known and whose record is durable.
    [[nodiscard]] std::optional<finished_message> pop_finished() noexcept {
        if (finished_.empty() || finished_.front().lsn > log_.durable()) return std::nullopt;
        return finished_.pop_front();
    }

    /// Hands out everything finished, durable or not: the socket goes and nobody will ask again.
    template <class Visit>
    void drain_finished(Visit&& visit) {
        while (!finished_.empty()) {
            finished_message f = finished_.pop_front();
            visit(f);
        }
    }

    // ---- observers -------------------------------------------------------------------------

    [[nodiscard]] std::uint64_t cursor() const noexcept { return cursor_; }
    [[nodiscard]] std::uint64_t next_seq() const noexcept { return next_seq_; }
    [[nodiscard]] std::uint64_t acked() const noexcept { return acked_; }
    [[nodiscard]] std::uint64_t written_through() const noexcept { return written_; }
    [[nodiscard]] std::uint64_t first_retained() const noexcept { return acked_ + 1; }
    [[nodiscard]] std::uint64_t epoch_id_base() const noexcept { return epoch_id_base_; }
    [[nodiscard]] std::size_t queued() const noexcept { return queued_; }
    [[nodiscard]] std::size_t queued_bytes() const noexcept { return queued_bytes_; }
    [[nodiscard]] std::size_t in_flight() const noexcept { return window_.size(); }
    [[nodiscard]] bool drained() const noexcept { return queued_ == 0 && window_.empty(); }
    /// Nothing further could be written after the message at the cursor.
    [[nodiscard]] bool nothing_further() const noexcept { return cursor_ + 1 >= next_seq_ && queued_ == 0; }
    /// Messages counted: those accepted since the start.
    [[nodiscard]] std::uint64_t next_counter() const noexcept { return next_counter_; }

    [[nodiscard]] static std::size_t footprint(const message& m) noexcept { return m.footprint() + sizeof(entry); }

private:
    static constexpr std::size_t max_exceptions = 1024;
    struct exception { std::uint64_t counter; outcome result; };

    [[nodiscard]] bool within_credit(std::uint64_t seq, std::uint64_t end) const noexcept {
        return (seq <= credit_messages_ && end <= credit_bytes_) || seq == acked_ + 1;
    }
    void refuse_front() {
        entry e = queue_.pop_front();
        take_from_queue(e);
        const outcome result = e.written ? outcome::unknown : outcome::refused;
        finish(std::move(e), result);
    }
    void drop_withdrawn() noexcept {
        while (!queue_.empty() && queue_.front().withdrawn) (void)queue_.pop_front();
    }
    void take_from_queue(const entry& e) noexcept {
        queued_bytes_ -= footprint(e.body);
        --queued_;
    }
    // Counters rise along the queue: what is sent again goes in front, in old order.
    [[nodiscard]] entry* find_queued(std::uint64_t counter) noexcept {
        std::size_t low = 0, high = queue_.size();
        while (low < high) {
            const std::size_t middle = low + (high - low) / 2;
            if (queue_[middle].counter < counter) low = middle + 1;
            else high = middle;
        }
        return low < queue_.size() && queue_[low].counter == counter ? &queue_[low] : nullptr;
    }
    void finish(entry&& e, outcome result) {
        const std::uint64_t lsn = log_.add(record_kind::finished, e.counter, 0, result);
        if (result != outcome::acknowledged && result != outcome::written) {
            if (exceptions_.size() == max_exceptions)
                forgotten_through_ = std::max(forgotten_through_, exceptions_.pop_front().counter);
            (void)exceptions_.push_back({e.counter, result});
        }
        (void)finished_.push_back({e.counter, lsn, result, e.enqueued, std::move(e.waiters)});
    }

    journal& log_;
    ring<entry> queue_;
    ring<entry> window_;
    ring<entry> unknown_;
    ring<finished_message> finished_;
    ring<exception> exceptions_;
    std::size_t queued_ = 0;
    std::size_t queued_bytes_ = 0;
    std::uint64_t window_limit_;
    std::uint64_t max_body_ = UINT64_MAX;
    std::uint64_t next_counter_ = 1;
    std::uint64_t forgotten_through_ = 0;
    std::uint64_t epoch_id_base_ = 0;
    std::uint64_t next_seq_ = 1;
    std::uint64_t cursor_ = 1;
    std::uint64_t acked_ = 0;
    std::uint64_t written_ = 0;
    std::uint64_t assigned_bytes_ = 0;
    std::uint64_t credit_messages_ = 0;
    std::uint64_t credit_bytes_ = 0;
};

}  // namespace session
}  // namespace hawser::inline v0

// SPDX-License-Identifier: BSL-1.0
/// \file
/// The sending half of a session: messages wait in a queue, then fly in a window.
#pragma once

#include <hawser/core/errc.hpp>
#include <hawser/core/planted.hpp>
#include <hawser/core/ring.hpp>
#include <hawser/protocol/session/exceptions.hpp>
#include <hawser/protocol/session/journal.hpp>
#include <hawser/protocol/session/outcome_log.hpp>
#include <hawser/protocol/session/stored_session.hpp>
#include <hawser/protocol/session/waiting_queue.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace hawser::inline v0 {
namespace session {

struct outbox_limits {
    std::uint64_t window_messages = 1024;          ///< written and not acknowledged, at most
    std::uint64_t window_bytes = 16 * 1024 * 1024; ///< their payload bytes, at most; one message always goes
    std::uint64_t sequence_end = max_seq;          ///< no number from here on is given in one epoch
};

/// Queue and window of one direction. Sequence numbers are assigned just before the first
/// write; from then on a message is acknowledged, or the epoch ends and its sender is told.
/// In plain mode only the queue is used. A function that throws std::bad_alloc loses no message
/// and may be called again. Thread safety: none.
class outbox {
public:
    using entry = outgoing_message;

    outbox(journal& log, const outbox_limits& limits) noexcept : log_(log), outcomes_(log), limits_(limits) {}

    // ---- the application's side --------------------------------------------------------

    /// Appends a message and returns its counter. Throws std::bad_alloc, and nothing changed.
    std::uint64_t enqueue(message body, std::string_view key, std::unique_ptr<outcome_waiter> waiter,
                          time_point now) {
        entry e;
        e.counter = next_counter_;
        if (!key.empty()) e.key = std::make_unique<std::string>(key);
        e.body = std::move(body);
        e.waiters = std::move(waiter);
        e.enqueued = now;
        entry& kept = queue_.push_back(std::move(e));
        try {
            kept.lsn = log_enqueued(kept);
        } catch (...) {
            queue_.undo_push_back();
            throw;
        }
        return next_counter_++;
    }
    /// Withdraws a message that waits and was never written. False if there is none such.
    bool cancel(std::uint64_t counter, outcome result = outcome::cancelled) {
        entry* e = planted(bug::numbered_cancelled) ? find(counter) : queue_.find(counter);
        if (!e || e->written) return false;
        outcomes_.add(*e, result);
        queue_.withdraw(*e);
        return true;
    }
    /// Attaches a waiter to a message that was not reported yet; otherwise gives it back.
    [[nodiscard]] std::unique_ptr<outcome_waiter> add_waiter(std::uint64_t counter,
                                                             std::unique_ptr<outcome_waiter> waiter) noexcept {
        if (entry* e = find(counter)) session::add_waiter(e->waiters, std::move(waiter));
        else if (auto* f = outcomes_.find_unreported(counter)) session::add_waiter(f->waiters, std::move(waiter));
        return waiter;
    }
    /// A message that waits or flies, or null.
    [[nodiscard]] entry* find(std::uint64_t counter) noexcept {
        if (!window_.empty() && counter <= window_.back().counter) return find_in_window(counter);
        return queue_.find(counter);
    }
    /// Outcome of a message issued here; `pending` until it is reported, nothing if it cannot be told.
    [[nodiscard]] std::optional<outcome> lookup(std::uint64_t counter, outcome normally) noexcept {
        if (counter == 0 || counter >= next_counter_) return std::nullopt;
        if (find(counter) || outcomes_.find_unreported(counter)) return outcome::pending;
        return outcomes_.lookup(counter, normally);
    }
    /// A message that does not pass through the queue takes its counter here.
    [[nodiscard]] std::uint64_t take_counter() noexcept { return next_counter_++; }
    /// What an earlier process left, with its window where the epoch goes on. Before the first message. Throws
    /// std::bad_alloc. Error: `store_corrupt`, for numbers that contradict each other.
    [[nodiscard]] std::error_code restore(store_image& image, std::uint64_t id_base, time_point now) {
        begin_epoch(id_base, 0, 0);
        next_counter_ = planted(bug::ids_used_again) ? image.outbox.size() + 1 : image.next_counter;
        // The window in its order, then what was in an earlier one, then the rest as it came.
        std::sort(image.outbox.begin(), image.outbox.end(), [](const stored_message& x, const stored_message& y) {
            if ((x.seq == 0) != (y.seq == 0)) return x.seq != 0;
            if (x.seq != y.seq) return x.seq < y.seq;
            return x.written != y.written ? x.written : x.counter < y.counter;
        });
        std::uint64_t last = 0;
        for (stored_message& m : image.outbox) {
            if (m.counter == 0 || m.counter >= next_counter_ || (m.seq != 0 && last != 0 && m.seq != last + 1))
                return errc::store_corrupt;
            if (m.seq != 0) last = m.seq;
            restore_one(m, now);
        }
        if (last != 0 && last != image.assigned) return errc::store_corrupt;
        next_seq_ = image.assigned + 1;
        written_ = image.assigned;
        assigned_bytes_ = image.assigned_bytes;
        acked_ = image.assigned - window_.size();
        acked_bytes_ = window_.empty() ? assigned_bytes_ : window_.front().end_offset - window_.front().body.size();
        cursor_ = acked_ + 1;
        return {};
    }
    /// Counters up to `last` were given elsewhere. Before the first message.
    void begin_after(std::uint64_t last) noexcept { next_counter_ = last + 1; }
    /// Calls `visit(message)` for each that is not reported yet, until it returns true; it has a
    /// `counter` and `waiters`, whatever its state.
    template <class Visit>
    void find_if(Visit&& visit) {
        for (std::size_t i = 0; i < window_.size(); ++i)
            if (visit(window_[i])) return;
        if (!queue_.find_if(visit)) (void)outcomes_.find_if(visit);
    }

    // ---- plain mode ----------------------------------------------------------------------

    /// The oldest waiting message whose acceptance is durable, to be written now; nothing if there is
    /// none. It ends `written`. Throws std::bad_alloc, and nothing changed.
    [[nodiscard]] std::optional<message> begin_plain() {
        entry* e = queue_.front();
        for (; e && e->body.kind() == message_kind::transfer; e = queue_.front()) {
            outcomes_.add(*e, outcome::refused);  // of a session before; a plain peer could not tell it from others
            (void)queue_.pop_front();
        }
        if (!e || e->lsn > log_.durable()) return std::nullopt;
        outcomes_.add(*e, outcome::written);
        return queue_.pop_front().body;
    }
    /// It was not written after all: it ends `cancelled`.
    void undo_plain() noexcept { outcomes_.amend_last(outcome::cancelled); }

    // ---- the link's side -----------------------------------------------------------------

    /// `id_base` for a new epoch: the counter before that of the first message.
    [[nodiscard]] std::uint64_t id_base() noexcept {
        const entry* e = queue_.front();
        return (e ? e->counter : next_counter_) - 1;
    }
    /// A new epoch starts: numbers from 1, with the peer's credit.
    void begin_epoch(std::uint64_t id_base, std::uint64_t credit_messages, std::uint64_t credit_bytes) noexcept {
        epoch_id_base_ = id_base;
        credit_messages_ = credit_messages;
        credit_bytes_ = credit_bytes;
        acked_ = written_ = assigned_bytes_ = acked_bytes_ = 0;
        next_seq_ = cursor_ = 1;
        forget_part();
    }
    /// A larger message leaves in parts of this size, if the peer knows parts.
    void set_part_size(std::uint64_t bytes) noexcept { part_size_ = bytes; }
    /// A link attaches; everything not accepted by the peer is written again, in order. A message that
    /// was leaving in parts begins anew.
    void attach() noexcept {
        cursor_ = planted(bug::nothing_replayed) ? cursor_ : acked_ + 1;
        if (!planted(bug::part_resumed_blindly)) forget_part();
    }

    /// Gives numbers to waiting messages, as far as window, credit and `budget` (payload
    /// bytes that the link takes now) allow.
    void assign(std::size_t budget) {
        std::size_t taken = 0;
        while (entry* e = taken < budget ? queue_.front() : nullptr) {
            const bool unknown = e->body.kind() == message_kind::transfer && !takes_transfers_;
            if (e->body.size() > max_body_ || unknown) {
                outcomes_.add(*e, outcome::refused);
                (void)queue_.pop_front();
                continue;
            }
            if (!may_assign(e->body.size()) || !ready_for_number(*e)) return;
            assign_front();
            taken += window_.back().body.size() + per_message_budget;
        }
    }
    /// The next message to write on this link, or null; its number is `cursor()`.
    [[nodiscard]] entry* next_to_write() noexcept {
        if (cursor_ >= next_seq_) return nullptr;
        entry& e = at(cursor_);
        const bool durable = e.lsn <= log_.durable() || planted(bug::write_before_commit);
        return durable && within_credit(cursor_, e.end_offset) ? &e : nullptr;
    }
    /// A message that waits and of which a part, not the last, can leave now; or null.
    [[nodiscard]] entry* next_part() noexcept {
        entry* e = part_counter_ == 0 ? nullptr : queue_.find(part_counter_);
        if (!e || e->body.size() - part_offset_ <= part_size_ || e->lsn > log_.durable()) return nullptr;
        return within_credit(next_seq_, assigned_bytes_ + part_offset_ + part_size_) ? e : nullptr;
    }
    /// Bytes of `e` that left on this link already.
    [[nodiscard]] std::size_t part_offset(const entry& e) const noexcept {
        return e.counter == part_counter_ ? part_offset_ : 0;
    }
    [[nodiscard]] std::uint64_t part_size() const noexcept { return part_size_; }
    /// `bytes` more of `e` left, and it is not all.
    void part_written(const entry& e, std::size_t bytes) noexcept {
        part_offset_ = part_offset(e) + bytes;
        part_counter_ = e.counter;
    }
    /// Nothing can follow the message at the cursor before the peer has acknowledged something:
    /// there is nothing, or window or credit are used up.
    [[nodiscard]] bool last_for_now() noexcept {
        if (cursor_ + 1 < next_seq_) return !within_credit(cursor_ + 1, at(cursor_ + 1).end_offset);
        const entry* e = queue_.front();
        return !e || !may_assign(e->body.size());
    }
    void written(entry& e) noexcept {
        e.written = true;
        written_ = std::max(written_, cursor_);
        ++cursor_;
        if (e.counter == part_counter_) forget_part();
    }

    /// An acknowledged position, and what it covers that was not simply accepted. Beyond what was written is a
    /// protocol error, going back is ignored.
    [[nodiscard]] std::error_code on_ack(std::uint64_t accepted, exception_view exceptions = {}) {
        if (accepted > written_) return planted(bug::ack_beyond_sent_taken) ? errc{} : errc::session_protocol;
        exception_reader list(exceptions);
        auto next = list.next();
        while (acked_ < accepted) {
            while (next && next->seq <= acked_) next = list.next();
            const bool named = next && next->seq == acked_ + 1;
            outcomes_.add(window_.front(), named ? next->what : outcome::acknowledged);
            acked_bytes_ = window_.pop_front().end_offset;
            ++acked_;
        }
        cursor_ = planted(bug::ack_goes_back) ? accepted + 1 : std::max(cursor_, acked_ + 1);
        return {};
    }
    /// The peer takes no larger message; one that waits and is larger ends `refused`.
    void set_max_body(std::uint64_t bytes) noexcept { max_body_ = bytes; }
    /// Whether the peer knows messages of transfers; otherwise they end `refused`.
    void set_takes_transfers(bool yes) noexcept { takes_transfers_ = yes; }
    /// Credit is absolute and never shrinks.
    void on_credit(std::uint64_t messages, std::uint64_t bytes) noexcept {
        credit_messages_ = std::max(credit_messages_, messages);
        credit_bytes_ = std::max(credit_bytes_, bytes);
    }

    /// The epoch is over. Up to `position` messages are acknowledged. With a position, or with `all_again`, the
    /// rest is sent again first, in old order; otherwise that holds for what was not written in
    /// this epoch, and the others end `unknown`.
    void end_epoch(std::optional<std::uint64_t> position, bool all_again = false,
                   exception_view exceptions = {}) {
        if (position) (void)on_ack(std::min(*position, written_), exceptions);
        while (!window_.empty()) {
            const std::uint64_t seq = acked_ + window_.size();
            if (!position && !all_again && seq <= written_ && !planted(bug::unknown_sent_again)) break;
            if (planted(bug::written_flag_dropped)) window_.back().written = false;
            if (planted(bug::requeued_behind)) (void)queue_.push_back(std::move(window_.back()));
            else queue_.push_front(window_.back());
            (void)window_.pop_back();
        }
        while (!window_.empty()) {
            const bool lie = planted(bug::unknown_told_acknowledged);
            outcomes_.add(window_.front(), lie ? outcome::acknowledged : outcome::unknown);
            (void)window_.pop_front();
        }
        begin_epoch(0, 0, 0);
    }
    /// The socket ends: nothing stays behind. Written messages end `unknown`, others `result`.
    void finish_all(outcome result) {
        end_epoch(std::nullopt);
        while (entry* e = queue_.front()) {
            outcomes_.add(*e, result);
            (void)queue_.pop_front();
        }
    }

    /// The next message whose outcome is known and whose record is durable.
    [[nodiscard]] std::optional<finished_message> pop_finished() noexcept { return outcomes_.pop(); }
    /// Hands out everything finished, durable or not: the socket goes and nobody will ask again.
    template <class Visit>
    void drain_finished(Visit&& visit) {
        outcomes_.drain(visit);
    }

    // ---- observers -------------------------------------------------------------------------

    [[nodiscard]] std::uint64_t cursor() const noexcept { return cursor_; }
    [[nodiscard]] std::uint64_t next_seq() const noexcept { return next_seq_; }
    [[nodiscard]] std::uint64_t acked() const noexcept { return acked_; }
    [[nodiscard]] std::uint64_t written_through() const noexcept { return written_; }
    [[nodiscard]] std::uint64_t first_retained() const noexcept { return acked_ + 1; }
    [[nodiscard]] std::uint64_t epoch_id_base() const noexcept { return epoch_id_base_; }
    [[nodiscard]] std::size_t queued() const noexcept { return queue_.size(); }
    [[nodiscard]] std::size_t queued_bytes() const noexcept { return queue_.bytes(); }
    /// Places in the queue, those of withdrawn messages included.
    [[nodiscard]] std::size_t queue_slots() const noexcept { return queue_.slots(); }
    [[nodiscard]] std::size_t in_flight() const noexcept { return window_.size(); }
    [[nodiscard]] std::uint64_t in_flight_bytes() const noexcept { return assigned_bytes_ - acked_bytes_; }
    [[nodiscard]] bool drained() const noexcept { return queued() == 0 && window_.empty(); }
    /// All numbers of the epoch are used and acknowledged.
    [[nodiscard]] bool exhausted() const noexcept { return next_seq_ >= limits_.sequence_end && window_.empty(); }
    /// Messages counted: those accepted since the start.
    [[nodiscard]] std::uint64_t next_counter() const noexcept { return next_counter_; }

    [[nodiscard]] static std::size_t footprint(const message& m) noexcept { return session::footprint(m); }

private:
    // What the head of a DATA frame takes of a link's budget, rounded up.
    static constexpr std::size_t per_message_budget = 64;

    std::uint64_t log_enqueued(const entry& e) {
        if (!log_.keeps_records()) return log_.add(record_kind::enqueued, e.counter);
        return log_.add({.kind = record_kind::enqueued,
                         .counter = e.counter,
                         .body = e.body,
                         .key = e.key ? *e.key : std::string()});
    }
    void restore_one(stored_message& m, time_point now) {
        entry e;
        e.counter = m.counter;
        e.end_offset = m.bytes;
        e.body = std::move(m.body);
        if (!m.key.empty()) e.key = std::make_unique<std::string>(std::move(m.key));
        e.enqueued = now;
        e.written = m.written;
        if (m.seq != 0) (void)window_.push_back(std::move(e));
        else (void)queue_.push_back(std::move(e));
    }
    std::uint64_t log_assigned(const entry& e) {
        if (!log_.keeps_records()) return log_.add(record_kind::assigned, e.counter, next_seq_);
        return log_.add({.kind = record_kind::assigned,
                         .counter = e.counter,
                         .seq = next_seq_,
                         .bytes = assigned_bytes_ + e.body.size()});
    }
    [[nodiscard]] entry& at(std::uint64_t seq) noexcept { return window_[static_cast<std::size_t>(seq - acked_ - 1)]; }
    [[nodiscard]] bool within_credit(std::uint64_t seq, std::uint64_t end) const noexcept {
        const bool alone = seq == acked_ + 1 && !planted(bug::nothing_alone);
        return (seq <= credit_messages_ && end <= credit_bytes_) || alone || planted(bug::credit_ignored);
    }
    [[nodiscard]] bool may_assign(std::size_t size) const noexcept {
        const bool numbered_out = next_seq_ >= limits_.sequence_end && !planted(bug::sequence_end_ignored);
        if (numbered_out || window_.size() >= limits_.window_messages) return false;
        if (!window_.empty() && in_flight_bytes() + size > limits_.window_bytes) return false;
        return within_credit(next_seq_, assigned_bytes_ + size);
    }
    // The number comes with the last part, so that others may overtake until then. One message at a time
    // is in parts: one with a number is finished first, one without begins anew where another is to leave first.
    [[nodiscard]] bool ready_for_number(const entry& e) noexcept {
        if (e.body.size() <= part_size_) return true;
        if (part_counter_ != e.counter) {
            if (part_counter_ != 0 && find_in_window(part_counter_)) return false;
            part_counter_ = e.counter;
            part_offset_ = 0;
        }
        return e.body.size() - part_offset_ <= part_size_;
    }
    void forget_part() noexcept { part_counter_ = part_offset_ = 0; }
    void assign_front() {
        entry& slot = window_.push_back({});
        std::uint64_t lsn = 0;
        try {
            lsn = log_assigned(*queue_.front());
        } catch (...) {
            (void)window_.pop_back();
            throw;
        }
        slot = queue_.pop_front();
        slot.lsn = lsn;
        slot.end_offset = assigned_bytes_ += slot.body.size();
        ++next_seq_;
    }
    // Counters rise along the window, as they do along the queue.
    [[nodiscard]] entry* find_in_window(std::uint64_t counter) noexcept {
        std::size_t low = 0, high = window_.size();
        while (low < high) {
            const std::size_t middle = low + (high - low) / 2;
            if (window_[middle].counter < counter) low = middle + 1;
            else high = middle;
        }
        return low < window_.size() && window_[low].counter == counter ? &window_[low] : nullptr;
    }

    journal& log_;
    waiting_queue queue_;
    ring<entry> window_;
    outcome_log outcomes_;
    outbox_limits limits_;
    std::uint64_t max_body_ = UINT64_MAX;
    bool takes_transfers_ = false;
    std::uint64_t next_counter_ = 1;
    std::uint64_t epoch_id_base_ = 0;
    std::uint64_t next_seq_ = 1;
    std::uint64_t cursor_ = 1;
    std::uint64_t acked_ = 0;
    std::uint64_t written_ = 0;
    std::uint64_t assigned_bytes_ = 0;  // payload of the epoch, up to next_seq_ - 1
    std::uint64_t acked_bytes_ = 0;     // the same, up to acked_
    std::uint64_t credit_messages_ = 0;
    std::uint64_t credit_bytes_ = 0;
    std::uint64_t part_size_ = UINT64_MAX;
    std::uint64_t part_counter_ = 0;  // of the message that leaves in parts, 0 for none
    std::size_t part_offset_ = 0;     // its bytes that left on this link
};

}  // namespace session
}  // namespace hawser::inline v0

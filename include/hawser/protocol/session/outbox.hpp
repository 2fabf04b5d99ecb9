// SPDX-License-Identifier: BSL-1.0
/// \file
/// The sending half of a session: messages wait in a queue, then fly in a window.
/// Definitions: detail/outbox_window.hpp (into the window and out of it), detail/outbox_restoring.hpp (what a store gives back).
#pragma once

#include <hawser/core/errc.hpp>
#include <hawser/core/planted.hpp>
#include <hawser/core/ring.hpp>
#include <hawser/protocol/session/detail/flight_index.hpp>
#include <hawser/protocol/session/exceptions.hpp>
#include <hawser/protocol/session/journal.hpp>
#include <hawser/protocol/session/message_intake.hpp>
#include <hawser/protocol/session/outcome_log.hpp>
#include <hawser/protocol/session/stored_session.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <system_error>

namespace hawser::inline v0 {
namespace session {

struct outbox_limits {
    std::uint64_t window_messages = 1024;          ///< written and not acknowledged, at most
    std::uint64_t window_bytes = 16 * 1024 * 1024; ///< their payload bytes, at most; one message always goes
    std::uint64_t sequence_end = max_seq;          ///< no number from here on is given in one epoch
    duration max_age{};                            ///< what waits so long expires; 0: nothing does
};

/// Queue and window of one direction. Sequence numbers are assigned just before the first
/// write; from then on a message is acknowledged, or the epoch ends and its sender is told.
/// In plain mode only the queue is used. A function that throws std::bad_alloc loses no message
/// and may be called again. Thread safety: none.
class outbox {
public:
    using entry = outgoing_message;

    outbox(journal& log, const outbox_limits& limits) noexcept
        : log_(log), outcomes_(log), intake_(log, outcomes_, limits.max_age), queue_(intake_.queue()), limits_(limits) {}
    outbox(const outbox&) = delete;
    outbox& operator=(const outbox&) = delete;

    // ---- the application's side --------------------------------------------------------

    /// What has not got a number yet.
    [[nodiscard]] message_intake& intake() noexcept { return intake_; }
    /// See `message_intake::enqueue`.
    std::uint64_t enqueue(message body, const send_options& how, std::unique_ptr<outcome_waiter> waiter, time_point now) {
        if (planted(bug::numbered_replaced) && !how.coalesce_key.empty()) replace_numbered(how);
        return intake_.enqueue(std::move(body), how, std::move(waiter), now);
    }
    /// What waits and whose deadline has passed, or that is too old, ends `expired`. Throws std::bad_alloc, and may
    /// be called again.
    void expire(time_point now) {
        intake_.expire(now);
        if (planted(bug::numbered_expired)) expire_numbered(now);
    }
    /// When `expire` is to be called.
    [[nodiscard]] time_point deadline() noexcept { return intake_.deadline(); }
    /// A message that waits and was never written, so that it may be withdrawn; or null.
    [[nodiscard]] entry* find_cancellable(std::uint64_t counter) noexcept {
        entry* e = find(counter);
        const bool in_window = e && !queue_.is_waiting(*e);
        return !e || e->written || (in_window && !planted(bug::numbered_cancelled)) ? nullptr : e;
    }
    /// Withdraws it. False if there is none such.
    bool cancel(std::uint64_t counter, outcome result = outcome::cancelled) {
        entry* e = find_cancellable(counter);
        if (e) end_waiting(*e, result);
        return e != nullptr;
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
        if (entry* e = flight_.find(window_, queue_.returned(), counter)) return e;
        return queue_.find(counter);
    }
    /// Outcome of a message issued here; `pending` until it is reported, nothing if it cannot be told.
    [[nodiscard]] std::optional<outcome> lookup(std::uint64_t counter, outcome normally) noexcept {
        if (counter == 0 || counter >= intake_.next_counter()) return std::nullopt;
        if (find(counter) || outcomes_.find_unreported(counter)) return outcome::pending;
        return outcomes_.lookup(counter, normally);
    }
    /// A message that does not pass through the queue takes its counter here.
    [[nodiscard]] std::uint64_t take_counter() noexcept { return intake_.take_counter(); }
    /// What an earlier process left, with its window where the epoch goes on. Before the first message. Throws
    /// std::bad_alloc. Error: `store_corrupt`, for numbers that contradict each other.
    [[nodiscard]] std::error_code restore(store_image& image, std::uint64_t id_base, time_point now);
    /// Counters up to `last` were given elsewhere. Before the first message.
    void begin_after(std::uint64_t last) noexcept { intake_.begin_after(last); }
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
    [[nodiscard]] std::optional<message> begin_plain();
    /// It was not written after all: it ends `cancelled`.
    void undo_plain() noexcept { outcomes_.amend_last(outcome::cancelled); }

    // ---- the link's side -----------------------------------------------------------------

    /// `id_base` for a new epoch: no message that waits has it or a lower counter.
    [[nodiscard]] std::uint64_t id_base() noexcept { return std::min(queue_.lowest_counter(), intake_.next_counter()) - 1; }
    /// A new epoch starts: numbers from 1, with the peer's credit.
    void begin_epoch(std::uint64_t id_base, std::uint64_t credit_messages, std::uint64_t credit_bytes) noexcept {
        epoch_id_base_ = id_base;
        credit_messages_ = credit_messages;
        credit_bytes_ = credit_bytes;
        acked_ = written_ = assigned_bytes_ = acked_bytes_ = cursor_bytes_ = 0;
        next_seq_ = cursor_ = 1;
        forget_part();
    }
    /// A larger message leaves in parts of this size, if the peer knows parts.
    void set_part_size(std::uint64_t bytes) noexcept { part_size_ = bytes; }
    /// A link attaches; everything not accepted by the peer is written again, in order. A message that
    /// was leaving in parts begins anew.
    void attach() noexcept {
        if (!planted(bug::part_resumed_blindly)) forget_part();
        if (planted(bug::nothing_replayed)) return;
        cursor_ = acked_ + 1;
        cursor_bytes_ = acked_bytes_;
    }

    /// Gives numbers to waiting messages, as far as window, credit and `budget` (payload
    /// bytes that the link takes now) allow.
    void assign(std::size_t budget);
    /// The next message to write on this link, or null; its number is `cursor()`.
    [[nodiscard]] entry* next_to_write() noexcept {
        if (cursor_ >= next_seq_) return nullptr;
        entry& e = at(cursor_);
        const bool durable = e.lsn <= log_.durable() || planted(bug::write_before_commit);
        return durable && within_credit(cursor_, cursor_bytes_ + e.body.size()) ? &e : nullptr;
    }
    /// A message that waits and of which a part, not the last, can leave now; or null.
    [[nodiscard]] entry* next_part() noexcept {
        entry* e = in_parts();
        if (!e || e->body.size() - part_offset_ <= part_size_ || e->lsn > log_.durable()) return nullptr;
        return within_credit(next_seq_, assigned_bytes_ + part_offset_ + part_size_) ? e : nullptr;
    }
    /// Bytes of `e` that left on this link already.
    [[nodiscard]] std::size_t part_offset(const entry& e) const noexcept {
        return e.counter == part_counter_ ? part_offset_ : 0;
    }
    [[nodiscard]] std::uint64_t part_size() const noexcept { return part_size_; }
    /// `bytes` more of `e` left, and it is not all: others have their turn. A part that left while a class waited for
    /// credit, or that is sent again, takes nobody's turn.
    void part_written(const entry& e, std::size_t bytes) noexcept {
        part_offset_ = part_offset(e) + bytes;
        part_counter_ = e.counter;
        if (!e.numbered && next_waiting() == &e) queue_.pass_turn();
    }
    /// Nothing can follow the message at the cursor before the peer has acknowledged something:
    /// there is nothing, or window or credit are used up.
    [[nodiscard]] bool last_for_now() noexcept {
        if (cursor_ + 1 < next_seq_)
            return !within_credit(cursor_ + 1, cursor_bytes_ + at(cursor_).body.size() + at(cursor_ + 1).body.size());
        const entry* e = queue_.front();
        return !e || !may_assign(e->body.size());
    }
    void written(entry& e) noexcept {
        e.written = true;
        written_ = std::max(written_, cursor_);
        cursor_bytes_ += e.body.size();
        ++cursor_;
        if (e.counter == part_counter_) forget_part();
    }

    /// An acknowledged position, and what it covers that was not simply accepted. Beyond what was written is a
    /// protocol error, going back is ignored.
    [[nodiscard]] std::error_code on_ack(std::uint64_t accepted, exception_view exceptions = {});
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
    void end_epoch(std::optional<std::uint64_t> position, bool all_again = false, exception_view exceptions = {});
    /// The socket ends: nothing stays behind. Written messages end `unknown`, others `result`.
    void finish_all(outcome result) {
        end_epoch(std::nullopt);
        while (entry* e = queue_.front()) end_waiting(*e, result);
    }

    /// The next message whose outcome is known and whose record is durable.
    [[nodiscard]] std::optional<finished_message> pop_finished() noexcept { return outcomes_.pop(); }
    /// Hands out everything finished, durable or not: the socket goes and nobody will ask again.
    template <class Visit>
    void drain_finished(Visit&& visit) {
        outcomes_.drain(visit);
    }

    /// Gives back the memory of what is empty; it is taken again with the next message.
    void release() noexcept {
        window_.release();
        queue_.release();
        outcomes_.release();
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
    [[nodiscard]] std::uint64_t next_counter() const noexcept { return intake_.next_counter(); }

private:
    // What the head of a DATA frame takes of a link's budget, rounded up.
    static constexpr std::size_t per_message_budget = 64;

    void restore_one(stored_message& m, time_point now);
    std::uint64_t log_assigned(const entry& e);
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
    [[nodiscard]] entry* in_parts() noexcept;
    [[nodiscard]] bool is_in_window(std::uint64_t counter) noexcept;
    [[nodiscard]] entry* next_waiting() noexcept;
    [[nodiscard]] bool ready_for_number(const entry& e) noexcept;
    void forget_part() noexcept { part_counter_ = part_offset_ = 0; }
    void leave_window() noexcept {
        flight_.remove(window_.front().counter);
        window_.drop_front();
    }
    // Planted bugs.
    void requeue_behind();
    void expire_numbered(time_point now);
    void replace_numbered(const send_options& how);
    void end_waiting(entry& e, outcome result);
    void assign(entry& e);

    journal& log_;
    outcome_log outcomes_;
    message_intake intake_;
    waiting_queue& queue_;  // of the intake
    ring<entry> window_;
    flight_index flight_;
    outbox_limits limits_;
    std::uint64_t max_body_ = UINT64_MAX;
    bool takes_transfers_ = false;
    std::uint64_t epoch_id_base_ = 0;
    std::uint64_t next_seq_ = 1;
    std::uint64_t cursor_ = 1;
    std::uint64_t next_order_ = 1;
    std::uint64_t acked_ = 0;
    std::uint64_t written_ = 0;
    std::uint64_t assigned_bytes_ = 0;  // payload of the epoch, up to next_seq_ - 1
    std::uint64_t acked_bytes_ = 0;     // the same, up to acked_
    std::uint64_t cursor_bytes_ = 0;    // the same, before the cursor
    std::uint64_t credit_messages_ = 0;
    std::uint64_t credit_bytes_ = 0;
    std::uint64_t part_size_ = UINT64_MAX;
    std::uint64_t part_counter_ = 0;  // of the message that leaves in parts, 0 for none
    std::size_t part_offset_ = 0;     // its bytes that left on this link
};

}  // namespace session
}  // namespace hawser::inline v0

#include <hawser/protocol/session/detail/outbox_window.hpp>
#include <hawser/protocol/session/detail/outbox_restoring.hpp>

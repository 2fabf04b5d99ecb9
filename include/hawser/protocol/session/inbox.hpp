// SPDX-License-Identifier: BSL-1.0
/// \file
/// The receiving half of a session: positions, credit, and when to acknowledge.
#pragma once

#include <hawser/core/planted.hpp>
#include <hawser/core/ring.hpp>
#include <hawser/core/time.hpp>
#include <hawser/protocol/session/frame.hpp>
#include <hawser/protocol/session/journal.hpp>

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <memory>
#include <utility>

namespace hawser::inline v0 {
namespace session {

struct inbox_limits {
    std::uint64_t window_messages = 1024;           ///< credit granted beyond `accepted`
    std::uint64_t window_bytes = 4 * 1024 * 1024;   ///< payload bytes granted beyond `accepted`
    milliseconds ack_delay{200};                    ///< an acknowledgement waits at most so long
};

/// Positions of one direction: received >= handed >= ... and `accepted`, the contiguous
/// prefix for which responsibility was taken. Thread safety: none.
class inbox {
public:
    enum class verdict : std::uint8_t {
        fresh,      ///< the next message; it is now received
        duplicate,  ///< received before, drop it
        gap,        ///< a number was skipped
        overrun,    ///< more than the credit that was granted
    };

    inbox(journal& log, const inbox_limits& limits) noexcept : log_(log), limits_(limits) {}

    /// A new epoch starts: numbers from 1. Until then the positions of the last one can be read,
    /// because a tombstone answers with them.
    void begin_epoch() noexcept {
        received_ = accepted_ = durable_accepted_ = committing_accepted_ = announced_ = due_ = 0;
        accepted_bytes_ = pending_bytes_ = durable_bytes_ = committing_bytes_ = announced_bytes_ = 0;
        pending_.clear();
        urgent_ = forced_ = false;
        ack_deadline_ = never;
    }

    [[nodiscard]] verdict on_data(std::uint64_t seq, std::size_t size, bool ack_now, time_point now) {
        if (seq <= received_) {
            // Its sender may have missed the acknowledgement, or waits for it now.
            if (seq <= accepted_) request_ack(now, true);
            else if (ack_now) due_ = std::max(due_, seq);
            return verdict::duplicate;
        }
        if (seq != received_ + 1) return verdict::gap;
        const bool alone = accepted_ == received_;
        const bool in_credit = seq <= accepted_ + limits_.window_messages &&
                               pending_bytes_ + size <= limits_.window_bytes;
        if (!in_credit && !alone) return verdict::overrun;
        (void)pending_.push_back({.size = size, .done = false});
        pending_bytes_ += size;
        received_ = seq;
        if (ack_now) due_ = seq;
        return verdict::fresh;
    }

    /// The application has finished with a message (or was handed it, in mode on hand-off),
    /// in any order; `effect` goes into the transaction of the position. Unknown and repeated numbers are
    /// ignored. Throws std::bad_alloc; it may be called again then.
    void finish(std::uint64_t seq, time_point now, store_effect effect = {}) {
        if (seq <= accepted_ || seq > received_) return;
        slot& finished = pending_[static_cast<std::size_t>(seq - accepted_ - 1)];
        if (effect && !finished.done) finished.effect = std::make_unique<store_effect>(std::move(effect));
        finished.done = true;
        const std::uint64_t before = accepted_;
        while (accept_prefix()) {}
        if (accepted_ == before) return;
        const bool half = (accepted_ - announced_) * 2 >= limits_.window_messages ||
                          (accepted_bytes_ - announced_bytes_) * 2 >= limits_.window_bytes;
        const bool waited_for = due_ != 0 && accepted_ >= due_ && !planted(bug::ack_now_unheeded);
        request_ack(now, half || waited_for);
        if (planted(bug::ack_before_commit)) durable_accepted_ = accepted_;
    }
    /// What an earlier process had accepted in the epoch that goes on.
    void restore(std::uint64_t accepted, std::uint64_t bytes) noexcept {
        begin_epoch();
        received_ = accepted_ = durable_accepted_ = committing_accepted_ = announced_ = accepted;
        accepted_bytes_ = durable_bytes_ = committing_bytes_ = announced_bytes_ = bytes;
    }

    void begin_commit() noexcept {
        committing_accepted_ = accepted_;
        committing_bytes_ = accepted_bytes_;
    }
    void end_commit() noexcept {
        durable_accepted_ = committing_accepted_;
        durable_bytes_ = committing_bytes_;
    }

    /// What an ACK says now: the durable position, and credit counted from it.
    [[nodiscard]] ack_fields ack() const noexcept {
        const std::uint64_t told = planted(bug::ack_of_received) ? received_ : durable_accepted_;
        return {told, durable_accepted_ + limits_.window_messages,
                durable_bytes_ + limits_.window_bytes};
    }
    /// An ACK should leave with the end of this batch.
    [[nodiscard]] bool ack_wanted() const noexcept { return urgent_; }
    /// Whether an ACK would say anything new.
    [[nodiscard]] bool ack_useful() const noexcept { return durable_accepted_ > announced_ || forced_; }
    /// When `on_time` is due; never while an ACK is wanted anyway and waits for the journal.
    [[nodiscard]] time_point ack_deadline() const noexcept { return urgent_ ? never : ack_deadline_; }
    void on_time(time_point now) noexcept {
        if (ack_deadline_ <= now && !planted(bug::ack_never_flushed)) urgent_ = true;
    }
    /// The fields of `ack()` were written, alone or with something else.
    void announced() noexcept {
        announced_ = durable_accepted_;
        announced_bytes_ = durable_bytes_;
        forced_ = false;
        const bool all = announced_ == accepted_;
        urgent_ = urgent_ && !all;
        if (all) {
            ack_deadline_ = never;
            if (announced_ >= due_) due_ = 0;
        }
    }
    void force_ack() noexcept { urgent_ = forced_ = true; }

    [[nodiscard]] std::uint64_t received() const noexcept { return received_; }
    [[nodiscard]] std::uint64_t accepted() const noexcept { return accepted_; }
    [[nodiscard]] std::uint64_t durable_accepted() const noexcept { return durable_accepted_; }
    [[nodiscard]] const inbox_limits& limits() const noexcept { return limits_; }

private:
    struct slot {
        std::uint64_t size;
        bool done;
        std::unique_ptr<store_effect> effect{};
    };

    // Accepts what is finished at the front, as one record: an effect has one of its own.
    bool accept_prefix() {
        std::uint64_t messages = 0, bytes = 0;
        while (messages < pending_.size()) {
            const slot& next = pending_[static_cast<std::size_t>(messages)];
            if ((!next.done && !planted(bug::prefix_with_holes)) || (next.effect && messages > 0)) break;
            ++messages;
            bytes += next.size;
            if (next.effect) break;
        }
        if (messages == 0) return false;
        log_accepted(accepted_ + messages, accepted_bytes_ + bytes);
        for (; messages > 0; --messages, ++accepted_) {
            const std::uint64_t size = pending_.pop_front().size;
            accepted_bytes_ += size;
            pending_bytes_ -= size;
        }
        return true;
    }
    void log_accepted(std::uint64_t position, std::uint64_t bytes) {
        if (!log_.keeps_records()) return (void)log_.add(record_kind::accepted, 0, position);
        record r{.kind = record_kind::accepted, .seq = position, .from = accepted_, .bytes = bytes};
        auto& effect = pending_.front().effect;
        if (effect) r.effect = std::move(*effect);
        try {
            (void)log_.add(std::move(r));
        } catch (...) {
            if (effect) *effect = std::move(r.effect);
            throw;
        }
    }

    void request_ack(time_point now, bool at_once) noexcept {
        if (at_once) urgent_ = true;
        if (accepted_ <= announced_ && at_once) forced_ = true;
        if (ack_deadline_ == never) ack_deadline_ = add_saturated(now, limits_.ack_delay);
    }

    journal& log_;
    inbox_limits limits_;
    ring<slot> pending_;  // accepted_ + 1 .. received_
    std::uint64_t received_ = 0;
    std::uint64_t accepted_ = 0;
    std::uint64_t committing_accepted_ = 0;
    std::uint64_t durable_accepted_ = 0;
    std::uint64_t announced_ = 0;
    std::uint64_t announced_bytes_ = 0;
    std::uint64_t accepted_bytes_ = 0;
    std::uint64_t committing_bytes_ = 0;
    std::uint64_t durable_bytes_ = 0;
    std::uint64_t pending_bytes_ = 0;
    std::uint64_t due_ = 0;  // an acknowledgement of this position was asked for at once
    time_point ack_deadline_ = never;
    bool urgent_ = false;
    bool forced_ = false;
};

}  // namespace session
}  // namespace hawser::inline v0

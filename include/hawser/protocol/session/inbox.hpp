// SPDX-License-Identifier: BSL-1.0
/// \file
/// The receiving half of a session: positions, credit, and when to acknowledge.
#pragma once

#include <hawser/core/config.hpp>
#include <hawser/core/lazy.hpp>
#include <hawser/core/planted.hpp>
#include <hawser/core/ring.hpp>
#include <hawser/core/time.hpp>
#include <hawser/protocol/session/exceptions.hpp>
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

    /// Both must outlive it.
    inbox(journal& log, const inbox_limits& limits) noexcept : log_(log), limits_(limits) {}

    /// A new epoch starts: numbers from 1. Until then the positions of the last one can be read,
    /// because a tombstone answers with them. `names`: the peer knows exceptions.
    void begin_epoch(bool names = true) noexcept {
        received_ = accepted_ = durable_accepted_ = committing_accepted_ = announced_ = due_ = 0;
        accepted_bytes_ = pending_bytes_ = durable_bytes_ = committing_bytes_ = announced_bytes_ = 0;
        pending_.clear();
        exceptions_ = {};
        names_exceptions_ = names;
        told_ = 0;
        urgent_ = forced_ = false;
        ack_deadline_ = never;
    }

    [[nodiscard]] HAWSER_IN_LINE verdict on_data(std::uint64_t seq, std::size_t size, bool ack_now, time_point now) {
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
        pending_.emplace_back().size = size;
        pending_bytes_ += size;
        received_ = seq;
        if (ack_now) due_ = seq;
        return verdict::fresh;
    }

    /// Whether `total` bytes of a message that comes in parts are within the credit granted.
    [[nodiscard]] bool takes_part(std::uint64_t total) const noexcept {
        const bool in_credit = received_ < accepted_ + limits_.window_messages &&
                               total <= limits_.window_bytes && pending_bytes_ <= limits_.window_bytes - total;
        return in_credit || accepted_ == received_;
    }
    /// What an earlier process had accepted in the epoch that goes on, and the exceptions that its peer may not know. False if
    /// they contradict each other. Throws std::bad_alloc.
    [[nodiscard]] bool restore(std::uint64_t accepted, std::uint64_t bytes, exception_view exceptions, bool names) {
        begin_epoch(names);
        if (!exceptions.valid(accepted)) return false;
        exception_reader list(exceptions);
        while (const auto e = list.next()) (void)exceptions_.make().kept.push_back(*e);
        received_ = accepted_ = durable_accepted_ = committing_accepted_ = announced_ = accepted;
        accepted_bytes_ = durable_bytes_ = committing_bytes_ = announced_bytes_ = bytes;
        return true;
    }

    /// The application has finished with a message (or was handed it, in mode on hand-off),
    /// in any order; `effect` goes into the transaction of the position; `result` is `acknowledged`, `duplicate` or
    /// `rejected`. Unknown and repeated numbers are ignored. Throws std::bad_alloc; it may be called again then.
    HAWSER_IN_LINE void finish(std::uint64_t seq, time_point now) {
        if (is_next_alone(seq)) accept_next(now);
        else finish(seq, now, store_effect());
    }
    void finish(std::uint64_t seq, time_point now, store_effect effect, outcome result = outcome::acknowledged) {
        if (seq <= accepted_ || seq > received_) return;
        slot& finished = pending_[static_cast<std::size_t>(seq - accepted_ - 1)];
        const bool open = finished.result == outcome::pending;
        if (effect && open) finished.effect = std::make_unique<store_effect>(std::move(effect));
        if (open) finished.result = names_exceptions_ ? result : outcome::acknowledged;
        advance(now);
    }
    /// The peer has told that it knows the outcomes up to `seq`: they need not be told again.
    void peer_knows(std::uint64_t seq, time_point now) {
        if (exceptions_kept() == 0 || exceptions_->kept[0].seq > seq) return;
        auto& kept = exceptions_.make().kept;
        while (!kept.empty() && kept.front().seq <= seq) (void)kept.pop_front();
        advance(now);
    }
    /// A new link: what the peer is not known to know is told again.
    void begin_link() noexcept { told_ = 0; }
    /// Exceptions that a frame with the present position has to tell: all that the peer is not known to know. A view
    /// until the next call.
    [[nodiscard]] exception_view exceptions() { return list(planted(bug::exceptions_told_once) ? announced_ : 0, durable_accepted_); }
    /// The same for another position, at most `accepted()`.
    [[nodiscard]] exception_view exceptions_through(std::uint64_t position) { return list(0, position); }
    /// Some were not told on this link yet.
    [[nodiscard]] bool has_untold() noexcept {
        const std::size_t n = exceptions_kept();
        return n > 0 && exceptions_->kept[n - 1].seq > told_ && first_after(told_) <= durable_accepted_;
    }
    void exceptions_told() noexcept { told_ = durable_accepted_; }
    [[nodiscard]] std::size_t exceptions_kept() const noexcept { return exceptions_ ? exceptions_->kept.size() : 0; }

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
        told_ = std::max(told_, durable_accepted_);
        forced_ = false;
        const bool all = announced_ == accepted_;
        urgent_ = urgent_ && !all;
        if (all) {
            ack_deadline_ = never;
            if (announced_ >= due_) due_ = 0;
        }
    }
    void force_ack() noexcept { urgent_ = forced_ = true; }

    /// As `outbox::release`.
    void release() noexcept { pending_.release(); }

    [[nodiscard]] std::uint64_t received() const noexcept { return received_; }
    [[nodiscard]] std::uint64_t accepted() const noexcept { return accepted_; }
    [[nodiscard]] std::uint64_t durable_accepted() const noexcept { return durable_accepted_; }
    [[nodiscard]] const inbox_limits& limits() const noexcept { return limits_; }

private:
    struct slot {
        std::uint64_t size = 0;
        outcome result = outcome::pending;
        std::unique_ptr<store_effect> effect{};
    };

    // The usual case: messages are finished in order, and nothing else has to be looked at.
    [[nodiscard]] bool is_next_alone(std::uint64_t seq) const noexcept {
        if (seq != accepted_ + 1 || pending_.empty() || pending_[0].result != outcome::pending) return false;
        const bool open = pending_.size() == 1 || pending_[1].result == outcome::pending;
        return open && exceptions_kept() == 0 && !planted(bug::prefix_with_holes);
    }
    void accept_next(time_point now) {
        pending_.front().result = outcome::acknowledged;  // also if the next line throws
        log_accepted(accepted_ + 1, accepted_bytes_ + pending_.front().size);
        drop_accepted();
        tell_accepted(now);
    }
    void drop_accepted() noexcept {
        const std::uint64_t size = pending_.front().size;
        pending_.drop_front();
        ++accepted_;
        accepted_bytes_ += size;
        pending_bytes_ -= size;
    }
    void advance(time_point now) {
        const std::uint64_t before = accepted_;
        while (accept_prefix()) {}
        if (accepted_ != before) tell_accepted(now);
    }
    void tell_accepted(time_point now) noexcept {
        const bool half = (accepted_ - announced_) * 2 >= limits_.window_messages ||
                          (accepted_bytes_ - announced_bytes_) * 2 >= limits_.window_bytes;
        const bool waited_for = due_ != 0 && accepted_ >= due_ && !planted(bug::ack_now_unheeded);
        request_ack(now, half || waited_for);
        if (planted(bug::ack_before_commit)) durable_accepted_ = accepted_;
    }
    // Accepts what is finished at the front, as one record: an effect has one of its own. A rejected message
    // waits until the list of exceptions has room: its sender would be told something else otherwise. For a
    // duplicate, `acknowledged` is true as well.
    bool accept_prefix() {
        std::uint64_t messages = 0, bytes = 0;
        std::size_t named = exceptions_kept();
        while (messages < pending_.size()) {
            const slot& next = pending_[static_cast<std::size_t>(messages)];
            const bool open = next.result == outcome::pending && !planted(bug::prefix_with_holes);
            if (open || (next.effect && messages > 0)) break;
            if (next.result == outcome::rejected && (named == max_exceptions || planted(bug::poison_stalls))) break;
            if (is_exception(next.result) && named < max_exceptions) ++named;
            ++messages;
            bytes += next.size;
            if (next.effect) break;
        }
        if (messages == 0) return false;
        name_exceptions(messages);
        log_accepted(accepted_ + messages, accepted_bytes_ + bytes);
        for (; messages > 0; --messages) drop_accepted();
        return true;
    }
    void log_accepted(std::uint64_t position, std::uint64_t bytes) {
        if (log_.keeps_records()) log_record(position, bytes);
        else (void)log_.add(record_kind::accepted, 0, position);
    }
    HAWSER_OUT_OF_LINE void log_record(std::uint64_t position, std::uint64_t bytes) {
        record r{.kind = record_kind::accepted, .seq = position, .from = accepted_, .bytes = bytes};
        r.exceptions = as_text(exceptions_through(position).value());
        auto& effect = pending_.front().effect;
        if (effect) r.effect = std::move(*effect);
        try {
            (void)log_.add(std::move(r));
        } catch (...) {
            if (effect) *effect = std::move(r.effect);
            throw;
        }
    }
    [[nodiscard]] static bool is_exception(outcome o) noexcept { return o == outcome::rejected || o == outcome::duplicate; }
    void name_exceptions(std::uint64_t prefix) {
        // Those of a call that threw.
        while (exceptions_kept() > 0 && exceptions_.make().kept.back().seq > accepted_) (void)exceptions_.make().kept.pop_back();
        for (std::uint64_t i = 0; i < prefix; ++i) {
            const outcome result = pending_[static_cast<std::size_t>(i)].result;
            if (!is_exception(result) || exceptions_kept() == max_exceptions || planted(bug::rejected_told_acknowledged)) continue;
            (void)exceptions_.make().kept.push_back({accepted_ + 1 + i, result});
        }
    }
    [[nodiscard]] std::uint64_t first_after(std::uint64_t seq) noexcept {
        for (std::size_t i = 0; i < exceptions_kept(); ++i)
            if (exceptions_->kept[i].seq > seq) return exceptions_->kept[i].seq;
        return UINT64_MAX;
    }
    [[nodiscard]] exception_view list(std::uint64_t after, std::uint64_t through) {
        if (!exceptions_) return {};
        auto& [kept, encoded] = exceptions_.make();
        encoded.clear();
        std::uint64_t previous = 0;
        for (std::size_t i = 0; i < kept.size() && kept[i].seq <= through; ++i) {
            if (kept[i].seq <= after) continue;
            put_exception(encoded, previous, kept[i]);
            previous = kept[i].seq;
        }
        return exception_view(encoded);
    }

    void request_ack(time_point now, bool at_once) noexcept {
        if (at_once) urgent_ = true;
        if (accepted_ <= announced_ && at_once) forced_ = true;
        if (ack_deadline_ == never) ack_deadline_ = add_saturated(now, limits_.ack_delay);
    }

    journal& log_;
    const inbox_limits& limits_;
    ring<slot> pending_;  // accepted_ + 1 .. received_
    struct exception_list {
        ring<exception> kept{};  // up to accepted_, that the peer is not known to know
        byte_vector encoded{};
    };
    hawser::detail::lazy<exception_list> exceptions_;
    std::uint64_t told_ = 0;      // exceptions up to here were written on this link
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
    bool names_exceptions_ = true;
    bool urgent_ = false;
    bool forced_ = false;
};

}  // namespace session
}  // namespace hawser::inline v0

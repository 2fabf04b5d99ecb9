// SPDX-License-Identifier: BSL-1.0
/// \file
/// How messages get numbers and enter the window, and how they leave it: acknowledged, or with their epoch.
#pragma once

#include <hawser/protocol/session/outbox.hpp>

namespace hawser::inline v0 {
namespace session {

inline std::optional<message> outbox::begin_plain() {
    entry* e = queue_.front();
    for (; e && e->body.kind() == message_kind::transfer; e = queue_.front())
        end_waiting(*e, outcome::refused);  // of a session before; a plain peer could not tell it from others
    if (!e || e->lsn > log_.durable()) return std::nullopt;
    outcomes_.add(*e, outcome::written);
    flight_.remove(e->counter);
    return queue_.pop(*e).body;
}

// The message that leaves in parts, while it waits for its number.
inline outbox::entry* outbox::in_parts() noexcept {
    entry* e = part_counter_ == 0 ? nullptr : find(part_counter_);
    return e && queue_.is_waiting(*e) ? e : nullptr;
}
inline bool outbox::is_in_window(std::uint64_t counter) noexcept {
    entry* e = find(counter);
    return e && !queue_.is_waiting(*e);
}

// One message at a time is in parts: it takes the turn of another large one, else both would begin anew for ever.
inline outbox::entry* outbox::next_waiting() noexcept {
    entry* e = queue_.front();
    if (!e || e->numbered || e->body.size() <= part_size_) return e;
    entry* begun = in_parts();
    return begun && !begun->numbered && queue_.is_first(*begun) ? begun : e;
}

// The number comes with the last part, so that others may overtake until then.
inline bool outbox::ready_for_number(const entry& e) noexcept {
    if (e.body.size() <= part_size_) return true;
    if (part_counter_ != e.counter) {
        if (part_counter_ != 0 && is_in_window(part_counter_)) return false;
        part_counter_ = e.counter;
        part_offset_ = 0;
    }
    return e.body.size() - part_offset_ <= part_size_;
}

inline void outbox::assign(std::size_t budget) {
    std::size_t taken = 0;
    while (entry* e = taken < budget ? next_waiting() : nullptr) {
        const std::size_t size = e->body.size();
        const bool unknown = !takes_transfers_ && e->body.kind() == message_kind::transfer;
        if (size > max_body_ || unknown) {
            end_waiting(*e, outcome::refused);
            continue;
        }
        if (!may_assign(size) || !ready_for_number(*e)) return;
        assign(*e);
        assigned_bytes_ += size;
        taken += size + per_message_budget;
    }
}

inline std::uint64_t outbox::log_assigned(const entry& e) {
    if (!log_.keeps_records()) return log_.add(record_kind::assigned, e.counter, next_seq_);
    return log_.add({.kind = record_kind::assigned,
                     .counter = e.counter,
                     .seq = next_seq_,
                     .bytes = assigned_bytes_ + e.body.size()});
}

inline void outbox::assign(entry& e) {
    window_.reserve_one();
    const bool first = !e.numbered;
    if (first) flight_.add(window_, e, next_order_);
    try {
        e.lsn = log_assigned(e);
    } catch (...) {
        if (first) flight_.remove(e.counter);
        throw;
    }
    entry& slot = queue_.pop_to(window_, e);
    if (first) slot.order = next_order_++;
    slot.numbered = true;
    ++next_seq_;
}

inline std::error_code outbox::on_ack(std::uint64_t accepted, exception_view exceptions) {
    if (accepted > written_) return planted(bug::ack_beyond_sent_taken) ? errc{} : errc::session_protocol;
    exception_reader list(exceptions);
    auto next = list.next();
    while (acked_ < accepted) {
        while (next && next->seq <= acked_) next = list.next();
        const bool named = next && next->seq == acked_ + 1;
        if (named) outcomes_.add(window_.front(), next->what);
        else outcomes_.add_acknowledged(window_.front());
        acked_bytes_ += window_.front().body.size();
        leave_window();
        ++acked_;
    }
    if (cursor_ <= acked_) {
        cursor_ = acked_ + 1;
        cursor_bytes_ = acked_bytes_;
    }
    if (planted(bug::ack_goes_back)) cursor_ = accepted + 1;
    return {};
}

inline void outbox::end_epoch(std::optional<std::uint64_t> position, bool all_again, exception_view exceptions) {
    if (position) (void)on_ack(std::min(*position, written_), exceptions);
    while (!window_.empty()) {
        const std::uint64_t seq = acked_ + window_.size();
        if (!position && !all_again && seq <= written_ && !planted(bug::unknown_sent_again)) break;
        if (planted(bug::written_flag_dropped)) window_.back().written = false;
        if (planted(bug::requeued_behind)) requeue_behind();
        else queue_.push_front(window_.back());
        (void)window_.pop_back();
    }
    while (!window_.empty()) {
        const bool lie = planted(bug::unknown_told_acknowledged);
        outcomes_.add(window_.front(), lie ? outcome::acknowledged : outcome::unknown);
        leave_window();
    }
    begin_epoch(0, 0, 0);
}

inline void outbox::end_waiting(entry& e, outcome result) {
    outcomes_.add(e, result);
    flight_.remove(e.counter);
    queue_.withdraw(e);
}

// Planted bugs.
inline void outbox::requeue_behind() {
    flight_.remove(window_.back().counter);
    window_.back().numbered = false;
    (void)queue_.push_back(std::move(window_.back()));
}
inline void outbox::expire_numbered(time_point now) {
    for (std::size_t i = 0; i < window_.size(); ++i)
        if (window_[i].deadline() <= now) {
            outcomes_.add(window_[i], outcome::expired);
            window_[i].extras->deadline = never;
        }
}
inline void outbox::replace_numbered(const send_options& how) {
    for (std::size_t i = 0; i < window_.size(); ++i)
        if (window_[i].coalesces() && window_[i].extras->coalesce_key == how.coalesce_key) {
            outcomes_.add(window_[i], outcome::replaced);
            window_[i].extras->coalesce_key.clear();
        }
}

}  // namespace session
}  // namespace hawser::inline v0

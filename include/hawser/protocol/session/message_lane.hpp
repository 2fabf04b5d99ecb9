// SPDX-License-Identifier: BSL-1.0
/// \file
/// Waiting messages of one class.
#pragma once

#include <hawser/core/config.hpp>
#include <hawser/core/ring.hpp>
#include <hawser/protocol/session/outgoing_message.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace hawser::inline v0 {
namespace session {

/// Index of the first element whose key is `wanted` or more. Precondition: keys rise along the ring.
template <class Key>
[[nodiscard]] std::size_t lower_bound(ring<outgoing_message>& messages, std::uint64_t wanted, Key&& key) noexcept {
    std::size_t low = 0, high = messages.size();
    while (low < high) {
        const std::size_t middle = low + (high - low) / 2;
        if (key(messages[middle]) < wanted) low = middle + 1;
        else high = middle;
    }
    return low;
}
[[nodiscard]] inline std::size_t lower_bound_order(ring<outgoing_message>& messages, std::uint64_t order) noexcept {
    return lower_bound(messages, order, [](const outgoing_message& m) { return m.order; });
}
[[nodiscard]] inline std::size_t lower_bound_counter(ring<outgoing_message>& messages, std::uint64_t counter) noexcept {
    return lower_bound(messages, counter, [](const outgoing_message& m) { return m.counter; });
}

/// First in, first out. `order` rises along the lane, so that a place is found in logarithmic time.
/// Thread safety: none.
class message_lane {
public:
    /// Throws std::bad_alloc, and nothing changed.
    outgoing_message& push_back(outgoing_message&& m) {
        outgoing_message& kept = messages_.push_back(std::move(m));
        add(kept);
        return kept;
    }
    /// A message without options, made where it stays. Throws std::bad_alloc, and nothing changed.
    outgoing_message& push_back(message&& body, std::uint64_t counter, time_point now) {
        outgoing_message& m = messages_.emplace_back();
        m.counter = m.order = counter;
        m.body = std::move(body);
        m.enqueued = now;
        add(m);
        return m;
    }
    /// Takes back what `push_back` did last.
    void undo_push_back() noexcept {
        subtract(messages_.back());
        (void)messages_.pop_back();
    }
    /// Throws std::bad_alloc, and `m` is unchanged.
    void push_front(outgoing_message& m) {
        outgoing_message& slot = messages_.push_front({});
        slot = std::move(m);
        add(slot);
    }
    /// The oldest message, or null.
    [[nodiscard]] outgoing_message* front() noexcept {
        if (withdrawn_ > 0) drop_withdrawn();
        return messages_.empty() ? nullptr : &messages_.front();
    }
    /// Precondition: `front()` gave a message.
    outgoing_message pop_front() noexcept {
        subtract(messages_.front());
        return messages_.pop_front();
    }
    /// The same, to the end of `window`, where there is room.
    outgoing_message& pop_front_to(ring<outgoing_message>& window) noexcept {
        subtract(messages_.front());
        return window.push_front_of(messages_);
    }
    /// Frees what the message holds at once; its empty slot goes when its turn comes, or when
    /// such slots are the greater part. Invalidates references to messages.
    void withdraw(outgoing_message& m) noexcept {
        subtract(m);
        m.body = message();
        m.extras.reset();
        m.withdrawn = true;
        if (++withdrawn_ > 32 && withdrawn_ * 2 > messages_.size()) compact();
    }
    /// Puts `next` in the place of `m`, and returns what was there.
    outgoing_message replace(outgoing_message& m, outgoing_message next) noexcept {
        next.order = m.order;
        next.priority = m.priority;
        add(next);
        subtract(m);
        return std::exchange(m, std::move(next));
    }
    /// The message at a place, or null.
    [[nodiscard]] outgoing_message* at_place(std::uint64_t order) noexcept {
        const std::size_t i = lower_bound_order(messages_, order);
        return i < messages_.size() && messages_[i].order == order && !messages_[i].withdrawn ? &messages_[i] : nullptr;
    }
    /// The same by counter. Precondition: counters rise along the lane.
    [[nodiscard]] outgoing_message* at_counter(std::uint64_t counter) noexcept {
        const std::size_t i = lower_bound_counter(messages_, counter);
        return i < messages_.size() && messages_[i].counter == counter && !messages_[i].withdrawn ? &messages_[i] : nullptr;
    }
    /// The oldest that ages by its place, or null: those with a coalescing key have a deadline instead.
    [[nodiscard]] outgoing_message* oldest_fixed() noexcept {
        return oldest(fixed_from_, [](const outgoing_message& m) { return m.expendable() && !m.coalesces(); });
    }
    /// The oldest that may be dropped, or null.
    [[nodiscard]] outgoing_message* oldest_expendable() noexcept {
        return oldest(expendable_from_, [](const outgoing_message& m) { return m.expendable(); });
    }
    /// Calls `visit(message)` for each until it returns true; returns whether one did.
    template <class Visit>
    bool find_if(Visit&& visit) {
        for (std::size_t i = 0; i < messages_.size(); ++i)
            if (!messages_[i].withdrawn && visit(messages_[i])) return true;
        return false;
    }

    [[nodiscard]] std::size_t size() const noexcept { return messages_.size() - withdrawn_; }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    /// Of the messages alone.
    [[nodiscard]] std::size_t payload_bytes() const noexcept { return payload_bytes_; }
    [[nodiscard]] std::size_t slots() const noexcept { return messages_.size(); }
    /// An empty lane gives its memory back.
    void release() noexcept { messages_.release(); }
    /// Count and bytes of what may be dropped.
    [[nodiscard]] std::pair<std::size_t, std::size_t> expendable() const noexcept {
        return {size() - indispensable_, bytes_ - indispensable_bytes_};
    }

private:
    HAWSER_OUT_OF_LINE void drop_withdrawn() noexcept {
        while (!messages_.empty() && messages_.front().withdrawn) {
            messages_.drop_front();
            --withdrawn_;
        }
    }
    // Amortised constant: it remembers how far it looked.
    template <class Wanted>
    [[nodiscard]] outgoing_message* oldest(std::uint64_t& from, Wanted&& wanted) noexcept {
        for (std::size_t i = lower_bound_order(messages_, from); i < messages_.size(); ++i) {
            from = messages_[i].order;
            if (!messages_[i].withdrawn && wanted(messages_[i])) return &messages_[i];
        }
        return nullptr;
    }
    HAWSER_IN_LINE void add(const outgoing_message& m) noexcept {
        const std::size_t all = footprint(m);
        bytes_ += all;
        payload_bytes_ += m.body.size();
        if (m.expendable()) return;
        ++indispensable_;
        indispensable_bytes_ += all;
    }
    HAWSER_IN_LINE void subtract(const outgoing_message& m) noexcept {
        const std::size_t all = footprint(m);
        bytes_ -= all;
        payload_bytes_ -= m.body.size();
        if (m.expendable()) return;
        --indispensable_;
        indispensable_bytes_ -= all;
    }
    // Never grows the ring, so it cannot fail.
    void compact() noexcept {
        for (std::size_t n = messages_.size(); n > 0; --n) {
            outgoing_message m = messages_.pop_front();
            if (!m.withdrawn) (void)messages_.push_back(std::move(m));
        }
        withdrawn_ = 0;
    }

    ring<outgoing_message> messages_;
    std::size_t withdrawn_ = 0;
    std::size_t bytes_ = 0;
    std::size_t payload_bytes_ = 0;
    std::size_t indispensable_ = 0;
    std::size_t indispensable_bytes_ = 0;
    std::uint64_t fixed_from_ = 0;       // see oldest_fixed
    std::uint64_t expendable_from_ = 0;  // see oldest_expendable
};

}  // namespace session
}  // namespace hawser::inline v0

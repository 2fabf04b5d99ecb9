// SPDX-License-Identifier: BSL-1.0
/// \file
/// Messages without a number: they may still be withdrawn.
#pragma once

#include <hawser/core/ring.hpp>
#include <hawser/protocol/session/outgoing_message.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace hawser::inline v0 {
namespace session {

/// First in, first out. Counters rise along the queue, because what is sent again goes in front
/// of all others in its old order; so a message is found in logarithmic time.
/// Thread safety: none.
class waiting_queue {
public:
    /// Throws std::bad_alloc, and nothing changed.
    outgoing_message& push_back(outgoing_message m) {
        outgoing_message& kept = messages_.push_back(std::move(m));
        add(kept);
        return kept;
    }
    /// Takes back what `push_back` did last.
    void undo_push_back() noexcept {
        subtract(messages_.back());
        (void)messages_.pop_back();
    }
    /// Puts `m` in front of all others. Throws std::bad_alloc, and `m` is unchanged.
    void push_front(outgoing_message& m) {
        outgoing_message& slot = messages_.push_front({});
        slot = std::move(m);
        add(slot);
    }
    /// The oldest message, or null.
    [[nodiscard]] outgoing_message* front() noexcept {
        while (!messages_.empty() && messages_.front().withdrawn) drop_front();
        return messages_.empty() ? nullptr : &messages_.front();
    }
    /// Precondition: `front()` gave a message.
    outgoing_message pop_front() noexcept {
        subtract(messages_.front());
        return messages_.pop_front();
    }
    /// Frees what the message holds at once; its empty slot goes when its turn comes, or when
    /// such slots are the greater part. Invalidates references to messages.
    void withdraw(outgoing_message& m) noexcept {
        subtract(m);
        m.body = message();
        m.key.reset();
        m.withdrawn = true;
        if (++withdrawn_ > 32 && withdrawn_ * 2 > messages_.size()) compact();
    }
    [[nodiscard]] outgoing_message* find(std::uint64_t counter) noexcept {
        std::size_t low = 0, high = messages_.size();
        while (low < high) {
            const std::size_t middle = low + (high - low) / 2;
            if (messages_[middle].counter < counter) low = middle + 1;
            else high = middle;
        }
        if (low == messages_.size() || messages_[low].counter != counter || messages_[low].withdrawn) return nullptr;
        return &messages_[low];
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
    [[nodiscard]] std::size_t slots() const noexcept { return messages_.size(); }

private:
    void add(const outgoing_message& m) noexcept { bytes_ += footprint(m.body); }
    void subtract(const outgoing_message& m) noexcept { bytes_ -= footprint(m.body); }
    void drop_front() noexcept {
        (void)messages_.pop_front();
        --withdrawn_;
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
};

}  // namespace session
}  // namespace hawser::inline v0

// SPDX-License-Identifier: BSL-1.0
/// \file
/// Messages that wait to be written.
#pragma once

#include <hawser/core/planted.hpp>
#include <hawser/protocol/session/detail/message_classes.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

namespace hawser::inline v0 {
namespace session {

/// First what returned from a lost session, in its old order; then by class, a weighted round robin
/// (`message_priority`); within a class first in, first out. What returned had a number: it is never reordered,
/// replaced, dropped, nor does it expire.
///
/// Normal messages without further options use one lane and nothing else. A message is found in logarithmic time.
/// References to messages are invalidated by each change. Thread safety: none.
class waiting_queue {
public:
    /// Puts `m` behind the others of its class. Its counter is higher than those of all before. Throws
    /// std::bad_alloc, and nothing changed.
    outgoing_message& push_back(outgoing_message&& m) {
        m.order = m.counter;
        if (m.priority == message_priority::normal && !m.extras) return normal_.push_back(std::move(m));
        (void)more();
        const message_classes::place at{static_cast<std::size_t>(m.priority), m.order};
        message_lane& lane = lane_of(at.lane);
        outgoing_message& kept = lane.push_back(std::move(m));
        try {
            index(kept, at);
        } catch (...) {
            lane.undo_push_back();
            throw;
        }
        return kept;
    }
    /// The same for a message without options.
    outgoing_message& push_back(message&& body, std::uint64_t counter, time_point now) {
        return normal_.push_back(std::move(body), counter, now);
    }
    /// Takes back what `push_back` did last; it gave `m`.
    void undo_push_back(const outgoing_message& m) noexcept {
        message_lane& lane = lane_of(static_cast<std::size_t>(m.priority));
        forget(m);
        lane.undo_push_back();
    }
    /// Puts `m`, which had a number, in front of all others. Throws std::bad_alloc, and `m` is unchanged.
    void push_front(outgoing_message& m) { make_returned().push_front(m); }
    /// Puts it behind what returned before.
    void push_returned(outgoing_message&& m) { (void)make_returned().push_back(std::move(m)); }
    /// The waiting message with this coalescing key, or null.
    [[nodiscard]] outgoing_message* find_key(std::string_view key) noexcept {
        if (!more_ || key.empty()) return nullptr;
        const auto found = more_->by_key.find(key);
        return found == more_->by_key.end() ? nullptr : lane_of(found->second.lane).at_place(found->second.order);
    }
    /// Makes room for the indexes of a message that will `replace` another. Throws std::bad_alloc, and nothing
    /// changed.
    void prepare_replace(const outgoing_message& old, const outgoing_message& next) {
        message_classes& m = more();
        shed_stale_rows();
        if (next.deadline() != never) m.expiries.push_back({next.deadline(), next.counter});
        try {
            m.moved.emplace(next.counter, message_classes::place{static_cast<std::size_t>(old.priority), old.order});
        } catch (...) {
            if (next.deadline() != never) m.expiries.pop_back();
            throw;
        }
    }
    /// Takes that back.
    void undo_prepare(const outgoing_message& next) noexcept {
        if (next.deadline() != never) more_->expiries.pop_back();
        more_->moved.erase(next.counter);
    }
    /// Puts `next` in the place of `old`, whose key it has; gives the message there. After `prepare_replace`.
    outgoing_message& replace(outgoing_message& old, outgoing_message next) noexcept {
        message_classes& m = *more_;
        if (next.deadline() != never) {
            std::push_heap(m.expiries.begin(), m.expiries.end());
            ++m.with_deadline;
        }
        if (old.deadline() != never) --m.with_deadline;
        if (old.counter != old.order) m.moved.erase(old.counter);
        // The node stays, its key is the new message's.
        auto node = m.by_key.extract(std::string_view(old.extras->coalesce_key));
        node.key() = next.extras->coalesce_key;
        m.by_key.insert(std::move(node));
        (void)lane_of(static_cast<std::size_t>(old.priority)).replace(old, std::move(next));
        return old;
    }

    /// The message whose turn it is, or null.
    [[nodiscard]] outgoing_message* front() noexcept {
        if (outgoing_message* m = returned_ ? returned_->front() : nullptr) return m;
        if (!more_) return normal_.front();
        class_turn turn = more_->turn;
        return front_lane(turn).front();
    }
    /// Takes `m` out, which is the first of its class. It has used the present turn, whichever class had it.
    outgoing_message pop(outgoing_message& m) noexcept {
        if (m.numbered) return returned_->pop_front();
        pass_turn();
        forget(m);
        return lane_of(static_cast<std::size_t>(m.priority)).pop_front();
    }
    /// The same, to the end of `window`, where there is room.
    outgoing_message& pop_to(ring<outgoing_message>& window, outgoing_message& m) noexcept {
        if (m.numbered) return returned_->pop_front_to(window);
        pass_turn();
        forget(m);
        return lane_of(static_cast<std::size_t>(m.priority)).pop_front_to(window);
    }
    /// The present turn was used.
    void pass_turn() noexcept {
        if (!more_) return;
        (void)front_lane(more_->turn);
        more_->turn = more_->turn.next();
    }
    /// Frees what the message holds at once.
    void withdraw(outgoing_message& m) noexcept {
        if (m.numbered) {
            if (returned_) returned_->withdraw(m);  // always, but for the planted bug
            return;
        }
        forget(m);
        lane_of(static_cast<std::size_t>(m.priority)).withdraw(m);
    }

    /// A message that never had a number, or null.
    [[nodiscard]] outgoing_message* find(std::uint64_t counter) noexcept {
        if (outgoing_message* m = normal_.at_place(counter); m && m->counter == counter) return m;
        if (!more_) return nullptr;
        for (message_lane& lane : more_->lanes)
            if (outgoing_message* m = lane.at_place(counter); m && m->counter == counter) return m;
        const auto found = more_->moved.find(counter);
        return found == more_->moved.end() ? nullptr : lane_of(found->second.lane).at_place(found->second.order);
    }
    /// Whether `m`, which was accepted, waits and does not fly.
    [[nodiscard]] bool is_waiting(const outgoing_message& m) noexcept {
        return !m.numbered || (returned_ && returned_->at_place(m.order) == &m);
    }
    /// Whether `m` is the first of its class.
    [[nodiscard]] bool is_first(const outgoing_message& m) noexcept {
        return &m == (m.numbered ? *returned_ : lane_of(static_cast<std::size_t>(m.priority))).front();
    }
    /// Calls `visit(message)` for each until it returns true; returns whether one did.
    template <class Visit>
    bool find_if(Visit&& visit) {
        if ((returned_ && returned_->find_if(visit)) || normal_.find_if(visit)) return true;
        if (!more_) return false;
        return std::any_of(more_->lanes.begin(), more_->lanes.end(), [&](message_lane& lane) { return lane.find_if(visit); });
    }
    /// The next victim where room is needed for a message of class `p`: the oldest of the least urgent class that
    /// is not more urgent; null if there is none.
    [[nodiscard]] outgoing_message* oldest_for(message_priority p) noexcept {
        for (std::size_t c = priority_classes; c-- > static_cast<std::size_t>(p);)
            if (outgoing_message* m = has(c) ? lane_of(c).oldest_expendable() : nullptr) return m;
        return nullptr;
    }
    /// The first whose deadline has passed; null if there is none. Rows of others are dropped.
    [[nodiscard]] outgoing_message* first_expired(time_point now) noexcept {
        if (!more_) return nullptr;
        auto& rows = more_->expiries;
        while (!rows.empty() && rows.front().when <= now) {
            outgoing_message* m = find(rows.front().counter);
            if (m && m->deadline() == rows.front().when) return m;
            pop_expiry();
        }
        return nullptr;
    }
    /// When to ask again, at the latest.
    [[nodiscard]] time_point next_expiry() const noexcept {
        // Rows of messages that left must not wake anybody for ever.
        return more_ && more_->with_deadline > 0 ? more_->expiries.front().when : never;
    }
    /// The oldest of a class among those that cannot be replaced, or null.
    [[nodiscard]] outgoing_message* oldest_fixed(std::size_t c) noexcept { return has(c) ? lane_of(c).oldest_fixed() : nullptr; }
    /// No counter in the queue is lower; nothing if it is empty.
    [[nodiscard]] std::uint64_t lowest_counter() noexcept {
        std::uint64_t lowest = UINT64_MAX;
        if (returned_)
            (void)returned_->find_if([&](const outgoing_message& m) {
                lowest = std::min(lowest, m.counter);
                return false;
            });
        for (std::size_t c = 0; c < priority_classes; ++c)
            if (outgoing_message* m = has(c) ? lane_of(c).front() : nullptr) lowest = std::min(lowest, m->order);
        return lowest;
    }

    /// Messages that had a number and wait to be sent again; null where there never was one.
    [[nodiscard]] message_lane* returned() noexcept { return returned_.get(); }
    [[nodiscard]] std::size_t size() const noexcept {
        return total([](const message_lane& l) { return l.size(); });
    }
    [[nodiscard]] std::size_t bytes() const noexcept {
        return total([](const message_lane& l) { return l.bytes(); });
    }
    [[nodiscard]] std::size_t slots() const noexcept {
        return total([](const message_lane& l) { return l.slots(); });
    }
    /// Where nothing waits, the memory of what waited is given back.
    void release() noexcept {
        normal_.release();
        if (returned_) returned_->release();
    }
    /// Rows of the heap of deadlines, those of messages that left included.
    [[nodiscard]] std::size_t expiry_rows() const noexcept { return more_ ? more_->expiries.size() : 0; }
    /// Whether nothing is urgent, and all of it is less than `bytes` of payload.
    [[nodiscard]] bool small_and_patient(std::size_t bytes) noexcept {
        if ((returned_ && returned_->size() > 0) || (more_ && more_->lanes[0].size() > 0)) return false;
        return total([](const message_lane& l) { return l.payload_bytes(); }) < bytes;
    }
    /// Count and bytes of what may be dropped of a class.
    [[nodiscard]] std::pair<std::size_t, std::size_t> expendable(std::size_t c) noexcept {
        if (!has(c)) return {0, 0};
        return lane_of(c).expendable();
    }

private:
    static constexpr auto normal_class = static_cast<std::size_t>(message_priority::normal);

    [[nodiscard]] message_lane& make_returned() {
        if (!returned_) returned_ = std::make_unique<message_lane>();
        return *returned_;
    }
    [[nodiscard]] message_classes& more() {
        if (!more_) more_ = std::make_unique<message_classes>();
        return *more_;
    }
    [[nodiscard]] bool has(std::size_t c) const noexcept { return more_ || c == normal_class; }
    // Precondition: `has(c)`.
    [[nodiscard]] message_lane& lane_of(std::size_t c) noexcept { return c == normal_class ? normal_ : more_->lanes[c]; }
    // The lane whose turn it is, of those that are not empty; moves `turn` to its slot.
    [[nodiscard]] message_lane& front_lane(class_turn& turn) noexcept {
        using hawser::detail::bug;
        if (hawser::detail::planted(bug::class_starves))
            for (std::size_t c = 0; c < priority_classes; ++c)
                if (lane_of(c).front()) return lane_of(c);
        for (int i = 0; i < 15; ++i, turn = turn.next())
            if (message_lane& lane = lane_of(turn.owner()); lane.front()) return lane;
        return normal_;
    }
    void index(const outgoing_message& m, const message_classes::place& at) {
        if (!m.extras) return;
        auto& rows = more_->expiries;
        const bool expires = m.deadline() != never;
        if (expires) {
            shed_stale_rows();
            rows.push_back({m.deadline(), m.counter});
        }
        try {
            if (m.coalesces()) more_->by_key.emplace(m.extras->coalesce_key, at);
        } catch (...) {
            if (expires) rows.pop_back();
            throw;
        }
        if (!expires) return;
        std::push_heap(rows.begin(), rows.end());
        ++more_->with_deadline;
    }
    // The message leaves its place.
    void forget(const outgoing_message& m) noexcept {
        if (!m.extras || !more_) return;
        if (m.coalesces()) more_->by_key.erase(m.extras->coalesce_key);
        if (m.counter != m.order) more_->moved.erase(m.counter);
        if (m.deadline() != never) --more_->with_deadline;
    }
    void pop_expiry() noexcept {
        std::pop_heap(more_->expiries.begin(), more_->expiries.end());
        more_->expiries.pop_back();
    }
    // Of messages that wait no more. So the heap stays within a small multiple of what waits.
    void shed_stale_rows() noexcept {
        auto& rows = more_->expiries;
        if (rows.size() < 64 || rows.size() < 2 * more_->with_deadline) return;
        std::erase_if(rows, [this](const message_classes::expiry& e) { return find(e.counter) == nullptr; });
        std::make_heap(rows.begin(), rows.end());
    }
    template <class Count>
    [[nodiscard]] std::size_t total(Count&& count) const noexcept {
        std::size_t n = count(normal_);
        if (returned_) n += count(*returned_);
        if (more_)
            for (const message_lane& lane : more_->lanes) n += count(lane);
        return n;
    }

    message_lane normal_;
    std::unique_ptr<message_lane> returned_;
    std::unique_ptr<message_classes> more_;
};

}  // namespace session
}  // namespace hawser::inline v0

// SPDX-License-Identifier: BSL-1.0
/// \file
/// All deadlines of a driver in one hierarchical timing wheel.
///
/// Eight levels of 64 slots; a slot of level L is 64^L ticks wide. A node sits at the level of
/// the highest group of six bits in which its tick differs from the current one. So on each level
/// all nodes lie ahead within one turn, the first one due is found with one bit scan per level,
/// and a jump of the clock costs slots that are in use, not ticks.
///
/// Sources: G. Varghese, A. Lauck, "Hashed and Hierarchical Timing Wheels" (1987); Linux
/// `kernel/time/timer.c`; Tokio's `time::wheel` (levels by exclusive or).
#pragma once

#include <hawser/core/time.hpp>
#include <hawser/driver/timer_node.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace hawser::inline v0 {

/// Thread safety: none; it lives on the driver's strand. Allocates nothing, ever.
/// Nodes may outlive the wheel: they are disarmed with it.
class timing_wheel {
public:
    /// `tick` is the resolution, at least 100 us; a shorter one is taken as that (48 bits of
    /// ticks then still hold every `time_point`).
    explicit timing_wheel(time_point start, duration tick = milliseconds{1}) noexcept
        : start_(start), now_(start), tick_(std::max<duration>(tick, microseconds{100})) {}
    timing_wheel(const timing_wheel&) = delete;
    timing_wheel& operator=(const timing_wheel&) = delete;
    ~timing_wheel() {
        for (timer_node*& head : slots_) disarm_all(head);
        disarm_all(overdue_);
        disarm_all(batch_);
    }

    /// Arms `node`, or moves it if it is armed; at `never` it is disarmed. O(1).
    /// A deadline in the past fires at the next `advance`, not within the current one, so that a
    /// callback which always asks for "at once" cannot keep the driver from its sockets.
    void arm(timer_node& node, time_point deadline) noexcept {
        node.cancel();
        if (deadline == never) return;
        node.deadline_ = deadline;
        node.order_ = ++last_order_;
        node.wheel_ = this;
        ++size_;
        insert(node, overdue_);
    }
    /// Disarms `node`. O(1); does nothing if it is not armed.
    void cancel(timer_node& node) noexcept { node.cancel(); }

    /// Fires, in the order of their deadlines (of equal ones, of arming), all nodes whose
    /// deadline is at or before `now`, by `fire(timer_node&)`; returns how many.
    ///
    /// Never early; late by less than a tick, if called at `next_deadline()`. A node is disarmed
    /// before its callback, which may arm, cancel or destroy any node, itself and others of the
    /// same batch included, but not the wheel. If a callback throws, the rest of the batch
    /// fires at the next call. Called from within a callback, or with a `now` earlier than the
    /// last one, it does nothing.
    template <class Fire>
    std::size_t advance(time_point now, Fire&& fire) {
        if (advancing_ || now < now_) return 0;
        now_ = now;
        collect(ticks_down(now));
        const guard inside{advancing_};
        std::size_t fired = 0;
        while (batch_ != nullptr) {
            timer_node& node = *batch_;
            node.cancel();
            ++fired;
            fire(node);
        }
        return fired;
    }
    /// The same, by each node's own callback.
    std::size_t advance(time_point now) {
        return advance(now, [now](timer_node& node) { node.fire(now); });
    }

    /// When to call `advance` next, or `never`. May be earlier than the first deadline (the start of a
    /// wide slot, which `advance` then spreads out, at most seven times per node), later by less
    /// than a tick. At or before the last `now` when something is overdue.
    [[nodiscard]] time_point next_deadline() const noexcept {
        if (overdue_ != nullptr || batch_ != nullptr) return now_;
        const std::size_t level = first_level();
        return level == levels ? never : time_of(slot_start(level, first_slot(level)));
    }

    /// Armed nodes.
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

private:
    friend class timer_node;

    static constexpr std::size_t levels = 8;
    static constexpr std::size_t bits = 6;
    static constexpr std::size_t width = std::size_t{1} << bits;
    static constexpr std::uint64_t max_tick = (std::uint64_t{1} << (levels * bits)) - 1;

    struct guard {
        explicit guard(bool& flag) noexcept : flag_(flag) { flag_ = true; }
        guard(const guard&) = delete;
        guard& operator=(const guard&) = delete;
        ~guard() { flag_ = false; }
        bool& flag_;
    };

    // Unsigned, so that points of time far apart do not overflow.
    [[nodiscard]] std::uint64_t since_start(time_point t) const noexcept {
        if (t <= start_) return 0;
        return static_cast<std::uint64_t>(t.time_since_epoch().count()) - static_cast<std::uint64_t>(start_.time_since_epoch().count());
    }
    [[nodiscard]] std::uint64_t ticks_down(time_point t) const noexcept {
        return std::min(since_start(t) / static_cast<std::uint64_t>(tick_.count()), max_tick);
    }
    [[nodiscard]] std::uint64_t ticks_up(time_point t) const noexcept {
        const auto tick = static_cast<std::uint64_t>(tick_.count());
        const std::uint64_t ns = since_start(t);
        return std::min(ns / tick + (ns % tick != 0 ? 1 : 0), max_tick);
    }
    [[nodiscard]] time_point time_of(std::uint64_t tick) const noexcept {
        const std::uint64_t left = static_cast<std::uint64_t>(never.time_since_epoch().count()) - static_cast<std::uint64_t>(start_.time_since_epoch().count());
        const auto length = static_cast<std::uint64_t>(tick_.count());
        if (tick > left / length) return never;
        return time_point{duration{static_cast<duration::rep>(static_cast<std::uint64_t>(start_.time_since_epoch().count()) + tick * length)}};
    }

    [[nodiscard]] std::size_t first_level() const noexcept {
        std::size_t level = 0;
        while (level < levels && used_[level] == 0) ++level;
        return level;
    }
    [[nodiscard]] std::size_t first_slot(std::size_t level) const noexcept {
        return static_cast<std::size_t>(std::countr_zero(used_[level]));
    }
    [[nodiscard]] std::uint64_t slot_start(std::size_t level, std::size_t slot) const noexcept {
        const std::uint64_t turn = ~std::uint64_t{0} << (bits * (level + 1));
        return (current_ & turn) | (std::uint64_t{slot} << (bits * level));
    }

    // Puts an unlinked node where its tick belongs; `due` takes it if that has come.
    void insert(timer_node& node, timer_node*& due) noexcept {
        const std::uint64_t tick = ticks_up(node.deadline_);
        if (tick <= current_) return node.link(due);
        const auto top = static_cast<std::size_t>(std::bit_width(tick ^ current_)) - 1;
        const std::size_t level = top / bits;
        const std::size_t slot = static_cast<std::size_t>(tick >> (bits * level)) % width;
        used_[level] |= std::uint64_t{1} << slot;
        node.link(slots_[level * width + slot]);
    }

    // Moves everything due at tick `target` into the batch and sorts it.
    void collect(std::uint64_t target) noexcept {
        move_all(overdue_, batch_);
        for (std::size_t level = first_level(); level != levels; level = first_level()) {
            const std::size_t slot = first_slot(level);
            const std::uint64_t start = slot_start(level, slot);
            if (start > target) break;
            current_ = start;
            timer_node*& head = slots_[level * width + slot];
            used_[level] &= ~(std::uint64_t{1} << slot);
            while (head != nullptr) {
                timer_node& node = *head;
                node.unlink();
                insert(node, batch_);
            }
        }
        current_ = std::max(current_, target);
        timer_node::sort(batch_);
    }

    static void move_all(timer_node*& from, timer_node*& to) noexcept {
        while (from != nullptr) {
            timer_node& node = *from;
            node.unlink();
            node.link(to);
        }
    }
    static void disarm_all(timer_node*& head) noexcept {
        while (head != nullptr) head->cancel();
    }

    // A node left: if its slot is empty now, say so in the level's bits.
    void on_cancel(timer_node** place) noexcept {
        --size_;
        if (*place != nullptr) return;
        const std::less<timer_node**> before{};  // a total order also across objects
        if (before(place, slots_.data()) || !before(place, slots_.data() + slots_.size())) return;
        const auto index = static_cast<std::size_t>(place - slots_.data());
        used_[index / width] &= ~(std::uint64_t{1} << (index % width));
    }

    time_point start_;
    time_point now_;
    duration tick_;
    std::uint64_t current_ = 0;  // ticks since start_, up to which everything was collected
    std::uint64_t last_order_ = 0;
    std::size_t size_ = 0;
    bool advancing_ = false;
    timer_node* overdue_ = nullptr;  // armed with a deadline that had already come
    timer_node* batch_ = nullptr;    // firing now
    std::array<std::uint64_t, levels> used_{};
    std::array<timer_node*, levels * width> slots_{};
};

inline void timer_node::cancel() noexcept {
    if (wheel_ == nullptr) return;
    timer_node** const place = place_;
    unlink();
    std::exchange(wheel_, nullptr)->on_cancel(place);
}

}  // namespace hawser::inline v0

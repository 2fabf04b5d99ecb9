// SPDX-License-Identifier: BSL-1.0
/// \file
/// A deadline that sits inside of the object it belongs to. See `timing_wheel`.
#pragma once

#include <hawser/core/time.hpp>

#include <concepts>
#include <cstdint>
#include <functional>
#include <utility>

namespace hawser::inline v0 {

class timing_wheel;

/// Names a member function `void T::f(time_point now)` for a `timer_node`'s constructor.
template <auto Method>
struct timer_method {};
template <auto Method>
inline constexpr timer_method<Method> on_timer{};

/// One deadline with its callback. Its destructor disarms it; it cannot be copied or moved,
/// since the wheel links to it. Thread safety: that of its wheel.
///
///     class connection {
///         timer_node heartbeat_{this, on_timer<&connection::on_heartbeat>};
///     };
class timer_node {
public:
    using callback = void (*)(void* context, time_point now);

    /// For wheels that are advanced with a function of the caller's.
    timer_node() noexcept = default;
    timer_node(void* context, callback call) noexcept : context_(context), call_(call) {}
    template <class T, auto Method>
        requires std::invocable<decltype(Method), T&, time_point>
    timer_node(T* self, timer_method<Method>) noexcept
        : timer_node(self, [](void* context, time_point now) { std::invoke(Method, *static_cast<T*>(context), now); }) {}

    timer_node(const timer_node&) = delete;
    timer_node& operator=(const timer_node&) = delete;
    ~timer_node() { cancel(); }

    /// Disarms it. O(1); does nothing if it is not armed.
    inline void cancel() noexcept;

    [[nodiscard]] bool armed() const noexcept { return wheel_ != nullptr; }
    /// The deadline asked for, exactly; `never` when not armed.
    [[nodiscard]] time_point deadline() const noexcept { return armed() ? deadline_ : never; }
    [[nodiscard]] void* context() const noexcept { return context_; }

    /// Calls the callback, if there is one.
    void fire(time_point now) const {
        if (call_ != nullptr) call_(context_, now);
    }

private:
    friend class timing_wheel;

    void link(timer_node*& head) noexcept {
        next_ = head;
        if (next_ != nullptr) next_->place_ = &next_;
        place_ = &head;
        head = this;
    }
    void unlink() noexcept {
        *place_ = next_;
        if (next_ != nullptr) next_->place_ = place_;
        place_ = nullptr;
        next_ = nullptr;
    }

    [[nodiscard]] bool before(const timer_node& other) const noexcept {
        return deadline_ != other.deadline_ ? deadline_ < other.deadline_ : order_ < other.order_;
    }

    // Merge sort of the forward links, bottom up: no recursion, no memory, n log n. The places
    // are mended at the end.
    static void sort(timer_node*& head) noexcept {
        timer_node* runs[64] = {};  // runs[i] is empty or a sorted run of 2^i nodes
        std::size_t highest = 0;
        for (timer_node* rest = head; rest != nullptr;) {
            timer_node* run = std::exchange(rest, rest->next_);
            run->next_ = nullptr;
            std::size_t i = 0;
            for (; runs[i] != nullptr; ++i) run = merge(std::exchange(runs[i], nullptr), run);
            runs[i] = run;
            if (i > highest) highest = i;
        }
        head = nullptr;
        for (std::size_t i = 0; i <= highest; ++i) head = merge(runs[i], head);
        for (timer_node** place = &head; *place != nullptr; place = &(*place)->next_) (*place)->place_ = place;
    }
    static timer_node* merge(timer_node* a, timer_node* b) noexcept {
        timer_node* result = nullptr;
        timer_node** tail = &result;
        while (a != nullptr && b != nullptr) {
            timer_node*& first = b->before(*a) ? b : a;
            *tail = first;
            tail = &first->next_;
            first = first->next_;
        }
        *tail = a != nullptr ? a : b;
        return result;
    }

    timer_node* next_ = nullptr;
    timer_node** place_ = nullptr;  // the pointer that points to this node
    timing_wheel* wheel_ = nullptr;
    time_point deadline_{};
    std::uint64_t order_ = 0;  // the how-manieth arming
    void* context_ = nullptr;
    callback call_ = nullptr;
};

}  // namespace hawser::inline v0

// The node's destructor needs the wheel's definition.
#include <hawser/driver/timing_wheel.hpp>

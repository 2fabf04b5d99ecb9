// SPDX-License-Identifier: BSL-1.0
/// \file
/// A growable ring: a queue that allocates nothing on its steady path and nothing when empty.
#pragma once

#include <hawser/core/config.hpp>
#include <hawser/core/detail/spare_messages.hpp>

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

namespace hawser::inline v0 {

/// First in, first out, with random access from the front. Capacity is a power of two, at most 2^31;
/// it grows when full and is given back by `clear` and `release`. `T` must be nothrow movable.
template <class T>
class ring {
public:
    ring() noexcept = default;
    /// Takes the elements and the memory; `other` is empty afterwards.
    ring(ring&& other) noexcept { swap(other); }
    /// The same; the elements held before are destroyed.
    ring& operator=(ring&& other) noexcept {
        ring moved(std::move(other));
        swap(moved);
        return *this;
    }
    ~ring() { clear(); }

    ///@{
    /// How many elements there are.
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    ///@}
    ///@{
    /// An element, counted from the front. Precondition: there is one.
    [[nodiscard]] T& operator[](std::size_t i) noexcept { assert(i < size_); return slots_[index(i)]; }
    [[nodiscard]] const T& operator[](std::size_t i) const noexcept { assert(i < size_); return slots_[index(i)]; }
    [[nodiscard]] T& front() noexcept { return (*this)[0]; }
    [[nodiscard]] T& back() noexcept { return (*this)[size_ - 1]; }
    ///@}

    /// Makes room, so that the next `push_back` or `push_front` does not throw. Throws std::bad_alloc.
    void reserve_one() {
        if (size_ == capacity_) grow();
    }
    ///@{
    /// Throws std::bad_alloc when it must grow and cannot; ring and value are unchanged then. Precondition: `value` is
    /// not an element of this ring.
    T& push_back(T&& value) { return construct_back(std::move(value)); }
    T& push_back(const T& value) { return construct_back(value); }
    ///@}
    /// The same with a value-initialised element, to be filled where it is.
    HAWSER_IN_LINE T& emplace_back() { return construct_back(); }
    /// The same with the first element of `other`, which loses it. Precondition: there is room, and one in `other`.
    T& push_front_of(ring& other) noexcept {
        assert(size_ < capacity_);
        T* slot = slots_ + index(size_);
        std::construct_at(slot, std::move(other.front()));
        ++size_;
        other.drop_front();
        return *slot;
    }
    /// As `push_back`, at the front.
    T& push_front(T value) {
        reserve_one();
        head_ = (head_ - 1) & (capacity_ - 1);
        std::construct_at(slots_ + head_, std::move(value));
        ++size_;
        return slots_[head_];
    }
    /// Takes the first element. Precondition: not empty.
    T pop_front() noexcept {
        assert(size_ > 0);
        T value = std::move(slots_[head_]);
        std::destroy_at(slots_ + head_);
        head_ = (head_ + 1) & (capacity_ - 1);
        --size_;
        return value;
    }
    /// Destroys the first element. Precondition: not empty.
    void drop_front() noexcept {
        assert(size_ > 0);
        std::destroy_at(slots_ + head_);
        head_ = (head_ + 1) & (capacity_ - 1);
        --size_;
    }
    /// Takes the last element. Precondition: not empty.
    T pop_back() noexcept {
        assert(size_ > 0);
        T* slot = slots_ + index(size_ - 1);
        T value = std::move(*slot);
        std::destroy_at(slot);
        --size_;
        return value;
    }
    /// Destroys all and gives the memory back.
    void clear() noexcept {
        while (size_ > 0) drop_front();
        release();
    }
    /// Gives the memory back where there are no elements: to the thread, which has it ready for the next ring.
    void release() noexcept {
        if (size_ != 0 || capacity_ == 0) return;
        free(slots_, capacity_);
        slots_ = nullptr;
        capacity_ = head_ = 0;
    }
    /// Exchanges elements and memory.
    void swap(ring& other) noexcept {
        std::swap(slots_, other.slots_);
        std::swap(capacity_, other.capacity_);
        std::swap(head_, other.head_);
        std::swap(size_, other.size_);
    }
    /// What is allocated.
    [[nodiscard]] std::size_t memory_bytes() const noexcept { return capacity_ * sizeof(T); }

private:
    template <class... Value>
    HAWSER_IN_LINE T& construct_back(Value&&... value) {
        reserve_one();
        T* slot = slots_ + index(size_);
        std::construct_at(slot, std::forward<Value>(value)...);
        ++size_;
        return *slot;
    }

    // Many rings hold one or two elements and no more: the first block is of about 128 bytes.
    static constexpr auto first_capacity = static_cast<std::uint32_t>(std::bit_floor(std::clamp<std::size_t>(128 / sizeof(T), 1, 8)));
    static constexpr std::uint32_t max_capacity = std::uint32_t{1} << 31;

    HAWSER_OUT_OF_LINE void grow() {
        static_assert(alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);
        if (capacity_ == max_capacity) throw std::bad_alloc();
        const std::uint32_t grown = capacity_ == 0 ? first_capacity : capacity_ * 2;
        T* const fresh = static_cast<T*>(detail::spare_messages::allocate(std::size_t{grown} * sizeof(T)));
        for (std::size_t i = 0; i < size_; ++i) {
            std::construct_at(fresh + i, std::move(slots_[index(i)]));
            std::destroy_at(slots_ + index(i));
        }
        if (slots_) free(slots_, capacity_);
        slots_ = fresh;
        capacity_ = grown;
        head_ = 0;
    }
    static void free(T* slots, std::uint32_t capacity) noexcept {
        detail::spare_messages::free(slots, std::size_t{capacity} * sizeof(T));
    }
    [[nodiscard]] std::size_t index(std::size_t i) const noexcept {
        return (head_ + static_cast<std::uint32_t>(i)) & (capacity_ - 1);
    }

    T* slots_ = nullptr;
    std::uint32_t capacity_ = 0;
    std::uint32_t head_ = 0;
    std::uint32_t size_ = 0;
};

}  // namespace hawser::inline v0

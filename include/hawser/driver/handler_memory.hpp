// SPDX-License-Identifier: BSL-1.0
/// \file
/// Memory that waits for a handler of Asio's, so that posting it does not fail when there is none.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

namespace hawser::inline v0::detail {

/// Room for one handler. Thread safety: all; Asio frees an operation on whichever thread is in `run()`, before its
/// handler is on the strand.
class handler_memory {
public:
    handler_memory() = default;
    handler_memory(const handler_memory&) = delete;
    handler_memory& operator=(const handler_memory&) = delete;

    /// Null when it is taken or too small.
    [[nodiscard]] void* take(std::size_t size) noexcept {
        return size > room_.size() || taken_.exchange(true, std::memory_order_acquire) ? nullptr : room_.data();
    }
    /// Whether `p` was its own, and it is free again.
    [[nodiscard]] bool give(const void* p) noexcept {
        if (p != room_.data()) return false;
        taken_.store(false, std::memory_order_release);
        return true;
    }

private:
    alignas(std::max_align_t) std::array<std::byte, 256> room_;
    std::atomic<bool> taken_ = false;
};

template <class T>
struct handler_allocator {
    using value_type = T;
    explicit handler_allocator(handler_memory& m) noexcept : memory(&m) {}
    template <class U>
    handler_allocator(const handler_allocator<U>& other) noexcept : memory(other.memory) {}  // NOLINT: converts
    [[nodiscard]] T* allocate(std::size_t n) {
        if (void* p = memory->take(n * sizeof(T))) return static_cast<T*>(p);
        return std::allocator<T>().allocate(n);
    }
    void deallocate(T* p, std::size_t n) noexcept {
        if (!memory->give(p)) std::allocator<T>().deallocate(p, n);
    }
    friend bool operator==(const handler_allocator&, const handler_allocator&) = default;
    handler_memory* memory;
};

/// `f` with memory of its own.
template <class F>
struct with_memory {
    using allocator_type = handler_allocator<void*>;
    with_memory(handler_memory& m, F f) : memory(&m), function(std::move(f)) {}
    [[nodiscard]] allocator_type get_allocator() const noexcept { return allocator_type(*memory); }
    template <class... Args>
    void operator()(Args&&... args) { function(std::forward<Args>(args)...); }
    handler_memory* memory;
    F function;
};

}  // namespace hawser::inline v0::detail

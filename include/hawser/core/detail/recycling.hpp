// SPDX-License-Identifier: BSL-1.0
/// \file
/// Memory of an operation that ended, for the next one of the same thread.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <new>
#include <utility>

// Sanitizers and tests of failing allocations want to see each block. The macro is Asio's, for the same.
#if defined(ASIO_DISABLE_SMALL_BLOCK_RECYCLING) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAWSER_RECYCLES 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define HAWSER_RECYCLES 0
#endif
#endif
#if !defined(HAWSER_RECYCLES)
#define HAWSER_RECYCLES 1
#endif

namespace hawser::inline v0::detail {

/// A few blocks of this thread that are free.
class recycled_blocks {
public:
    /// Null if none of them suits.
    [[nodiscard]] static void* take(std::size_t size) noexcept {
        for (auto& [memory, room] : blocks_)
            if (memory && room >= size && room <= 2 * size) return std::exchange(memory, nullptr);
        return nullptr;
    }
    /// Whether it is kept.
    [[nodiscard]] static bool keep(void* memory, std::size_t size) noexcept {
        if (size > largest || closed_) return false;
        for (block& b : blocks_) {
            if (b.memory) continue;
            b = {memory, size};
            static_cast<void>(&reaper_);  // its destructor is to run
            return true;
        }
        return false;
    }

private:
    static constexpr std::size_t largest = 1024;
    struct block {
        void* memory;
        std::size_t size;
    };
    struct reaper {
        reaper() noexcept {}
        ~reaper() {
            closed_ = true;
            for (block& b : blocks_) ::operator delete(std::exchange(b.memory, nullptr));
        }
    };
    // These two may be used to the very end of their thread.
    static inline thread_local constinit std::array<block, 2> blocks_{};
    static inline thread_local constinit bool closed_ = false;
    static inline thread_local reaper reaper_;
};

/// `std::allocator`, by way of these blocks.
template <class T>
struct recycling_allocator {
    using value_type = T;
    recycling_allocator() noexcept = default;
    template <class U>
    recycling_allocator(const recycling_allocator<U>&) noexcept {}  // NOLINT: converts
    [[nodiscard]] T* allocate(std::size_t n) {
        if constexpr (is_over_aligned) return std::allocator<T>().allocate(n);
#if HAWSER_RECYCLES
        if (void* p = recycled_blocks::take(n * sizeof(T))) return static_cast<T*>(p);
#endif
        return static_cast<T*>(::operator new(n * sizeof(T)));
    }
    void deallocate(T* p, std::size_t n) noexcept {
        if constexpr (is_over_aligned) return std::allocator<T>().deallocate(p, n);
#if HAWSER_RECYCLES
        if (recycled_blocks::keep(p, n * sizeof(T))) return;
#else
        static_cast<void>(n);
#endif
        ::operator delete(p);
    }
    static constexpr bool is_over_aligned = alignof(T) > __STDCPP_DEFAULT_NEW_ALIGNMENT__;
    friend bool operator==(const recycling_allocator&, const recycling_allocator&) noexcept { return true; }
};

}  // namespace hawser::inline v0::detail

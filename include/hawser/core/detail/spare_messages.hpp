// SPDX-License-Identifier: BSL-1.0
/// \file
/// Small blocks that a thread has freed and uses again: a message, and a queue that was empty, cost no trip through
/// the allocator.
#pragma once

#include <hawser/core/config.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>

// A checker of memory is to see each message come and go.
#if defined(__SANITIZE_ADDRESS__)
#define HAWSER_CHECKED_MEMORY 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAWSER_CHECKED_MEMORY 1
#endif
#endif
#ifndef HAWSER_CHECKED_MEMORY
#define HAWSER_CHECKED_MEMORY 0
#endif

namespace hawser::inline v0::detail {

/// One list per thread and size, in steps of 64 bytes. The general allocator keeps few blocks of a size at hand, and
/// fewer than a read batch brings messages. A block may be freed on another thread than it came from.
class spare_messages {
public:
    static constexpr std::size_t step = 64;       ///< sizes are multiples of it, bytes
    static constexpr std::size_t max_block = 17 * step;  ///< a message of 1 KiB and its bookkeeping
    static constexpr std::size_t default_limit = HAWSER_CHECKED_MEMORY ? 0 : 64 * 1024;  ///< of all blocks of a thread

    /// As `operator new`; what is returned has to come back by `free` with the same size.
    [[nodiscard]] static void* allocate(std::size_t bytes) {
        if (bytes > max_block) return ::operator new(bytes);
        lists& l = mine();
        block*& first = l.first[index(bytes)];
        if (first == nullptr) return ::operator new(rounded(bytes));
        block* const b = first;
        first = b->next;
        l.bytes -= rounded(bytes);
        return b;
    }
    static void free(void* memory, std::size_t bytes) noexcept {
        lists& l = mine();
        if (bytes > max_block || l.bytes + rounded(bytes) > l.limit) return ::operator delete(memory);
        if (!l.watched) watch(l);
        block*& first = l.first[index(bytes)];
        first = ::new (memory) block{first};
        l.bytes += rounded(bytes);
    }
    /// What `allocate(bytes)` asks the general allocator for.
    [[nodiscard]] static std::size_t taken_for(std::size_t bytes) noexcept { return bytes > max_block ? bytes : rounded(bytes); }
    /// What this thread keeps, at most; 0 frees all.
    static void limit(std::size_t bytes) noexcept {
        lists& l = mine();
        l.limit = bytes;
        if (l.bytes > bytes) clear(l);
    }

private:
    struct block {
        block* next;
    };
    // Without constructor or destructor, so that it may be used before and after everything else of the thread.
    struct lists {
        std::array<block*, max_block / step> first;
        std::size_t bytes;
        std::size_t limit;
        bool watched;
    };
    [[nodiscard]] static lists& mine() noexcept {
        static thread_local constinit lists l{{}, 0, default_limit, false};
        return l;
    }
    [[nodiscard]] static std::size_t index(std::size_t bytes) noexcept { return (bytes - 1) / step; }
    [[nodiscard]] static std::size_t rounded(std::size_t bytes) noexcept { return (index(bytes) + 1) * step; }
    HAWSER_OUT_OF_LINE static void watch(lists& l) noexcept {
        struct end_of_thread {
            ~end_of_thread() { limit(0); }
        };
        static thread_local end_of_thread const watcher;
        (void)&watcher;
        l.watched = true;
    }
    static void clear(lists& l) noexcept {
        for (block*& first : l.first)
            while (first != nullptr) {
                block* const b = first;
                first = b->next;
                ::operator delete(b);
            }
        l.bytes = 0;
    }
};

}  // namespace hawser::inline v0::detail

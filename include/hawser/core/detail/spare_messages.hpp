// SPDX-License-Identifier: BSL-1.0
/// \file
/// Blocks that a thread has freed and uses again: a message, and a queue that was empty, cost no trip through
/// the allocator.
#pragma once

#include <hawser/core/config.hpp>

#include <array>
#include <bit>
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

/// One list per thread and size: steps of 64 bytes up to 1 KiB, beyond that eighths of a power of two, and 64 bytes for
/// bookkeeping. The general allocator keeps few blocks of a size at hand, fewer than a read batch brings messages, and gives
/// what a batch has freed back to the system, which then clears it anew for the next one. A block may be freed on another
/// thread than it came from.
class spare_messages {
public:
    static constexpr std::size_t step = 64;                       ///< sizes are multiples of it, bytes
    static constexpr std::size_t max_small = 1024 + step;         ///< up to here each multiple is a size
    static constexpr std::size_t max_block = 64 * 1024 + step;    ///< larger ones are not kept
    static constexpr std::size_t default_limit = HAWSER_CHECKED_MEMORY ? 0 : 1024 * 1024;  ///< of all blocks of a thread

    /// As `operator new`; what is returned has to come back by `free` with the same size.
    [[nodiscard]] static void* allocate(std::size_t bytes) {
        if (bytes > max_block) return ::operator new(bytes);
        const size_class c = class_of(bytes);
        lists& l = mine();
        block*& first = l.first[c.index];
        if (first == nullptr) return ::operator new(c.bytes);
        block* const b = first;
        first = b->next;
        l.bytes -= c.bytes;
        return b;
    }
    static void free(void* memory, std::size_t bytes) noexcept {
        if (bytes > max_block) return ::operator delete(memory);
        const size_class c = class_of(bytes);
        lists& l = mine();
        if (l.bytes + c.bytes > l.limit) return ::operator delete(memory);
        if (!l.watched) watch(l);
        block*& first = l.first[c.index];
        first = ::new (memory) block{first};
        l.bytes += c.bytes;
    }
    /// What `allocate(bytes)` asks the general allocator for.
    [[nodiscard]] static std::size_t taken_for(std::size_t bytes) noexcept { return bytes > max_block ? bytes : class_of(bytes).bytes; }
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
    struct size_class {
        std::size_t index, bytes;
    };
    static constexpr std::size_t small_classes = max_small / step;
    static constexpr std::size_t classes = small_classes + 6 * 8;  // doublings from 1 to 64 KiB, eight of each
    // Without constructor or destructor, so that it may be used before and after everything else of the thread.
    struct lists {
        std::array<block*, classes> first;
        std::size_t bytes;
        std::size_t limit;
        bool watched;
    };
    [[nodiscard]] static lists& mine() noexcept {
        static thread_local constinit lists l{{}, 0, default_limit, false};
        return l;
    }
    [[nodiscard]] static constexpr size_class class_of(std::size_t bytes) noexcept {
        if (bytes <= max_small) return {(bytes - 1) / step, (bytes + step - 1) / step * step};
        const std::size_t last = bytes - step - 1;  // from 1 KiB to 64 KiB - 1
        const auto shift = static_cast<std::size_t>(std::bit_width(last)) - 4;
        const std::size_t eighth = last >> shift;  // 8 to 15
        return {small_classes + (shift - 7) * 8 + eighth - 8, step + ((eighth + 1) << shift)};
    }
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

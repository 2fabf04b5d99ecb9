// SPDX-License-Identifier: BSL-1.0
/// \file
/// Large blocks of memory that are used again, because the system clears each page of a new one.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <new>
#include <utility>

namespace hawser::inline v0 {

/// Uninitialised bytes; empty when there was no memory.
struct memory_block {
    std::unique_ptr<std::byte[]> bytes;  ///< null when empty
    std::size_t size = 0;                ///< in bytes

    /// A new one.
    [[nodiscard]] static memory_block make(std::size_t size) noexcept {
        memory_block b{std::unique_ptr<std::byte[]>(new (std::nothrow) std::byte[size]), size};
        if (!b.bytes) b.size = 0;
        return b;
    }
};

/// Keeps a few blocks, at most `max_bytes` of all of them. Thread safety: none.
class spare_blocks {
public:
    static constexpr std::size_t max_blocks = 8;               ///< that are kept
    static constexpr std::size_t max_bytes = 4 * 1024 * 1024;  ///< of all that are kept

    /// The allocator is as good with smaller ones.
    static constexpr std::size_t min_block = 32 * 1024;

    /// The smallest that has `size` bytes, or an empty one; always that for what is not worth a large block.
    [[nodiscard]] memory_block take(std::size_t size) noexcept {
        if (size < min_block) return {};
        memory_block* best = nullptr;
        for (memory_block& b : blocks_)
            if (b.size >= size && b.bytes && (!best || b.size < best->size)) best = &b;
        if (!best) return {};
        bytes_ -= best->size;
        return {std::move(best->bytes), std::exchange(best->size, 0)};
    }
    /// Keeps it if there is room, in the place of the smallest if need be.
    void give(memory_block b) noexcept {
        if (b.size < min_block) return;
        memory_block* place = &blocks_[0];
        for (memory_block& other : blocks_)
            if (other.size < place->size) place = &other;
        if (place->size >= b.size || bytes_ - place->size + b.size > max_bytes) return;
        bytes_ += b.size - place->size;
        *place = std::move(b);
    }
    /// Bytes that are kept.
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

private:
    std::array<memory_block, max_blocks> blocks_;
    std::size_t bytes_ = 0;
};

}  // namespace hawser::inline v0

// SPDX-License-Identifier: BSL-1.0
/// \file
/// Owned bytes of what has not arrived completely: they grow uninitialised and never throw.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/core/spare_blocks.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

namespace hawser::inline v0 {
namespace ws {

/// Appends at the end, hands out views, gives its memory back. A `std::vector` would clear
/// each byte before it is overwritten, and report a failed allocation by an exception.
class gather_buffer {
public:
    /// The most that is allocated on the strength of an announced length alone, in bytes.
    static constexpr std::size_t announced_step = 64 * 1024;
    /// What a block takes beside its capacity, in bytes.
    static constexpr std::size_t overhead = 2 * sizeof(std::size_t);

    [[nodiscard]] std::size_t size() const noexcept { return block_ ? head().size : 0; }
    [[nodiscard]] std::size_t capacity() const noexcept { return block_ ? head().capacity : 0; }
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }
    [[nodiscard]] byte_span bytes() noexcept { return block_ ? byte_span{data(), head().size} : byte_span{}; }

    /// Room for `extra` bytes behind the end, to be written and then counted by `commit`; null
    /// when the allocation failed, which leaves the content as it is. `expected_size` is what
    /// the buffer will hold in the end: it is reserved at once up to the larger of
    /// `announced_step` and four times what has really arrived. So a lying header costs the peer a
    /// quarter of what it costs us, and growing copies each byte about once more. A block of `spare` that is
    /// large enough costs nothing and is taken at once.
    [[nodiscard]] std::byte* prepare(std::size_t extra, std::size_t expected_size, spare_blocks* spare = nullptr) noexcept {
        const std::size_t needed = size() + extra;
        if (needed > capacity() || !block_) {
            const std::size_t trusted = std::max(announced_step, 2 * needed);
            memory_block bigger;
            if (spare != nullptr) bigger = spare->take(overhead + std::max(needed, expected_size));
            // While it is copied both are there: the last step is made from half of the size at most, so that
            // the two together never exceed it.
            const std::size_t grown = trusted > expected_size / 2 ? expected_size : trusted;
            if (bigger.size == 0) bigger = memory_block::make(overhead + std::max(needed, grown));
            if (bigger.size == 0) return nullptr;
            move_to(std::move(bigger));
        }
        return data() + head().size;
    }
    void commit(std::size_t extra) noexcept { head().size += extra; }

    /// Copies `more` to the end; false when the allocation failed.
    [[nodiscard]] bool append(byte_view more) noexcept {
        if (more.empty()) return true;
        std::byte* to = prepare(more.size(), block_ ? 2 * (size() + more.size()) : more.size());
        if (to == nullptr) return false;
        std::memcpy(to, more.data(), more.size());
        commit(more.size());
        return true;
    }
    /// Drops the first `count` bytes, `count` <= `size()`.
    void remove_front(std::size_t count) noexcept {
        if (count == 0) return;
        head().size -= count;
        std::memmove(data(), data() + count, head().size);
    }
    /// Forgets the content and keeps the memory.
    void clear() noexcept {
        if (block_) head().size = 0;
    }
    /// Forgets the content and gives the memory back, to `spare` if it wants it.
    void release(spare_blocks* spare = nullptr) noexcept {
        if (!block_) return;
        const std::size_t taken = overhead + head().capacity;
        if (spare != nullptr) spare->give({std::move(block_), taken});
        block_.reset();
    }

private:
    // At the front of the block, so that a buffer at rest takes one pointer.
    struct header {
        std::size_t size;
        std::size_t capacity;
    };
    static_assert(sizeof(header) == overhead);
    [[nodiscard]] header& head() const noexcept { return *std::launder(reinterpret_cast<header*>(block_.get())); }
    [[nodiscard]] std::byte* data() const noexcept { return block_.get() + overhead; }
    void move_to(memory_block bigger) noexcept {
        const std::size_t kept = size();
        ::new (bigger.bytes.get()) header{kept, bigger.size - overhead};
        if (kept != 0) std::memcpy(bigger.bytes.get() + overhead, data(), kept);
        block_ = std::move(bigger.bytes);
    }

    std::unique_ptr<std::byte[]> block_;
};

}  // namespace ws
}  // namespace hawser::inline v0

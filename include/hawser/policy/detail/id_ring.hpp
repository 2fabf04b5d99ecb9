// SPDX-License-Identifier: BSL-1.0
/// \file
/// A first-in, first-out ring, of message ids or of runs of them, that grows without ever moving one twice.
#pragma once

#include <hawser/core/message_id.hpp>
#include <hawser/core/time.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace hawser::inline v0::detail {

struct id_entry {
    message_id id;
    time_point expires;  // time_point::min(): erased, its place is not free yet
};

/// Entries lie in chunks of 256 (8 KB); a chunk is freed once all its entries are gone, so memory
/// follows use in both directions. No step costs more than one chunk and a copy of the chunk
/// pointers. An entry is named by the low 32 bits of its number, so at most 2^31 fit.
template <class Entry>
class entry_ring {
public:
    [[nodiscard]] std::size_t size() const noexcept { return static_cast<std::size_t>(tail_ - head_); }
    [[nodiscard]] std::uint32_t front_ref() const noexcept { return static_cast<std::uint32_t>(head_); }

    [[nodiscard]] Entry& operator[](std::uint32_t ref) noexcept { return at(ref); }
    [[nodiscard]] const Entry& operator[](std::uint32_t ref) const noexcept { return at(ref); }

    /// Returns the new entry's name. May throw std::bad_alloc, without effect.
    std::uint32_t push_back(const Entry& entry) {
        const std::size_t offset = static_cast<std::size_t>(tail_) % chunk_size;
        if (offset == 0) add_chunk();
        else if (offset == capacity_) widen_chunk(offset);
        chunk_of(tail_)[offset] = entry;
        return static_cast<std::uint32_t>(tail_++);
    }
    void pop_back() noexcept {
        --tail_;
        // The next push_back expects the chunk of a new offset 0 not to be there.
        if (tail_ % chunk_size == 0) drop(chunk_of(tail_));
        if (tail_ == head_) clear();
    }
    void pop_front() noexcept {
        ++head_;
        if (head_ == tail_) clear();
        else if (head_ % chunk_size == 0) drop(chunk_of(head_ - 1));
    }
    /// Frees everything; O(chunks).
    void clear() noexcept {
        chunks_ = std::vector<chunk>{};
        spare_.reset();
        head_ = tail_ = 0;
        capacity_ = 0;
    }

    [[nodiscard]] std::size_t memory_bytes() const noexcept {
        const std::size_t full = size() == 0 ? 0 : static_cast<std::size_t>((tail_ - 1) / chunk_size - head_ / chunk_size);
        return (full * chunk_size + capacity_ + (spare_ ? chunk_size : 0)) * sizeof(Entry) + chunks_.capacity() * sizeof(chunk);
    }

private:
    static constexpr std::size_t chunk_size = 256;
    using chunk = std::unique_ptr<Entry[]>;

    [[nodiscard]] chunk& chunk_of(std::uint64_t number) noexcept {
        return chunks_[static_cast<std::size_t>(number / chunk_size) & (chunks_.size() - 1)];
    }
    [[nodiscard]] Entry& at(std::uint32_t ref) noexcept {
        const std::uint64_t number = head_ + static_cast<std::uint32_t>(ref - static_cast<std::uint32_t>(head_));
        return chunk_of(number)[static_cast<std::size_t>(number) % chunk_size];
    }
    [[nodiscard]] const Entry& at(std::uint32_t ref) const noexcept { return const_cast<entry_ring*>(this)->at(ref); }

    void add_chunk() {
        const std::uint64_t used = tail_ == head_ ? 0 : (tail_ - 1) / chunk_size - head_ / chunk_size + 1;
        if (used == chunks_.size()) widen_directory();
        // The first ever is small: most caches hold a few ids only.
        const std::size_t wanted = used == 0 ? 2 : chunk_size;
        chunk fresh = spare_ ? std::move(spare_) : std::make_unique<Entry[]>(wanted);
        capacity_ = used == 0 ? wanted : chunk_size;
        chunk_of(tail_) = std::move(fresh);
    }
    void widen_chunk(std::size_t filled) {
        chunk& old = chunk_of(tail_);
        chunk wide = std::make_unique<Entry[]>(filled * 2);
        std::copy_n(old.get(), filled, wide.get());
        old = std::move(wide);
        capacity_ = filled * 2;
    }
    void widen_directory() {
        std::vector<chunk> wide(std::max<std::size_t>(1, chunks_.size() * 2));
        for (std::uint64_t n = head_ / chunk_size; n * chunk_size < tail_; ++n)
            wide[static_cast<std::size_t>(n) & (wide.size() - 1)] = std::move(chunks_[static_cast<std::size_t>(n) & (chunks_.size() - 1)]);
        chunks_ = std::move(wide);
    }
    // Keeps one, so that a ring that stands still in size does not allocate. Only a whole one:
    // the short first chunk (capacity_ < chunk_size) is the last as long as it is short.
    void drop(chunk& c) noexcept {
        if (capacity_ == chunk_size) spare_ = std::move(c);
        c.reset();
    }

    std::vector<chunk> chunks_;  // a power of two of them, used as a ring
    chunk spare_;
    std::uint64_t head_ = 0, tail_ = 0;  // numbers of the first entry and of the next
    std::size_t capacity_ = 0;           // of the last chunk
};
using id_ring = entry_ring<id_entry>;

}  // namespace hawser::inline v0::detail

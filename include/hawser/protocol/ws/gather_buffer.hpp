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

    gather_buffer() noexcept = default;
    gather_buffer(gather_buffer&& other) noexcept
        : data_(std::move(other.data_)),
          size_(std::exchange(other.size_, 0)),
          capacity_(std::exchange(other.capacity_, 0)) {}
    gather_buffer& operator=(gather_buffer&& other) noexcept {
        data_ = std::move(other.data_);
        size_ = std::exchange(other.size_, 0);
        capacity_ = std::exchange(other.capacity_, 0);
        return *this;
    }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] byte_span bytes() noexcept { return {data_.get(), size_}; }

    /// Room for `extra` bytes behind the end, to be written and then counted by `commit`; null
    /// when the allocation failed, which leaves the content as it is. `expected_size` is what
    /// the buffer will hold in the end: it is reserved at once up to the larger of
    /// `announced_step` and four times what has really arrived. So a lying header costs the peer a
    /// quarter of what it costs us, and growing copies each byte about once more. A block of `spare` that is
    /// large enough costs nothing and is taken at once.
    [[nodiscard]] std::byte* prepare(std::size_t extra, std::size_t expected_size, spare_blocks* spare = nullptr) noexcept {
        const std::size_t needed = size_ + extra;
        if (needed > capacity_) {
            const std::size_t trusted = std::max(announced_step, 2 * needed);
            memory_block bigger;
            if (spare != nullptr) bigger = spare->take(std::max(needed, expected_size));
            // While it is copied both are there: the last step is made from half of the size at most, so that
            // the two together never exceed it.
            const std::size_t grown = trusted > expected_size / 2 ? expected_size : trusted;
            if (bigger.size == 0) bigger = memory_block::make(std::max(needed, grown));
            if (bigger.size == 0) return nullptr;
            move_to(std::move(bigger));
        }
        return data_.get() + size_;
    }
    void commit(std::size_t extra) noexcept { size_ += extra; }

    /// Copies `more` to the end; false when the allocation failed.
    [[nodiscard]] bool append(byte_view more) noexcept {
        if (more.empty()) return true;
        std::byte* to = prepare(more.size(), capacity_ == 0 ? more.size() : 2 * (size_ + more.size()));
        if (to == nullptr) return false;
        std::memcpy(to, more.data(), more.size());
        commit(more.size());
        return true;
    }
    /// Drops the first `count` bytes, `count` <= `size()`.
    void remove_front(std::size_t count) noexcept {
        if (count == 0) return;
        std::memmove(data_.get(), data_.get() + count, size_ - count);
        size_ -= count;
    }
    /// Forgets the content and keeps the memory.
    void clear() noexcept { size_ = 0; }
    /// Forgets the content and gives the memory back, to `spare` if it wants it.
    void release(spare_blocks* spare = nullptr) noexcept {
        if (spare != nullptr && capacity_ != 0) spare->give({std::move(data_), capacity_});
        data_.reset();
        size_ = capacity_ = 0;
    }

private:
    void move_to(memory_block bigger) noexcept {
        if (size_ != 0) std::memcpy(bigger.bytes.get(), data_.get(), size_);
        data_ = std::move(bigger.bytes);
        capacity_ = bigger.size;
    }

    std::unique_ptr<std::byte[]> data_;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

}  // namespace ws
}  // namespace hawser::inline v0

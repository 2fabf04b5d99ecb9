// SPDX-License-Identifier: BSL-1.0
/// \file
/// What a connection has yet to write: small frames together in one buffer, large bodies by reference.
#pragma once

#include <hawser/core/message.hpp>
#include <hawser/driver/driver.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace hawser::inline v0::detail {

/// Bytes in order. The buffer is lent by the driver and goes back when everything was written,
/// so that a connection at rest holds no memory.
class write_queue {
public:
    explicit write_queue(driver& d) noexcept : driver_(&d) {}
    write_queue(write_queue&&) noexcept = default;
    write_queue& operator=(write_queue&&) noexcept = default;
    ~write_queue() { release(); }

    [[nodiscard]] bool empty() const noexcept { return size() == 0; }
    /// Bytes not yet written.
    [[nodiscard]] std::size_t size() const noexcept { return end() - written_ + referenced_; }

    /// The end of the buffer, to append to.
    [[nodiscard]] byte_vector& tail() {
        borrow();
        if (slack_ != 0) bytes_.resize(bytes_.size() - std::exchange(slack_, 0));
        return bytes_;
    }
    /// Room for `n` bytes at the end, a few dozen, to be written and then counted by `added`; null where the buffer is
    /// too small. A vector clears what it grows by: here that is done for many frames at once.
    [[nodiscard]] std::byte* room(std::size_t n) noexcept {
        if (slack_ < n && !make_slack(n)) return nullptr;
        return bytes_.data() + end();
    }
    void added(std::size_t n) noexcept { slack_ -= n; }
    /// Makes room for `n` bytes at the end and one body, so that appending them does not throw.
    void reserve(std::size_t n) {
        byte_vector& out = tail();
        if (out.capacity() - out.size() < n) out.reserve(std::max(out.size() + n, 2 * out.capacity()));
        if (!bodies_) bodies_ = std::make_unique<std::vector<piece>>();
        if (bodies_->size() == bodies_->capacity()) bodies_->reserve(std::max<std::size_t>(4, 2 * bodies_->size()));
    }
    /// Appends a body without copying it; the message is held until it was written.
    void append(const message& body) {
        if (!bodies_) bodies_ = std::make_unique<std::vector<piece>>();
        bodies_->push_back({end(), 0, body});
        referenced_ += body.size();
    }

    [[nodiscard]] bool has_bodies() const noexcept { return bodies_ && !bodies_->empty(); }
    /// All of it, where it has no bodies.
    [[nodiscard]] byte_view plain() const noexcept { return {bytes_.data() + written_, end() - written_}; }

    static constexpr std::size_t max_buffers = 32;
    /// The next pieces in order, at most `max_buffers`; returns how many.
    [[nodiscard]] std::size_t gather(std::array<byte_view, max_buffers>& out) const noexcept {
        std::size_t n = 0, at = written_;
        for (const auto& b : bodies()) {
            if (n + 2 > max_buffers) return n;
            if (b.at > at) out[n++] = byte_view(bytes_).subspan(at, b.at - at);
            out[n++] = b.body.bytes().subspan(b.written);
            at = b.at;
        }
        if (at < end() && n < max_buffers) out[n++] = byte_view(bytes_).subspan(at, end() - at);
        return n;
    }
    /// The first `n` bytes were written.
    void consume(std::size_t n) noexcept {
        while (n > 0) {
            const std::size_t until = has_bodies() ? bodies_->front().at : end();
            const std::size_t plain = std::min(n, until - written_);
            written_ += plain;
            n -= plain;
            if (n == 0 || !has_bodies()) break;
            piece& b = bodies_->front();
            const std::size_t part = std::min(n, b.body.size() - b.written);
            b.written += part;
            referenced_ -= part;
            n -= part;
            if (b.written == b.body.size()) bodies_->erase(bodies_->begin());
        }
        if (empty()) release();
        else if (written_ > compact_at) compact();
    }

private:
    struct piece {
        std::size_t at;       // position in bytes_ before which the body stands
        std::size_t written;  // bytes of the body already written
        message body;
    };
    static constexpr std::size_t compact_at = 64 * 1024;
    static constexpr std::size_t slack_step = 512;

    [[nodiscard]] std::size_t end() const noexcept { return bytes_.size() - slack_; }
    [[nodiscard]] std::span<piece> bodies() const noexcept { return bodies_ ? std::span<piece>(*bodies_) : std::span<piece>(); }
    // What was written last is still in it, as room.
    void borrow() noexcept {
        if (bytes_.capacity() != 0) return;
        bytes_ = driver_->take_buffer();
        slack_ = bytes_.size();
    }
    [[nodiscard]] HAWSER_OUT_OF_LINE bool make_slack(std::size_t n) noexcept {
        borrow();
        const std::size_t at = end();
        if (bytes_.capacity() - at < n) return false;
        if (slack_ < n) bytes_.resize(std::min(bytes_.capacity(), at + n + slack_step));
        slack_ = bytes_.size() - at;
        return true;
    }

    void compact() noexcept {
        bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(written_));
        for (piece& b : bodies()) b.at -= written_;
        written_ = 0;
    }
    void release() noexcept {
        if (bytes_.capacity() != 0 && driver_->alive()) driver_->give_buffer(std::move(bytes_));
        bytes_ = {};
        written_ = slack_ = 0;
    }

    driver* driver_;
    byte_vector bytes_;
    std::size_t written_ = 0;
    std::size_t slack_ = 0;  // bytes at the end of `bytes_` that are room
    std::size_t referenced_ = 0;
    std::unique_ptr<std::vector<piece>> bodies_;  // made with the first
};

}  // namespace hawser::inline v0::detail

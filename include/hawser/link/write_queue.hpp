// SPDX-License-Identifier: BSL-1.0
/// \file
/// What a connection has yet to write: small frames together in one buffer, large bodies by reference.
#pragma once

#include <hawser/core/message.hpp>
#include <hawser/driver/driver.hpp>

#include <algorithm>
#include <array>
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
    [[nodiscard]] std::size_t size() const noexcept { return bytes_.size() - written_ + referenced_; }

    /// The end of the buffer, to append to. Call `settle` afterwards.
    [[nodiscard]] byte_vector& tail() {
        if (bytes_.capacity() == 0) bytes_ = driver_->take_buffer();
        return bytes_;
    }
    /// Makes room for `n` bytes at the end and one body, so that appending them does not throw.
    void reserve(std::size_t n) {
        byte_vector& out = tail();
        if (out.capacity() - out.size() < n) out.reserve(std::max(out.size() + n, 2 * out.capacity()));
        if (bodies_.size() == bodies_.capacity()) bodies_.reserve(std::max<std::size_t>(4, 2 * bodies_.size()));
    }
    /// Appends a body without copying it; the message is held until it was written.
    void append(const message& body) {
        bodies_.push_back({bytes_.size(), 0, body});
        referenced_ += body.size();
    }

    static constexpr std::size_t max_buffers = 32;
    /// The next pieces in order, at most `max_buffers`; returns how many.
    [[nodiscard]] std::size_t gather(std::array<byte_view, max_buffers>& out) const noexcept {
        std::size_t n = 0, at = written_;
        for (const auto& b : bodies_) {
            if (n + 2 > max_buffers) return n;
            if (b.at > at) out[n++] = byte_view(bytes_).subspan(at, b.at - at);
            out[n++] = b.body.bytes().subspan(b.written);
            at = b.at;
        }
        if (at < bytes_.size() && n < max_buffers) out[n++] = byte_view(bytes_).subspan(at);
        return n;
    }
    /// The first `n` bytes were written.
    void consume(std::size_t n) noexcept {
        while (n > 0) {
            const std::size_t until = bodies_.empty() ? bytes_.size() : bodies_.front().at;
            const std::size_t plain = std::min(n, until - written_);
            written_ += plain;
            n -= plain;
            if (n == 0 || bodies_.empty()) break;
            piece& b = bodies_.front();
            const std::size_t part = std::min(n, b.body.size() - b.written);
            b.written += part;
            referenced_ -= part;
            n -= part;
            if (b.written == b.body.size()) bodies_.erase(bodies_.begin());
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

    void compact() noexcept {
        bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(written_));
        for (auto& b : bodies_) b.at -= written_;
        written_ = 0;
    }
    void release() noexcept {
        if (bytes_.capacity() != 0 && driver_->alive()) driver_->give_buffer(std::move(bytes_));
        bytes_ = {};
        written_ = 0;
    }

    driver* driver_;
    byte_vector bytes_;
    std::size_t written_ = 0;
    std::size_t referenced_ = 0;
    std::vector<piece> bodies_;
};

}  // namespace hawser::inline v0::detail

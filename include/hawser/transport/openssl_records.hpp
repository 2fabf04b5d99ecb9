// SPDX-License-Identifier: BSL-1.0
/// \file
/// Cuts what is to be written into records of TLS.
#pragma once

#include <hawser/transport/openssl_bio.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <optional>
#include <span>

namespace hawser::inline v0::detail {

/// Many small buffers become one record, copied together; a large one is encrypted from where it lies.
class record_cutter {
public:
    static constexpr std::size_t record_size = SSL3_RT_MAX_PLAIN_LENGTH;

    explicit record_cutter(std::span<const byte_view> buffers) noexcept : rest_(buffers) {
        for (const byte_view b : buffers) left_ += b.size();
    }
    /// Bytes that were not cut off yet.
    [[nodiscard]] std::size_t left() const noexcept { return left_; }
    /// The next record, valid until the call after it. Precondition: something is left.
    [[nodiscard]] byte_view next() {
        while (at_ == rest_[0].size()) advance();
        const byte_view front = rest_[0].subspan(at_);
        if (front.size() >= record_size || front.size() == left_) return take(std::min(front.size(), record_size));
        if (!gathered_) gathered_.emplace();
        const byte_span room = gathered_->all().first(std::min(record_size, left_));
        for (std::size_t n = 0; n < room.size();) {
            while (at_ == rest_[0].size()) advance();
            const byte_view piece = take(std::min(room.size() - n, rest_[0].size() - at_));
            std::memcpy(room.data() + n, piece.data(), piece.size());
            n += piece.size();
        }
        return room;
    }

private:
    void advance() noexcept {
        rest_ = rest_.subspan(1);
        at_ = 0;
    }
    [[nodiscard]] byte_view take(std::size_t n) noexcept {
        const byte_view piece = rest_[0].subspan(at_, n);
        at_ += n;
        left_ -= n;
        return piece;
    }

    std::span<const byte_view> rest_;
    std::size_t at_ = 0;  // of the first of the rest
    std::size_t left_ = 0;
    std::optional<plain_buffer> gathered_;
};

}  // namespace hawser::inline v0::detail

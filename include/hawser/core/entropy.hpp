// SPDX-License-Identifier: BSL-1.0
/// \file
/// Unpredictable bytes for masking keys, nonces and tokens, fetched in blocks.
#pragma once

#include <hawser/core/bytes.hpp>

#include <array>
#include <cstring>

namespace hawser::inline v0 {

/// Hands out bytes of a strong random source and asks it for a block at a time, so that a
/// masking key (RFC 6455 section 10.3) does not cost a system call. One per driver.
/// Thread safety: none; it lives on the driver's strand.
class entropy_pool {
public:
    /// Fills `out` with unpredictable bytes; returns false when the source failed.
    using source = bool (*)(void* context, byte_span out) noexcept;

    /// `context` is handed to `fill` with each call; both live as long as the pool.
    entropy_pool(source fill, void* context) noexcept : fill_(fill), context_(context) {}
    entropy_pool(const entropy_pool&) = delete;
    entropy_pool& operator=(const entropy_pool&) = delete;

    /// Fills `out`. Returns false, and leaves `out` unspecified, when the source failed.
    [[nodiscard]] bool take(byte_span out) noexcept {
        if (out.size() > block_.size()) return fill_(context_, out);
        if (left_ < out.size()) {
            if (!fill_(context_, block_)) return false;
            left_ = block_.size();
        }
        // Handed-out bytes are wiped, so that a token never stays behind in the pool.
        std::byte* from = block_.data() + (block_.size() - left_);
        std::memcpy(out.data(), from, out.size());
        std::memset(from, 0, out.size());
        left_ -= out.size();
        return true;
    }

private:
    source fill_;
    void* context_;
    std::size_t left_ = 0;
    std::array<std::byte, 1024> block_{};
};

}  // namespace hawser::inline v0

// SPDX-License-Identifier: BSL-1.0
/// \file
/// Whether the next message is worth an attempt to compress it.
#pragma once

#include <hawser/core/config.hpp>

#include <cstddef>
#include <cstdint>

namespace hawser::inline v0::ws {

/// The rule: after a message that did not become at least 1/8 smaller, the next 1 is sent without an
/// attempt; after the next such one 2, then 4, up to `most_skipped`. One that did become smaller by
/// that ends it. So data that are compressed already cost one attempt in 65 messages, and data that
/// begin to shrink are noticed within as many.
class shrink_history {
public:
    static constexpr std::uint8_t most_skipped = 64;

    /// Counts the next message; false: send it as it is.
    [[nodiscard]] bool attempt() noexcept {
        if (left_ == 0) return true;
        --left_;
        return false;
    }
    /// What became of an attempt.
    void note(std::size_t size, std::size_t compressed) noexcept {
        if (compressed <= size - size / 8 && compressed < size) {
            pause_ = 0;
        } else {
            pause_ =
                pause_ == 0 ? std::uint8_t{1} : static_cast<std::uint8_t>(pause_ < most_skipped ? 2 * pause_ : pause_);
            left_ = pause_;
        }
    }

private:
    std::uint8_t pause_ = 0;
    std::uint8_t left_ = 0;
};

}  // namespace hawser::inline v0::ws

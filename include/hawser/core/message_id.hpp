// SPDX-License-Identifier: BSL-1.0
/// \file
/// The identity of a message across connections, sessions and restarts.
#pragma once

#include <hawser/core/config.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>

namespace hawser::inline v0 {

/// Who made the message (128 random bits, kept in the client's store) and its number there.
/// Never reused, so two equal ids are the same message.
struct message_id {
    std::array<std::byte, 16> origin{};  ///< who made it
    std::uint64_t counter = 0;           ///< its number there, from 1

    /// Equal ids are the same message.
    friend bool operator==(const message_id& a, const message_id& b) noexcept;
};

// Hashing reads the object's bytes, so there must be no padding.
static_assert(sizeof(message_id) == 24 && std::has_unique_object_representations_v<message_id>);

/// Equal ids are the same message. (As a whole: a comparison of arrays goes through them byte by byte.)
inline bool operator==(const message_id& a, const message_id& b) noexcept { return std::memcmp(&a, &b, sizeof a) == 0; }

/// `00112233445566778899aabbccddeeff:42`: the origin in hexadecimal, the counter in decimal.
[[nodiscard]] inline std::string to_string(const message_id& id) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string text;
    text.reserve(16 * 2 + 1 + 20);
    for (const std::byte b : id.origin) {
        text += digits[std::to_integer<unsigned>(b) >> 4];
        text += digits[std::to_integer<unsigned>(b) & 15];
    }
    text += ':';
    text += std::to_string(id.counter);
    return text;
}

}  // namespace hawser::inline v0

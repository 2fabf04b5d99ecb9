// SPDX-License-Identifier: BSL-1.0
/// \file
/// How one message is to be sent.
#pragma once

#include <hawser/core/config.hpp>
#include <hawser/core/time.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

namespace hawser::inline v0 {

/// Class of a message that waits. Within a class the order is kept. Of 15 messages that leave while all
/// classes wait, 8 are urgent, 4 high, 2 normal and 1 low, evenly spread; what a class does not use goes to the
/// others. So the first of a class that waits is overtaken by 1, 3, 7 or 14 messages of other classes, at most.
enum class message_priority : std::uint8_t { urgent = 0, high = 1, normal = 2, low = 3 };
/// How many classes there are.
inline constexpr std::size_t priority_classes = 4;

/// The name of the enumerator; "?" for another value.
[[nodiscard]] constexpr const char* to_string(message_priority p) noexcept {
    switch (p) {
    case message_priority::urgent: return "urgent";
    case message_priority::high: return "high";
    case message_priority::normal: return "normal";
    case message_priority::low: return "low";
    }
    return "?";
}

/// How one message is to be sent. All of it is about the time while the message waits: from its first write on it
/// is neither overtaken nor replaced, and does not expire.
struct send_options {
    message_priority priority = message_priority::normal;  ///< before which others it leaves
    milliseconds ttl{0};         ///< it ends `expired` when it has waited so long; 0: it does not. At most 30 days.
    std::string coalesce_key{};  ///< takes the place of a waiting message with the same key, which ends `replaced`; at most 255 bytes
    std::string key{};           ///< idempotency key for the receiving application; at most 255 bytes

    static constexpr std::size_t max_key_size = 255;               ///< bytes of either key
    static constexpr milliseconds max_ttl = std::chrono::hours{24 * 30};  ///< of `ttl`

    /// Whether nothing is asked for.
    [[nodiscard]] bool is_usual() const noexcept {
        return priority == message_priority::normal && ttl == milliseconds{0} && coalesce_key.empty() && key.empty();
    }
    /// Whether every field is within its limits; a send with others fails with `invalid_argument`.
    [[nodiscard]] bool valid() const noexcept {
        return key.size() <= max_key_size && coalesce_key.size() <= max_key_size && ttl >= milliseconds{0} &&
               ttl <= max_ttl && static_cast<std::size_t>(priority) < priority_classes;
    }
};

}  // namespace hawser::inline v0

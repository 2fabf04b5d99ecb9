// SPDX-License-Identifier: BSL-1.0
/// \file
/// Ids of a feed's own, and whole contents, as keys of a dedup cache.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/core/message_id.hpp>
#include <hawser/core/xxh3.hpp>

#include <cstdint>
#include <cstring>
#include <string_view>

namespace hawser::inline v0 {

/// An id of up to 22 bytes is its own key: no two ids share one. A longer id is its XXH3-128 and its length; whoever
/// makes two of them meet on purpose makes a message of his own feed disappear, and nothing else.
[[nodiscard]] inline message_id key_of_id(std::string_view id, std::uint64_t seed) noexcept {
    constexpr std::size_t whole = 22;
    message_id key;
    if (id.size() > whole) {
        key.origin = xxh3_128(as_bytes(id), seed);
        key.counter = id.size() & 0xffff'ffff'ffffU;  // the two upper bytes are 0
        return key;
    }
    std::byte packed[sizeof(message_id)]{};
    if (!id.empty()) std::memcpy(packed, id.data(), id.size());
    packed[whole] = packed[whole + 1] = std::byte{static_cast<unsigned char>(id.size() + 1)};
    std::memcpy(&key, packed, sizeof key);
    return key;
}
/// The XXH3-128 of a whole content, with its length and kind.
[[nodiscard]] inline message_id key_of_content(byte_view content, bool text, std::uint64_t seed) noexcept {
    return {xxh3_128(content, seed), std::uint64_t{content.size()} * 2 + (text ? 1U : 0U)};
}

}  // namespace hawser::inline v0

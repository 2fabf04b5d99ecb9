// SPDX-License-Identifier: BSL-1.0
/// \file
/// The optional checksum of a frame. It finds damage, not malice: see docs/protocol.md.
#pragma once

#include <hawser/core/config.hpp>
#include <hawser/core/planted.hpp>
#include <hawser/core/xxh3.hpp>
#include <hawser/protocol/session/frame.hpp>

#include <cstddef>
#include <cstdint>

namespace hawser::inline v0 {
namespace session {

inline constexpr std::size_t checksum_offset = 2;
inline constexpr std::size_t checksum_size = 4;

/// `head` is what lies between the checksum and the payload. The payload is hashed alone and
/// its hash seeds that of the head, so that neither has to be copied to lie beside the other;
/// type and flags are in the seed as well, so nothing of the frame is left out.
[[nodiscard]] HAWSER_IN_LINE inline std::uint32_t checksum_of(frame_type type, std::uint8_t flags, byte_view head,
                                               byte_view payload) noexcept {
    const std::uint64_t of_payload = carries_payload(type) ? xxh3_64(payload) : 0;
    const std::uint64_t envelope = static_cast<std::uint8_t>(type) | std::uint64_t{flags} << 8;
    return static_cast<std::uint32_t>(xxh3_64(head, of_payload ^ envelope));
}

/// Verifies the checksum of a frame that has one. `payload` is the tail of `frame` that is the application's.
[[nodiscard]] inline bool checksum_matches(byte_view frame, frame_type type, std::uint8_t flags, byte_view payload) noexcept {
    if (planted(bug::checksum_unchecked)) return true;
    constexpr std::size_t begin = checksum_offset + checksum_size;
    const byte_view head = frame.subspan(begin, frame.size() - begin - payload.size());
    return load_le<std::uint32_t>(frame.data() + checksum_offset) == checksum_of(type, flags, head, payload);
}
/// Verifies the checksum, where the frame has one. Precondition: `decode(frame, e)` succeeded.
/// `payload` is the tail of `frame` that is the application's; empty for frames without.
[[nodiscard]] inline bool checksum_matches(byte_view frame, const envelope& e, byte_view payload) noexcept {
    return !e.has(flag::checksum) || checksum_matches(frame, e.type, e.flags, payload);
}

}  // namespace session
}  // namespace hawser::inline v0

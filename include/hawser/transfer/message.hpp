// SPDX-License-Identifier: BSL-1.0
/// \file
/// What the two sides of a transfer tell each other, as values; docs/protocol.md section 17 specifies every byte.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/core/errc.hpp>
#include <hawser/core/xxh3.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

namespace hawser::inline v0 {
namespace transfer {

/// Names one attempt of a transfer in its direction; the sender draws it by lot.
using id_type = std::uint64_t;
/// Names a source over all attempts, for the receiver to find what it has of it.
using key_type = std::array<std::byte, 16>;

inline constexpr std::size_t max_name_size = 1024;      ///< of a name in OFFER, bytes
inline constexpr std::size_t max_metadata_size = 4096;  ///< of the application's bytes in OFFER
inline constexpr std::size_t max_text_size = 255;       ///< of a reason's text
/// No transfer is as large.
inline constexpr std::uint64_t max_size = std::uint64_t{1} << 62;
/// CHUNK without its bytes, at most.
inline constexpr std::size_t max_chunk_head = 1 + 8 + 10;

enum class kind : std::uint8_t {
    offer = 1, accept = 2, refuse = 3, begin = 4, chunk = 5, end = 6, done = 7, cancel = 8, stop = 9, credit = 10,
};

/// Why a transfer is over. The numbers are stable; an unknown one counts as `refused`.
enum class reason : std::uint8_t {
    refused = 1,      ///< the receiver does not want it
    too_big = 2,      ///< over the receiver's limit
    no_space = 3,     ///< the receiver's disk is full
    storage = 4,      ///< another error where it is stored
    digest = 5,       ///< the digests differ
    source = 6,       ///< the source failed or changed
    cancelled = 7,    ///< the application cancelled it
    protocol = 8,     ///< the peer broke a rule
    unknown = 9,      ///< there is no such transfer here (any more)
    superseded = 10,  ///< the same source was offered again
    busy = 11,        ///< too many transfers at once
};
/// The error that a reason of the peer's becomes here.
[[nodiscard]] constexpr errc error_of(reason r) noexcept {
    switch (r) {
    case reason::refused: return errc::transfer_refused;
    case reason::too_big: return errc::transfer_too_big;
    case reason::no_space: return errc::transfer_no_space;
    case reason::storage: return errc::transfer_storage;
    case reason::digest: return errc::transfer_digest;
    case reason::source: return errc::transfer_source;
    case reason::cancelled: return errc::transfer_cancelled;
    case reason::protocol: return errc::transfer_protocol;
    case reason::unknown: return errc::transfer_interrupted;
    case reason::superseded: return errc::transfer_superseded;
    case reason::busy: return errc::too_many_waiters;
    }
    return errc::transfer_refused;
}
/// The reason that the peer is told for an error of this side.
[[nodiscard]] inline reason reason_of(std::error_code ec) noexcept {
    for (int r = 1; r <= static_cast<int>(reason::superseded); ++r)
        if (ec == error_of(static_cast<reason>(r))) return static_cast<reason>(r);
    return reason::cancelled;
}

// Sender to receiver.
struct offer {
    id_type id = 0;
    key_type key{};
    std::optional<std::uint64_t> size;  ///< absent: not known before the end
    std::string_view name;
    byte_view metadata;
};
struct begin {
    id_type id = 0;
    std::uint64_t from = 0;  ///< 0, or `from` of ACCEPT
};
struct chunk {
    id_type id = 0;
    std::uint64_t offset = 0;
    byte_view bytes;
};
struct end {
    id_type id = 0;
    std::uint64_t size = 0;
    digest128 digest{};
};
struct cancel {
    id_type id = 0;
    reason why = reason::cancelled;
    std::string_view text;
};
// Receiver to sender.
struct accept {
    id_type id = 0;
    std::uint64_t from = 0;   ///< bytes that the receiver has
    digest128 digest{};       ///< of these; only where `from` is not 0
    std::uint64_t limit = 0;  ///< credit: the sender may send bytes below this offset
};
struct refuse {
    id_type id = 0;
    reason why = reason::refused;
    std::string_view text;
};
struct credit {
    id_type id = 0;
    std::uint64_t limit = 0;
};
struct done {
    id_type id = 0;
};
struct stop {
    id_type id = 0;
    reason why = reason::cancelled;
    std::string_view text;
};

/// One message. Views point into the bytes that it was decoded from.
using any_message = std::variant<offer, accept, refuse, begin, chunk, end, done, cancel, stop, credit>;

}  // namespace transfer
}  // namespace hawser::inline v0

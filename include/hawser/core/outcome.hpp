// SPDX-License-Identifier: BSL-1.0
/// \file
/// What became of a message, and the ticket to ask for it.
#pragma once

#include <hawser/core/errc.hpp>

#include <cstddef>
#include <cstdint>

namespace hawser::inline v0 {

/// What became of a message. The numbers are stable.
enum class outcome : std::uint8_t {
    pending = 0,       ///< not known yet
    acknowledged = 1,  ///< session: the peer took responsibility for it
    duplicate = 2,     ///< session: the peer had it already
    rejected = 3,      ///< session: the peer refused it by name
    unknown = 4,       ///< it was written, and nobody can tell whether it arrived
    cancelled = 5,     ///< cancelled before it was written
    expired = 6,       ///< its time to live ran out before it was written
    refused = 7,       ///< never written: over the peer's `max_message_size`, or not accepted here
    written = 8,       ///< plain mode: handed to the connection; no more can be known
    replaced = 9,      ///< another with its coalescing key took its place before it was written
    dropped = 10,      ///< the overflow policy gave its room to others before it was written
};

/// The name of the enumerator; "?" for another value.
[[nodiscard]] constexpr const char* to_string(outcome o) noexcept {
    switch (o) {
    case outcome::pending: return "pending";
    case outcome::acknowledged: return "acknowledged";
    case outcome::duplicate: return "duplicate";
    case outcome::rejected: return "rejected";
    case outcome::unknown: return "unknown";
    case outcome::cancelled: return "cancelled";
    case outcome::expired: return "expired";
    case outcome::refused: return "refused";
    case outcome::written: return "written";
    case outcome::replaced: return "replaced";
    case outcome::dropped: return "dropped";
    }
    return "?";
}

/// The error code that a send completes with for an outcome; none for a success.
[[nodiscard]] inline std::error_code error_of(outcome o) noexcept {
    switch (o) {
    case outcome::rejected: return errc::rejected;
    case outcome::unknown: return errc::outcome_unknown;
    case outcome::cancelled: return errc::cancelled;
    case outcome::expired: return errc::expired;
    case outcome::refused: return errc::message_too_big;
    case outcome::replaced: return errc::replaced;
    case outcome::dropped: return errc::dropped;
    default: return {};
    }
}

/// Names a message that was accepted for sending, within its socket. A plain value.
struct ticket {
    std::uint64_t counter = 0;  ///< counter of the message id; 0 names nothing

    /// Whether it names a message.
    [[nodiscard]] explicit operator bool() const noexcept { return counter != 0; }
    /// Tickets of one socket are equal if they name the same message.
    friend bool operator==(ticket, ticket) = default;
};

/// Messages that were accepted together, in this order. A plain value.
struct ticket_range {
    ticket first;           ///< of the first message
    std::size_t count = 0;  ///< how many there are

    /// Precondition: `i < count`.
    [[nodiscard]] ticket operator[](std::size_t i) const noexcept { return {first.counter + i}; }
};

/// Result of `try_send`: a ticket, or the reason why the message was not taken.
struct [[nodiscard]] send_result {
    std::error_code error;  ///< why the message was not taken; none if it was
    hawser::ticket ticket;  ///< names it; empty if it was not taken

    /// Whether the message was taken.
    [[nodiscard]] explicit operator bool() const noexcept { return !error; }
};

/// Result of `try_send_batch`: tickets, or the reason why none of the messages was taken.
struct [[nodiscard]] batch_result {
    std::error_code error;  ///< why they were not taken; none if they were
    ticket_range tickets;   ///< names them; empty if they were not taken

    /// Whether they were taken.
    [[nodiscard]] explicit operator bool() const noexcept { return !error; }
};

}  // namespace hawser::inline v0

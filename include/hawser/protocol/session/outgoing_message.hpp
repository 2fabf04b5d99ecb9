// SPDX-License-Identifier: BSL-1.0
/// \file
/// A message on its way out, and what is told when its outcome is known.
#pragma once

#include <hawser/core/message.hpp>
#include <hawser/core/outcome.hpp>
#include <hawser/core/time.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace hawser::inline v0 {
namespace session {

/// Somebody who wants to know what became of a message. Owned by the outbox until then.
struct outcome_waiter {
    virtual ~outcome_waiter() = default;
    std::unique_ptr<outcome_waiter> next;
};

/// A message that waits, or that flies.
struct outgoing_message {
    std::uint64_t counter = 0;     ///< of its id
    std::uint64_t end_offset = 0;  ///< in flight: payload bytes of the epoch up to and with this message
    std::uint64_t lsn = 0;         ///< of the newest record about it
    message body;
    std::unique_ptr<std::string> key;
    std::unique_ptr<outcome_waiter> waiters;
    time_point enqueued{};
    bool written = false;    ///< in this epoch or an earlier one; never comes off
    bool withdrawn = false;  ///< cancelled while it waited; skipped when its turn comes
};

/// A message whose outcome is known.
struct finished_message {
    std::uint64_t counter = 0;
    std::uint64_t lsn = 0;  ///< report it when the journal is durable up to here
    outcome result = outcome::pending;
    time_point enqueued{};
    std::unique_ptr<outcome_waiter> waiters;
};

/// Memory that a message pins while it waits or flies, in bytes.
[[nodiscard]] inline std::size_t footprint(const message& m) noexcept {
    return m.footprint() + sizeof(outgoing_message);
}

/// Adds to a list of waiters, whose order does not matter.
inline void add_waiter(std::unique_ptr<outcome_waiter>& list, std::unique_ptr<outcome_waiter> waiter) noexcept {
    waiter->next = std::move(list);
    list = std::move(waiter);
}

}  // namespace session
}  // namespace hawser::inline v0

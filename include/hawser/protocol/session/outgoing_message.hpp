// SPDX-License-Identifier: BSL-1.0
/// \file
/// A message on its way out, and what is told when its outcome is known.
#pragma once

#include <hawser/core/message.hpp>
#include <hawser/core/outcome.hpp>
#include <hawser/core/send_options.hpp>
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

/// What few messages have, so that the others do not pay for it.
struct message_extras {
    std::string key;               ///< idempotency key, for the receiving application
    std::string coalesce_key;
    time_point deadline = never;   ///< it expires, if it still waits then
};

/// A message that waits, or that flies.
struct outgoing_message {
    std::uint64_t counter = 0;  ///< of its id
    std::uint64_t order = 0;    ///< rises along its lane: its place; along the window: the order of the first numbering
    std::uint64_t lsn = 0;      ///< of the newest record about it
    message body;
    std::unique_ptr<message_extras> extras;
    std::unique_ptr<outcome_waiter> waiters;
    time_point enqueued{};
    message_priority priority = message_priority::normal;
    bool written = false;    ///< in this epoch or an earlier one; never comes off
    bool numbered = false;   ///< had a number, in this epoch or an earlier one: it may not be reordered any more
    bool withdrawn = false;  ///< ended while it waited; skipped when its turn comes

    /// Whether the overflow policy may end it. Transfers bound what they have in the queue, and miss what they lose.
    [[nodiscard]] bool expendable() const noexcept { return body.kind() != message_kind::transfer; }
    [[nodiscard]] bool coalesces() const noexcept { return extras && !extras->coalesce_key.empty(); }
    [[nodiscard]] time_point deadline() const noexcept { return extras ? extras->deadline : never; }
};

/// A message whose outcome is known.
struct finished_message {
    std::uint64_t counter = 0;
    std::uint64_t lsn = 0;  ///< report it when the journal is durable up to here
    outcome result = outcome::pending;
    time_point enqueued{};
    std::unique_ptr<outcome_waiter> waiters;
};

/// Memory that a message pins while it waits or flies, in bytes. Handlers that wait for it are not counted.
[[nodiscard]] inline std::size_t footprint(const message& m) noexcept {
    return m.footprint() + sizeof(outgoing_message);
}
/// The same with what its options take: the extras, long strings, and their places in indexes.
[[nodiscard]] inline std::size_t footprint(const message& m, std::size_t key, std::size_t coalesce_key, bool expires) noexcept {
    constexpr std::size_t in_place = 15;  // characters that a string keeps inside itself, at least
    std::size_t bytes = footprint(m);
    if (key == 0 && coalesce_key == 0 && !expires) return bytes;
    bytes += hawser::detail::allocated_size(sizeof(message_extras));
    if (key > in_place) bytes += hawser::detail::allocated_size(key + 1);
    if (coalesce_key > in_place) bytes += hawser::detail::allocated_size(coalesce_key + 1);
    if (coalesce_key > 0) bytes += 96;             // nodes of hash tables
    if (expires || coalesce_key > 0) bytes += 32;  // a row in a heap that is at most half stale; those with a key may age by it
    return bytes;
}
[[nodiscard]] inline std::size_t footprint(const message& m, const send_options& how) noexcept {
    return footprint(m, how.key.size(), how.coalesce_key.size(), how.ttl > milliseconds{0});
}
[[nodiscard]] inline std::size_t footprint(const outgoing_message& m) noexcept {
    if (!m.extras) return footprint(m.body);
    return footprint(m.body, m.extras->key.size(), m.extras->coalesce_key.size(), m.extras->deadline != never);
}

/// Adds to a list of waiters, whose order does not matter.
inline void add_waiter(std::unique_ptr<outcome_waiter>& list, std::unique_ptr<outcome_waiter> waiter) noexcept {
    waiter->next = std::move(list);
    list = std::move(waiter);
}

}  // namespace session
}  // namespace hawser::inline v0

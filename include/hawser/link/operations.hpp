// SPDX-License-Identifier: BSL-1.0
/// \file
/// What waits at a link: operations of the application, messages on their way in and out.
#pragma once

#include <hawser/core/errc.hpp>
#include <hawser/core/message.hpp>
#include <hawser/core/message_id.hpp>
#include <hawser/core/outcome.hpp>
#include <hawser/core/ring.hpp>
#include <hawser/core/send_options.hpp>
#include <hawser/link/operation.hpp>
#include <hawser/link/transfer_port.hpp>
#include <hawser/protocol/session/outgoing_message.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace hawser::inline v0::detail {

/// Somebody waits for the outcome of a message.
struct send_waiter final : session::outcome_waiter {
    send_waiter(send_completion d, std::uint64_t s, bool sender) noexcept
        : done(std::move(d)), serial(s), sent_it(sender) {}
    send_completion done;
    std::uint64_t serial;  // of the operation, for its cancellation
    bool sent_it;          // the operation brought the message, so cancelling it may withdraw that
};

/// What an application hands in: one message, or several for all or nothing.
struct submission {
    message body{};
    std::vector<message> batch{};  // instead of `body`
    send_options how{};

    [[nodiscard]] std::size_t count() const noexcept { return batch.empty() ? 1 : batch.size(); }
    [[nodiscard]] std::size_t footprint() const noexcept { return batch.empty() ? session::footprint(body, how) : footprint(batch, how); }
    [[nodiscard]] static std::size_t footprint(std::span<const message> bodies, const send_options& how) noexcept {
        std::size_t bytes = 0;
        for (const message& m : bodies) bytes += session::footprint(m, how);
        return bytes;
    }
};

/// It waits for room in the queue, with the operation that brought it.
struct blocked_send {
    std::uint64_t serial = 0;
    submission what{};
    send_completion send{};        // one of the three
    enqueue_completion enqueue{};
    batch_completion batch{};

    void complete(std::error_code ec, outcome o) {
        send(ec, o);
        enqueue(ec, ticket{});
        batch(ec, ticket_range{});
    }
};

/// Whether something goes into the queue.
struct admitted {
    std::error_code error{};  // `would_block`: it has to wait
    bool dropped = false;     // it is taken, and ends `dropped`
};

/// An operation that completes when its message is accepted (durable, where the store is).
struct accepted_enqueue {
    std::uint64_t serial = 0;
    std::uint64_t lsn = 0;
    ticket_range tickets{};
    enqueue_completion one{};    // one of the two
    batch_completion several{};

    void complete(std::error_code ec, bool with_tickets) {
        one(ec, with_tickets ? tickets.first : ticket{});
        several(ec, with_tickets ? tickets : ticket_range{});
    }
    [[nodiscard]] bool waits() const noexcept { return one || several; }
};

/// An operation that waits for a state.
struct waiting_operation {
    std::uint64_t serial = 0;
    plain_completion done{};
    bool has_effects = false;  // it started something that goes on without it
};

/// A received message that nobody has taken yet.
struct ready_message {
    message body;
    message_id id{};
    std::uint64_t seq = 0;
    std::uint64_t epoch_serial = 0;
    std::string key{};
    bool given_back = false;  // by a receive that was cancelled; it is known not to be a copy
};

/// A message that was handed over, while that is not accepted yet.
struct taken_message {
    std::uint64_t epoch_serial = 0;
    std::uint64_t seq = 0;
    message_id id{};
};

/// What few sockets use, so that the others at rest do not pay for it.
struct link_extras {
    std::function<void(ticket, outcome)> on_outcome{};
    std::function<void(bool)> on_backpressure{};
    std::shared_ptr<const transaction_handler> on_transaction{};
    std::shared_ptr<const piece_handler> on_piece{};  // and then `on_message_` calls it for what came whole
    bool skips_rest = false;  // of a message whose beginning went to another function
    std::shared_ptr<transfer_port> transfers{};
    ring<taken_message> in_commit{};  // their effects are, in order
    ring<blocked_send> blocked{};
    ring<accepted_enqueue> accepted{};
    ring<waiting_operation> openers{};
    ring<waiting_operation> loaders{};
    ring<waiting_operation> closers{};
    ring<waiting_operation> writers{};  // wait until the connection takes something
};

}  // namespace hawser::inline v0::detail

// SPDX-License-Identifier: BSL-1.0
/// \file
/// Sending from any thread.
#pragma once

#include <hawser/link/sender_queue.hpp>

namespace hawser::inline v0 {

/// A copyable way to send into one socket, from `resilient_socket::handle()`. It may outlive
/// the socket and the io_context. Thread safety: all members at once.
class sender {
public:
    sender() = default;
    /// Internal: `resilient_socket::handle()` makes them.
    explicit sender(std::shared_ptr<detail::sender_queue> queue) noexcept : queue_(std::move(queue)) {}

    /// Hands a message over; the socket takes it in order of arrival, when `options::queue` has room for it, whatever
    /// the overflow policy is. It is sent as those of `try_send` are: what cannot leave at once passes through the
    /// queue, and `on_outcome` tells what became of it.
    /// Errors: `would_block` when the hand-over queue is full (limits as `options::queue`),
    /// `closed` when the socket has ended. The message was not taken then.
    [[nodiscard]] std::error_code send(message body) const {
        return queue_ ? queue_->push(std::move(body)) : make_error_code(errc::closed);
    }
    /// The same with options; `invalid_argument` where they are not valid. Its time to live begins when the socket
    /// takes it.
    [[nodiscard]] std::error_code send(message body, send_options how) const {
        if (!how.valid()) return errc::invalid_argument;
        return queue_ ? queue_->push(std::move(body), std::make_unique<send_options>(std::move(how))) : make_error_code(errc::closed);
    }
    /// Whether it came from a socket; a default-constructed one takes nothing.
    [[nodiscard]] explicit operator bool() const noexcept { return queue_ != nullptr; }

private:
    std::shared_ptr<detail::sender_queue> queue_;
};

}  // namespace hawser::inline v0

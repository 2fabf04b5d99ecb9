// SPDX-License-Identifier: BSL-1.0
/// \file
/// The accepting side: an endpoint that gives sockets.
#pragma once

#include <hawser/link/operation.hpp>
#include <hawser/resilient_socket.hpp>
#include <hawser/server/drain_options.hpp>
#include <hawser/server/listener_options.hpp>

#include <asio/async_result.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace hawser::inline v0 {

/// Listens, upgrades, and gives a `resilient_socket` for each plain WebSocket and for each
/// session. A client that resumes its session gives no new socket: it is attached to the one
/// that it had. With a durable store, sessions of an earlier process go on: the client that resumes one
/// gives a socket, which says `restored()`. So does one whose socket is gone, as the store still has it.
///
/// Thread safety and executors as `resilient_socket`. Destroying it ends pending operations
/// with `operation_aborted` and stops listening; accepted sockets live on, but their sessions
/// cannot be resumed any more: one that is detached ends, with `session_expired`. (A durable store keeps
/// them for the next listener.)
///
/// Example:
/// \include chat_server/chat_server.cpp
template <socket_policies P = default_policies>
class listener {
    using core_type = detail::listener_core<P>;
    using core_ptr = std::shared_ptr<core_type>;
#if defined(HAWSER_SEPARATE_COMPILATION)
    static_assert(detail::compiled_policies<P>,
                  "The compiled library has listeners with default_policies; for policies of your own include <hawser/custom_policies.hpp> first.");
#endif

public:
    using executor_type = driver::executor_type;  ///< the strand
    using socket_type = resilient_socket<P>;      ///< what it gives

    /// Listens at once. Throws `option_error`, and std::system_error when it cannot (address
    /// in use, not permitted, not an address).
    listener(asio::io_context& context, const listen_endpoint& where, listener_options settings,
             policy_objects<P> objects = {});
    /// The same with the options of the accepted sockets alone.
    listener(asio::io_context& context, const listen_endpoint& where, hawser::options socket,
             policy_objects<P> objects = {});
    /// The operations and sessions of the other go on with this one. What was moved from may only be assigned to
    /// or destroyed.
    listener(listener&&) noexcept = default;
    /// The same; what this one was before is destroyed.
    listener& operator=(listener&& other) noexcept {
        listener moved(std::move(other));
        std::swap(core_, moved.core_);
        return *this;
    }
    ~listener() {
        if (core_) let_go();
    }

    /// The next accepted socket: a plain one after its upgrade, one with a session after its
    /// client has confirmed it. Signature: `void(std::error_code, resilient_socket<P>)`.
    /// Errors: `closed`, `too_many_waiters`; where the store cannot be read `locked`, `store_corrupt` or `store_failed`,
    /// and nobody is let in. Cancelling, of any kind: `operation_aborted`; also when a
    /// socket was on its way to the handler, and the next accept gets that.
    template <class Token>
    auto async_accept(Token&& token) {
        return asio::async_initiate<Token, void(std::error_code, socket_type)>(
            [](auto handler, core_ptr core) {
                start_accept(core, detail::make_taking<accept_completion, socket_type>(core, std::move(handler)));
            },
            token, core_);
    }
    /// Stops listening and closes all accepted sockets with 1001, in order and each within its
    /// `close_timeout`. Signature: `void(std::error_code)`. Cancelling, terminal or partial: ends the
    /// wait with `operation_aborted` and leaves the closing alone; total has no effect.
    template <class Token>
    auto async_close(Token&& token) {
        return asio::async_initiate<Token, void(std::error_code)>(
            [](auto handler, core_ptr core) {
                start_close(core, detail::make_operation<detail::plain_completion>(core, std::move(handler)));
            },
            token, core_);
    }

    /// Lets nobody in any more (503 with Retry-After) and asks all clients to go: each is told a moment of its own,
    /// spread evenly over the window. A client with hawser.v1 goes then, when what is in flight both ways is acknowledged, and
    /// connects again without backoff; a plain one is closed with 1012. Completes when all are gone: soon after the window, at
    /// the latest a `close_timeout` later. To restart in place, give `first` and call `async_close` at once: clients keep
    /// the moment that they were told. Signature: `void(std::error_code)`. Errors: `invalid_argument`
    /// (`drain_options::problems` says what), `closed`, `operation_in_progress`. Cancelling, terminal or partial: ends the
    /// wait with `operation_aborted`, not the draining; total has no effect.
    template <class Token>
    auto async_drain(drain_options how, Token&& token) {
        return asio::async_initiate<Token, void(std::error_code)>(
            [](auto handler, core_ptr core, drain_options o) {
                start_drain(core, detail::make_operation<detail::plain_completion>(core, std::move(handler)), std::move(o));
            },
            token, core_, std::move(how));
    }

    /// The port listened on, also when 0 was asked for.
    [[nodiscard]] std::uint16_t port() const;
    /// Links that are not over, detached ones included.
    [[nodiscard]] std::size_t connections() const noexcept;
    /// The strand of the listener and of all sockets that it gives.
    [[nodiscard]] executor_type get_executor() const noexcept;

private:
    using accept_completion = detail::completion<std::error_code, socket_type>;
    void let_go() noexcept;
    // As in resilient_socket.hpp.
    static void start_accept(const core_ptr& core, detail::operation<accept_completion> op);
    static void start_close(const core_ptr& core, detail::operation<detail::plain_completion> op);
    static void start_drain(const core_ptr& core, detail::operation<detail::plain_completion> op, drain_options how);

    core_ptr core_;
};

}  // namespace hawser::inline v0

#if defined(HAWSER_SEPARATE_COMPILATION)
namespace hawser::inline v0 {
// Compiled in src/hawser.cpp.
extern template struct detail::operation_target<detail::listener_core<default_policies>>;
extern template void detail::operation_target<detail::listener_core<default_policies>>::cancel_taking(
    std::shared_ptr<detail::listener_core<default_policies>>, std::uint64_t, asio::cancellation_type,
    std::shared_ptr<detail::parcel<resilient_socket<default_policies>>>);
extern template class listener<default_policies>;
}  // namespace hawser::inline v0
#else
#include <hawser/server/listener_members.hpp>
#endif

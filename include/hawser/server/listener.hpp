// SPDX-License-Identifier: BSL-1.0
/// \file
/// The accepting side: an endpoint that gives sockets.
#pragma once

#include <hawser/resilient_socket.hpp>
#include <hawser/server/listener_admission.hpp>
#include <hawser/server/listener_core.hpp>
#include <hawser/server/listener_drain.hpp>
#include <hawser/server/listener_sessions.hpp>
#include <hawser/server/listener_store.hpp>
#include <hawser/server/listener_upkeep.hpp>

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

public:
    using executor_type = driver::executor_type;  ///< the strand
    using socket_type = resilient_socket<P>;      ///< what it gives

    /// Listens at once. Throws `option_error`, and std::system_error when it cannot (address
    /// in use, not permitted, not an address).
    listener(asio::io_context& context, const listen_endpoint& where, listener_options settings,
             policy_objects<P> objects = {}) {
        if (auto problems = settings.problems(); !problems.empty()) throw option_error(std::move(problems));
        core_ = std::make_shared<core_type>(use_driver(context), std::move(settings), std::move(objects));
        if (const auto ec = core_->listen(where))
            throw std::system_error(ec, "cannot listen on " + (where.path.empty() ? where.address + " port " + std::to_string(where.port) : where.path));
    }
    /// The same with the options of the accepted sockets alone.
    listener(asio::io_context& context, const listen_endpoint& where, hawser::options socket,
             policy_objects<P> objects = {})
        : listener(context, where, listener_options{.socket = std::move(socket)}, std::move(objects)) {}
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
        if (!core_ || !core_->runtime().alive()) return;
        core_type& target = *core_;
        target.orphan_on_strand(std::move(core_));
    }

    /// The next accepted socket: a plain one after its upgrade, one with a session after its
    /// client has confirmed it. Signature: `void(std::error_code, resilient_socket<P>)`.
    /// Errors: `closed`, `too_many_waiters`; where the store cannot be read `locked`, `store_corrupt` or `store_failed`,
    /// and nobody is let in. Cancelling, of any kind: `operation_aborted`; also when a
    /// socket was on its way to the handler, and the next accept gets that.
    template <class Token>
    auto async_accept(Token&& token) {
        return asio::async_initiate<Token, void(std::error_code, socket_type)>(
            [](auto handler, std::shared_ptr<core_type> core) {
                detail::begin_taking<typename core_type::accept_completion, socket_type>(
                    core, std::move(handler),
                    [](core_type& target, std::uint64_t serial, auto done) { target.accept(serial, std::move(done)); });
            },
            token, core_);
    }
    /// Stops listening and closes all accepted sockets with 1001, in order and each within its
    /// `close_timeout`. Signature: `void(std::error_code)`. Cancelling, terminal or partial: ends the
    /// wait with `operation_aborted` and leaves the closing alone; total has no effect.
    template <class Token>
    auto async_close(Token&& token) {
        return asio::async_initiate<Token, void(std::error_code)>(
            [](auto handler, std::shared_ptr<core_type> core) {
                detail::begin_operation<detail::plain_completion>(
                    core, std::move(handler),
                    [](core_type& target, std::uint64_t serial, auto done) { target.close(serial, std::move(done)); });
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
            [](auto handler, std::shared_ptr<core_type> core, drain_options o) {
                detail::begin_operation<detail::plain_completion>(
                    core, std::move(handler), [o = std::move(o)](core_type& target, std::uint64_t serial, auto done) {
                        target.drain(serial, o, std::move(done));
                    });
            },
            token, core_, std::move(how));
    }

    /// The port listened on, also when 0 was asked for.
    [[nodiscard]] std::uint16_t port() const { return core_->port(); }
    /// Links that are not over, detached ones included.
    [[nodiscard]] std::size_t connections() const noexcept { return core_->connections(); }
    /// The strand of the listener and of all sockets that it gives.
    [[nodiscard]] executor_type get_executor() const noexcept { return core_->runtime().executor(); }

private:
    std::shared_ptr<core_type> core_;
};

}  // namespace hawser::inline v0

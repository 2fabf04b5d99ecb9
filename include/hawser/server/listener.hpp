// SPDX-License-Identifier: BSL-1.0
/// \file
/// The accepting side: an endpoint that gives sockets.
#pragma once

#include <hawser/resilient_socket.hpp>
#include <hawser/server/listener_core.hpp>

#include <memory>
#include <utility>

namespace hawser::inline v0 {

/// Listens, upgrades, and gives a `resilient_socket` for each plain WebSocket and for each
/// session. A client that resumes its session gives no new socket: it is attached to the one
/// that it had.
///
/// Thread safety and executors as `resilient_socket`. Destroying it ends pending operations
/// with `operation_aborted` and stops listening; accepted sockets live on, but their sessions
/// cannot be resumed any more: one that is detached ends, with `session_expired`.
template <socket_policies P = default_policies>
class listener {
    using core_type = detail::listener_core<P>;

public:
    using executor_type = driver::executor_type;
    using socket_type = resilient_socket<P>;

    /// Listens at once. Throws `option_error`, and std::system_error when it cannot (address
    /// in use, not permitted, not an address).
    listener(asio::io_context& context, const listen_endpoint& where, listener_options settings,
             policy_objects<P> objects = {}) {
        if (auto problems = settings.problems(); !problems.empty()) throw option_error(std::move(problems));
        core_ = std::make_shared<core_type>(use_driver(context), std::move(settings), std::move(objects));
        if (const auto ec = core_->listen(where))
            throw std::system_error(ec, "cannot listen on " + where.address + " port " + std::to_string(where.port));
    }
    /// The same with the options of the accepted sockets alone.
    listener(asio::io_context& context, const listen_endpoint& where, hawser::options socket,
             policy_objects<P> objects = {})
        : listener(context, where, listener_options{.socket = std::move(socket)}, std::move(objects)) {}
    listener(listener&&) noexcept = default;
    listener& operator=(listener&& other) noexcept {
        listener moved(std::move(other));
        std::swap(core_, moved.core_);
        return *this;
    }
    ~listener() {
        if (!core_ || !core_->runtime().alive()) return;
        driver& d = core_->runtime();
        dispatch(d, [core = std::move(core_)] { core->orphan(); });
    }

    /// The next accepted socket: a plain one after its upgrade, one with a session after its
    /// client has confirmed it. Signature: `void(std::error_code, resilient_socket<P>)`.
    /// Errors: `closed`, `too_many_waiters`.
    template <class Token>
    auto async_accept(Token&& token) {
        return asio::async_initiate<Token, void(std::error_code, socket_type)>(
            [](auto handler, std::shared_ptr<core_type> core) {
                begin<typename core_type::accept_completion>(
                    core, std::move(handler),
                    [](core_type& target, std::uint64_t serial, auto done) { target.accept(serial, std::move(done)); });
            },
            token, core_);
    }
    /// Stops listening and closes all accepted sockets with 1001, in order and each within its
    /// `close_timeout`. Signature: `void(std::error_code)`. Cancelling leaves the closing alone.
    template <class Token>
    auto async_close(Token&& token) {
        return asio::async_initiate<Token, void(std::error_code)>(
            [](auto handler, std::shared_ptr<core_type> core) {
                begin<detail::plain_completion>(
                    core, std::move(handler),
                    [](core_type& target, std::uint64_t serial, auto done) { target.close(serial, std::move(done)); });
            },
            token, core_);
    }

    /// The port listened on, also when 0 was asked for.
    [[nodiscard]] std::uint16_t port() const { return core_->port(); }
    /// Links that are not over, detached ones included.
    [[nodiscard]] std::size_t connections() const noexcept { return core_->connections(); }
    [[nodiscard]] executor_type get_executor() const noexcept { return core_->runtime().executor(); }

private:
    // As `begin_operation` of a socket.
    template <class Completion, class Handler, class Start>
    static void begin(const std::shared_ptr<core_type>& core, Handler handler, Start start) {
        const std::uint64_t serial = core->next_serial();
        driver& d = core->runtime();
        if (auto slot = asio::get_associated_cancellation_slot(handler); slot.is_connected()) {
            slot.assign([weak = std::weak_ptr<core_type>(core), serial](asio::cancellation_type) {
                auto alive = weak.lock();
                if (!alive) return;
                driver& runtime = alive->runtime();
                if (runtime.alive())
                    dispatch(runtime, [alive = std::move(alive), serial] { alive->cancel_operation(serial); });
            });
        }
        Completion done(std::move(handler), d.executor());
        dispatch(d, [core, serial, start, done = std::move(done)]() mutable {
            if (core->runtime().alive()) start(*core, serial, std::move(done));
        });
    }

    std::shared_ptr<core_type> core_;
};

}  // namespace hawser::inline v0

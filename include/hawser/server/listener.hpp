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
/// cannot be resumed any more.
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
        dispatch(d, [core = std::move(core_)] {
            const driver::turn t(core->runtime());
            core->orphan();
        });
    }

    /// The next accepted socket: a plain one after its upgrade, one with a session after its
    /// client has confirmed it. Signature: `void(std::error_code, resilient_socket<P>)`.
    /// Errors: `closed`, `too_many_waiters`.
    template <class Token>
    auto async_accept(Token&& token) {
        return asio::async_initiate<Token, void(std::error_code, socket_type)>(
            [](auto handler, std::shared_ptr<core_type> core) { start_accept(core, std::move(handler)); }, token, core_);
    }
    /// Stops listening and closes all accepted sockets with 1001, in order and each within its
    /// `close_timeout`. Signature: `void(std::error_code)`.
    template <class Token>
    auto async_close(Token&& token) {
        return asio::async_initiate<Token, void(std::error_code)>(
            [](auto handler, std::shared_ptr<core_type> core) {
                detail::plain_completion done(std::move(handler), core->runtime().executor());
                dispatch(core->runtime(), [core, done = std::move(done)]() mutable {
                    const driver::turn t(core->runtime());
                    core->close(std::move(done));
                });
            },
            token, core_);
    }

    /// The port listened on, also when 0 was asked for.
    [[nodiscard]] std::uint16_t port() const { return core_->port(); }
    /// Links that are not over, detached ones included.
    [[nodiscard]] std::size_t connections() const noexcept { return core_->connections(); }
    [[nodiscard]] executor_type get_executor() const noexcept { return core_->runtime().executor(); }

private:
    // The link becomes a socket on its way to the handler.
    template <class Handler>
    struct accepted {
        using executor_type = asio::associated_executor_t<Handler, driver::executor_type>;
        using allocator_type = asio::associated_allocator_t<Handler>;
        Handler handler;
        executor_type executor;
        [[nodiscard]] executor_type get_executor() const noexcept { return executor; }
        [[nodiscard]] allocator_type get_allocator() const noexcept { return asio::get_associated_allocator(handler); }
        void operator()(std::error_code ec, typename core_type::link_ptr l) {
            std::move(handler)(ec, socket_type(std::move(l)));
        }
    };
    template <class Handler>
    static void start_accept(const std::shared_ptr<core_type>& core, Handler handler) {
        const std::uint64_t serial = core->next_serial();
        if (auto slot = asio::get_associated_cancellation_slot(handler); slot.is_connected()) {
            slot.assign([weak = std::weak_ptr<core_type>(core), serial](asio::cancellation_type) {
                if (const auto alive = weak.lock())
                    dispatch(alive->runtime(), [alive, serial] { alive->cancel_operation(serial); });
            });
        }
        const auto executor = asio::get_associated_executor(handler, core->runtime().executor());
        typename core_type::accept_completion done(accepted<Handler>{std::move(handler), executor},
                                                   core->runtime().executor());
        dispatch(core->runtime(), [core, serial, done = std::move(done)]() mutable {
            core->accept(serial, std::move(done));
        });
    }

    std::shared_ptr<core_type> core_;
};

}  // namespace hawser::inline v0

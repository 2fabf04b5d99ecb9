// SPDX-License-Identifier: BSL-1.0
/// \file
/// A listening TCP socket on Asio's.
#pragma once

#include <hawser/driver/asio_stream.hpp>
#include <hawser/driver/local_socket.hpp>

#include <memory>
#include <new>

namespace hawser::inline v0::detail {

/// State shared with the operations under way; the acceptor that owns it may go at any time.
struct asio_acceptor_state : std::enable_shared_from_this<asio_acceptor_state> {
    asio_acceptor_state(driver& d, std::shared_ptr<read_buffer> shared, const driver::executor_type& executor)
        : owner(d), buffer(std::move(shared)), socket(executor) {}

    driver& owner;
    std::shared_ptr<read_buffer> buffer;
    asio::ip::tcp::acceptor socket;
    asio::ip::tcp protocol = asio::ip::tcp::v4();
    local_socket_file file;
    bool local = false;
    acceptor_sink* sink = nullptr;
    bool failing = false;  // since the last connection that was accepted
    timer_node pause{this, on_timer<&asio_acceptor_state::go_on>};

    // After a failure such as EMFILE the descriptor stays readable: accepting again at once
    // would burn the CPU.
    static constexpr auto pause_after_error = milliseconds{100};
    // Connections per wake-up, before the other handlers of the host get their turn.
    static constexpr int max_accepts_per_wakeup = 16;

    virtual ~asio_acceptor_state() = default;
    /// Accepts without waiting; `would_block` when nobody is there. May throw std::bad_alloc.
    [[nodiscard]] virtual std::error_code accept_one(stream_ptr& accepted) {
        tcp_socket peer(owner.executor());
        if (const auto ec = accept_socket(socket, protocol, peer)) return ec;
        auto state = std::make_shared<asio_stream_state>(owner, buffer, std::move(peer));
        state->local = local;
        state->prepare();
        accepted = std::make_unique<asio_stream>(std::move(state));
        return {};
    }

    [[nodiscard]] std::error_code open(const listen_endpoint& where) {
        if (!where.path.empty()) {
            local = true;
            const std::error_code ec = file.listen(socket, where.path, where.permissions, where.backlog);
            return ec;
        }
        std::error_code ec;
        const auto address = asio::ip::make_address(where.address, ec);
        if (ec) return errc::invalid_argument;
        const asio::ip::tcp::endpoint endpoint(address, where.port);
        protocol = endpoint.protocol();
        ec = open_socket(socket, protocol);
        if (!ec) socket.set_option(asio::socket_base::reuse_address(true), ec);
#if defined(SO_REUSEPORT)
        using reuse_port = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;
        if (!ec && where.reuse_port) socket.set_option(reuse_port(true), ec);
#else
        if (!ec && where.reuse_port) ec = asio::error::operation_not_supported;
#endif
        if (!ec) socket.bind(endpoint, ec);
        if (!ec) socket.listen(where.backlog, ec);
        if (!ec) socket.non_blocking(true, ec);
        return ec;
    }
    static void wait(const std::shared_ptr<asio_acceptor_state>& self) {
        try {
            self->socket.async_wait(asio::socket_base::wait_read, [self](std::error_code ec) { self->on_ready(ec); });
        } catch (const std::bad_alloc&) {
            self->back_off(std::make_error_code(std::errc::not_enough_memory));
        }
    }

private:
    void on_ready(std::error_code ec) {
        if (!sink || ec == asio::error::operation_aborted) return;
        const driver::turn t(owner);
        if (!ec) ec = accept_some();
        if (ec) back_off(ec);
        else go_on({});
    }
    [[nodiscard]] std::error_code accept_some() {
        for (int i = 0; sink && i < max_accepts_per_wakeup; ++i) {
            try {
                stream_ptr accepted;
                const std::error_code ec = accept_one(accepted);
                if (ec == std::errc::operation_would_block || ec == std::errc::resource_unavailable_try_again) return {};
                if (is_of_peer(ec)) continue;
                if (ec) return ec;
                failing = false;
                sink->on_accept(std::move(accepted));
            } catch (const std::bad_alloc&) {
                return std::make_error_code(std::errc::not_enough_memory);
            }
        }
        return {};
    }
    // The connection was lost before it was accepted; accept(2) of Linux passes its error on.
    [[nodiscard]] static bool is_of_peer(std::error_code ec) noexcept {
        for (const auto of_peer :
             {std::errc::interrupted, std::errc::connection_aborted, std::errc::protocol_error, std::errc::network_down,
              std::errc::network_unreachable, std::errc::host_unreachable})
            if (ec == of_peer) return true;
        return false;
    }
    void back_off(std::error_code ec) {
        if (!sink) return;
        owner.arm(pause, add_saturated(owner.now(), pause_after_error));  // first: what follows may throw
        if (!std::exchange(failing, true)) sink->on_accept_error(ec);
    }
    void go_on(time_point) {
        if (const auto self = this->weak_from_this().lock(); self && sink) wait(self);
    }
};

class asio_acceptor final : public acceptor {
public:
    explicit asio_acceptor(std::shared_ptr<asio_acceptor_state> state) : state_(std::move(state)) {}
    ~asio_acceptor() override {
        state_->sink = nullptr;
        state_->file.remove();
        std::error_code ignored;
        state_->socket.close(ignored);
        state_->pause.cancel();
    }
    [[nodiscard]] std::uint16_t port() const override {
        std::error_code ec;
        const auto endpoint = state_->socket.local_endpoint(ec);
        return ec ? std::uint16_t{0} : endpoint.port();
    }

private:
    std::shared_ptr<asio_acceptor_state> state_;
};

}  // namespace hawser::inline v0::detail

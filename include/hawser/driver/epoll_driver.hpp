// SPDX-License-Identifier: BSL-1.0
/// \file
/// The driver on an epoll set of its own: the default on Linux.
#pragma once

#if defined(__linux__)

#include <hawser/driver/asio_driver.hpp>
#include <hawser/driver/epoll_reactor.hpp>
#include <hawser/driver/epoll_stream.hpp>

#include <memory>
#include <string>
#include <utility>

namespace hawser::inline v0 {

namespace detail {

/// Waits on Asio's acceptor, takes plain descriptors.
struct epoll_acceptor_state final : asio_acceptor_state {
    epoll_acceptor_state(driver& d, epoll_reactor& r) : asio_acceptor_state(d, nullptr, d.executor()), reactor(r) {}
    [[nodiscard]] std::error_code accept_one(stream_ptr& accepted) override {
        owned_descriptor descriptor(::accept4(socket.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (descriptor.value < 0) return last_system_error();
        accepted = std::make_unique<epoll_stream>(reactor, descriptor.value, local);
        descriptor.release();
        return {};
    }
    epoll_reactor& reactor;
};

}  // namespace detail

/// As `asio_driver`, but connected sockets are in one level-triggered epoll set, for which Asio waits as for one
/// descriptor: reading costs one system call, and waiting none for each connection.
class epoll_driver final : public asio_driver {
public:
    /// Throws std::system_error where there is no descriptor for the set.
    explicit epoll_driver(asio::io_context& context) : asio_driver(context), reactor_(*this) {}

    [[nodiscard]] stream_ptr connect(const std::string& host, std::uint16_t port, stream_sink& sink) override {
        auto result = std::make_unique<detail::epoll_stream>(reactor_, sink, false);
        result->set_dialler(asio_driver::connect(host, port, result->dialling()));
        return result;
    }
    [[nodiscard]] stream_ptr connect_local(const std::string& path, stream_sink& sink, std::error_code& ec) override {
        auto result = std::make_unique<detail::epoll_stream>(reactor_, sink, true);
        auto dialler = asio_driver::connect_local(path, result->dialling(), ec);
        if (!dialler) return nullptr;
        result->set_dialler(std::move(dialler));
        return result;
    }

protected:
    void release() noexcept override {
        reactor_.release();
        asio_driver::release();
    }
    [[nodiscard]] std::shared_ptr<detail::asio_acceptor_state> make_acceptor() override {
        return std::make_shared<detail::epoll_acceptor_state>(*this, reactor_);
    }

private:
    detail::epoll_reactor reactor_;
};

}  // namespace hawser::inline v0

#endif

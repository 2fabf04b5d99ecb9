// SPDX-License-Identifier: BSL-1.0
/// \file
/// Opening and accepting sockets that a program started by the host does not inherit.
#pragma once

#include <hawser/driver/driver.hpp>

#include <asio/error.hpp>
#include <asio/ip/tcp.hpp>

#include <cerrno>
#include <system_error>

#if !defined(_WIN32)
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#endif

namespace hawser::inline v0::detail {

/// Knows its executor by type: Asio's usual sockets look theirs up behind a pointer for each operation.
using tcp_socket = asio::basic_stream_socket<asio::ip::tcp, driver::executor_type>;

#if defined(SOCK_CLOEXEC)

// Asio opens and accepts without close-on-exec, and setting it afterwards is too late where another
// thread forks and executes in between. An assigned descriptor is also taken out of Asio's epoll set
// before it is closed, so that a copy in a forked child cannot keep it there.

template <class Socket>
[[nodiscard]] std::error_code open_socket(Socket& s, const asio::ip::tcp& protocol) {
    const int descriptor = ::socket(protocol.family(), protocol.type() | SOCK_CLOEXEC, protocol.protocol());
    if (descriptor < 0) return {errno, std::system_category()};
    std::error_code ec;
    s.assign(protocol, descriptor, ec);
    if (ec) (void)::close(descriptor);
    return ec;
}

/// Accepts without waiting; `would_block` when nobody is there. `acceptor` must not block.
[[nodiscard]] inline std::error_code accept_socket(asio::ip::tcp::acceptor& acceptor, const asio::ip::tcp& protocol,
                                                   tcp_socket& peer) {
    const int descriptor = ::accept4(acceptor.native_handle(), nullptr, nullptr, SOCK_CLOEXEC);
    if (descriptor < 0) return {errno, std::system_category()};
    std::error_code ec;
    peer.assign(protocol, descriptor, ec);
    if (ec) (void)::close(descriptor);
    return ec;
}

#else

template <class Socket>
void set_close_on_exec([[maybe_unused]] Socket& s) noexcept {
#if defined(FD_CLOEXEC)
    (void)::fcntl(s.native_handle(), F_SETFD, FD_CLOEXEC);
#endif
}
template <class Socket>
[[nodiscard]] std::error_code open_socket(Socket& s, const asio::ip::tcp& protocol) {
    std::error_code ec;
    s.open(protocol, ec);
    if (!ec) set_close_on_exec(s);
    return ec;
}
[[nodiscard]] inline std::error_code accept_socket(asio::ip::tcp::acceptor& acceptor, const asio::ip::tcp&,
                                                   tcp_socket& peer) {
    std::error_code ec;
    acceptor.accept(peer, ec);
    if (!ec) set_close_on_exec(peer);
    return ec;
}

#endif

}  // namespace hawser::inline v0::detail

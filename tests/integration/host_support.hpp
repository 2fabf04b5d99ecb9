// SPDX-License-Identifier: BSL-1.0
// Listeners, clients and loops for tests of what hosts do, on real sockets.
#pragma once

#include "support/catch.hpp"
#include "support/host_context.hpp"

#include <hawser/custom_policies.hpp>
#include <hawser/hawser.hpp>

#include <asio/write.hpp>

#include <chrono>
#include <list>
#include <string>

namespace host_support {

using namespace std::chrono_literals;

// Runs until `done()`; whether it came true before the deadline.
template <class Done>
bool run_until(asio::io_context& context, Done done, std::chrono::steady_clock::duration limit = 20s) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!done()) {
        if (std::chrono::steady_clock::now() >= end) return false;
        if (context.stopped()) context.restart();
        if (context.run_one_until(std::min(end, std::chrono::steady_clock::now() + 100ms)) == 0 && context.stopped())
            return done();
    }
    return true;
}

// A listener that keeps what it accepts.
struct echo_listener {
    echo_listener(asio::io_context& context, hawser::listen_endpoint where, hawser::listener_options o)
        : listener(context, where, std::move(o)), old_port(listener.port()) {}
    echo_listener(asio::io_context& context, hawser::listen_endpoint where, hawser::options o)
        : echo_listener(context, std::move(where), hawser::listener_options{.socket = std::move(o)}) {}

    template <class F>
    void accept_all(F f) {
        listener.async_accept([this, f](std::error_code ec, hawser::resilient_socket<> s) {
            if (ec) return;
            sockets.push_back(std::move(s));
            f(sockets.back());
            accept_all(f);
        });
    }
    void echo() {
        accept_all([](hawser::resilient_socket<>& s) {
            s.on_message([&s](const hawser::message_view& m) { (void)s.try_send(m); });
        });
    }
    void close() {
        listener.async_close([](std::error_code) {});
    }
    [[nodiscard]] std::uint16_t port() const { return listener.port(); }
    [[nodiscard]] std::string url() const { return "ws://127.0.0.1:" + std::to_string(old_port) + "/"; }

    hawser::listener<> listener;
    std::uint16_t old_port;
    std::list<hawser::resilient_socket<>> sockets;
};

// A peer in blocking calls that upgrades and then does only what it is told.
class raw_client {
public:
    explicit raw_client(std::uint16_t port, const std::string& target) : socket_(context_) {
        socket_.connect({asio::ip::make_address("127.0.0.1"), port});
        const std::string request = "GET " + target +
                                    " HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        asio::write(socket_, asio::buffer(request));
    }
    static bool can_connect(std::uint16_t port) {
        asio::io_context context;
        asio::ip::tcp::socket s(context);
        std::error_code ec;
        s.connect({asio::ip::make_address("127.0.0.1"), port}, ec);
        return !ec;
    }

private:
    asio::io_context context_;
    asio::ip::tcp::socket socket_;
};

}  // namespace host_support

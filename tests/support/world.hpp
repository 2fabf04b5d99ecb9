// SPDX-License-Identifier: BSL-1.0
// A context in virtual time with a listener, and what tests of whole sockets need.
#pragma once

#include "support/policies.hpp"

#include <hawser/custom_policies.hpp>
#include <hawser/hawser.hpp>
#include <hawser/testing/virtual_driver.hpp>

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>

#include <list>
#include <memory>
#include <string>
#include <vector>

namespace support {

using namespace std::chrono_literals;
using hawser::connection_state;
using hawser::errc;
using hawser::outcome;

inline constexpr std::uint16_t port = 9000;
inline const std::string url = "ws://server.test:9000/";

template <class P = hawser::default_policies>
struct world {
    explicit world(std::uint64_t seed = 1) : net(hawser::install_driver<hawser::testing::virtual_driver>(context, seed)) {}

    void listen(hawser::listener_options o) {
        server.emplace(context, hawser::listen_endpoint{.port = port}, std::move(o));
        accept();
    }
    void listen(hawser::options o) { listen(hawser::listener_options{.socket = std::move(o)}); }
    void accept() {
        server->async_accept([this](std::error_code ec, hawser::resilient_socket<P> s) {
            if (ec) return;
            accepted.push_back(std::move(s));
            if (on_accept) on_accept(accepted.back());
            accept();
        });
    }

    asio::io_context context;
    hawser::testing::virtual_driver& net;
    std::optional<hawser::listener<P>> server;
    std::list<hawser::resilient_socket<P>> accepted;
    std::function<void(hawser::resilient_socket<P>&)> on_accept;
};

// Options with which a test does not wait for minutes of virtual time.
inline hawser::options quick(hawser::options o) {
    o.reconnect.base_delay = 10ms;
    o.reconnect.max_delay = 200ms;
    o.connect_timeout = 2s;
    return o;
}

}  // namespace support

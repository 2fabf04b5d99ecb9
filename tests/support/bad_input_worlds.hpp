// SPDX-License-Identifier: BSL-1.0
// Worlds in virtual time in which the test is the peer, in either role, and says what it wants.
#pragma once

#include "integration/bad_input_sockets.hpp"
#include "support/catch.hpp"
#include "support/upgrade_feed.hpp"
#include "support/world.hpp"

#include <memory>
#include <string>
#include <vector>

namespace support {

using bad_input::frame;
using hawser::close_code;

inline hawser::options limited() {
    auto o = quick(hawser::options::plain());
    o.max_message_size = bad_input::message_limit;
    o.breaker.minimum_number_of_calls = 1'000'000;  // never opens
    return o;
}

/// A listener that echoes, and peers that are the test.
struct server_world {
    explicit server_world(hawser::options o = limited())
        : server_world(hawser::listener_options{.socket = std::move(o)}) {}
    explicit server_world(hawser::listener_options o) {
        w.listen(std::move(o));
        w.on_accept = [this](hawser::resilient_socket<>& s) {
            s.on_message([this, &s](const hawser::message_view& m) {
                messages.emplace_back(m.text());
                (void)s.try_send(m);
            });
            s.on_state([this](const hawser::state_change& change) {
                if (change.to == connection_state::closed) ends.push_back(change);
            });
        };
    }
    std::unique_ptr<hawser::testing::raw_peer> dial() {
        auto peer = w.net.dial(port);
        REQUIRE(w.net.run_until([&] { return peer->connected; }));
        return peer;
    }
    std::unique_ptr<hawser::testing::raw_peer> upgraded(const std::string& more = {}) {
        auto peer = dial();
        peer->send(hawser_test::request_text(more));
        REQUIRE(w.net.run_until([&] { return peer->received.ends_with("\r\n\r\n"); }));
        REQUIRE(peer->received.starts_with("HTTP/1.1 101 "));
        peer->received.clear();
        return peer;
    }
    void send_split(hawser::testing::raw_peer& peer, std::string_view bytes, std::size_t split) {
        peer.send(bytes.substr(0, split));
        w.net.run_for(w.net.latency + 1ms);
        if (split < bytes.size()) peer.send(bytes.substr(split));
    }
    world<> w;
    std::vector<std::string> messages;
    std::vector<hawser::state_change> ends;
};

/// A client, and a server that is the test.
struct client_world {
    explicit client_world(hawser::options o = limited()) : client(w.context, std::move(o)) {
        acceptor = w.net.listen_raw(port, [this](hawser::stream_ptr s) {
            peers.push_back(std::make_unique<hawser::testing::raw_peer>(std::move(s)));
        });
        client.on_message([this](const hawser::message_view& m) { messages.emplace_back(m.text()); });
        client.on_state([this](const hawser::state_change& change) {
            if (change.to == connection_state::waiting) ends.push_back(change);
        });
        client.connect(url);
    }
    /// The connection of the next attempt, and the answer that it wants.
    hawser::testing::raw_peer& asked() {
        const std::size_t had = seen++;
        REQUIRE(w.net.run_until([&] { return peers.size() > had && peers[had]->received.ends_with("\r\n\r\n"); }));
        return *peers[had];
    }
    [[nodiscard]] static std::string answer(const hawser::testing::raw_peer& peer, const std::string& more = {}) {
        constexpr std::string_view name = "Sec-WebSocket-Key: ";
        const auto at = peer.received.find(name) + name.size();
        return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
               "Upgrade\r\nSec-WebSocket-Accept: " +
               hawser::ws::accept_key(peer.received.substr(at, 24)) + "\r\n" + more + "\r\n";
    }
    hawser::testing::raw_peer& upgraded(const std::string& more = {}) {
        auto& peer = asked();
        peer.send(answer(peer, more));
        REQUIRE(w.net.run_until([&] { return client.state() == connection_state::open; }));
        peer.received.clear();
        return peer;
    }
    world<> w;
    hawser::acceptor_ptr acceptor;
    std::vector<std::unique_ptr<hawser::testing::raw_peer>> peers;
    std::size_t seen = 0;
    hawser::resilient_socket<> client;
    std::vector<std::string> messages;
    std::vector<hawser::state_change> ends;
};

/// The code of the last frame, which is a Close and the last thing that was said.
inline unsigned last_close(std::string received, bool masked) {
    REQUIRE(received.size() >= (masked ? 8U : 4U));
    const std::size_t at = received.size() - (masked ? 8 : 4);
    CHECK(static_cast<unsigned char>(received[at]) == 0x88);
    const auto byte = [&](std::size_t i) {
        const unsigned plain = static_cast<unsigned char>(received[at + (masked ? 6 : 2) + i]);
        return masked ? plain ^ static_cast<unsigned char>(received[at + 2 + i]) : plain;
    };
    return byte(0) * 256 + byte(1);
}

}  // namespace support

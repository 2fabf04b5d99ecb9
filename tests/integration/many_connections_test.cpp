// SPDX-License-Identifier: BSL-1.0
// Ten thousand connections of one listener: each is served, and none leaves anything behind.
#include "support/catch.hpp"

#include <hawser/hawser.hpp>

#include <asio/io_context.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <list>
#include <string>
#include <string_view>

#if defined(__linux__)

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using namespace std::chrono_literals;
using socket_type = hawser::resilient_socket<>;

// Two descriptors for each connection, and what the process has otherwise.
std::size_t as_many_as_allowed(std::size_t wanted) {
    rlimit files{};
    (void)::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    (void)::setrlimit(RLIMIT_NOFILE, &files);
    return std::min<std::size_t>(wanted, (static_cast<std::size_t>(files.rlim_cur) - 100) / 2);
}

// A client without a library, which takes a tenth of what one of ours would.
class raw_client {
public:
    explicit raw_client(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in where{};
        where.sin_family = AF_INET;
        where.sin_port = htons(port);
        where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        connected_ = fd_ >= 0 && ::connect(fd_, reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0;
        say("GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    }
    raw_client(const raw_client&) = delete;
    raw_client& operator=(const raw_client&) = delete;
    ~raw_client() { ::close(fd_); }
    [[nodiscard]] bool connected() const noexcept { return connected_; }
    void say(std::string_view bytes) {
        if (::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size())) connected_ = false;
    }
    /// What has come since, without waiting.
    [[nodiscard]] std::string heard() const {
        std::array<char, 4096> part;
        const ssize_t n = ::recv(fd_, part.data(), part.size(), MSG_DONTWAIT);
        return n > 0 ? std::string(part.data(), static_cast<std::size_t>(n)) : std::string();
    }

private:
    int fd_;
    bool connected_ = false;
};

struct host {
    host() : listener(context, {.backlog = 4096}, hawser::listener_options{}) { accept(); }
    void accept() {
        listener.async_accept([this](std::error_code ec, socket_type s) {
            if (ec) return;
            const auto at = sockets.insert(sockets.end(), std::move(s));
            at->on_message([at](const hawser::message_view& m) { (void)at->try_send(m); });
            at->on_state([this, at](const hawser::state_change& c) {
                if (c.to == hawser::connection_state::closed) sockets.erase(at);
            });
            accept();
        });
    }
    template <class Done>
    bool run_until(Done done) {
        const auto end = std::chrono::steady_clock::now() + 60s;
        while (!done()) {
            if (std::chrono::steady_clock::now() > end) return false;
            (void)context.run_for(20ms);
        }
        return true;
    }
    asio::io_context context{1};
    hawser::listener<> listener;
    std::list<socket_type> sockets;
};

}  // namespace

TEST_CASE("10,000 connections: each has its echo, and its place is free when it has gone", "[many]") {
    const std::size_t count = as_many_as_allowed(10'000);
    host h;
    std::list<raw_client> clients;
    for (std::size_t i = 0; i < count; ++i) {
        REQUIRE(clients.emplace_back(h.listener.port()).connected());
        (void)h.context.poll();
    }
    REQUIRE(h.run_until([&] { return h.sockets.size() == count; }));
    for (auto& c : clients) CHECK(c.heard().starts_with("HTTP/1.1 101"));
    // "hi", masked with zeros.
    for (auto& c : clients) c.say(std::string_view("\x81\x82\0\0\0\0hi", 8));
    std::size_t echoed = 0;
    REQUIRE(h.run_until([&] {
        for (auto& c : clients) echoed += c.heard() == "\x81\x02hi";
        return echoed == count;
    }));
    clients.clear();
    CHECK(h.run_until([&] { return h.sockets.empty() && h.listener.connections() == 0; }));
}

#endif

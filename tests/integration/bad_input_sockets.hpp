// SPDX-License-Identifier: BSL-1.0
// Raw bytes over real sockets against hawser, in both roles. The test's thread blocks, each wait
// with a deadline; hawser runs on a thread of its own.
#pragma once

#include <hawser/hawser.hpp>
#include <hawser/protocol/ws/accept_key.hpp>

#include "support/catch.hpp"
#include "support/host_context.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace bad_input {

using namespace std::string_literals;
using hawser::close_code;
using hawser::connection_state;
using hawser::errc;

constexpr auto patience = std::chrono::seconds(20);
constexpr std::size_t message_limit = 1000;

// ---- bytes ---------------------------------------------------------------------------------

enum opcode : unsigned { continuation = 0, text = 1, binary = 2, close_frame = 8, ping = 9, pong = 10 };
constexpr unsigned fin = 0x80;

/// A frame whose first byte is `first`; `length` may lie about the payload.
inline std::string frame(unsigned first, std::string payload, bool masked, std::size_t length) {
    std::string out(1, static_cast<char>(first));
    const unsigned flag = masked ? 0x80 : 0;
    const unsigned size_bytes = length < 126 ? 0 : length < 65536 ? 2 : 8;
    out += static_cast<char>(flag | (size_bytes == 0 ? length : size_bytes == 2 ? 126 : 127));
    for (unsigned i = size_bytes; i > 0; --i) out += static_cast<char>(length >> (8 * (i - 1)));
    const char key[] = {'\x1f', '\x02', '\x73', '\x64'};
    if (masked) {
        out.append(key, 4);
        for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<char>(payload[i] ^ key[i % 4]);
    }
    return out + payload;
}
inline std::string frame(unsigned first, const std::string& payload, bool masked) {
    return frame(first, payload, masked, payload.size());
}
inline std::string close_payload(unsigned code, const std::string& reason = {}) {
    return std::string{static_cast<char>(code >> 8), static_cast<char>(code)} + reason;
}

/// What a peer must not send after the upgrade, and what it gets.
struct bad_frames {
    std::string row;
    std::string bytes;
    close_code code;
    errc error;
};

/// `m`: whether the peer's frames are masked, which they are towards a server.
inline std::vector<bad_frames> all_bad_frames(bool m) {
    std::vector<bad_frames> all;
    const auto add = [&](std::string row, std::string bytes, close_code code, errc error) {
        all.push_back({std::move(row), std::move(bytes), code, error});
    };
    const auto wrong = close_code::protocol_error;
    for (const unsigned rsv : {0x40U, 0x20U, 0x10U, 0x70U})
        add("F1: reserved bits " + std::to_string(rsv), frame(fin | rsv | text, "x", m), wrong, errc::reserved_bits);
    for (const unsigned op : {3U, 7U, 11U, 15U})
        add("F2: opcode " + std::to_string(op), frame(fin | op, "", m), wrong, errc::reserved_opcode);
    add("F3: mask against the role", frame(fin | text, "x", !m), wrong, errc::bad_mask);
    add("F3: mask against the role, control", frame(fin | ping, "", !m), wrong, errc::bad_mask);
    add("F4: 64-bit length with its top bit set", frame(fin | binary, "", m, std::size_t{1} << 63), wrong, errc::bad_length);
    add("F4: length of 2^63 - 1", frame(fin | binary, "", m, (std::size_t{1} << 63) - 1), close_code::message_too_big,
        errc::message_too_big);
    add("F7: frame over the limit, header only", frame(fin | binary, "", m, message_limit + 1),
        close_code::message_too_big, errc::message_too_big);
    add("F7: sum of fragments over the limit, header only",
        frame(text, std::string(message_limit, 'a'), m) + frame(fin | continuation, "", m, 1), close_code::message_too_big,
        errc::message_too_big);
    add("F8: control frame of 126 bytes", frame(fin | ping, "", m, 126), wrong, errc::control_too_long);
    add("F9: fragmented ping", frame(ping, "x", m), wrong, errc::control_fragmented);
    add("F9: fragmented close", frame(close_frame, close_payload(1000), m), wrong, errc::control_fragmented);
    add("F10: continuation without a message", frame(fin | continuation, "x", m), wrong, errc::orphan_continuation);
    add("F10: continuation after a message", frame(fin | text, "ok", m) + frame(fin | continuation, "x", m), wrong,
        errc::orphan_continuation);
    add("F11: new message inside a message", frame(text, "a", m) + frame(fin | text, "b", m), wrong,
        errc::interleaved_message);
    const auto utf8 = close_code::invalid_payload;
    add("F17: invalid UTF-8", frame(fin | text, "a\xff", m), utf8, errc::invalid_utf8);
    add("F17: at the first wrong byte, the message unfinished", frame(text, "a\xff", m), utf8, errc::invalid_utf8);
    add("F17: at the first wrong byte, the frame unfinished", frame(fin | text, "a\xed\xa0", m, 900), utf8, errc::invalid_utf8);
    add("F17: overlong, split over frames", frame(text, "\xe0", m) + frame(continuation, "\x80", m), utf8, errc::invalid_utf8);
    add("F17: character cut off by the end", frame(text, "\xe2\x82", m) + frame(fin | continuation, "", m), utf8,
        errc::invalid_utf8);
    add("F21: close of one byte", frame(fin | close_frame, "\x03", m), wrong, errc::bad_close_frame);
    for (const unsigned code : {0U, 999U, 1004U, 1005U, 1006U, 1015U, 1016U, 1100U, 2000U, 2999U, 5000U, 65535U})
        add("F22: close code " + std::to_string(code), frame(fin | close_frame, close_payload(code), m), wrong,
            errc::bad_close_frame);
    add("F23: close reason that is not UTF-8", frame(fin | close_frame, close_payload(1000, "\xc3\x28"), m), utf8,
        errc::invalid_utf8);
    add("F23: close reason over its limit", frame(fin | close_frame, close_payload(1000, std::string(124, 'r')), m), wrong,
        errc::control_too_long);
    return all;
}

// ---- sockets of the test -------------------------------------------------------------------

struct received_frame {
    unsigned first = 0;
    bool masked = false;
    std::string payload;
    [[nodiscard]] unsigned code() const {
        if (payload.size() < 2) return 1005;
        return static_cast<unsigned>(static_cast<unsigned char>(payload[0]) << 8 | static_cast<unsigned char>(payload[1]));
    }
};

class raw_socket {
public:
    explicit raw_socket(int fd) : fd_(fd) {
        REQUIRE(fd >= 0);
        const timeval limit{.tv_sec = patience.count(), .tv_usec = 0};
        const int on = 1;
        ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    raw_socket(raw_socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)), unread_(std::move(other.unread_)) {}
    raw_socket& operator=(raw_socket&&) = delete;
    ~raw_socket() {
        if (fd_ >= 0) ::close(fd_);
    }
    static raw_socket connect(std::uint16_t port) {
        raw_socket s(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        REQUIRE(::connect(s.fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
        return s;
    }

    /// False when the peer has gone.
    bool send(std::string_view bytes) {
        while (!bytes.empty()) {
            const auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) return false;
            bytes.remove_prefix(static_cast<std::size_t>(n));
        }
        return true;
    }
    /// Sends until the peer has taken nothing for a while; returns how much it took.
    std::size_t send_until_stuck(std::string_view bytes) {
        std::size_t sent = 0;
        pollfd room{.fd = fd_, .events = POLLOUT, .revents = 0};
        while (sent < bytes.size() && ::poll(&room, 1, 200) == 1) {
            const auto n = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n <= 0 && errno != EAGAIN) break;
            if (n > 0) sent += static_cast<std::size_t>(n);
        }
        return sent;
    }
    /// Everything up to and including `end`; what there is when the peer ends before it.
    std::string read_until(std::string_view end) {
        std::size_t at = 0;
        while ((at = unread_.find(end)) == std::string::npos)
            if (!read_more()) return std::exchange(unread_, {});
        return take(at + end.size());
    }
    std::string read_to_end() {
        while (read_more()) {
        }
        return std::exchange(unread_, {});
    }
    /// The next frame; its `first` is 0 when the peer ended the connection.
    received_frame read_frame() {
        if (!need(2)) return {};
        received_frame f{.first = byte(0), .masked = (byte(1) & 0x80) != 0, .payload = {}};
        std::size_t length = byte(1) & 0x7f, head = 2;
        const std::size_t size_bytes = length == 126 ? 2 : length == 127 ? 8 : 0;
        if (!need(head + size_bytes)) return {};
        if (size_bytes != 0) length = 0;
        for (std::size_t i = 0; i < size_bytes; ++i) length = length << 8 | byte(head++);
        const std::size_t key = head;
        if (f.masked) head += 4;
        if (!need(head + length)) return {};
        f.payload = unread_.substr(head, length);
        for (std::size_t i = 0; f.masked && i < length; ++i)
            f.payload[i] = static_cast<char>(f.payload[i] ^ unread_[key + i % 4]);
        unread_.erase(0, head + length);
        return f;
    }
    /// The close frame, past whatever comes before it.
    received_frame read_close() {
        for (;;) {
            auto f = read_frame();
            if (f.first == 0 || f.first == (fin | close_frame)) return f;
        }
    }

private:
    [[nodiscard]] unsigned byte(std::size_t i) const { return static_cast<unsigned char>(unread_[i]); }
    std::string take(std::size_t n) {
        std::string out = unread_.substr(0, n);
        unread_.erase(0, n);
        return out;
    }
    bool need(std::size_t n) {
        while (unread_.size() < n)
            if (!read_more()) return false;
        return true;
    }
    bool read_more() {
        char buffer[16 * 1024];
        for (;;) {
            const auto n = ::recv(fd_, buffer, sizeof buffer, 0);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) FAIL("the peer said nothing for too long");
            if (n <= 0) return false;
            unread_.append(buffer, static_cast<std::size_t>(n));
            return true;
        }
    }

    int fd_;
    std::string unread_;
};

/// Listens for hawser's client.
class raw_server {
public:
    raw_server() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in any{};
        any.sin_family = AF_INET;
        any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof any;
        REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr*>(&any), size) == 0);
        REQUIRE(::listen(fd_, 16) == 0);
        REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&any), &size) == 0);
        port_ = ntohs(any.sin_port);
        const timeval limit{.tv_sec = patience.count(), .tv_usec = 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    }
    raw_server(const raw_server&) = delete;
    raw_server& operator=(const raw_server&) = delete;
    ~raw_server() { ::close(fd_); }

    [[nodiscard]] std::string url(const std::string& target = "/") const {
        return "ws://127.0.0.1:" + std::to_string(port_) + target;
    }
    raw_socket accept() { return raw_socket(::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC)); }
    /// Accepts, and answers the request with `answer`, in which "ACCEPT" stands for the right key.
    raw_socket accept_and_answer(std::string answer) {
        raw_socket s = accept();
        const std::string request = s.read_until("\r\n\r\n");
        const std::string name = "Sec-WebSocket-Key: ";
        const auto at = request.find(name);
        REQUIRE(at != std::string::npos);
        const auto key = request.substr(at + name.size(), 24);
        if (const auto place = answer.find("ACCEPT"); place != std::string::npos)
            answer.replace(place, 6, hawser::ws::accept_key(key));
        s.send(answer);
        return s;
    }
    static std::string good_answer(const std::string& more = {}) {
        return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Accept: ACCEPT\r\n" + more + "\r\n";
    }

private:
    int fd_;
    std::uint16_t port_ = 0;
};

// ---- hawser on its thread ------------------------------------------------------------------

/// What hawser's thread tells the test's.
template <class T>
class told {
public:
    void add(T what) {
        const std::lock_guard lock(mutex_);
        all_.push_back(std::move(what));
        changed_.notify_all();
    }
    /// The first that is `right`, and not before the one found last.
    T wait_for(const std::function<bool(const T&)>& right) {
        std::unique_lock lock(mutex_);
        const auto deadline = std::chrono::steady_clock::now() + patience;
        for (;;) {
            while (next_ < all_.size())
                if (const T& one = all_[next_++]; right(one)) return one;
            if (changed_.wait_until(lock, deadline) == std::cv_status::timeout) FAIL("it was never told");
        }
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<T> all_;
    std::size_t next_ = 0;
};

inline hawser::options test_options() {
    auto o = hawser::options::plain();
    o.max_message_size = message_limit;
    o.reconnect = {.base_delay = std::chrono::milliseconds(1), .max_delay = std::chrono::milliseconds(5)};
    o.breaker.minimum_number_of_calls = 1'000'000;  // never opens
    return o;
}

/// A listener that echoes.
class echo_host {
public:
    explicit echo_host(hawser::listener_options o = {.socket = test_options()})
        : listener_(context_, {}, std::move(o)), thread_([this] {
              accept();
              context_.run();
          }) {}
    echo_host(const echo_host&) = delete;
    echo_host& operator=(const echo_host&) = delete;
    ~echo_host() {
        context_.stop();
        thread_.join();
    }

    [[nodiscard]] std::uint16_t port() const { return listener_.port(); }
    /// The next end of an accepted socket.
    hawser::state_change ended() {
        return ends_.wait_for([](const hawser::state_change&) { return true; });
    }
    [[nodiscard]] static std::string request(const std::string& more = {}) {
        return "GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" + more + "\r\n";
    }
    raw_socket upgraded() {
        raw_socket s = raw_socket::connect(port());
        s.send(request());
        const std::string head = s.read_until("\r\n\r\n");
        INFO(head);
        REQUIRE(head.starts_with("HTTP/1.1 101 "));
        return s;
    }
    /// The rest of the world is not affected.
    void check_serves() {
        raw_socket s = upgraded();
        s.send(frame(fin | text, "still here", true));
        CHECK(s.read_frame().payload == "still here");
        s.send(frame(fin | close_frame, close_payload(1000), true));
        CHECK(s.read_close().code() == 1000);
        (void)ended();
    }

private:
    void accept() {
        listener_.async_accept([this](std::error_code ec, hawser::resilient_socket<> accepted) {
            if (ec) return;
            sockets_.push_back(std::move(accepted));
            auto& s = sockets_.back();
            s.on_message([&s](const hawser::message_view& m) {
                if (s.try_send(m)) return;
                s.pause_receiving();
                s.async_enqueue(hawser::message::copy(m.bytes, m.kind),
                                [&s](std::error_code failed, hawser::ticket) { if (!failed) s.resume_receiving(); });
            });
            s.on_state([this](const hawser::state_change& change) {
                if (change.to == connection_state::closed || change.to == connection_state::failed) ends_.add(change);
            });
            accept();
        });
    }

    support::host_context context_{1};
    told<hawser::state_change> ends_;
    std::list<hawser::resilient_socket<>> sockets_;
    hawser::listener<> listener_;
    std::thread thread_;
};

/// A client.
class client_host {
public:
    explicit client_host(const std::string& url, hawser::options o = test_options()) : socket_(context_, std::move(o)) {
        socket_.on_state([this](const hawser::state_change& change) { changes_.add(change); });
        socket_.on_message([this](const hawser::message_view& m) { messages_.add(std::string(m.text())); });
        socket_.connect(url);
        thread_ = std::thread([this] { context_.run(); });
    }
    client_host(const client_host&) = delete;
    client_host& operator=(const client_host&) = delete;
    ~client_host() {
        context_.stop();
        thread_.join();
    }

    hawser::state_change wait_for(connection_state to) {
        return changes_.wait_for([to](const hawser::state_change& c) { return c.to == to; });
    }
    void wait_for_message(const std::string& text) {
        (void)messages_.wait_for([&](const std::string& m) { return m == text; });
    }
    /// It comes back to a server that behaves.
    void check_recovers(raw_server& server) {
        raw_socket s = server.accept_and_answer(raw_server::good_answer());
        s.send(frame(fin | text, "welcome back", false));
        wait_for_message("welcome back");
    }

private:
    support::host_context context_{1};
    told<hawser::state_change> changes_;
    told<std::string> messages_;
    hawser::resilient_socket<> socket_;
    std::thread thread_;
};

}  // namespace bad_input

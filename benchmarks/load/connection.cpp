// SPDX-License-Identifier: BSL-1.0
#include "connection.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace load {

namespace {

[[noreturn]] void fail(const std::string& what, int code) {
    throw std::runtime_error(what + ": " + std::strerror(code));
}

int connected_socket(std::uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("socket", errno);
    const int on = 1;
    const timeval patience{.tv_sec = 10, .tv_usec = 0};
    (void)::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_port = htons(port);
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0) {
        const int code = errno;
        ::close(fd);
        fail("connect", code);
    }
    return fd;
}

// The nonce is the one of RFC 6455 section 1.3, so the right answer is known.
std::string request(std::uint16_t port, const std::string& path) {
    return "GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(port) +
           "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
}

std::string answer_of(int fd) {
    std::string answer;
    while (!answer.ends_with("\r\n\r\n")) {  // the server says nothing more before it is spoken to
        std::array<char, 1024> part;
        const ssize_t n = ::recv(fd, part.data(), part.size(), 0);
        if (n < 0) fail("recv of the upgrade", errno);
        if (n == 0) throw std::runtime_error("the server closed instead of upgrading");
        answer.append(part.data(), static_cast<std::size_t>(n));
    }
    return answer;
}

}  // namespace

connection::~connection() {
    if (fd_ >= 0) ::close(fd_);
}

void connection::open(std::uint16_t port, const std::string& path, std::size_t depth) {
    fd_ = connected_socket(port);
    sent_at_.resize(depth);
    const std::string text = request(port, path);
    if (::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size())) fail("send of the upgrade", errno);
    const std::string answer = answer_of(fd_);
    if (!answer.starts_with("HTTP/1.1 101") || answer.find("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") == std::string::npos)
        throw std::runtime_error("the upgrade was refused: " + answer.substr(0, answer.find('\r')));
}

bool connection::flush(const tape& what) {
    while (owed_ != 0) {
        const auto piece = what.piece(at_, owed_);
        const ssize_t n = ::send(fd_, piece.data(), piece.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) break;
        if (n < 0) fail("send", errno);
        const auto written = static_cast<std::size_t>(n);
        at_ = what.advance(at_, written);
        owed_ -= written;
        if (written < piece.size()) break;
    }
    return owed_ != 0;
}

std::uint64_t connection::receive(const tape& what, std::vector<unsigned char>& buffer, std::uint64_t verify_every) {
    const ssize_t n = ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    if (n < 0) fail("recv", errno);
    if (n == 0) throw std::runtime_error("the server closed the connection");
    const std::uint64_t done = replies_.feed(what, buffer.data(), static_cast<std::size_t>(n), verify_every);
    if (replies_.error() != nullptr) throw std::runtime_error(replies_.error());
    return done;
}

}  // namespace load

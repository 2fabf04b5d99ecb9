// SPDX-License-Identifier: BSL-1.0
// raw_epoll PORT [broadcast]: the floor. Echoes whole messages with nothing but system calls: one read per
// wake-up, one write for all that it completed. It checks nothing: no UTF-8, no limits, no close.
// With "broadcast" all connections get what one says, in one write each.
#include "raw_frames.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

using raw::byte;

/// Memory that is not cleared when it grows.
struct block {
    std::unique_ptr<byte[]> bytes;
    std::size_t capacity = 0, begin = 0, end = 0;

    [[nodiscard]] std::size_t size() const { return end - begin; }
    void reserve(std::size_t wanted) {
        if (wanted <= capacity) return;
        std::unique_ptr<byte[]> grown(new byte[wanted]);
        std::copy(bytes.get() + begin, bytes.get() + end, grown.get() + begin);
        bytes = std::move(grown);
        capacity = wanted;
    }
    void append(const byte* from, std::size_t n) {
        reserve(end + n);
        std::copy(from, from + n, bytes.get() + end);
        end += n;
    }
    void clear() { begin = end = 0; }
};

struct peer {
    int fd;
    bool open = false;  // the upgrade is done
    std::string head{};   // the request so far
    block partial{};      // a frame that is not complete
    block output{};       // what the system did not take
};

class server {
public:
    server(std::uint16_t port, bool broadcast)
        : set_(::epoll_create1(EPOLL_CLOEXEC)), listener_(listen_on(port)), broadcast_(broadcast) {
        watch(listener_, nullptr, EPOLL_CTL_ADD, EPOLLIN);
    }
    [[noreturn]] void run() {
        std::array<epoll_event, 256> ready;
        for (;;) {
            const int n = ::epoll_wait(set_, ready.data(), static_cast<int>(ready.size()), -1);
            for (int i = 0; i < n; ++i) {
                const epoll_event& e = ready[static_cast<std::size_t>(i)];
                auto* p = static_cast<peer*>(e.data.ptr);
                if (p == nullptr) accept_all();
                else if (!serve(*p, e.events)) drop(p);
            }
        }
    }

private:
    static int listen_on(std::uint16_t port) {
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
        (void)::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        sockaddr_in where{};
        where.sin_family = AF_INET;
        where.sin_port = htons(port);
        where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::bind(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0 && ::listen(fd, 1024) == 0) return fd;
        std::perror("raw_epoll");
        std::exit(1);
    }
    void watch(int fd, peer* p, int how, std::uint32_t events) const {
        epoll_event e{};
        e.events = events;
        e.data.ptr = p;
        (void)::epoll_ctl(set_, how, fd, &e);
    }
    void accept_all() {
        const int on = 1;
        for (int fd; (fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
            (void)::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            peers_.push_back(new peer{.fd = fd});
            watch(fd, peers_.back(), EPOLL_CTL_ADD, EPOLLIN);
        }
    }
    void drop(peer* p) {
        std::erase(peers_, p);
        ::close(p->fd);
        delete p;
    }
    // These return whether the connection lives on.
    bool serve(peer& p, std::uint32_t events) {
        if (p.output.size() != 0) return write_rest(p);
        if ((events & ~EPOLLOUT) == 0) return true;
        if (!p.open) return upgrade(p);
        return p.partial.size() == 0 ? read_into_shared(p) : read_into_partial(p);
    }
    bool upgrade(peer& p) {
        const ssize_t n = ::recv(p.fd, shared_.data(), shared_.size(), 0);
        if (n <= 0) return n < 0 && errno == EAGAIN;
        p.head.append(reinterpret_cast<const char*>(shared_.data()), static_cast<std::size_t>(n));
        if (!p.head.ends_with("\r\n\r\n")) return true;
        const std::string answer = raw::upgrade_answer(p.head);
        p.open = !answer.empty();
        return p.open && write(p, reinterpret_cast<const byte*>(answer.data()), answer.size());
    }
    bool read_into_shared(peer& p) {
        const ssize_t n = ::recv(p.fd, shared_.data(), shared_.size(), 0);
        if (n <= 0) return n < 0 && errno == EAGAIN;
        const raw::echoed done = raw::echo_in_place(shared_.data(), static_cast<std::size_t>(n));
        if (done.rest != 0) keep(p, shared_.data() + done.used, done.rest);
        if (broadcast_) return write_to_all(done);
        return done.size == 0 || write(p, shared_.data() + done.begin, done.size);
    }
    bool write_to_all(const raw::echoed& done) {
        for (peer* p : peers_)
            if (p->open && done.size != 0) (void)write(*p, shared_.data() + done.begin, done.size);
        return true;
    }
    // Straight behind what is there, into a block of the frame's exact size.
    bool read_into_partial(peer& p) {
        block& b = p.partial;
        const ssize_t n = ::recv(p.fd, b.bytes.get() + b.end, b.capacity - b.end, 0);
        if (n <= 0) return n < 0 && errno == EAGAIN;
        b.end += static_cast<std::size_t>(n);
        const raw::echoed done = raw::echo_in_place(b.bytes.get(), b.end);
        if (done.size == 0) {
            b.reserve(room_for(b.bytes.get(), b.end));
            return true;
        }
        block whole = std::move(b);
        b = {};
        if (done.rest != 0) keep(p, whole.bytes.get() + done.used, done.rest);
        const bool alive = write(p, whole.bytes.get() + done.begin, done.size);
        if (done.rest == 0 && alive) {
            b = std::move(whole);  // its memory serves the next message
            b.clear();
        }
        return alive;
    }
    static std::size_t room_for(const byte* p, std::size_t n) {
        const std::size_t whole = raw::frame_size(p, n);
        return std::max(whole, n + 16);
    }
    static void keep(peer& p, const byte* from, std::size_t n) {
        p.partial.clear();
        p.partial.reserve(room_for(from, n));
        p.partial.append(from, n);
    }
    bool write(peer& p, const byte* from, std::size_t n) {
        const ssize_t r = ::send(p.fd, from, n, MSG_NOSIGNAL);
        if (r < 0 && errno != EAGAIN) return false;
        const std::size_t written = r < 0 ? 0 : static_cast<std::size_t>(r);
        if (written == n) return true;
        p.output.append(from + written, n - written);
        watch(p.fd, &p, EPOLL_CTL_MOD, EPOLLOUT);  // what is not read meanwhile is not answered either
        return true;
    }
    bool write_rest(peer& p) {
        const ssize_t r = ::send(p.fd, p.output.bytes.get() + p.output.begin, p.output.size(), MSG_NOSIGNAL);
        if (r < 0) return errno == EAGAIN;
        p.output.begin += static_cast<std::size_t>(r);
        if (p.output.size() != 0) return true;
        p.output.clear();
        watch(p.fd, &p, EPOLL_CTL_MOD, EPOLLIN);
        return true;
    }

    int set_;
    int listener_;
    bool broadcast_;
    std::vector<peer*> peers_;
    std::array<byte, 256 * 1024> shared_;
};

}  // namespace

int main(int argc, char** argv) {
    const bool broadcast = argc == 3 && std::string_view(argv[2]) == "broadcast";
    if (argc != 2 && !broadcast) {
        std::fputs("usage: raw_epoll PORT [broadcast]\n", stderr);
        return 2;
    }
    auto s = std::make_unique<server>(static_cast<std::uint16_t>(std::atoi(argv[1])), broadcast);
    s->run();
}

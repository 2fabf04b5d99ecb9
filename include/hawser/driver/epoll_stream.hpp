// SPDX-License-Identifier: BSL-1.0
/// \file
/// Streams on plain sockets of an epoll set.
#pragma once

#if defined(__linux__)

#include <hawser/core/errc.hpp>
#include <hawser/driver/asio_stream.hpp>
#include <hawser/driver/epoll_reactor.hpp>

#include <asio/error.hpp>
#include <asio/ip/tcp.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

namespace hawser::inline v0::detail {

class epoll_stream final : public stream, epoll_watcher {
public:
    /// Takes over a connected descriptor that does not block.
    epoll_stream(epoll_reactor& r, int descriptor, bool local) noexcept
        : reactor_(r), descriptor_(descriptor), local_(local) {
        send_at_once();
    }
    /// To be connected: `dialling()` is the sink for the stream that does it.
    epoll_stream(epoll_reactor& r, stream_sink& sink, bool local)
        : reactor_(r), sink_(&sink), dial_(std::make_unique<dial>(*this)), local_(local) {}
    ~epoll_stream() override {
        if (descriptor_ < 0) return;
        detach();
        // In a forked child the connection is the parent's too, and so would be this option.
        const linger hard{1, 0};
        if (reset_on_close_ && reactor_.owner().alive())
            (void)::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        (void)::close(descriptor_);
    }
    [[nodiscard]] stream_sink& dialling() noexcept { return *dial_; }
    void set_dialler(stream_ptr s) noexcept { dial_->stream = std::move(s); }

    [[nodiscard]] write_result write_some(std::span<const byte_view> buffers) override {
        std::array<iovec, 64> list;
        std::size_t count = 0, total = 0;
        for (const byte_view b : buffers) {
            if (count == list.size()) break;
            list[count++] = {const_cast<std::byte*>(b.data()), b.size()};
            total += b.size();
        }
        const ssize_t r = send(std::span(list).first(count));
        if (r < 0 && errno != EAGAIN && errno != EWOULDBLOCK) return {0, last_error()};
        const std::size_t n = r < 0 ? 0 : static_cast<std::size_t>(r);
        if (n < total) wait_writable();
        return {n, {}};
    }
    // The next event finds out, if there is one: a pause is often over before.
    void pause_reading() override { paused_ = true; }
    void resume_reading() override {
        if (!std::exchange(paused_, false) || !sink_ || descriptor_ < 0 || over_) return;
        if (token_ == 0)
            attach();
        else
            update();
    }
    void shutdown() override { (void)::shutdown(descriptor_, SHUT_WR); }
    void abort() override { reset_on_close_ = true; }
    [[nodiscard]] std::string remote_address() const override {
        if (local_) return "unix";
        asio::ip::tcp::endpoint peer;
        auto size = static_cast<socklen_t>(peer.capacity());
        if (::getpeername(descriptor_, peer.data(), &size) != 0) return {};
        peer.resize(size);
        return peer.address().to_string();
    }
    void set_sink(stream_sink& sink) override {
        sink_ = &sink;
        if (descriptor_ >= 0 && token_ == 0 && !paused_ && !over_) attach();
    }

private:
    // Asio resolves and connects; then its socket gives its descriptor away.
    struct dial final : stream_sink {
        explicit dial(epoll_stream& s) noexcept : target(s) {}
        void on_connected(std::error_code ec) override {
            epoll_stream& t = target;
            if (!ec) t.descriptor_ = static_cast<asio_stream&>(*stream).release();
            const auto ended = std::move(t.dial_);
            t.on_connected(ec);
        }
        void on_bytes(byte_span) override {}
        void on_writable() override {}
        void on_closed(std::error_code) override {}

        epoll_stream& target;
        stream_ptr stream;
    };
    // A wake-up may read this often from one stream before the others get their turn.
    static constexpr int max_reads_per_wakeup = 8;

    void on_connected(std::error_code ec) {
        try {
            if (!ec) attach();
        } catch (const std::bad_alloc&) {
            ec = std::make_error_code(std::errc::not_enough_memory);
        }
        sink_->on_connected(ec);
    }
    void send_at_once() const noexcept {
        const int on = 1;
        if (!local_) (void)::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    // Of Asio's category, as in the portable driver.
    [[nodiscard]] static std::error_code last_error() noexcept { return {errno, asio::error::get_system_category()}; }
    [[nodiscard]] std::error_code socket_error() const noexcept {
        int value = 0;
        socklen_t size = sizeof value;
        (void)::getsockopt(descriptor_, SOL_SOCKET, SO_ERROR, &value, &size);
        return {value, asio::error::get_system_category()};
    }
    [[nodiscard]] ssize_t send(std::span<iovec> list) const noexcept {
        for (;;) {
            ssize_t n = 0;
            if (list.size() == 1) {  // most often; it costs less than sendmsg()
                n = ::send(descriptor_, list[0].iov_base, list[0].iov_len, MSG_NOSIGNAL);
            } else {
                msghdr m{};
                m.msg_iov = list.data();
                m.msg_iovlen = list.size();
                n = ::sendmsg(descriptor_, &m, MSG_NOSIGNAL);
            }
            if (n >= 0 || errno != EINTR) return n;
        }
    }

    // ---- what the set reports ----------------------------------------------------------------

    [[nodiscard]] std::uint8_t wanted() const noexcept {
        static_assert((EPOLLIN | EPOLLOUT) < 256);
        return static_cast<std::uint8_t>((paused_ ? 0u : std::uint32_t{EPOLLIN}) | (wants_write_ ? std::uint32_t{EPOLLOUT} : 0u));
    }
    void attach() {
        const std::uint8_t events = wanted();
        token_ = reactor_.add(descriptor_, events, *this);
        events_ = events;
    }
    void detach() noexcept {
        if (const auto t = std::exchange(token_, 0)) reactor_.remove(descriptor_, t);
    }
    void update() noexcept {
        if (token_ == 0 || events_ == wanted()) return;
        events_ = wanted();
        reactor_.change(descriptor_, events_, token_);
    }
    void wait_writable() {
        wants_write_ = true;
        if (token_ == 0 && sink_ && !over_)
            attach();
        else
            update();
    }

    std::size_t on_ready(std::uint32_t events) override {
        epoll_reactor& reactor = reactor_;  // this may be destroyed by what it calls
        const driver::turn t(reactor.owner());
        const epoll_reactor::token mine = token_;
        if ((events & EPOLLOUT) != 0 && std::exchange(wants_write_, false)) {
            sink_->on_writable();
            if (!reactor.holds(mine)) return 0;
            update();
        }
        if (paused_) {
            on_ready_paused(events);
            return 0;
        }
        return (events & ~std::uint32_t{EPOLLOUT}) != 0 ? read_some(events) : 0;
    }
    // Errors and the end of both directions are reported whatever was asked for, again and again. After an
    // error nothing follows; else there may be input, for which the connection will be resumed.
    void on_ready_paused(std::uint32_t events) {
        if ((events & EPOLLERR) != 0) return end(socket_error());
        if ((events & EPOLLHUP) != 0) return detach();
        update();
    }
    std::size_t read_some(std::uint32_t events) {
        epoll_reactor& reactor = reactor_;
        const epoll_reactor::token mine = token_;
        std::size_t total = 0;
        for (int i = 0; i < max_reads_per_wakeup; ++i) {
            byte_span room = sink_->read_room();
            if (room.empty()) room = reactor.buffer();
            const ssize_t n = receive(room);
            if (n <= 0) {
                on_nothing(n, events);
                break;
            }
            const auto size = static_cast<std::size_t>(n);
            total += size;
            sink_->on_bytes(room.first(size));
            if (!reactor.holds(mine) || paused_) break;
            // A read that did not fill its room has emptied the socket; if not, the set will say so. In the middle of
            // a large message more has mostly come since, and a wake-up costs three calls where this is one.
            if (size < room.size() && sink_->read_room().empty()) break;
        }
        return total;
    }
    [[nodiscard]] ssize_t receive(byte_span into) const noexcept {
        for (;;) {
            const ssize_t n = ::recv(descriptor_, into.data(), into.size(), 0);
            if (n >= 0 || errno != EINTR) return n;
        }
    }
    void on_nothing(ssize_t n, std::uint32_t events) {
        if (n == 0) return end({});
        if (errno != EAGAIN && errno != EWOULDBLOCK) return end(last_error());
        if ((events & (EPOLLERR | EPOLLHUP)) != 0) end(socket_error());
    }
    void end(std::error_code ec) {
        over_ = true;
        detach();
        sink_->on_closed(ec);
    }

    epoll_reactor& reactor_;
    stream_sink* sink_ = nullptr;
    std::unique_ptr<dial> dial_;  // until it is connected
    epoll_reactor::token token_ = 0;
    int descriptor_ = -1;
    std::uint8_t events_ = 0;  // that the set reports
    bool paused_ = false;
    bool wants_write_ = false;
    bool reset_on_close_ : 1 = false;
    bool over_ : 1 = false;   // the end was told
    bool local_ : 1 = false;  // a socket file: its peer has no address
};

}  // namespace hawser::inline v0::detail

#endif

// SPDX-License-Identifier: BSL-1.0
#include "relay.hpp"

#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>

#include <algorithm>
#include <cstdio>
#include <string_view>

namespace demo {

using asio::redirect_error;
using asio::use_awaitable;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t read_size = 64 * 1024;

// The path of the request: "7" of "GET /7 HTTP/1.1".
std::string name_of(const std::vector<std::byte>& request) {
    if (request.empty()) return {};
    const std::string_view text(reinterpret_cast<const char*>(request.data()), request.size());
    const auto begin = std::min(text.find('/'), text.size() - 1) + 1;
    return std::string(text.substr(begin, text.find(' ', begin) - begin));
}

void log_cut(const std::string& name, cut_class c, cut_kind k) {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    std::fprintf(stderr, "%lld client %s: %s, %s\n",
                 static_cast<long long>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count()),
                 name.c_str(), cut_class_names[static_cast<std::size_t>(c)].data(),
                 cut_kind_names[static_cast<std::size_t>(k)].data());
}

}  // namespace

relay::relay(tcp::socket client, planner& plans, board& b)
    : plans_(plans),
      board_(b),
      client_(std::move(client)),
      server_(client_.get_executor()),
      timer_(client_.get_executor()),
      stall_(client_.get_executor()),
      plan_(plans.for_handshake()) {
    lanes_[0].from = lanes_[1].to = &client_;
    lanes_[0].to = lanes_[1].from = &server_;
}

void relay::start(tcp::endpoint server) {
    asio::co_spawn(
        client_.get_executor(), [self = shared_from_this(), server] { return self->run(server); }, asio::detached);
}

asio::awaitable<void> relay::run(tcp::endpoint server) {
    if (plan_.point == handshake_point::accepted) {
        cut();
        co_return;
    }
    std::error_code ec;
    co_await server_.async_connect(server, redirect_error(use_awaitable, ec));
    if (mode_ != mode::relaying) co_return;
    if (ec) {
        ++board_.refused;
        reset();
        co_return;
    }
    connected_ = true;
    client_.set_option(tcp::no_delay(true), ec);
    server_.set_option(tcp::no_delay(true), ec);
    for (const int index : {0, 1})
        asio::co_spawn(
            client_.get_executor(), [self = shared_from_this(), index] { return self->pump(index); }, asio::detached);
}

asio::awaitable<void> relay::pump(int index) {
    lane& l = lanes_[static_cast<std::size_t>(index)];
    std::vector<std::byte> buffer(read_size);
    for (;;) {
        std::error_code ec;
        const std::size_t n = co_await l.from->async_read_some(asio::buffer(buffer), redirect_error(use_awaitable, ec));
        while (mode_ == mode::stalled) {
            std::error_code ignored;
            co_await stall_.async_wait(redirect_error(use_awaitable, ignored));
        }
        if (mode_ == mode::ended) co_return;
        if (ec) {
            end_of_input(l, ec);
            co_return;
        }
        if (mode_ == mode::cut || l.silent) continue;
        l.in.insert(l.in.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(n));
        const bool go_on = co_await pass(index);
        if (!go_on && mode_ == mode::ended) co_return;
    }
}

// Relays what was read, up to the point where the plan cuts; false: it did, or a write failed.
asio::awaitable<bool> relay::pass(int index) {
    lane& l = lanes_[static_cast<std::size_t>(index)];
    std::size_t at = 0;
    for (;;) {
        const piece p = l.view.next(std::span(l.in).subspan(at));
        if (p.what == piece::kind::need_more) break;
        if (client_name_.empty()) client_name_ = name_of(l.in);
        const std::size_t share = std::min(allowed(index, p), p.size);
        const auto begin = l.in.begin() + static_cast<std::ptrdiff_t>(at);
        l.out.insert(l.out.end(), begin, begin + static_cast<std::ptrdiff_t>(share));
        const bool cut_here = share < p.size;
        passed(index, p, share);
        at += p.size;
        const bool cut_behind = armed_ && !decided_ && plan_.at == plan::aim::quiet && quiet();
        if (!cut_here && !cut_behind) continue;
        decided_ = true;  // the other direction decides nothing any more
        l.in.erase(l.in.begin(), l.in.begin() + static_cast<std::ptrdiff_t>(at));
        if (co_await flush(l)) cut();
        co_return false;
    }
    l.in.erase(l.in.begin(), l.in.begin() + static_cast<std::ptrdiff_t>(at));
    co_return co_await flush(l);
}

asio::awaitable<bool> relay::flush(lane& l) {
    if (l.out.empty()) co_return true;
    std::error_code ec;
    const auto bytes = std::exchange(l.out, {});
    co_await asio::async_write(*l.to, asio::buffer(bytes), redirect_error(use_awaitable, ec));
    if (ec && mode_ == mode::relaying) reset();
    co_return !ec;
}

// ---- the cut ----------------------------------------------------------------------------------

void relay::cut() {
    if (mode_ == mode::ended || std::exchange(cut_, true)) return;
    log_cut(client_name_, classify(), plan_.kind);
    ++board_.cuts[static_cast<std::size_t>(classify())];
    ++board_.kinds[static_cast<std::size_t>(plan_.kind)];
    armed_ = false;
    timer_.cancel();
    switch (plan_.kind) {
        case cut_kind::reset:
            return reset();
        case cut_kind::close:
            return close_both();
        case cut_kind::half_open:
            // A frame of which a part has passed must not go on behind a gap.
            for (const int index : {0, 1}) {
                lane& l = lanes_[static_cast<std::size_t>(index)];
                l.silent = !open_ || l.partial || (plan_.silent_lanes >> index & 1) != 0 ||
                           plan_.at == plan::aim::data_and_ack;
            }
            return cut_after(plan_.pause);
        case cut_kind::stall:
            mode_ = mode::stalled;
            stall_.expires_after(24h);  // until the reset
            return cut_after(plan_.pause);
    }
}

// At once when the run is over: then all links are to come back.
void relay::cut_after(std::chrono::milliseconds wait) {
    if (mode_ == mode::ended) return;
    if (wait <= 0ms || board_.calm.load() != 0) return reset();
    const auto step = std::min<std::chrono::milliseconds>(wait, 50ms);
    timer_.expires_after(step);
    timer_.async_wait([self = shared_from_this(), rest = wait - step](std::error_code) { self->cut_after(rest); });
}

void relay::reset() {
    if (mode_ == mode::ended) return;
    mode_ = mode::ended;
    std::error_code ignored;
    for (auto* s : {&client_, &server_}) {
        if (s->is_open()) s->set_option(tcp::socket::linger(true, 0), ignored);
        s->close(ignored);
    }
    timer_.cancel();
    stall_.cancel();
}

// FIN both ways. What the sides still say is read and thrown away, or closing would be a reset.
void relay::close_both() {
    mode_ = mode::cut;
    std::error_code ignored;
    client_.shutdown(tcp::socket::shutdown_send, ignored);
    if (connected_) server_.shutdown(tcp::socket::shutdown_send, ignored);
    cut_after(300ms);
}

void relay::end_of_input(lane& l, std::error_code ec) {
    std::error_code ignored;
    if (mode_ == mode::cut || (ec == asio::error::eof && !l.silent)) {
        if (mode_ == mode::relaying) l.to->shutdown(tcp::socket::shutdown_send, ignored);
        if (++ended_lanes_ == 2) {
            mode_ = mode::ended;
            client_.close(ignored);
            server_.close(ignored);
            timer_.cancel();
        }
        return;
    }
    // The end of a silent direction stays unheard until the sockets close.
    if (ec == asio::error::eof) return;
    reset();
}

}  // namespace demo

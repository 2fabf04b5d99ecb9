// SPDX-License-Identifier: BSL-1.0
/// \file
/// The driver on Asio's own sockets and timers: portable, the default.
#pragma once

#include <hawser/driver/asio_acceptor.hpp>
#include <hawser/driver/asio_stream.hpp>
#include <hawser/driver/driver.hpp>
#include <hawser/driver/driver_service.hpp>

#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <random>

#if defined(__linux__)
#include <sys/random.h>
#endif

namespace hawser::inline v0 {

/// Real sockets, the steady clock, the system's random generator.
class asio_driver final : public driver {
public:
    explicit asio_driver(asio::io_context& context)
        : driver(context, std::chrono::steady_clock::now()), timer_(std::in_place, executor()), buffer_(std::make_shared<detail::read_buffer>()) {}

    [[nodiscard]] time_point clock() noexcept override { return std::chrono::steady_clock::now(); }

    [[nodiscard]] bool random(byte_span out) noexcept override {
#if defined(__linux__)
        while (!out.empty()) {
            const auto n = ::getrandom(out.data(), out.size(), 0);
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) return false;
            out = out.subspan(static_cast<std::size_t>(n));
        }
        return true;
#else
        try {
            std::random_device device;
            for (auto& b : out) b = static_cast<std::byte>(device());
            return true;
        } catch (...) {
            return false;
        }
#endif
    }

    [[nodiscard]] stream_ptr connect(const std::string& host, std::uint16_t port, stream_sink& sink) override {
        auto state = std::make_shared<detail::asio_stream_state>(*this, buffer_, detail::tcp_socket(executor()));
        auto result = std::make_unique<detail::asio_stream>(state);  // first: its end makes the state harmless
        state->sink = &sink;
        detail::asio_dial(state, host, port);
        return result;
    }

    [[nodiscard]] acceptor_ptr listen(const listen_endpoint& where, acceptor_sink& sink,
                                      std::error_code& ec) override {
        auto state = std::make_shared<detail::asio_acceptor_state>(*this, buffer_, executor());
        if ((ec = state->open(where))) return nullptr;
        auto result = std::make_unique<detail::asio_acceptor>(state);
        state->sink = &sink;
        detail::asio_acceptor_state::wait(state);
        return result;
    }

protected:
    void release() noexcept override { timer_.reset(); }
    void schedule_wakeup(time_point when) override {
        if (!timer_) return;
        if (when == never) return void(timer_->cancel());
        timer_->expires_at(when);
        timer_->async_wait([this](std::error_code ec) {
            if (!ec) on_wakeup();
        });
    }

private:
    std::optional<asio::steady_timer> timer_;
    std::shared_ptr<detail::read_buffer> buffer_;
};

/// The driver of `context`; the portable one is made when there is none yet.
/// Thread safety: may be called from any thread.
[[nodiscard]] inline driver& use_driver(asio::io_context& context) {
    // Asio's reactor has to be older than our service: in a forked child it must have its own epoll set
    // before descriptors are closed, or those of the parent are taken out of the parent's.
    if (!asio::has_service<detail::driver_service>(context)) const asio::steady_timer makes_reactor(context);
    auto& service = asio::use_service<detail::driver_service>(context);
    const std::lock_guard lock(service.making_);
    if (!service.driver_) service.driver_ = std::make_unique<asio_driver>(context);
    return *service.driver_;
}

}  // namespace hawser::inline v0

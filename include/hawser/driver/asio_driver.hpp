// SPDX-License-Identifier: BSL-1.0
/// \file
/// The driver on Asio's own sockets and timers: portable.
#pragma once

#include <hawser/driver/asio_acceptor.hpp>
#include <hawser/driver/asio_dial.hpp>
#include <hawser/driver/asio_stream.hpp>
#include <hawser/driver/driver.hpp>

#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <new>
#include <optional>
#include <random>

#if defined(__linux__)
#include <sys/random.h>
#endif

namespace hawser::inline v0 {

/// Real sockets, the system's clocks, the system's random generator. Portable.
class asio_driver : public driver {
public:
    explicit asio_driver(asio::io_context& context)
        : driver(context, std::chrono::steady_clock::now()), timer_(std::in_place, executor()), buffer_(std::make_shared<detail::read_buffer>()) {}

    [[nodiscard]] time_point clock() noexcept override { return std::chrono::steady_clock::now(); }
    [[nodiscard]] std::optional<std::chrono::sys_seconds> date() noexcept override {
        return std::chrono::floor<seconds>(std::chrono::system_clock::now());
    }

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
        auto state = make_state();
        auto result = std::make_unique<detail::asio_stream>(state);  // first: its end makes the state harmless
        state->sink = &sink;
        detail::asio_dial::start(state, host, port);
        return result;
    }
    [[nodiscard]] stream_ptr connect_local(const std::string& path, stream_sink& sink, std::error_code&) override {
        auto state = make_state();
        auto result = std::make_unique<detail::asio_stream>(state);
        state->local = true;
        state->sink = &sink;
        detail::asio_dial_local(state, path);
        return result;
    }

    [[nodiscard]] acceptor_ptr listen(const listen_endpoint& where, acceptor_sink& sink,
                                      std::error_code& ec) override {
        auto state = make_acceptor();
        if ((ec = state->open(where))) return nullptr;
        auto result = std::make_unique<detail::asio_acceptor>(state);
        state->sink = &sink;
        detail::asio_acceptor_state::wait(state);
        return result;
    }

protected:
    void release() noexcept override { timer_.reset(); }
    [[nodiscard]] virtual std::shared_ptr<detail::asio_acceptor_state> make_acceptor() {
        return std::make_shared<detail::asio_acceptor_state>(*this, buffer_, executor());
    }
    void schedule_wakeup(time_point when) noexcept override {
        missed_ = never;
        if (!timer_) return;
        try {
            if (when == never) return void(timer_->cancel());
            timer_->expires_at(when);
            timer_->async_wait(detail::with_memory(wakeup_memory_, [this](std::error_code ec) {
                if (!ec) on_wakeup();
                else if (missed_ != never) schedule_wakeup(missed_);
            }));
        } catch (const std::bad_alloc&) {
            missed_ = when;  // an earlier one has the memory; it was cancelled just now and is on its way
        }
    }

private:
    [[nodiscard]] std::shared_ptr<detail::asio_stream_state> make_state() {
        return std::make_shared<detail::asio_stream_state>(*this, buffer_, detail::tcp_socket(executor()));
    }

    std::optional<asio::steady_timer> timer_;
    detail::handler_memory wakeup_memory_;
    time_point missed_ = never;
    std::shared_ptr<detail::read_buffer> buffer_;
};

}  // namespace hawser::inline v0

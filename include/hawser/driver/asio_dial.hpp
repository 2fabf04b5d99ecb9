// SPDX-License-Identifier: BSL-1.0
/// \file
/// Resolves a host and connects to one of its addresses on Asio's sockets.
#pragma once

#include <hawser/driver/asio_stream.hpp>
#include <hawser/driver/local_socket.hpp>
#include <hawser/policy/happy_eyeballs.hpp>

#include <asio/error.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/post.hpp>

#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

namespace hawser::inline v0::detail {

/// Lives until one address has answered, all have failed, or the stream is closed.
class asio_dial final : public dial_operation, public std::enable_shared_from_this<asio_dial> {
public:
    explicit asio_dial(std::shared_ptr<asio_stream_state> state)
        : state_(std::move(state)), resolver_(state_->socket.get_executor()) {}

    static void start(const std::shared_ptr<asio_stream_state>& state, const std::string& host, std::uint16_t port) {
        auto self = std::make_shared<asio_dial>(state);
        state->dialling = self;
        std::error_code ec;
        const auto address = asio::ip::make_address(host, ec);
        if (!ec) {
            self->candidates_.push_back({address, port});
            asio::post(state->socket.get_executor(), [self] { self->begin(); });
            return;
        }
        // Asio asks for both families at once, so there is no order of answers to wait for.
        self->resolver_.async_resolve(host, std::to_string(port), asio::ip::resolver_base::numeric_service,
                                      [self](std::error_code failed, const asio::ip::tcp::resolver::results_type& results) {
                                          self->results_ = results;
                                          if (failed) self->results_ = {};
                                          self->begin();
                                      });
    }
    /// The stream was closed.
    void cancel() noexcept override {
        resolver_.cancel();
        give_up();
    }

private:
    void begin() {
        if (!state_) return;
        const driver::turn t(state_->owner);
        guarded([this] {
            for (const auto& entry : results_) candidates_.push_back(entry.endpoint());
            std::vector<address_family> families;
            for (const auto& c : candidates_) families.push_back(c.address().is_v6() ? address_family::v6 : address_family::v4);
            policy_ = happy_eyeballs(families);
            start_due();
        });
    }
    void on_due(time_point) {
        if (state_) guarded([this] { start_due(); });
    }
    // Memory that ran out ends the dialling. What the sink throws is the sink's.
    template <class F>
    void guarded(F&& start) {
        const auto self = shared_from_this();
        try {
            start();
        } catch (const std::bad_alloc&) {
            last_ = errc::out_of_memory;
            return fail();
        }
        if (policy_.exhausted()) fail();
    }
    void start_due() {
        driver& d = state_->owner;
        while (const auto next = policy_.next(d.now())) attempt(candidates_[*next]);
        if (policy_.deadline() == never) timer_.cancel();
        else d.arm(timer_, policy_.deadline());
    }
    void attempt(const asio::ip::tcp::endpoint& where) {
        auto socket = std::make_shared<tcp_socket>(state_->socket.get_executor());
        if (const auto refused = open_socket(*socket, where.protocol())) {
            last_ = refused;
            return policy_.on_failed(state_->owner.now());
        }
        attempts_.push_back(socket);
        socket->async_connect(where, [self = shared_from_this(), socket](std::error_code ec) { self->on_result(*socket, ec); });
    }
    void on_result(tcp_socket& socket, std::error_code ec) {
        if (!state_) return;
        const driver::turn t(state_->owner);
        if (!ec) return win(socket);
        last_ = ec;
        std::error_code ignored;
        socket.close(ignored);
        policy_.on_failed(state_->owner.now());
        guarded([this] { start_due(); });
    }
    void win(tcp_socket& socket) {
        const auto state = state_;
        state->socket = std::move(socket);
        give_up();
        state->finish_dialling({});
    }
    void fail() {
        const auto state = state_;
        give_up();
        state->finish_dialling(last_);
    }
    void give_up() noexcept {
        state_.reset();
        timer_.cancel();
        std::error_code ignored;
        for (const auto& s : attempts_) s->close(ignored);
        attempts_.clear();
    }

    std::shared_ptr<asio_stream_state> state_;  // null when it is over
    asio::ip::tcp::resolver resolver_;
    asio::ip::tcp::resolver::results_type results_;
    std::vector<asio::ip::tcp::endpoint> candidates_;
    happy_eyeballs policy_;
    std::vector<std::shared_ptr<tcp_socket>> attempts_;
    std::error_code last_ = errc::resolve_failed;
    timer_node timer_{this, on_timer<&asio_dial::on_due>};
};

/// The same for a socket file: there is nothing to resolve or to wait for.
inline void asio_dial_local(const std::shared_ptr<asio_stream_state>& state, const std::string& path) {
    asio::post(state->socket.get_executor(), [state, path] {
        if (!state->sink) return;
        const driver::turn t(state->owner);
        state->finish_dialling(connect_local_socket(state->socket, path));
    });
}

}  // namespace hawser::inline v0::detail

// SPDX-License-Identifier: BSL-1.0
/// \file
/// TCP streams on Asio's sockets.
#pragma once

#include <hawser/core/errc.hpp>
#include <hawser/driver/driver.hpp>
#include <hawser/driver/socket_calls.hpp>

#include <asio/buffer.hpp>
#include <asio/error.hpp>
#include <asio/ip/tcp.hpp>

#include <array>
#include <memory>
#include <new>
#include <string>
#include <utility>

namespace hawser::inline v0::detail {

/// One per driver: what a read brings is handled before the next read of any connection.
using read_buffer = std::array<std::byte, 64 * 1024>;

/// What connects a dialled stream; see asio_dial.hpp.
struct dial_operation {
    virtual ~dial_operation() = default;
    virtual void cancel() noexcept = 0;
};

/// State shared with the operations under way; the stream that owns it may go at any time.
struct asio_stream_state : std::enable_shared_from_this<asio_stream_state> {
    asio_stream_state(driver& d, std::shared_ptr<read_buffer> shared, tcp_socket s)
        : owner(d), buffer(std::move(shared)), socket(std::move(s)) {}

    driver& owner;
    std::shared_ptr<read_buffer> buffer;
    tcp_socket socket;
    std::shared_ptr<dial_operation> dialling;  // until it is connected
    stream_sink* sink = nullptr;
    bool reading = false;        // a wait for input is under way
    bool paused = false;
    bool wants_write = false;    // a wait for room is under way
    bool reset_on_close = false;
    bool local = false;          // a socket file: its peer has no address

    // A wake-up may read this often before the other handlers of the host get their turn.
    static constexpr int max_reads_per_wakeup = 4;

    void start_reading() {
        if (reading || paused || !sink || !socket.is_open()) return;
        socket.async_wait(tcp_socket::wait_read, [self = shared_from_this()](std::error_code ec) {
            self->reading = false;
            if (!self->sink || self->paused || ec == asio::error::operation_aborted) return;
            const driver::turn t(self->owner);
            if (ec) return self->sink->on_closed(ec);
            self->read_some();
        });
        reading = true;  // it did not throw
    }
    void read_some() {
        for (int i = 0; i < max_reads_per_wakeup; ++i) {
            std::error_code ec;
            byte_span room = sink->read_room();
            if (room.empty()) room = *buffer;
            const std::size_t n = socket.read_some(asio::buffer(room.data(), room.size()), ec);
            if (ec == asio::error::would_block || ec == asio::error::try_again) break;
            if (ec == asio::error::eof) ec.clear();
            if (n == 0) return sink->on_closed(ec);
            sink->on_bytes(room.first(n));
            if (!sink || paused) return;
            if (n < room.size()) break;
        }
        try {
            start_reading();
        } catch (const std::bad_alloc&) {
            sink->on_closed(std::make_error_code(std::errc::not_enough_memory));
        }
    }
    void wait_writable() {
        if (wants_write || !socket.is_open()) return;
        socket.async_wait(tcp_socket::wait_write, [self = shared_from_this()](std::error_code ec) {
            self->wants_write = false;
            if (!self->sink || ec == asio::error::operation_aborted) return;
            const driver::turn t(self->owner);
            if (ec) self->sink->on_closed(ec);
            else self->sink->on_writable();
        });
        wants_write = true;
    }
    void prepare() {
        std::error_code ignored;
        socket.non_blocking(true, ignored);
        socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    }
    /// Inside of a turn. The socket is connected, or `ec` says why it is not.
    void finish_dialling(std::error_code ec) {
        dialling.reset();
        if (!ec) prepare();
        sink->on_connected(ec);
        if (!ec && sink) start_reading();
    }
    void close() noexcept {
        sink = nullptr;
        std::error_code ignored;
        if (const auto ended = std::move(dialling)) ended->cancel();
        // In a forked child the connection is the parent's too, and so would be this option.
        if (reset_on_close && socket.is_open() && owner.alive()) socket.set_option(asio::socket_base::linger(true, 0), ignored);
        socket.close(ignored);
    }
};

class asio_stream final : public stream {
public:
    explicit asio_stream(std::shared_ptr<asio_stream_state> state) : state_(std::move(state)) {}
    ~asio_stream() override { state_->close(); }

    [[nodiscard]] write_result write_some(std::span<const byte_view> buffers) override {
        std::error_code ec;
        std::size_t n = 0, total = 0;
        if (buffers.size() == 1) {  // most often; send() costs less than sendmsg()
            total = buffers[0].size();
            n = state_->socket.write_some(asio::const_buffer(buffers[0].data(), total), ec);
        } else {
            n = write_list(buffers, total, ec);
        }
        if (ec == asio::error::would_block || ec == asio::error::try_again) ec.clear();
        if (ec) return {0, ec};
        if (n < total) state_->wait_writable();
        return {n, {}};
    }
    void pause_reading() override { state_->paused = true; }
    void resume_reading() override {
        if (!std::exchange(state_->paused, false)) return;
        state_->start_reading();
    }
    void shutdown() override {
        std::error_code ignored;
        state_->socket.shutdown(tcp_socket::shutdown_send, ignored);
    }
    void abort() override { state_->reset_on_close = true; }
    [[nodiscard]] std::string remote_address() const override {
        if (state_->local) return "unix";
        std::error_code ec;
        const auto endpoint = state_->socket.remote_endpoint(ec);
        return ec ? std::string() : endpoint.address().to_string();
    }
    /// Gives the socket's descriptor away; the stream is to be destroyed.
    [[nodiscard]] tcp_socket::native_handle_type release() { return state_->socket.release(); }
    void set_sink(stream_sink& sink) override {
        state_->sink = &sink;
        state_->start_reading();
    }

private:
    std::size_t write_list(std::span<const byte_view> buffers, std::size_t& total, std::error_code& ec) {
        std::array<asio::const_buffer, 64> list;
        std::size_t count = 0;
        for (const byte_view b : buffers) {
            if (count == list.size()) break;
            list[count++] = asio::const_buffer(b.data(), b.size());
            total += b.size();
        }
        return state_->socket.write_some(std::span(list).first(count), ec);
    }

    std::shared_ptr<asio_stream_state> state_;
};

}  // namespace hawser::inline v0::detail

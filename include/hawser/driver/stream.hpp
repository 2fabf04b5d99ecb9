// SPDX-License-Identifier: BSL-1.0
/// \file
/// Byte streams that push: what a transport tells a connection, and what it is asked for.
#pragma once

#include <hawser/core/bytes.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <system_error>

namespace hawser::inline v0 {

/// Receives what happens on a stream. Everything is called on the driver's strand, inside a
/// turn; the stream may be destroyed inside each of them.
class stream_sink {
public:
    /// A dialled stream is connected, or it is not and never will be.
    virtual void on_connected(std::error_code ec) = 0;
    /// Where the next read is to put its bytes; empty for the driver's shared buffer. They come by `on_bytes` all the
    /// same. Asked before each read; the memory must last until then.
    [[nodiscard]] virtual byte_span read_room() noexcept { return {}; }
    /// What one read brought. The bytes are in the driver's shared buffer or in `read_room()`: they may be changed;
    /// in the former they are valid during the call only.
    virtual void on_bytes(byte_span chunk) = 0;
    /// Room again, after `write_some` took less than everything.
    virtual void on_writable() = 0;
    /// The peer ended the stream (no error), or it broke. Nothing follows.
    virtual void on_closed(std::error_code ec) = 0;

protected:
    ~stream_sink() = default;
};

struct write_result {
    std::size_t bytes = 0;      ///< taken; less than asked for means "wait for on_writable"
    std::error_code error;      ///< the stream is broken; `on_closed` will not be called for it
};

/// A byte stream. Destroying it closes it at once and ends all calls to its sink.
class stream {
public:
    virtual ~stream() = default;
    /// Writes without waiting. Buffers are not kept.
    [[nodiscard]] virtual write_result write_some(std::span<const byte_view> buffers) = 0;
    virtual void pause_reading() = 0;
    virtual void resume_reading() = 0;
    /// No more will be written (FIN); reading goes on.
    virtual void shutdown() = 0;
    /// Destroying the stream from now on resets the connection instead of closing it in order.
    virtual void abort() = 0;
    /// Address of the peer for limits and logs, without its port; may be empty.
    [[nodiscard]] virtual std::string remote_address() const = 0;
    /// Sets who is told. An accepted stream reads nothing before it has a sink.
    virtual void set_sink(stream_sink& sink) = 0;
};
using stream_ptr = std::unique_ptr<stream>;

/// Receives accepted streams, on the driver's strand and inside a turn.
class acceptor_sink {
public:
    virtual void on_accept(stream_ptr accepted) = 0;
    /// Accepting failed, for instance because descriptors ran out; it goes on by itself. Told once
    /// until a connection has been accepted again.
    virtual void on_accept_error(std::error_code ec) = 0;

protected:
    ~acceptor_sink() = default;
};

/// A listening endpoint. Destroying it ends all calls to its sink.
class acceptor {
public:
    virtual ~acceptor() = default;
    [[nodiscard]] virtual std::uint16_t port() const = 0;
};
using acceptor_ptr = std::unique_ptr<acceptor>;

/// Where to listen.
struct listen_endpoint {
    std::string address = "127.0.0.1";  ///< an IP address; "0.0.0.0" or "::" for all interfaces
    std::uint16_t port = 0;             ///< 0: a free one, see `listener::port()`
    bool reuse_port = false;            ///< SO_REUSEPORT: several listeners share the port
    int backlog = 1024;                 ///< connections not yet accepted, at most
    /// A socket file (AF_UNIX) in place of address and port. One that nobody listens on any more is replaced; it is
    /// removed when the listener closes.
    std::string path{};
    unsigned permissions = 0600;        ///< of that file, whatever the umask is
};

}  // namespace hawser::inline v0

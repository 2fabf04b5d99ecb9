// SPDX-License-Identifier: BSL-1.0
/// \file
/// One io_context in virtual time: the same sockets and handlers, without a network or a clock.
/// For several machines that crash and restart see `world`.
#pragma once

#include <hawser/testing/node.hpp>

#include <string>
#include <vector>

namespace hawser::inline v0::testing {

/// A scripted TCP peer: bytes that you send, bytes that arrived.
class raw_peer final : stream_sink {
public:
    /// Takes over a stream from `virtual_driver::listen_raw`.
    explicit raw_peer(stream_ptr s) : stream_(std::move(s)) { stream_->set_sink(*this); }
    /// Writes; what does not fit into the connection is lost.
    void send(std::string_view bytes) {
        const byte_view b[] = {as_bytes(bytes)};
        (void)stream_->write_some(b);
    }
    /// Ends the connection in order.
    void close() { stream_.reset(); }
    /// Resets the connection.
    void reset() {
        stream_->abort();
        stream_.reset();
    }
    std::string received;    ///< all bytes that arrived
    bool closed = false;     ///< the other end is gone, or could not be reached
    bool connected = false;  ///< after `virtual_driver::dial`: the other end accepted

private:
    friend class virtual_driver;
    raw_peer() = default;
    void on_connected(std::error_code ec) override { connected = !ec; closed = static_cast<bool>(ec); }
    void on_bytes(byte_span chunk) override { received += as_text(chunk); }
    void on_writable() override {}
    void on_closed(std::error_code) override { closed = true; }
    stream_ptr stream_;
};

namespace detail {
// Before the node, which uses them to its end.
struct own_simulation {
    explicit own_simulation(std::uint64_t seed) : net(events, seed) {}
    scheduler events;
    network net;
};
}  // namespace detail

/// Install it before anything else of hawser is used with the io_context:
/// `auto& world = hawser::install_driver<hawser::testing::virtual_driver>(context, seed);`
/// Then start what you test, and call `run_for` or `run_until` instead of `context.run()`.
/// Handlers run in virtual time; do not use Asio's own timers or sockets with it.
/// Everything is determined by the seed. Thread safety: none.
class virtual_driver final : detail::own_simulation, public node {
public:
    /// Internal: `install_driver` makes it.
    explicit virtual_driver(asio::io_context& context, std::uint64_t seed = 1)
        : own_simulation(seed), node(context, events, own_simulation::net, "localhost", seed),
          way_(own_simulation::net.way("localhost", "localhost")), here_(own_simulation::net.at("localhost")),
          latency(way_.latency), refuse_connections(here_.refuses), blackhole(here_.blackhole) {
        own_simulation::net.on_connection = [this](const std::shared_ptr<connection>& c) {
            made_.push_back(c);
            if (on_connection) on_connection(c);
        };
    }
    ~virtual_driver() override { events.clear(); }

private:
    path& way_;
    machine& here_;

public:
    // ---- faults ------------------------------------------------------------------------------

    duration& latency;         ///< one way
    bool& refuse_connections;  ///< connection refused
    bool& blackhole;           ///< no answer at all

    /// Sees each new connection, for instance to keep it and cut it later.
    std::function<void(const std::shared_ptr<connection>&)> on_connection;

    /// All connections made so far, in order.
    [[nodiscard]] const std::vector<std::shared_ptr<connection>>& connections() const noexcept { return made_; }
    /// The newest connection. Precondition: there is one.
    [[nodiscard]] connection& last_connection() { return *made_.back(); }

    // ---- time --------------------------------------------------------------------------------

    /// Executes what happens in the next `span` of virtual time.
    void run_for(duration span) {
        const time_point until = clock() + span;
        while (step(until)) {}
        events.advance(until);
    }
    /// Runs until `done()`; returns whether it came true within `limit` of virtual time.
    template <class Done>
    [[nodiscard]] bool run_until(Done&& done, duration limit = seconds{600}) {
        const time_point until = clock() + limit;
        poll();
        while (!done())
            if (!step(until)) return done();
        return true;
    }
    /// Executes handlers that are ready, without letting time pass.
    void poll() { drain(); }
    /// Jumps the clock, as a suspended machine does: nothing happens in between.
    void jump(duration span) { events.advance(clock() + span); }

    // ---- scripted peers ----------------------------------------------------------------------

    /// Dials like a client of any kind would. `run` until `connected`.
    [[nodiscard]] std::unique_ptr<raw_peer> dial(std::uint16_t port) {
        std::unique_ptr<raw_peer> peer(new raw_peer);
        peer->stream_ = connect("localhost", port, *peer);
        return peer;
    }
    /// Listens with a function that gets each accepted stream.
    [[nodiscard]] acceptor_ptr listen_raw(std::uint16_t port, std::function<void(stream_ptr)> f) {
        struct raw_acceptor final : acceptor, acceptor_sink {
            void on_accept(stream_ptr s) override { accept(std::move(s)); }
            void on_accept_error(std::error_code) override {}
            [[nodiscard]] std::uint16_t port() const override { return inner->port(); }
            std::function<void(stream_ptr)> accept;
            acceptor_ptr inner;
        };
        auto raw = std::make_unique<raw_acceptor>();
        raw->accept = std::move(f);
        std::error_code ec;
        raw->inner = listen({.port = port}, *raw, ec);
        return ec ? nullptr : std::move(raw);
    }

    /// Every name is this machine.
    [[nodiscard]] stream_ptr connect(const std::string&, std::uint16_t port, stream_sink& sink) override {
        return node::connect("localhost", port, sink);
    }

private:
    bool step(time_point until) {
        poll();
        return events.step(until);
    }
    std::vector<std::shared_ptr<connection>> made_;
};

/// A connection of a `virtual_driver`.
using virtual_connection = connection;

}  // namespace hawser::inline v0::testing

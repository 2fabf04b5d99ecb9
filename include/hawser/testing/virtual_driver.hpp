// SPDX-License-Identifier: BSL-1.0
/// \file
/// A driver in virtual time: the same sockets and handlers, without a network or a clock.
#pragma once

#include <hawser/core/errc.hpp>
#include <hawser/driver/asio_driver.hpp>
#include <hawser/policy/random.hpp>
#include <hawser/testing/virtual_stream.hpp>

#include <map>
#include <string>
#include <vector>

namespace hawser::inline v0::testing {

/// A scripted TCP peer: bytes that you send, bytes that arrived.
class raw_peer final : stream_sink {
public:
    explicit raw_peer(stream_ptr s) : stream_(std::move(s)) { stream_->set_sink(*this); }
    void send(std::string_view bytes) {
        const byte_view b[] = {as_bytes(bytes)};
        (void)stream_->write_some(b);
    }
    void close() { stream_.reset(); }
    void reset() {
        stream_->abort();
        stream_.reset();
    }
    std::string received;
    bool closed = false;
    bool connected = false;

private:
    friend class virtual_driver;
    raw_peer() = default;
    void on_connected(std::error_code ec) override { connected = !ec; closed = static_cast<bool>(ec); }
    void on_bytes(byte_span chunk) override { received += as_text(chunk); }
    void on_writable() override {}
    void on_closed(std::error_code) override { closed = true; }
    stream_ptr stream_;
};

/// Install it before anything else of hawser is used with the io_context:
/// `auto& world = hawser::install_driver<hawser::testing::virtual_driver>(context, seed);`
/// Then start what you test, and call `run_for` or `run_until` instead of `context.run()`.
/// Handlers run in virtual time; do not use Asio's own timers or sockets with it.
/// Everything is determined by the seed. Thread safety: none.
class virtual_driver final : public driver, event_queue {
public:
    explicit virtual_driver(asio::io_context& context, std::uint64_t seed = 1)
        : driver(context, start()), context_(context), rng_(seed) {}

    // ---- faults, for what is dialled from now on ---------------------------------------------

    duration latency = milliseconds{1};  ///< one way
    bool refuse_connections = false;     ///< connection refused
    bool blackhole = false;              ///< no answer at all
    bool random_fails = false;
    /// Sees each new connection, for instance to keep it and cut it later.
    std::function<void(const std::shared_ptr<virtual_connection>&)> on_connection;

    /// All connections made so far, in order.
    [[nodiscard]] const std::vector<std::shared_ptr<virtual_connection>>& connections() const noexcept { return made_; }
    [[nodiscard]] virtual_connection& last_connection() { return *made_.back(); }

    // ---- time --------------------------------------------------------------------------------

    /// Executes what happens in the next `span` of virtual time.
    void run_for(duration span) {
        const time_point until = now_ + span;
        while (step(until)) {}
        now_ = until;
    }
    /// Runs until `done()`; returns whether it came true within `limit` of virtual time.
    template <class Done>
    [[nodiscard]] bool run_until(Done&& done, duration limit = seconds{600}) {
        const time_point until = now_ + limit;
        poll();
        while (!done())
            if (!step(until)) return done();
        return true;
    }
    /// Executes handlers that are ready, without letting time pass.
    void poll() {
        context_.restart();
        context_.poll();
    }
    /// Jumps the clock, as a suspended machine does: nothing happens in between.
    void jump(duration span) { now_ += span; }

    // ---- scripted peers ----------------------------------------------------------------------

    /// Dials like a client of any kind would. `run` until `connected`.
    [[nodiscard]] std::unique_ptr<raw_peer> dial(std::uint16_t port) {
        std::unique_ptr<raw_peer> peer(new raw_peer);
        peer->stream_ = connect("10.0.0.2", port, *peer);
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

    // ---- driver ------------------------------------------------------------------------------

    [[nodiscard]] time_point clock() noexcept override { return now_; }
    [[nodiscard]] bool random(byte_span out) noexcept override {
        if (random_fails) return false;
        for (auto& b : out) b = static_cast<std::byte>(rng_());
        return true;
    }
    [[nodiscard]] stream_ptr connect(const std::string&, std::uint16_t port, stream_sink& sink) override {
        auto c = std::make_shared<virtual_connection>(static_cast<event_queue&>(*this), latency);
        c->end(0).sink = &sink;
        if (blackhole) return std::make_unique<virtual_stream>(c, 0);
        at(now_ + 2 * latency, [this, c, port, refused = refuse_connections] { establish(c, port, refused); });
        return std::make_unique<virtual_stream>(c, 0);
    }
    [[nodiscard]] acceptor_ptr listen(const listen_endpoint& where, acceptor_sink& sink, std::error_code& ec) override {
        struct virtual_acceptor final : acceptor {
            virtual_acceptor(virtual_driver& d, std::uint16_t p) : world(d), number(p) {}
            ~virtual_acceptor() override { world.listening_.erase(number); }
            [[nodiscard]] std::uint16_t port() const override { return number; }
            virtual_driver& world;
            std::uint16_t number;
        };
        std::uint16_t port = where.port;
        while (where.port == 0 && (port == 0 || listening_.contains(port))) port = ++last_port_;
        if (listening_.contains(port)) {
            ec = std::make_error_code(std::errc::address_in_use);
            return nullptr;
        }
        listening_[port] = &sink;
        return std::make_unique<virtual_acceptor>(*this, port);
    }

protected:
    void schedule_wakeup(time_point when) override { wakeup_at_ = when; }

private:
    static time_point start() noexcept { return time_point{} + seconds{1'000'000}; }

    void at(time_point when, std::function<void()> what) override {
        events_.emplace(std::pair{when, ++last_event_}, std::move(what));
    }
    [[nodiscard]] time_point virtual_now() const noexcept override { return now_; }
    [[nodiscard]] driver& runtime() noexcept override { return *this; }

    bool step(time_point until) {
        poll();
        const time_point event = events_.empty() ? never : events_.begin()->first.first;
        const time_point next = std::min(event, wakeup_at_);
        if (next > until || next == never) return false;
        now_ = std::max(now_, next);
        // On the strand, as with real streams and timers: what a callback destroys goes at once.
        if (wakeup_at_ <= event) {
            wakeup_at_ = never;
            asio::post(executor(), [this] { on_wakeup(); });
        } else {
            asio::post(executor(), std::move(events_.begin()->second));
            events_.erase(events_.begin());
        }
        poll();
        return true;
    }
    void establish(const std::shared_ptr<virtual_connection>& c, std::uint16_t port, bool refused) {
        stream_sink* dialler = c->end(0).sink;
        if (!dialler || c->end(0).ended) return;
        const turn t(*this);
        const auto found = listening_.find(port);
        if (refused || found == listening_.end())
            return dialler->on_connected(std::make_error_code(std::errc::connection_refused));
        made_.push_back(c);
        if (on_connection) on_connection(c);
        found->second->on_accept(std::make_unique<virtual_stream>(c, 1));
        if (c->end(0).sink) c->end(0).sink->on_connected({});
    }

    asio::io_context& context_;
    xoshiro256 rng_;
    time_point now_ = start();
    time_point wakeup_at_ = never;
    std::uint64_t last_event_ = 0;
    std::map<std::pair<time_point, std::uint64_t>, std::function<void()>> events_;
    std::map<std::uint16_t, acceptor_sink*> listening_;
    std::uint16_t last_port_ = 40'000;
    std::vector<std::shared_ptr<virtual_connection>> made_;
};

}  // namespace hawser::inline v0::testing

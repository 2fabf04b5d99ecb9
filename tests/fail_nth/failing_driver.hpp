// SPDX-License-Identifier: BSL-1.0
// A driver in virtual time whose operations fail as planned. What it calls of the library is
// executed as the library's code, what it does itself is not.
#pragma once

#include "fail_nth/faults.hpp"

#include <hawser/testing/virtual_driver.hpp>

#include <new>

namespace fail_nth {

using hawser::stream_ptr;

inline void fail_to_start() {
    if (faults::due(kind::start)) throw std::bad_alloc();
}

// Between a stream of the simulation and its user.
class failing_stream final : public hawser::stream, public hawser::stream_sink {
public:
    explicit failing_stream(hawser::stream_sink* user) noexcept : user_(user) {}
    ~failing_stream() override {
        const test_code t;
        inner.reset();
    }

    [[nodiscard]] hawser::write_result write_some(std::span<const hawser::byte_view> buffers) override {
        const test_code t;
        if (faults::due(kind::write)) return {0, std::make_error_code(std::errc::connection_reset)};
        const auto result = inner->write_some(buffers);
        std::size_t asked = 0;
        for (const auto b : buffers)
            asked += b.size();
        if (result.bytes < asked && !result.error) fail_to_start();
        return result;
    }
    void pause_reading() override {
        const test_code t;
        inner->pause_reading();
    }
    void resume_reading() override {
        const test_code t;
        fail_to_start();
        inner->resume_reading();
    }
    void shutdown() override {
        const test_code t;
        inner->shutdown();
    }
    void abort() override { inner->abort(); }
    [[nodiscard]] std::string remote_address() const override { return inner->remote_address(); }
    void set_sink(hawser::stream_sink& sink) override {
        const test_code t;
        user_ = &sink;
        fail_to_start();
        inner->set_sink(*this);
    }

    stream_ptr inner;
    bool refused = false;

private:
    void on_connected(std::error_code ec) override {
        const library_code l;
        user_->on_connected(refused ? std::make_error_code(std::errc::connection_refused) : ec);
    }
    void on_bytes(hawser::byte_span chunk) override {
        if (broken_) return;
        broken_ = faults::due(kind::read);
        const library_code l;
        if (broken_)
            user_->on_closed(std::make_error_code(std::errc::connection_reset));
        else
            user_->on_bytes(chunk);
    }
    void on_writable() override {
        const library_code l;
        if (!broken_) user_->on_writable();
    }
    void on_closed(std::error_code ec) override {
        const library_code l;
        if (!std::exchange(broken_, true)) user_->on_closed(ec);
    }

    hawser::stream_sink* user_;
    bool broken_ = false;
};

// As Asio's acceptor: what cannot be accepted for want of descriptors stays and is tried again, and what
// its user has no memory for is closed.
class failing_acceptor final : public hawser::acceptor, public hawser::acceptor_sink {
public:
    failing_acceptor(hawser::testing::node& n, hawser::acceptor_sink& user) noexcept : node_(n), user_(user) {}
    ~failing_acceptor() override {
        const test_code t;
        inner.reset();
    }
    [[nodiscard]] std::uint16_t port() const override { return inner->port(); }
    hawser::acceptor_ptr inner;

private:
    void on_accept(stream_ptr s) override {
        const test_code t;
        if (faults::due(kind::accept)) {
            node_.after(std::chrono::milliseconds{100},
                        [this, alive = std::weak_ptr(life_), s = std::make_shared<stream_ptr>(std::move(s))] {
                            if (alive.lock()) on_accept(std::move(*s));
                        });
            return tell(std::errc::too_many_files_open);
        }
        auto wrapped = std::make_unique<failing_stream>(nullptr);
        wrapped->inner = std::move(s);
        try {
            const library_code l;
            user_.on_accept(std::move(wrapped));
        } catch (const std::bad_alloc&) {
            tell(std::errc::not_enough_memory);
        }
    }
    void on_accept_error(std::error_code ec) override {
        const library_code l;
        user_.on_accept_error(ec);
    }
    void tell(std::errc why) {
        const library_code l;
        user_.on_accept_error(std::make_error_code(why));
    }

    hawser::testing::node& node_;
    hawser::acceptor_sink& user_;
    std::shared_ptr<int> life_ = std::make_shared<int>(0);
};

class failing_driver final : hawser::testing::detail::own_simulation, public hawser::testing::node {
public:
    explicit failing_driver(asio::io_context& context)
        : own_simulation(1), node(context, events, own_simulation::net, "localhost", 1), context_(context) {
        (void)own_simulation::net.at("localhost");
        own_simulation::net.on_connection = [this](const auto& c) { connections.push_back(c); };
        faults::now = clock();
    }
    ~failing_driver() override { events.clear(); }

    std::vector<std::shared_ptr<hawser::testing::connection>> connections;
    std::uint64_t thrown = 0;  // exceptions that left `run()`
    [[nodiscard]] bool& refuses() { return own_simulation::net.at("localhost").refuses; }
    [[nodiscard]] hawser::duration& latency() { return own_simulation::net.way("localhost", "localhost").latency; }
    [[nodiscard]] std::uint64_t executed() const noexcept { return events.executed(); }

    template <class Done>
    bool run_until(Done&& done, hawser::duration limit) {
        const hawser::time_point until = clock() + limit;
        run_ready();
        while (!done()) {
            if (!events.step(until)) {
                events.advance(until);
                faults::now = clock();
                return done();
            }
            faults::now = clock();
        }
        return true;
    }
    void run_for(hawser::duration time) {
        (void)run_until([] { return false; }, time);
    }

    [[nodiscard]] bool random(hawser::byte_span out) noexcept override {
        return !faults::due(kind::random) && node::random(out);
    }
    [[nodiscard]] stream_ptr connect(const std::string&, std::uint16_t port, hawser::stream_sink& sink) override {
        const test_code t;
        fail_to_start();
        auto wrapped = std::make_unique<failing_stream>(&sink);
        wrapped->refused = faults::due(kind::connect);
        wrapped->inner = node::connect("localhost", port, *wrapped);
        return wrapped;
    }
    [[nodiscard]] hawser::acceptor_ptr listen(const hawser::listen_endpoint& where, hawser::acceptor_sink& sink,
                                              std::error_code& ec) override {
        const test_code t;
        auto wrapped = std::make_unique<failing_acceptor>(*this, sink);
        wrapped->inner = node::listen(where, *wrapped, ec);
        if (ec) return nullptr;
        return wrapped;
    }

protected:
    void schedule_wakeup(hawser::time_point when) noexcept override {
        const test_code t;
        const std::uint64_t serial = ++wakeup_;
        if (when == hawser::never) return;
        if (faults::due(kind::timer))
            when = hawser::add_saturated(std::max(when, clock()), std::chrono::milliseconds{250});
        after(std::max(when - clock(), hawser::duration{0}), [this, serial] {
            const library_code l;
            if (serial == wakeup_) on_wakeup();
        });
    }
    void execute(std::function<void()> what) override {
        // An outer turn, so that the end of the turn is not the simulation's.
        asio::post(executor(), [this, what = std::move(what)] {
            const turn outer(*this);
            const test_code t;
            what();
        });
        run_ready();
    }

private:
    // What a host does that goes on after an exception.
    void run_ready() {
        context_.restart();
        for (;;) {
            const library_code l;
            try {
                if (context_.poll_one() == 0) return;
            } catch (const std::bad_alloc&) {
                ++thrown;
            }
        }
    }
    asio::io_context& context_;
    std::uint64_t wakeup_ = 0;
};

}  // namespace fail_nth

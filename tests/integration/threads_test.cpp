// SPDX-License-Identifier: BSL-1.0
// Real sockets, several threads in run(), senders from foreign threads.
#include "support/catch.hpp"

#include <hawser/hawser.hpp>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/use_future.hpp>

#include <atomic>
#include <future>
#include <list>
#include <mutex>
#include <thread>

using namespace std::chrono_literals;
using hawser::message;

namespace {

// Two threads in run() for as long as it lives.
struct pool {
    pool() : work(asio::make_work_guard(context)) {
        for (int i = 0; i < 2; ++i) threads.emplace_back([this] { context.run(); });
    }
    ~pool() {
        work.reset();
        for (auto& t : threads) t.join();
    }
    asio::io_context context;
    asio::executor_work_guard<asio::io_context::executor_type> work;
    std::vector<std::thread> threads;
};

// Counts what it gets and echoes it. Its sockets live on the strand of the listener.
struct counting_server {
    explicit counting_server(hawser::options o) : listener(threads.context, {}, std::move(o)) { accept(); }
    ~counting_server() {
        listener.async_close(asio::use_future).wait_for(10s);
        std::promise<void> cleared;
        asio::post(listener.get_executor(), [&] {
            sockets.clear();
            cleared.set_value();
        });
        cleared.get_future().wait();
    }
    void accept() {
        listener.async_accept([this](std::error_code ec, hawser::resilient_socket<> s) {
            if (ec) return;
            sockets.push_back(std::move(s));
            auto& socket = sockets.back();
            socket.on_message([this, &socket](const hawser::message_view& m) {
                ++received;
                if (!socket.try_send(m)) ++refused;
            });
            accept();
        });
    }
    [[nodiscard]] std::string url() const { return "ws://127.0.0.1:" + std::to_string(listener.port()) + "/"; }

    pool threads;
    hawser::listener<> listener;
    std::list<hawser::resilient_socket<>> sockets;
    std::atomic<int> received{0}, refused{0};
};

}  // namespace

TEST_CASE("handles: four threads send into one socket, each in order") {
    auto o = hawser::options::reliable();
    o.queue = {.high_watermark = 64 * 1024 * 1024, .low_watermark = 1024, .max_messages = 1 << 20};
    counting_server server(o);
    constexpr int per_thread = 2000, senders = 4;
    std::vector<std::vector<int>> seen(senders);
    std::promise<void> all;
    int echoed = 0;
    hawser::sender handle;
    {
        pool threads;
        hawser::resilient_socket<> client(threads.context, hawser::options::reliable());
        client.on_message([&](const hawser::message_view& m) {
            const std::string text(m.text());
            seen[static_cast<std::size_t>(text[0] - '0')].push_back(std::stoi(text.substr(2)));
            if (++echoed == per_thread * senders) all.set_value();
        });
        client.connect(server.url());
        handle = client.handle();
        std::vector<std::thread> writers;
        for (int t = 0; t < senders; ++t)
            writers.emplace_back([&, t] {
                for (int i = 0; i < per_thread; ++i) {
                    const auto m = message::text(std::to_string(t) + ":" + std::to_string(i));
                    while (handle.send(m) == hawser::errc::would_block) std::this_thread::yield();
                }
            });
        for (auto& t : writers) t.join();
        CHECK(all.get_future().wait_for(60s) == std::future_status::ready);
        CHECK(client.async_close(asio::use_future).wait_for(10s) == std::future_status::ready);
    }
    CHECK(server.refused == 0);
    for (const auto& numbers : seen) {
        REQUIRE(numbers.size() == per_thread);
        for (int i = 0; i < per_thread; ++i) REQUIRE(numbers[static_cast<std::size_t>(i)] == i);
    }
    CHECK(handle.send(message::text("x")) == hawser::errc::closed);
}

TEST_CASE("futures from a foreign thread") {
    counting_server server(hawser::options::reliable());
    pool threads;
    hawser::resilient_socket<> client(threads.context, hawser::options::reliable());
    client.async_connect(server.url(), asio::use_future).get();
    for (int i = 0; i < 50; ++i) {
        CHECK(client.async_send(message::text(std::to_string(i)), asio::use_future).get() == hawser::outcome::acknowledged);
        CHECK(client.async_receive(asio::use_future).get().text() == std::to_string(i));
    }
    client.async_close(asio::use_future).get();
}

TEST_CASE("coroutines on the socket's strand, with several threads in run()") {
    counting_server server(hawser::options::plain());
    pool threads;
    hawser::resilient_socket<> client(threads.context, hawser::options::plain());
    std::promise<int> done;
    asio::co_spawn(
        client.get_executor(),
        [&]() -> asio::awaitable<void> {
            int echoed = 0;
            co_await client.async_connect(server.url(), asio::use_awaitable);
            for (int i = 0; i < 200; ++i) {
                (void)co_await client.async_send(message::text(std::to_string(i)), asio::use_awaitable);
                const auto m = co_await client.async_receive(asio::use_awaitable);
                echoed += m.text() == std::to_string(i);
            }
            co_await client.async_close(asio::use_awaitable);
            done.set_value(echoed);
        },
        asio::detached);
    CHECK(done.get_future().get() == 200);
}

TEST_CASE("message::ack from another thread") {
    auto o = hawser::options::reliable();
    o.acceptance = hawser::acceptance_mode::on_processed;
    pool threads;
    hawser::listener<> listener(threads.context, {}, o);
    hawser::resilient_socket<> client(threads.context, hawser::options::reliable());
    auto accepted = listener.async_accept(asio::use_future);
    client.connect("ws://127.0.0.1:" + std::to_string(listener.port()) + "/");
    auto server = accepted.get();
    auto sent = client.async_send(message::text("work"), asio::use_future);
    const message m = server.async_receive(asio::use_future).get();
    CHECK(sent.wait_for(0ms) == std::future_status::timeout);
    std::thread worker([&] { m.ack(); });
    CHECK(sent.get() == hawser::outcome::acknowledged);
    worker.join();
    client.async_close(asio::use_future).get();
    listener.async_close(asio::use_future).get();
}

TEST_CASE("two io_contexts share one breaker and one metrics sink") {
    struct policies : hawser::default_policies {
        using metrics = hawser::counting_metrics;
    };
    hawser::breaker_options b;
    b.minimum_number_of_calls = 4;
    hawser::shared_circuit_breaker breaker(b);
    hawser::counting_metrics metrics;
    auto o = hawser::options::plain();
    o.reconnect.base_delay = 1ms;
    o.reconnect.max_delay = 5ms;
    // A port on which nobody listens.
    std::uint16_t port = 0;
    {
        asio::io_context context;
        port = hawser::listener<>(context, {}, hawser::options::plain()).port();
    }
    std::atomic<int> refused{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i)
        threads.emplace_back([&] {
            asio::io_context context;
            hawser::resilient_socket<policies> s(context, o, {.breaker = breaker, .metrics = metrics});
            s.on_state([&](const hawser::state_change& c) {
                if (c.reason != hawser::errc::circuit_open) return;
                ++refused;
                s.close();
            });
            s.connect("ws://127.0.0.1:" + std::to_string(port) + "/");
            context.run_for(20s);
        });
    for (auto& t : threads) t.join();
    CHECK(refused == 2);
    CHECK(breaker.transitions().opened == 1);
    CHECK(metrics.value(hawser::counter::connects_failed) >= 4);
}

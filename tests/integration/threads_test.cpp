// SPDX-License-Identifier: BSL-1.0
// Real sockets, several threads in run(), senders from foreign threads.
#include "support/catch.hpp"
#include "support/erased_handler.hpp"
#include "support/host_context.hpp"

#include <hawser/custom_policies.hpp>
#include <hawser/hawser.hpp>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/thread_pool.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/use_future.hpp>

#include <array>
#include <atomic>
#include <functional>
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
    support::host_context context;
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

namespace {

// What four senders sent into one socket: each in order, nothing twice, nothing lost.
struct ordered_arrivals {
    static constexpr int senders = 4, each = 500;
    void operator()(const hawser::message_view& m) {
        const std::string text(m.text());
        int& next = expected.at(static_cast<std::size_t>(text.at(0) - '0'));
        in_order = in_order && std::stoi(text.substr(2)) == next;
        ++next;
        if (++count == senders * each) all.set_value();
    }
    std::array<int, senders> expected{};
    bool in_order = true;
    int count = 0;
    std::promise<void> all;
};

template <class F>
void on_strand(const hawser::driver::executor_type& strand, F f) {
    std::promise<void> done;
    asio::post(strand, [&] {
        f();
        done.set_value();
    });
    done.get_future().wait();
}

// Handles that senders use while sockets come and go.
struct shared_handles {
    void add(hawser::sender s) {
        const std::lock_guard lock(mutex);
        handles.push_back(std::move(s));
    }
    [[nodiscard]] hawser::sender first() const {
        const std::lock_guard lock(mutex);
        return handles.front();
    }
    [[nodiscard]] hawser::sender last() const {
        const std::lock_guard lock(mutex);
        return handles.size() > 1 ? handles.back() : hawser::sender();
    }
    // Into the socket that stays, and into the newest of those that are destroyed.
    void send_all(int sender) const {
        for (int i = 0; i < ordered_arrivals::each; ++i) {
            const auto m = message::text(std::to_string(sender) + ":" + std::to_string(i));
            while (first().send(m) == hawser::errc::would_block) std::this_thread::yield();
            (void)last().send(m);
        }
    }
    mutable std::mutex mutex;
    std::vector<hawser::sender> handles;
};

}  // namespace

TEST_CASE("both roles: two threads in run() and four senders, while other sockets are made and destroyed") {
    auto o = hawser::options::reliable();
    o.queue = {.high_watermark = 64 * 1024 * 1024, .low_watermark = 1024, .max_messages = 1 << 20};
    pool server_threads, client_threads;
    hawser::listener<> listener(server_threads.context, {}, o);
    const std::string url = "ws://127.0.0.1:" + std::to_string(listener.port()) + "/";
    ordered_arrivals at_server, at_client;
    shared_handles of_server, of_clients;
    std::list<hawser::resilient_socket<>> accepted;
    std::promise<void> first_accepted;
    std::function<void()> accept = [&] {
        listener.async_accept([&](std::error_code ec, hawser::resilient_socket<> s) {
            if (ec) return;
            auto& kept = accepted.emplace_back(std::move(s));
            of_server.add(kept.handle());
            if (accepted.size() == 1) {
                kept.on_message([&](const hawser::message_view& m) { at_server(m); });
                first_accepted.set_value();
            } else {
                kept.on_message([](const hawser::message_view&) {});
                if (accepted.size() > 3) accepted.erase(std::next(accepted.begin()));  // one in use
            }
            accept();
        });
    };
    asio::post(listener.get_executor(), [&] { accept(); });

    std::optional<hawser::resilient_socket<>> stays(std::in_place, client_threads.context, o);
    const auto strand = stays->get_executor();
    on_strand(strand, [&] {
        stays->on_message([&](const hawser::message_view& m) { at_client(m); });
        stays->connect(url);
    });
    of_clients.add(stays->handle());
    first_accepted.get_future().wait();

    std::vector<std::thread> senders;
    for (int t = 0; t < ordered_arrivals::senders; ++t) {
        senders.emplace_back([&, t] { of_clients.send_all(t); });
        senders.emplace_back([&, t] { of_server.send_all(t); });
    }
    for (int i = 0; i < 40; ++i) {
        std::optional<hawser::resilient_socket<>> goes(std::in_place, client_threads.context, o);
        on_strand(strand, [&] { goes->on_message([](const hawser::message_view&) {}); });
        of_clients.add(goes->handle());
        auto open = goes->async_connect(url, asio::use_future);
        if (i % 2 == 0) open.wait();  // else while it connects
        on_strand(strand, [&] { goes.reset(); });
    }
    CHECK(of_clients.last().send(message::text("x")) == hawser::errc::closed);
    for (auto& t : senders) t.join();
    CHECK(at_server.all.get_future().wait_for(60s) == std::future_status::ready);
    CHECK(at_client.all.get_future().wait_for(60s) == std::future_status::ready);
    on_strand(strand, [&] { stays.reset(); });
    CHECK(listener.async_close(asio::use_future).wait_for(20s) == std::future_status::ready);
    on_strand(listener.get_executor(), [&] { accepted.clear(); });
    CHECK(at_server.in_order);
    CHECK(at_client.in_order);
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
        support::host_context context;
        port = hawser::listener<>(context, {}, hawser::options::plain()).port();
    }
    std::atomic<int> refused{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i)
        threads.emplace_back([&] {
            support::host_context context;
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

TEST_CASE("threads: handlers that own their allocator are called by another thread as soon as it can") {
    constexpr int rounds = 5'000;
    std::atomic<int> called{0};
    {
        pool p;
        asio::thread_pool others(2);
        hawser::resilient_socket<> s(p.context, hawser::options::plain());
        s.async_close(asio::use_future).get();  // what waits for it to open is complete at once from here on
        for (int i = 0; i < rounds; ++i) {
            using erased = support::any_handler<void(std::error_code)>;
            s.async_wait_open(erased(asio::bind_executor(others.get_executor(), [&called](std::error_code) { ++called; })));
            s.async_wait_open(asio::bind_executor(others.get_executor(), erased([&called](std::error_code) { ++called; })));
        }
        const auto end = std::chrono::steady_clock::now() + 20s;
        while (called < 2 * rounds && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(1ms);
        others.join();
        std::promise<void> gone;
        asio::post(s.get_executor(), [&] {
            { const auto last = std::move(s); }
            gone.set_value();
        });
        gone.get_future().wait();
    }
    CHECK(called == 2 * rounds);
}

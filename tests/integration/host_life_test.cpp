// SPDX-License-Identifier: BSL-1.0
// What hosts do besides calling run(): several io_contexts, run() again after an exception, descriptors
// that run out, closing everything by a deadline. Real sockets on loopback.
#include "integration/host_support.hpp"

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/use_future.hpp>

#include <future>
#include <map>
#include <thread>

using namespace host_support;
using hawser::connection_state;
using hawser::message;

// ---- several io_contexts ---------------------------------------------------------------------------

TEST_CASE("several io_contexts: listeners on one port in two threads, a handle used across contexts") {
    struct shard {
        explicit shard(std::uint16_t port)
            : server(context, {.port = port, .reuse_port = true}, hawser::options::reliable()) {
            server.accept_all([this](hawser::resilient_socket<>& s) {
                ++accepted;
                s.on_message([&s](const hawser::message_view& m) { (void)s.try_send(m); });
            });
        }
        support::host_context context;
        echo_listener server;
        std::atomic<int> accepted{0};
    };
    shard first(0), second(first.server.port());
    REQUIRE(first.server.port() == second.server.port());
    std::thread threads[] = {std::thread([&] { first.context.run(); }), std::thread([&] { second.context.run(); })};

    // The kernel spreads connections by a hash of their ports: with 64 of them both shards get some.
    support::host_context mine;
    std::list<hawser::resilient_socket<>> clients;
    std::map<std::string, int> echoed;
    for (int i = 0; i < 64; ++i) {
        auto& c = clients.emplace_back(mine, hawser::options::reliable());
        c.on_message([&](const hawser::message_view& m) { ++echoed[std::string(m.text())]; });
        c.connect(first.server.url());
    }
    // A handle of a socket of this context, used by handlers of the others.
    std::vector<hawser::sender> handles;
    for (auto& c : clients)
        handles.push_back(c.handle());
    std::atomic<int> refused{0};
    for (std::size_t i = 0; i < handles.size(); ++i)
        asio::post(i % 2 == 0 ? first.context : second.context, [&refused, h = handles[i], i] {
            if (h.send(message::text(std::to_string(i)))) ++refused;
        });
    CHECK(run_until(mine, [&] { return echoed.size() == 64; }));
    CHECK(refused == 0);
    for (const auto& [text, times] : echoed)
        CHECK(times == 1);
    CHECK(first.accepted + second.accepted == 64);
    CHECK(first.accepted > 0);
    CHECK(second.accepted > 0);
    for (auto& c : clients)
        c.close();
    mine.restart();
    mine.run_for(10s);
    CHECK(mine.stopped());
    first.server.close();
    second.server.close();
    for (auto& t : threads)
        t.join();  // their run() returns by itself
}

// ---- exceptions of handlers ------------------------------------------------------------------------

TEST_CASE("exceptions of completion handlers leave run(), which may be called again; the sockets go on") {
    support::host_context context;
    echo_listener server(context, {}, hawser::options::reliable());
    server.echo();
    hawser::resilient_socket<> client(context, hawser::options::reliable());
    int thrown = 0;
    const auto bang = [&](auto&&...) { throw std::runtime_error("handler"); };
    // Calls run() until `done`, counting what leaves it.
    const auto run = [&](auto done) {
        const auto limit = std::chrono::steady_clock::now() + 10s;
        while (!done() && std::chrono::steady_clock::now() < limit) {
            try {
                context.restart();
                if (context.run_one_for(1s) == 0 && done()) break;
            } catch (const std::runtime_error& e) {
                thrown += std::string(e.what()) == "handler";
            }
        }
        return done();
    };
    client.async_connect(server.url(), bang);
    REQUIRE(run([&] { return thrown == 1; }));
    client.async_send(message::text("one"), bang);
    client.async_enqueue(message::text("two"), bang);
    client.async_receive(bang);
    REQUIRE(run([&] { return thrown == 4; }));
    CHECK(client.state() == connection_state::open);
    // A coroutine: what leaves it comes out of run() where its starter says so.
    asio::co_spawn(
        client.get_executor(),
        [&]() -> asio::awaitable<void> {
            const auto m = co_await client.async_receive(asio::use_awaitable);
            CHECK(m.text() == "two");
            (void)co_await client.async_send(message::text("three"), asio::use_awaitable);
            throw std::runtime_error("handler");
        },
        [](std::exception_ptr e) {
            if (e) std::rethrow_exception(e);
        });
    REQUIRE(run([&] { return thrown == 5; }));
    // Nothing was lost, and the next operations work.
    std::optional<hawser::outcome> sent;
    std::vector<std::string> got;
    std::function<void()> receive = [&] {
        client.async_receive([&](std::error_code ec, const message& m) {
            if (ec) return;
            got.emplace_back(m.text());
            receive();
        });
    };
    receive();
    client.async_send(message::text("four"), [&](std::error_code, hawser::outcome o) { sent = o; });
    REQUIRE(run([&] { return sent && got.size() == 2; }));
    CHECK(sent == hawser::outcome::acknowledged);
    CHECK(got == std::vector<std::string>{"three", "four"});
    client.async_close(bang);
    REQUIRE(run([&] { return thrown == 6; }));
    CHECK(client.state() == connection_state::closed);
    server.close();
    context.restart();
    CHECK_NOTHROW(context.run_for(10s));
    CHECK(context.stopped());
}

// ---- closing by a deadline -------------------------------------------------------------------------

TEST_CASE("closing a listener: everybody is told 1001 in order, the dead ones are cut by the deadline, run() returns") {
    support::host_context context;
    auto o = hawser::options::plain();
    o.session = hawser::session_mode::preferred;
    o.close_timeout = 1s;
    o.linger_timeout = 500ms;
    hawser::listener_options lo{.socket = o};
    lo.authorize = [](const hawser::ws::upgrade_request& r) {
        return hawser::authorization{.principal = std::string(r.target)};
    };
    echo_listener server(context, {}, lo);
    int taken = 0;
    server.accept_all([&](hawser::resilient_socket<>&) { ++taken; });

    constexpr int each = 8;
    std::list<hawser::resilient_socket<>> clients;
    std::vector<hawser::close_info> told;
    const auto add = [&](hawser::options co) {
        co.reconnect.max_attempts = 1;
        co.reconnect.base_delay = 1ms;
        auto& c = clients.emplace_back(context, std::move(co));
        c.on_state([&](const hawser::state_change& s) {
            if (s.from == connection_state::open) told.push_back(s.close);
        });
        c.connect(server.url());
    };
    for (int i = 0; i < each; ++i) {
        add(hawser::options::plain());
        add(hawser::options::reliable());
    }
    // They answer no close frame; every second one has full buffers besides.
    std::list<raw_client> dead;
    for (int i = 0; i < each; ++i)
        dead.emplace_back(server.port(), i % 2 == 0 ? "/dead" : "/full");
    REQUIRE(run_until(context, [&] { return taken == 3 * each; }));
    const std::string big(1024 * 1024, 'x');
    for (auto& s : server.sockets)
        for (int i = 0; s.principal() == "/full" && i < 16; ++i)
            (void)s.try_send(message::text(big));
    const auto begin = std::chrono::steady_clock::now();
    std::optional<std::chrono::steady_clock::duration> closed;
    server.listener.async_close([&](std::error_code ec) {
        CHECK_FALSE(ec);
        closed = std::chrono::steady_clock::now() - begin;
    });
    context.restart();
    context.run_for(20s);
    CHECK(context.stopped());  // nothing was left to wait for
    const auto all = std::chrono::steady_clock::now() - begin;
    REQUIRE(closed);
    CHECK(*closed >= 900ms);  // the dead ones were waited for
    CHECK(*closed < 2500ms);
    CHECK(all < 4s);
    REQUIRE(told.size() == 2 * each);
    for (const auto& c : told) {
        CHECK(c.code == hawser::close_code::going_away);
        CHECK(c.remote);
    }
    for (auto& s : server.sockets)
        CHECK(s.state() == connection_state::closed);
    CHECK_FALSE(raw_client::can_connect(server.old_port));
}

// SPDX-License-Identifier: BSL-1.0
// The ends of sockets, listeners and operations: destroyed anywhere, nothing called twice, nothing
// left hanging.
#include "support/catch.hpp"
#include "support/delaying_store.hpp"
#include "support/world.hpp"

#include <asio/bind_executor.hpp>
#include <asio/bind_cancellation_slot.hpp>

#include <cstdlib>
#include <iostream>

using namespace support;
using hawser::message;
using socket_type = hawser::resilient_socket<>;

namespace {
struct stored : hawser::default_policies {
    using store = delaying_store;
};
hawser::options reliable() { return quick(hawser::options::reliable()); }
hawser::options plain() { return quick(hawser::options::plain()); }
}  // namespace

TEST_CASE("callbacks: one that is replaced twice while it runs lives until the turn ends") {
    for (const bool inside_turn : {false, true}) {
        CAPTURE(inside_turn);
        world<> w;
        w.listen(plain());
        socket_type client(w.context, plain());
        int calls = 0;
        const std::string long_text(100, 'x');
        std::string copied;
        const auto wanted = inside_turn ? connection_state::open : connection_state::connecting;
        client.on_state([&, long_text](const hawser::state_change& s) {
            if (s.to != wanted) return;
            client.on_state([&calls](const hawser::state_change&) { ++calls; });
            client.on_state([&calls](const hawser::state_change&) { ++calls; });
            copied = long_text;
        });
        client.connect(url);
        w.net.run_for(5s);
        CHECK(copied == long_text);
        CHECK(calls == (inside_turn ? 0 : 1));
    }
}

TEST_CASE("destroying: inside on_state while connect and close run on the strand outside of a turn") {
    for (const bool closing : {false, true}) {
        CAPTURE(closing);
        world<> w;
        w.listen(plain());
        auto client = std::make_unique<socket_type>(w.context, plain());
        client->on_state([&](const hawser::state_change& s) {
            if (s.to == (closing ? connection_state::closing : connection_state::connecting)) client.reset();
        });
        if (closing) {
            client->connect(url);
            w.net.run_for(1s);
        }
        asio::post(client->get_executor(), [&] {
            if (closing) client->close();
            else client->connect(url);
        });
        w.net.run_for(5s);
        CHECK(client == nullptr);
    }
}

TEST_CASE("destroying: a receive that waits completes, also when its message has just come in") {
    world<> w;
    w.listen(plain());
    auto client = std::make_unique<socket_type>(w.context, plain());
    client->connect(url);
    REQUIRE(w.net.run_until([&] { return w.accepted.size() == 1 && client->state() == connection_state::open; }, 5s));
    std::vector<std::error_code> received;
    client->async_receive([&](std::error_code ec, message) { received.push_back(ec); });
    client->on_state([&](const hawser::state_change&) { client.reset(); });
    w.net.poll();
    // The message and the close frame arrive in one read.
    w.net.last_connection().hold_towards(0, true);
    REQUIRE(w.accepted.front().try_send("last words"));
    w.accepted.front().close();
    w.net.run_for(100ms);
    w.net.last_connection().hold_towards(0, false);
    w.net.run_for(5s);
    CHECK(client == nullptr);
    CHECK(received.size() == 1);
}

TEST_CASE("moving: a socket that is assigned anew may connect again") {
    world<> w;
    w.listen(plain());
    socket_type client(w.context, plain());
    client.connect(url);
    REQUIRE(w.net.run_until([&] { return client.state() == connection_state::open; }, 5s));
    client = socket_type(w.context, plain());
    std::string why;
    CHECK(!client.try_connect(url, why));
    REQUIRE(w.net.run_until([&] { return client.state() == connection_state::open; }, 5s));
    socket_type other(w.context, plain());
    other = std::move(client);
    CHECK(other.try_connect(url, why) == errc::already_connecting);
}

TEST_CASE("closing: what was accepted before a close leaves first, also when the store is still loading") {
    world<stored> w;
    w.listen(reliable());
    std::vector<std::string> got;
    w.on_accept = [&](hawser::resilient_socket<stored>& s) {
        s.on_message([&](const hawser::message_view& m) { got.emplace_back(m.text()); });
    };
    hawser::resilient_socket<stored> client(w.context, reliable());
    client.connect(url);
    REQUIRE(client.try_send("x"));
    client.close();
    w.net.run_for(10s);
    CHECK(client.state() == connection_state::closed);
    CHECK(got == std::vector<std::string>{"x"});
}

TEST_CASE("handles: what waits in the hand-over queue goes on when the outgoing queue has drained") {
    for (const int limit : {1, 2, 8}) {
        CAPTURE(limit);
        world<> w;
        w.listen(plain());
        std::size_t got = 0;
        w.on_accept = [&](socket_type& s) { s.on_message([&](const hawser::message_view&) { ++got; }); };
        auto o = plain();
        o.heartbeat.ping_interval = 0ms;
        o.queue.max_messages = static_cast<std::size_t>(limit);
        socket_type client(w.context, o);
        std::size_t taken = 0;
        while (taken < 8 && client.try_send("first")) ++taken;
        auto handle = client.handle();
        for (int i = 0; i < limit; ++i) {
            REQUIRE(!handle.send(message::text("second")));
            ++taken;
        }
        w.net.poll();
        client.connect(url);
        w.net.run_for(60s);
        CHECK(got == taken);
    }
}

TEST_CASE("handles: one made after the end says closed") {
    world<> w;
    socket_type client(w.context, plain());
    client.close();
    w.net.run_for(1s);
    REQUIRE(client.state() == connection_state::closed);
    auto handle = client.handle();
    (void)handle.send(message::text("x"));
    w.net.run_for(1s);
    CHECK(handle.send(message::text("y")) == errc::closed);
    CHECK(client.queued_bytes() == 0);
}

TEST_CASE("listener: destroyed, or closed, inside authorize") {
    for (const int how : {0, 1, 2}) {
        CAPTURE(how);
        world<> w;
        hawser::listener_options o{.socket = plain()};
        bool closed = false;
        int calls = 0;
        const std::string long_text(100, 'x');
        o.authorize = [&, long_text](const hawser::ws::upgrade_request&) -> hawser::authorization {
            ++calls;
            if (how != 1) w.server.reset();
            else w.server->async_close([&](std::error_code) { closed = true; });
            if (how == 2) throw std::runtime_error(long_text);
            return {.principal = long_text};
        };
        w.listen(o);
        socket_type client(w.context, plain());
        client.connect(url);
        w.net.run_for(5s);
        CHECK(calls == 1);
        CHECK(closed == (how == 1));
        CHECK(w.accepted.empty());
    }
}

TEST_CASE("listener: destroyed inside on_state of a socket whose session expires or is refused") {
    for (const bool by_resume : {false, true}) {
        CAPTURE(by_resume);
        world<> w;
        auto o = reliable();
        o.session_ttl = by_resume ? 60s : 1s;
        w.listen(o);
        socket_type client(w.context, reliable());
        client.connect(url);
        REQUIRE(w.net.run_until([&] { return w.accepted.size() == 1; }, 5s));
        bool reset = false;
        w.accepted.front().on_state([&](const hawser::state_change& s) {
            if (by_resume ? s.to != connection_state::open : s.to == connection_state::closed) {
                w.server.reset();
                reset = true;
            }
        });
        w.net.run_for(1s);
        if (!by_resume) w.net.refuse_connections = true;
        // Towards one end only: the server learns of it when the client resumes.
        if (by_resume) w.net.last_connection().cut_towards(0);
        else w.net.last_connection().cut();
        w.net.run_for(20s);
        CHECK(reset);
        CHECK(!w.server);
    }
}

TEST_CASE("listener: destroying it ends the sessions that nobody could resume any more") {
    world<> w;
    w.listen(reliable());
    socket_type client(w.context, reliable());
    client.connect(url);
    REQUIRE(w.net.run_until([&] { return w.accepted.size() == 1; }, 5s));
    auto& s = w.accepted.front();
    w.net.refuse_connections = true;
    w.net.last_connection().cut();
    REQUIRE(w.net.run_until([&] { return s.state() == connection_state::detached; }, 5s));
    int completed = 0;
    s.async_receive([&](std::error_code ec, message) { completed += bool(ec); });
    s.async_send(message::text("x"), [&](std::error_code ec, outcome) { completed += bool(ec); });
    s.async_wait_open([&](std::error_code ec) { completed += bool(ec); });
    w.server.reset();
    w.net.run_for(300s);
    CHECK(s.state() == connection_state::closed);
    CHECK(completed == 3);
}

TEST_CASE("listener: an accept handler that is thrown away takes its socket with it") {
    world<> w;
    socket_type client(w.context, reliable());
    {
        asio::io_context other;
        w.server.emplace(w.context, hawser::listen_endpoint{.port = port}, reliable());
        w.server->async_accept(asio::bind_executor(other.get_executor(), [](std::error_code, socket_type) {}));
        client.connect(url);
        w.net.run_for(1s);
        CHECK(w.server->connections() == 1);
    }
    w.net.run_for(1s);
    // The session went with its socket: the client gets a new one.
    w.net.last_connection().cut();
    w.net.run_for(5s);
    int accepted = 0;
    w.server->async_accept([&](std::error_code ec, socket_type) { accepted += !ec; });
    w.net.run_for(5s);
    CHECK(accepted == 1);
}

TEST_CASE("receiving: volatile messages that nobody takes are bounded") {
    world<> w;
    auto o = reliable();
    o.receive_buffer_bytes = 16 * 1024;
    w.listen(o);
    socket_type client(w.context, reliable());
    client.connect(url);
    REQUIRE(w.net.run_until([&] { return w.accepted.size() == 1 && client.state() == connection_state::open; }, 5s));
    const message piece = message::text(std::string(1000, 'x'));
    for (int i = 0; i < 100; ++i) {
        CHECK(!client.try_send_volatile(piece));
        w.net.run_for(10ms);
    }
    int kept = 0;
    while (w.accepted.front().try_receive()) ++kept;
    CHECK(kept > 10);
    CHECK(kept < 20);
}

TEST_CASE("cancelling: a wait for an outcome does not withdraw the message") {
    world<> w;
    w.listen(plain());
    socket_type client(w.context, plain());
    const auto sent = client.try_send("x");
    REQUIRE(sent);
    asio::cancellation_signal cancel;
    std::error_code result;
    client.async_outcome(sent.ticket, asio::bind_cancellation_slot(cancel.slot(), [&](std::error_code ec, outcome) { result = ec; }));
    w.net.poll();
    cancel.emit(asio::cancellation_type::terminal);
    w.net.poll();
    CHECK(result == errc::detached);
    CHECK(client.unacknowledged() == 1);
}

TEST_CASE("cancelling: an enqueue that waits for the store completes at once") {
    for (const bool open : {false, true}) {
        CAPTURE(open);
        world<stored> w;
        w.listen(reliable());
        auto log = std::make_shared<delaying_log>();
        hawser::resilient_socket<stored> client(w.context, reliable(), {.store = delaying_store(log)});
        client.connect(url);
        if (open) {
            REQUIRE(w.net.run_until([&] { return client.state() == connection_state::open; }, 5s));
        }
        log->delay = 3600s;
        asio::cancellation_signal cancel;
        std::vector<std::error_code> result;
        hawser::ticket ticket;
        client.async_enqueue(message::text("x"),
                             asio::bind_cancellation_slot(cancel.slot(), [&](std::error_code ec, hawser::ticket t) {
                                 result.push_back(ec);
                                 ticket = t;
                             }));
        w.net.run_for(100ms);
        CHECK(result.empty());
        cancel.emit(asio::cancellation_type::terminal);
        w.net.poll();
        REQUIRE(result.size() == 1);
        CHECK((result[0] == errc::cancelled || result[0] == errc::detached));
        w.net.run_for(4000s);
        CHECK(result.size() == 1);
    }
}

TEST_CASE("cancelling: a listener's close can be left alone") {
    world<> w;
    w.listen(reliable());
    socket_type client(w.context, reliable());
    client.connect(url);
    REQUIRE(w.net.run_until([&] { return w.accepted.size() == 1; }, 5s));
    REQUIRE(w.accepted.front().try_send("keeps it busy"));
    w.net.last_connection().hold_towards(0, true);
    asio::cancellation_signal cancel;
    std::vector<std::error_code> result;
    w.server->async_close(asio::bind_cancellation_slot(cancel.slot(), [&](std::error_code ec) { result.push_back(ec); }));
    w.net.run_for(100ms);
    CHECK(result.empty());
    cancel.emit(asio::cancellation_type::terminal);
    w.net.poll();
    CHECK(result == std::vector<std::error_code>{asio::error::operation_aborted});
    w.net.run_for(20s);
    CHECK(result.size() == 1);
    CHECK(w.server->connections() == 0);
}

TEST_CASE("randomness that fails is an error and not an exception out of run()") {
    SECTION("plain mode needs none for its queue") {
        world<> w;
        w.net.random_fails = true;
        socket_type client(w.context, plain());
        std::vector<std::error_code> result;
        client.async_send(message::text("x"), [&](std::error_code ec, outcome) { result.push_back(ec); });
        CHECK_NOTHROW(w.net.run_for(1s));
        CHECK(result.empty());
        CHECK(client.unacknowledged() == 1);
    }
    SECTION("a client fails") {
        world<> w;
        w.listen(reliable());
        w.net.random_fails = true;
        socket_type client(w.context, reliable());
        std::error_code why;
        client.async_connect(url, [&](std::error_code ec) { why = ec; });
        CHECK_NOTHROW(w.net.run_for(10s));
        CHECK(why == errc::random_failed);
        CHECK(client.state() == connection_state::failed);
    }
    SECTION("a server refuses") {
        // The pool of random bytes lasts for different things, as its fill state has it.
        for (int used = 0; used < 1024; used += 32) {
            CAPTURE(used);
            world<> w;
            w.listen(reliable());
            socket_type client(w.context, reliable());
            client.connect(url);
            w.net.run_for(500us);
            std::array<std::byte, 32> some;
            for (int i = 0; i < used; i += 32) (void)w.net.entropy().take(some);
            w.net.random_fails = true;
            CHECK_NOTHROW(w.net.run_for(10s));
            w.net.random_fails = false;
            CHECK(w.net.run_until([&] { return client.state() == connection_state::open; }, 60s));
        }
    }
}

TEST_CASE("on_processed: a message that its socket never finished is handed to the next session") {
    for (const bool early : {false, true}) {
        CAPTURE(early);
        world<> w;
        auto o = reliable();
        o.acceptance = hawser::acceptance_mode::on_processed;
        w.listen(o);
        socket_type client(w.context, reliable());
        client.connect(url);
        std::vector<outcome> outcomes;
        client.async_send(message::text("x"), [&](std::error_code, outcome x) { outcomes.push_back(x); });
        int handed = 0;
        REQUIRE(w.net.run_until([&] { return w.accepted.size() == 1; }, 5s));
        w.accepted.front().on_message([&](const hawser::message_view&) { ++handed; });
        REQUIRE(w.net.run_until([&] { return handed == 1; }, 5s));
        std::vector<std::string> again;
        std::list<socket_type> old;
        w.on_accept = [&](socket_type& s) {
            s.on_message([&](const hawser::message_view& m) {
                again.emplace_back(m.text());
                s.ack(m);
            });
        };
        // The session ends at the server; its socket goes before or after the copy comes in.
        old.splice(old.end(), w.accepted);
        if (early) old.clear();
        else old.front().close(hawser::close_code(4999));
        w.net.run_for(15s);
        old.clear();
        w.net.run_for(15s);
        if (again.empty()) {
            // A normal close ends the session, and its sender was told.
            REQUIRE(outcomes.size() == 1);
            CHECK(outcomes[0] != outcome::acknowledged);
            REQUIRE(early);
            continue;
        }
        CHECK(again == std::vector<std::string>{"x"});
        CHECK(outcomes == std::vector<outcome>{outcome::acknowledged});
    }
}

TEST_CASE("heartbeat: a large message that takes long is life") {
    for (const bool session : {false, true}) {
        CAPTURE(session);
        world<> w;
        auto o = session ? reliable() : plain();
        o.heartbeat = {.ping_interval = 1s, .pong_timeout = 1s};
        w.listen(session ? reliable() : plain());
        socket_type client(w.context, o);
        std::size_t got = 0;
        int lost = 0;
        client.on_message([&](const hawser::message_view& m) { got = m.size(); });
        client.on_state([&](const hawser::state_change& s) { lost += s.to == connection_state::waiting; });
        client.connect(url);
        REQUIRE(w.net.run_until([&] { return w.accepted.size() == 1; }, 5s));
        w.net.last_connection().window = 1000;
        w.net.last_connection().limit_reads_of(0, 1000);
        auto& stream = w.net.last_connection();
        REQUIRE(w.accepted.front().try_send(std::string(100'000, 'x')));
        for (int i = 0; i < 400 && got == 0 && lost == 0; ++i) {
            stream.hold_towards(0, true);
            w.net.run_for(99ms);
            stream.hold_towards(0, false);
            w.net.run_for(1ms);
        }
        CHECK(lost == 0);
        CHECK(got == 100'000);
    }
}

TEST_CASE("handlers: on_message is not called again after it failed the socket") {
    world<> w;
    w.listen(reliable());
    socket_type client(w.context, reliable());
    client.connect(url);
    REQUIRE(w.net.run_until([&] { return w.accepted.size() == 1 && client.state() == connection_state::open; }, 5s));
    for (int i = 0; i < 5; ++i) REQUIRE(w.accepted.front().try_send("x"));
    w.net.run_for(1s);
    int calls = 0;
    client.on_message([&](const hawser::message_view&) {
        ++calls;
        throw std::runtime_error("no");
    });
    w.net.run_for(5s);
    CHECK(client.state() == connection_state::failed);
    CHECK(calls == 1);
    client.pause_receiving();
    client.resume_receiving();
    w.net.run_for(1s);
    CHECK(calls == 1);
}

TEST_CASE("io_context: callbacks that own their socket go with it") {
    std::weak_ptr<int> watch;
    {
        auto w = std::make_unique<world<>>();
        auto owner = std::make_shared<socket_type>(w->context, plain());
        auto alive = std::make_shared<int>(0);
        watch = alive;
        owner->on_message([owner, alive](const hawser::message_view&) {});
        owner->on_state([owner, alive](const hawser::state_change&) {});
        owner->on_outcome([owner, alive](hawser::ticket, outcome) {});
        w->net.run_for(1s);
    }
    CHECK(watch.expired());
}

TEST_CASE("run() returns when everything was closed, without waiting for a timer of the past") {
    asio::io_context context;
    hawser::listener<> server(context, {}, hawser::options::plain());
    std::optional<socket_type> accepted;
    server.async_accept([&](std::error_code, socket_type s) { accepted.emplace(std::move(s)); });
    socket_type client(context, hawser::options::plain());
    client.async_connect("ws://127.0.0.1:" + std::to_string(server.port()) + "/", [&](std::error_code ec) {
        CHECK(!ec);
        client.async_close([&](std::error_code) { server.async_close([](std::error_code) {}); });
    });
    const auto begin = std::chrono::steady_clock::now();
    context.run_for(10s);
    CHECK(std::chrono::steady_clock::now() - begin < 5s);
}

TEST_CASE("accepting goes on after memory ran out") {
    asio::io_context context;
    struct sink_type final : hawser::acceptor_sink {
        void on_accept(hawser::stream_ptr) override {
            if (++calls == 1) throw std::bad_alloc();
        }
        void on_accept_error(std::error_code) override { ++errors; }
        int calls = 0, errors = 0;
    } sink;
    std::error_code ec;
    auto acceptor = hawser::use_driver(context).listen({}, sink, ec);
    REQUIRE(acceptor);
    for (int i = 0; i < 2; ++i) {
        asio::ip::tcp::socket peer(context);
        peer.connect({asio::ip::make_address("127.0.0.1"), acceptor->port()});
        CHECK_NOTHROW(context.run_for(300ms));
        context.restart();
    }
    CHECK(sink.calls == 2);
    CHECK(sink.errors == 1);
}

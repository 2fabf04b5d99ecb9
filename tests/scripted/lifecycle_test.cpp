// SPDX-License-Identifier: BSL-1.0
// The ends of sockets, listeners and operations: destroyed anywhere, nothing called twice, nothing
// left hanging.
#include "support/catch.hpp"
#include "support/delaying_store.hpp"
#include "support/policies.hpp"
#include "support/world.hpp"

#include <asio/bind_cancellation_slot.hpp>
#include <asio/bind_executor.hpp>
#include <asio/ip/tcp.hpp>

#include <cstdlib>
#include <iomanip>
#include <iostream>

using namespace support;
using hawser::message;
using socket_type = hawser::resilient_socket<>;

namespace {
using support::stored;
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
    // It waits for the store, which may hold messages that come before it.
    outcome became = outcome::pending;
    client.async_send(hawser::message::text("x"), [&](std::error_code, outcome o) { became = o; });
    client.close();
    w.net.run_for(10s);
    CHECK(client.state() == connection_state::closed);
    CHECK(got == std::vector<std::string>{"x"});
    CHECK(became == outcome::acknowledged);
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
    // As if the application had destroyed it.
    CHECK(w.server->connections() == 0);
    CHECK(client.state() == connection_state::closed);
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
    const auto told = [&](std::error_code ec, outcome) { result = ec; };
    client.async_outcome(sent.ticket, asio::bind_cancellation_slot(cancel.slot(), told));
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
        w.net.latency = 50ms;
        socket_type client(w.context, o);
        std::size_t got = 0;
        int lost = 0;
        client.on_message([&](const hawser::message_view& m) { got = m.size(); });
        client.on_state([&](const hawser::state_change& s) { lost += s.to == connection_state::waiting; });
        client.connect(url);
        REQUIRE(w.net.run_until([&] { return w.accepted.size() == 1; }, 5s));
        w.net.last_connection().window = 1000;
        REQUIRE(w.accepted.front().try_send(std::string(100'000, 'x')));
        w.net.run_for(20s);
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
    CHECK(std::chrono::steady_clock::now() - begin < 1s);
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

// ---- each state x each callback ------------------------------------------------------------------

namespace {
enum class callback { on_state, on_message, on_outcome, wait_open, send, enqueue, receive, close, outcome_of };
constexpr std::array callback_names{"on_state", "on_message", "on_outcome", "wait_open", "send",
                                    "enqueue",  "receive",    "close",      "outcome"};
constexpr std::array all_states{connection_state::idle,     connection_state::connecting, connection_state::waiting,
                                connection_state::open,     connection_state::detached,   connection_state::closing,
                                connection_state::closed,   connection_state::failed};

// One socket that is destroyed inside one callback, in one state.
struct cell {
    cell(connection_state s, callback c) : wanted(s), what(c) {}

    // Closing begins at once, so a close handler can only run afterwards; a socket that was never
    // connected has received nothing and entered no state.
    [[nodiscard]] bool possible() const {
        if (wanted == connection_state::idle)
            return what != callback::on_state && what != callback::on_message && what != callback::close;
        const bool ends = wanted == connection_state::closing || wanted == connection_state::closed ||
                          wanted == connection_state::failed;
        return what != callback::close || ends;
    }
    [[nodiscard]] bool run() {
        make();
        if (what == callback::on_state) watch_states();
        reach();
        if (subject && !destroyed) {
            armed = true;
            start_others();
            trigger();
        }
        w.net.run_for(20s);
        return destroyed && completed == started && late == 0;
    }

private:
    // Handlers: one of those that wait, and the one in which it happens.
    [[nodiscard]] auto done() {
        ++started;
        return [this](auto&&...) { ++completed; };
    }
    [[nodiscard]] auto here(callback c) {
        ++started;
        return asio::bind_cancellation_slot(signal.slot(), [this, c](auto&&...) {
            ++completed;
            hit(c);
        });
    }
    void make() {
        auto o = reliable();
        o.send_window_messages = 1;  // so that the second message waits
        hawser::listener_options l{.socket = o};
        l.authorize = [this](const hawser::ws::upgrade_request&) -> hawser::authorization {
            return {.status = refuse ? 401U : 101U};
        };
        w.listen(l);
        client = std::make_unique<socket_type>(w.context, o);
        if (wanted != connection_state::detached) subject = std::move(client);
        if (what != callback::on_state && subject) install(*subject);
    }
    void install(socket_type& s) {
        s.on_outcome([this](hawser::ticket, outcome) { late += destroyed; hit(callback::on_outcome); });
        s.on_message([this](const hawser::message_view&) { late += destroyed; hit(callback::on_message); });
        if (what == callback::on_message) s.pause_receiving();
    }
    void watch_states() {
        armed = true;
        if (subject) watch(*subject);
    }
    void watch(socket_type& s) {
        start_others();
        s.on_state([this](const hawser::state_change& c) {
            late += destroyed;
            if (c.to == wanted) hit(callback::on_state);
        });
    }
    void until(connection_state s) {
        (void)w.net.run_until([&] { return !subject || subject->state() == s; }, 60s);
    }
    void reach() {
        if (wanted == connection_state::idle) return fill();
        (subject ? subject : client)->connect(url);
        (void)w.net.run_until([&] { return w.accepted.size() == 1 || destroyed; }, 5s);
        w.net.run_for(100ms);
        if (wanted == connection_state::detached) {
            subject = std::make_unique<socket_type>(std::move(w.accepted.front()));
            if (what == callback::on_state) watch(*subject);
            else install(*subject);
        }
        if (!subject) return;
        fill();
        if (what == callback::on_message) (void)(client ? *client : w.accepted.front()).try_send("m");
        w.net.run_for(100ms);
        leave_open();
    }
    // One message flies and is never acknowledged, one waits.
    void fill() {
        first = subject->try_send("a").ticket;
        if (wanted != connection_state::idle) w.net.run_for(10ms);
        second = subject->try_send("b").ticket;
    }
    void leave_open() {
        const auto cut = [&] { w.net.last_connection().cut(); };
        switch (wanted) {
        case connection_state::connecting: w.net.blackhole = true; return cut(), until(wanted);
        case connection_state::waiting:
        case connection_state::detached: w.net.refuse_connections = true; return cut(), until(wanted);
        case connection_state::failed:
            armed = armed || what == callback::on_outcome;
            refuse = true;
            return cut(), until(wanted);
        case connection_state::closing: subject->close(); return w.net.poll();
        case connection_state::closed:
            armed = armed || what == callback::on_outcome;
            subject->close();
            return until(wanted);
        default: return;
        }
    }
    // Operations that wait while the socket goes, and complete once all the same.
    void start_others() {
        subject->async_wait_open(done());
        subject->async_send(message::text("c"), done());
        subject->async_enqueue(message::text("d"), done());
        subject->async_outcome(first, done());
        if (what != callback::on_message && what != callback::receive) subject->async_receive(done());
    }
    void trigger() {
        switch (what) {
        case callback::on_state: break;
        case callback::on_message: subject->resume_receiving(); break;
        case callback::on_outcome: (void)subject->cancel(second); break;
        case callback::wait_open: subject->async_wait_open(here(what)); break;
        case callback::send: subject->async_send(message::text("x"), here(what)); break;
        case callback::enqueue: subject->async_enqueue(message::text("x"), here(what)); break;
        case callback::receive: subject->async_receive(here(what)); break;
        case callback::close: subject->async_close(here(what)); break;
        case callback::outcome_of: subject->async_outcome(second, here(what)); break;
        }
        if (what < callback::wait_open) return;
        w.net.poll();
        signal.emit(asio::cancellation_type::terminal);
    }
    void hit(callback c) {
        if (!armed || destroyed || c != what || subject->state() != wanted) return;
        destroyed = true;
        subject.reset();
    }

    connection_state wanted;
    callback what;
    world<> w{7};
    std::unique_ptr<socket_type> client, subject;
    asio::cancellation_signal signal;
    hawser::ticket first, second;
    bool armed = false, refuse = false, destroyed = false;
    int started = 0, completed = 0, late = 0;
};
}  // namespace

TEST_CASE("destroying: in each state, inside each callback") {
    std::ostringstream table;
    table << "destroyed in    ";
    for (const char* name : callback_names) table << std::left << std::setw(12) << name;
    for (const connection_state s : all_states) {
        table << '\n' << std::setw(16) << hawser::to_string(s);
        for (std::size_t c = 0; c < callback_names.size(); ++c) {
            auto one = std::make_unique<cell>(s, static_cast<callback>(c));
            const bool ok = !one->possible() || one->run();
            table << std::setw(12) << (!one->possible() ? "never" : ok ? "ok" : "FAILED");
            CAPTURE(hawser::to_string(s), callback_names[c]);
            CHECK(ok);
        }
    }
    table << "\nnever: no callback of this kind can run in this state\n";
    std::cout << table.str() << std::flush;
}

// ---- anywhere ------------------------------------------------------------------------------------

namespace {
// Two clients and a server at work; at the Nth invocation of any handler something is destroyed.
class turmoil {
    using weak = std::weak_ptr<socket_type>;

    // A handler that counts itself and may be the one in which it happens.
    template <class F>
    [[nodiscard]] auto once(F f) {
        calls.push_back(0);
        return [this, f = std::move(f), i = calls.size() - 1](auto&&... a) mutable {
            ++calls[i];
            hit();
            if (!over) f(std::forward<decltype(a)>(a)...);
        };
    }

public:
    explicit turmoil(std::uint64_t seed) : w(seed), rng(seed), session(seed % 3 != 0) {
        countdown = static_cast<int>(hawser::uniform(rng, 1, seed % 2 != 0 ? 20 : 120));
        kind = static_cast<int>(hawser::uniform(rng, 0, 8));
        auto o = session ? reliable() : plain();
        o.session_ttl = 2s;
        hawser::listener_options l{.socket = o};
        l.authorize = [this](const hawser::ws::upgrade_request&) { hit(); return hawser::authorization{}; };
        server = std::make_unique<hawser::listener<>>(w.context, hawser::listen_endpoint{.port = port}, l);
        accept();
        for (int i = 0; i < 2; ++i) {
            clients.push_back(std::make_shared<socket_type>(w.context, o));
            drive(clients.back(), i == 0);
            // From a handler of the host, on the strand and outside of a turn.
            asio::post(w.context, once([this, s = weak(clients.back())] {
                if (const auto alive = s.lock())
                    asio::post(alive->get_executor(), once([s] { on_socket(s, [](socket_type& c) { c.connect(url); }); }));
            }));
        }
    }
    void run() {
        for (int i = 0; i < 40 && !stop; ++i) {
            w.net.run_for(std::chrono::microseconds(hawser::uniform(rng, 100, 40'000)));
            if (hawser::uniform(rng, 0, 5) == 0 && !w.net.connections().empty()) w.net.last_connection().cut();
            if (i == 25 && !clients.empty()) clients.front()->async_close(once([](std::error_code) {}));
            if (i == 32 && server) server->async_close(once([](std::error_code) {}));
        }
        if (stop) return;  // and the io_context is destroyed with all there is
        over = true;
        clients.clear();
        accepted.clear();
        server.reset();
        w.net.run_for(60s);
    }
    [[nodiscard]] bool good() const {
        return std::all_of(calls.begin(), calls.end(), [&](int n) { return n == 1 || (stop && n == 0); });
    }

private:
    // Without owning it: it may go inside.
    template <class F>
    static void on_socket(const weak& s, F f) {
        socket_type* target = s.lock().get();
        if (target) f(*target);
    }
    void hit() {
        if (over || --countdown != 0) return;
        switch (kind) {
        case 0: return clients.erase(clients.begin()), void();
        case 1: return clients.clear();
        case 2: return accepted.empty() ? void() : accepted.pop_back();
        case 3: return accepted.clear();
        case 4: return server.reset();
        case 5: return signal.emit(asio::cancellation_type::terminal);
        case 6: return clients.clear(), accepted.clear(), server.reset();
        case 7: return clients.empty() ? void() : clients.front()->close();
        default: stop = true;
        }
    }
    void accept() {
        if (!server) return;
        server->async_accept(once([this](std::error_code ec, socket_type s) {
            if (ec) return;
            accepted.push_back(std::make_shared<socket_type>(std::move(s)));
            drive(accepted.back(), false);
            accept();
        }));
    }
    void drive(const std::shared_ptr<socket_type>& s, bool by_callback) {
        watch(*s, 3);
        s->on_outcome([this](hawser::ticket, outcome) { hit(); });
        s->async_wait_open(once([](std::error_code) {}));
        if (by_callback) s->on_message([this](const hawser::message_view&) { hit(); });
        else receive(s);
        send(s, 0);
        s->async_enqueue(message::text("e"), once([](std::error_code, hawser::ticket) {}));
        s->async_send(message::text("cancelled"),
                      asio::bind_cancellation_slot(signal.slot(), once([](std::error_code, outcome) {})));
    }
    // Replaces itself while it runs, twice.
    void watch(socket_type& s, int times) {
        s.on_state([this, &s, times, text = std::string(100, 'x')](const hawser::state_change&) {
            const auto before = clients.size() + accepted.size();
            hit();
            if (over || times == 0 || before != clients.size() + accepted.size() || text.empty()) return;
            watch(s, times - 1);
            watch(s, times - 1);
            if (text.back() != 'x') stop = true;
        });
    }
    void receive(weak s) {
        if (const auto alive = s.lock())
            alive->async_receive(once([this, s](std::error_code ec, message) {
                if (!ec) receive(s);
            }));
    }
    void send(weak s, int n) {
        const auto alive = s.lock();
        if (!alive || n == 8) return;
        alive->async_send(message::text(std::to_string(n)), once([this, s, n](std::error_code ec, outcome) {
            if (!ec) send(s, n + 1);
        }));
    }

    std::deque<int> calls;
    asio::cancellation_signal signal;
    world<> w;
    hawser::xoshiro256 rng;
    bool session;
    int countdown = 0, kind = 0;
    bool stop = false, over = false;
    std::vector<std::shared_ptr<socket_type>> clients, accepted;
    std::unique_ptr<hawser::listener<>> server;
};
}  // namespace

TEST_CASE("destroying: sockets, listener, operations and io_context at the Nth invocation of a handler") {
    const char* asked = std::getenv("HAWSER_SEEDS");
    const int seeds = asked ? std::clamp(std::atoi(asked), 1, 1000) : 300;
    for (int seed = 1; seed <= seeds; ++seed) {
        CAPTURE(seed);
        turmoil t(static_cast<std::uint64_t>(seed));
        t.run();
        CHECK(t.good());
    }
}

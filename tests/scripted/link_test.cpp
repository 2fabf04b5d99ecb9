// SPDX-License-Identifier: BSL-1.0
// The life of a link in virtual time: attempts, heartbeats, deadlines, closing, plain mode.
#include "support/catch.hpp"
#include "support/world.hpp"

using namespace support;
using hawser::message;

TEST_CASE("plain: connects, echoes and closes in order") {
    world<> w;
    w.listen(quick(hawser::options::plain()));
    w.on_accept = [](hawser::resilient_socket<>& s) {
        s.on_message([&s](const hawser::message_view& m) { REQUIRE(s.try_send(m)); });
    };
    hawser::resilient_socket<> client(w.context, quick(hawser::options::plain()));
    std::vector<message> got;
    client.on_message([&](const hawser::message_view& m) { got.push_back(message::copy(m.bytes, m.kind)); });
    client.connect(url);
    outcome o = outcome::pending;
    client.async_send(message::text("text"), [&](std::error_code, outcome x) { o = x; });
    w.net.poll();
    REQUIRE(client.try_send(message::binary(hawser::as_bytes("binary"))));
    REQUIRE(w.net.run_until([&] { return got.size() == 2; }, 5s));
    CHECK(o == outcome::written);
    CHECK((got[0].is_text() && got[0].text() == "text"));
    CHECK((!got[1].is_text() && got[1].text() == "binary"));
    CHECK_FALSE(client.in_session());
    bool closed = false;
    client.async_close(hawser::close_code(3001), "done", [&](std::error_code) { closed = true; });
    hawser::close_info info;
    w.accepted.front().on_state([&](const hawser::state_change& s) { info = s.close; });
    REQUIRE(w.net.run_until([&] { return closed && w.accepted.front().state() == connection_state::closed; }, 5s));
    CHECK(info.code == hawser::close_code(3001));
    CHECK(info.reason == "done");
}

TEST_CASE("plain: reconnects and sends the on_connect list first on each connection") {
    world<> w;
    w.listen(quick(hawser::options::plain()));
    std::vector<std::string> got;
    w.on_accept = [&](hawser::resilient_socket<>& s) {
        s.on_message([&](const hawser::message_view& m) { got.emplace_back(m.text()); });
    };
    auto o = quick(hawser::options::plain());
    o.on_connect = {message::text("login"), message::text("subscribe")};
    hawser::resilient_socket<> client(w.context, o);
    REQUIRE(client.try_send("early"));
    client.connect(url);
    REQUIRE(w.net.run_until([&] { return got.size() == 3; }, 5s));
    w.net.last_connection().cut();
    REQUIRE(w.net.run_until([&] { return client.state() == connection_state::waiting; }, 5s));
    REQUIRE(client.try_send("later"));
    REQUIRE(w.net.run_until([&] { return got.size() == 6; }, 5s));
    CHECK(got == std::vector<std::string>{"login", "subscribe", "early", "login", "subscribe", "later"});
}

TEST_CASE("R1: a half-open link is found by the heartbeat") {
    for (const bool session : {false, true}) {
        CAPTURE(session);
        world<> w;
        auto o = quick(session ? hawser::options::reliable() : hawser::options::plain());
        w.listen(o);
        hawser::resilient_socket<> client(w.context, o);
        std::error_code why;
        client.on_state([&](const hawser::state_change& s) {
            if (s.to == connection_state::waiting) why = s.reason;
        });
        client.connect(url);
        REQUIRE(w.net.run_until([&] { return client.state() == connection_state::open; }, 5s));
        w.net.run_for(300s);
        CHECK(w.net.connections().size() == 1);  // idle, and alive through pings
        w.net.last_connection().hold_towards(0, true);
        const auto begin = w.net.clock();
        REQUIRE(w.net.run_until([&] { return why == errc::heartbeat_timeout; }, 120s));
        CHECK(w.net.clock() - begin <= 46s);  // ping_interval + pong_timeout
    }
}

TEST_CASE("connect_timeout bounds an attempt, whatever it hangs in") {
    world<> w;
    hawser::resilient_socket<> client(w.context, quick(hawser::options::reliable()));
    std::vector<std::error_code> reasons;
    client.on_state([&](const hawser::state_change& s) {
        if (s.to == connection_state::waiting) reasons.push_back(s.reason);
    });
    hawser::acceptor_ptr silent;
    std::vector<hawser::stream_ptr> held;
    SECTION("in TCP") { w.net.blackhole = true; }
    SECTION("in the upgrade") {
        silent = w.net.listen_raw(port, [&](hawser::stream_ptr s) { held.push_back(std::move(s)); });
    }
    client.connect(url);
    w.net.run_for(2100ms);
    REQUIRE(reasons.size() == 1);
    CHECK(reasons[0] == errc::connect_timeout);
}

TEST_CASE("attempts back off, and an open breaker permits none") {
    world<> w;
    w.net.refuse_connections = true;
    auto o = quick(hawser::options::plain());
    o.reconnect.base_delay = 100ms;
    o.reconnect.max_delay = 1s;
    o.breaker.minimum_number_of_calls = 3;
    hawser::resilient_socket<> client(w.context, o);
    std::vector<hawser::state_change> waits;
    client.on_state([&](const hawser::state_change& s) {
        if (s.to == connection_state::waiting) waits.push_back(s);
    });
    client.connect(url);
    w.net.run_for(20s);
    REQUIRE(waits.size() > 4);
    bool opened = false;
    for (const auto& s : waits) {
        CHECK(s.retry_in <= 61s);
        opened = opened || s.reason == errc::circuit_open;
    }
    CHECK(opened);
    w.net.refuse_connections = false;
    w.listen(quick(hawser::options::plain()));
    REQUIRE(w.net.run_until([&] { return client.state() == connection_state::open; }, 120s));
}

TEST_CASE("a close with messages outstanding ends at its deadline, and they are told") {
    world<> w;
    auto o = quick(hawser::options::reliable());
    o.close_timeout = 500ms;
    w.listen(o);
    hawser::resilient_socket<> client(w.context, o);
    client.connect(url);
    outcome result = outcome::pending;
    REQUIRE(w.net.run_until([&] { return !w.accepted.empty(); }, 5s));
    client.async_send(message::text("nobody reads this"), [&](std::error_code, outcome x) { result = x; });
    bool closed = false;
    w.net.run_for(100ms);
    const auto begin = w.net.clock();
    client.async_close([&](std::error_code) { closed = true; });
    REQUIRE(w.net.run_until([&] { return closed && result != outcome::pending; }, 5s));
    CHECK(w.net.clock() - begin <= 510ms);
    CHECK(result == outcome::unknown);
}

TEST_CASE("block: try_send says would_block, async_enqueue waits, and everybody goes on after the drain") {
    world<> w;
    w.listen(quick(hawser::options::reliable()));
    std::size_t received = 0;
    w.on_accept = [&](hawser::resilient_socket<>& s) {
        s.on_message([&](const hawser::message_view&) { ++received; });
    };
    auto o = quick(hawser::options::reliable());
    o.queue = {.high_watermark = 10'000, .low_watermark = 2'000, .max_messages = 1000};
    hawser::resilient_socket<> client(w.context, o);
    std::size_t taken = 0;
    const std::string body(500, 'x');
    while (client.try_send(body)) ++taken;
    CHECK((taken > 5 && taken < 20));
    CHECK(client.try_send(body).error == errc::would_block);
    std::size_t accepted = 0;
    for (int i = 0; i < 50; ++i)
        client.async_enqueue(message::text(body), [&](std::error_code ec, hawser::ticket t) {
            REQUIRE(!ec);
            REQUIRE(t);
            ++accepted;
        });
    w.net.run_for(100ms);
    CHECK(accepted == 0);
    CHECK(client.queued_bytes() <= 10'000);
    client.connect(url);
    REQUIRE(w.net.run_until([&] { return received == taken + 50; }, 30s));
    CHECK(accepted == 50);
}

TEST_CASE("reject: a full queue is an error at once") {
    struct rejecting : hawser::default_policies {
        using overflow = hawser::rejecting_overflow;
    };
    world<rejecting> w;
    auto o = quick(hawser::options::plain());
    o.queue.max_messages = 2;
    hawser::resilient_socket<rejecting> client(w.context, o);
    REQUIRE(client.try_send("1"));
    REQUIRE(client.try_send("2"));
    CHECK(client.try_send("3").error == errc::queue_full);
    std::error_code ec;
    client.async_send(message::text("4"), [&](std::error_code e, outcome x) {
        ec = e;
        CHECK(x == outcome::refused);
    });
    w.net.poll();
    CHECK(ec == errc::queue_full);
}

TEST_CASE("cancelling: cancelled while it waits, detached once written") {
    world<> w;
    w.listen(quick(hawser::options::reliable()));
    hawser::resilient_socket<> client(w.context, quick(hawser::options::reliable()));
    asio::cancellation_signal waiting, flying, receiving;
    std::pair<std::error_code, outcome> first, second;
    client.async_send(message::text("waits"), asio::bind_cancellation_slot(waiting.slot(), [&](std::error_code e, outcome o) {
                          first = {e, o};
                      }));
    w.net.poll();
    waiting.emit(asio::cancellation_type::terminal);
    w.net.poll();
    CHECK(first == std::pair{make_error_code(errc::cancelled), outcome::cancelled});
    client.connect(url);
    REQUIRE(w.net.run_until([&] { return !w.accepted.empty(); }, 5s));
    client.async_send(message::text("flies"), asio::bind_cancellation_slot(flying.slot(), [&](std::error_code e, outcome o) {
                          second = {e, o};
                      }));
    w.net.run_for(1s);
    flying.emit(asio::cancellation_type::partial);
    w.net.poll();
    CHECK(second == std::pair{make_error_code(errc::detached), outcome::pending});
    CHECK(client.unacknowledged() == 1);
    auto m = w.accepted.front().try_receive();
    REQUIRE(m);
    CHECK(m->text() == "flies");
    std::error_code ec;
    client.async_receive(asio::bind_cancellation_slot(receiving.slot(), [&](std::error_code e, message) { ec = e; }));
    w.net.poll();
    receiving.emit(asio::cancellation_type::total);
    w.net.poll();
    CHECK(ec == asio::error::operation_aborted);
}

TEST_CASE("a message over the peer's limit is refused and does not stop those behind it") {
    world<> w;
    auto small = quick(hawser::options::reliable());
    small.max_message_size = 100;
    w.listen(small);
    std::vector<std::string> got;
    w.on_accept = [&](hawser::resilient_socket<>& s) {
        s.on_message([&](const hawser::message_view& m) { got.emplace_back(m.text()); });
    };
    hawser::resilient_socket<> client(w.context, quick(hawser::options::reliable()));
    std::vector<outcome> outcomes;
    for (const std::size_t size : {100U, 101U, 1U})
        client.async_send(message::text(std::string(size, 'a')), [&](std::error_code, outcome o) { outcomes.push_back(o); });
    client.connect(url);
    REQUIRE(w.net.run_until([&] { return outcomes.size() == 3; }, 5s));
    CHECK(std::count(outcomes.begin(), outcomes.end(), outcome::refused) == 1);
    CHECK(got.size() == 2);
    CHECK(w.net.connections().size() == 1);
}

TEST_CASE("the end of a socket: whatever is pending completes once, at any moment of destruction") {
    for (int step = 0; step < 60; ++step) {
        CAPTURE(step);
        world<> w;
        w.listen(quick(hawser::options::reliable()));
        int completions = 0, callbacks_after = 0;
        {
            auto client = std::make_unique<hawser::resilient_socket<>>(w.context, quick(hawser::options::reliable()));
            bool gone = false;
            client->on_state([&](const hawser::state_change&) { callbacks_after += gone; });
            client->on_message([&](const hawser::message_view&) { callbacks_after += gone; });
            client->async_connect(url, [&](std::error_code) { ++completions; });
            client->async_send(message::text("a"), [&](std::error_code, outcome) { ++completions; });
            client->async_enqueue(message::text("b"), [&](std::error_code, hawser::ticket) { ++completions; });
            client->async_receive([&](std::error_code, message) { ++completions; });
            w.net.run_for(std::chrono::microseconds(step * 300));
            gone = true;
            client.reset();
            w.net.run_for(10s);
        }
        CHECK(completions == 4);
        CHECK(callbacks_after == 0);
    }
}

TEST_CASE("a socket may be destroyed inside each of its callbacks") {
    for (const bool session : {false, true}) {
        for (int where = 0; where < 4; ++where) {
            CAPTURE(session, where);
            world<> w;
            auto o = quick(session ? hawser::options::reliable() : hawser::options::plain());
            w.listen(o);
            w.on_accept = [](hawser::resilient_socket<>& s) { s.async_enqueue(message::text("hello"), [](auto, auto) {}); };
            auto client = std::make_unique<hawser::resilient_socket<>>(w.context, o);
            if (where == 0) client->on_state([&](const hawser::state_change& s) { if (s.to == connection_state::connecting) client.reset(); });
            if (where == 1) client->on_state([&](const hawser::state_change& s) { if (s.to == connection_state::open) client.reset(); });
            if (where == 2) client->on_message([&](const hawser::message_view&) { client.reset(); });
            if (where == 3) {
                client->on_outcome([&](hawser::ticket, outcome) { client.reset(); });
                (void)client->try_send("x");
                w.on_accept = [](hawser::resilient_socket<>& s) { s.on_message([](const hawser::message_view&) {}); };
            }
            client->connect(url);
            w.net.run_for(5s);
            CHECK(client == nullptr);
        }
    }
}

TEST_CASE("an io_context that is destroyed first destroys handlers without calling them") {
    int called = 0;
    struct probe {
        std::shared_ptr<int> alive = std::make_shared<int>(0);
    };
    std::weak_ptr<int> watch;
    {
        auto w = std::make_unique<world<>>();
        w->listen(quick(hawser::options::reliable()));
        // A handler that owns its socket, as a coroutine frame does.
        auto owner = std::make_shared<hawser::resilient_socket<>>(w->context, quick(hawser::options::reliable()));
        owner->connect(url);
        probe p;
        watch = p.alive;
        owner->async_receive([&called, owner, p](std::error_code, message) { ++called; });
        owner->async_send(message::text("x"), [&called, p](std::error_code, outcome) { ++called; });
        p = {};
        owner.reset();
        w->net.run_for(50ms);
        w->accepted.clear();
        w->server.reset();
    }
    CHECK(called == 0);
    CHECK(watch.expired());
}

TEST_CASE("options that are wrong are named, with their value and what is allowed") {
    asio::io_context context;
    auto o = hawser::options::plain();
    o.connect_timeout = 0ms;
    o.reconnect.multiplier = 0.5;
    try {
        hawser::resilient_socket<> s(context, o);
        FAIL("accepted");
    } catch (const hawser::option_error& e) {
        REQUIRE(e.problems().size() == 2);
        CHECK_THAT(e.what(), Catch::Matchers::ContainsSubstring("connect_timeout is 0 ms, but must be between 1 ms and"));
        CHECK_THAT(e.what(), Catch::Matchers::ContainsSubstring("reconnect.multiplier is 0.5"));
    }
    hawser::resilient_socket<> s(context);
    std::string why;
    CHECK(s.try_connect("http://example.com/", why) == errc::invalid_argument);
    CHECK_THAT(why, Catch::Matchers::ContainsSubstring("http"));
}

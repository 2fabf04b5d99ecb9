// SPDX-License-Identifier: BSL-1.0
// Exceptions, of the application and of memory that runs out: what they cost, and that nothing hides them.
#include "support/catch.hpp"
#include "support/policies.hpp"
#include "support/world.hpp"

#include <algorithm>
#include <stdexcept>

using namespace support;
using hawser::message;

namespace {

using support::watched;

// A store whose commits throw while `failing`.
struct throwing_store {
    static constexpr bool durable = false;
    static constexpr bool keeps_records = false;
    using transaction = hawser::store_transaction;

    struct opened final : hawser::opened_store {
        opened(std::unique_ptr<hawser::opened_store> o, std::shared_ptr<bool> f)
            : inner(std::move(o)), failing(std::move(f)) {}
        void load(const hawser::session::origin_id& fresh) override { inner->load(fresh); }
        void commit(std::vector<hawser::session::record> records) override {
            if (*failing) throw std::bad_alloc();
            inner->commit(std::move(records));
        }
        std::unique_ptr<hawser::opened_store> inner;
        std::shared_ptr<bool> failing;
    };
    [[nodiscard]] std::unique_ptr<hawser::opened_store> open(hawser::driver& d, hawser::store_client& client, std::string_view name) const {
        return std::make_unique<opened>(hawser::memory_store().open(d, client, name), failing);
    }
    [[nodiscard]] std::unique_ptr<hawser::store_catalog> open_catalog(hawser::driver& d, hawser::catalog_client& client) const {
        return hawser::memory_store().open_catalog(d, client);
    }
    std::shared_ptr<bool> failing = std::make_shared<bool>(false);
};
struct with_throwing_store : hawser::default_policies {
    using store = throwing_store;
};

// A queue whose limits throw while `failing`.
struct throwing_overflow : hawser::blocking_overflow {
    using hawser::blocking_overflow::blocking_overflow;
    static inline bool failing = false;
    [[nodiscard]] bool paused() const {
        if (failing) throw std::bad_alloc();
        return hawser::blocking_overflow::paused();
    }
};
struct with_throwing_queue : hawser::default_policies {
    using overflow = throwing_overflow;
};

// No memory for the queue that is made with the first message, while `failing`.
struct no_room_store : hawser::memory_store {
    [[nodiscard]] std::unique_ptr<hawser::opened_store> open(hawser::driver& d, hawser::store_client& client, std::string_view name) const {
        if (*failing && ++*failed > 0) throw std::bad_alloc();
        return hawser::memory_store().open(d, client, name);
    }
    std::shared_ptr<bool> failing = std::make_shared<bool>(false);
    std::shared_ptr<int> failed = std::make_shared<int>(0);
};
struct with_no_room_store : hawser::default_policies {
    using store = no_room_store;
};
// Whoever is asked is refused.
struct refusing_overflow : hawser::no_overflow {
    using hawser::no_overflow::no_overflow;
    [[nodiscard]] static hawser::overflow_action on_enqueue(std::size_t, std::size_t, std::size_t) noexcept { return hawser::overflow_action::reject; }
};
struct with_refusing_queue : hawser::default_policies {
    using overflow = refusing_overflow;
};

struct logged {
    hawser::policy_objects<watched> objects() {
        return {.metrics = metrics, .logger = hawser::callback_log([this](const hawser::log_record& r) {
                                        if (r.level == hawser::log_level::error)
                                            lines.push_back(hawser::format_record(r));
                                    })};
    }
    hawser::counting_metrics metrics;
    std::vector<std::string> lines;
};

}  // namespace

TEST_CASE("deferred work that throws: the other tasks run, the exception leaves run(), which may be called again") {
    asio::io_context context;
    auto& d = hawser::use_driver(context);
    struct task final : hawser::deferred_task {
        void run() override {
            ++runs;
            if (throws) throw std::bad_alloc();
        }
        bool throws = false;
        int runs = 0;
    } first, second;
    first.throws = true;
    asio::post(d.executor(), [&] {
        const hawser::driver::turn t(d);
        d.defer(first);
        d.defer(second);
    });
    CHECK_THROWS_AS(context.run(), std::bad_alloc);
    CHECK(first.runs == 1);
    CHECK(second.runs == 1);
    bool ran = false;
    asio::post(d.executor(), [&] {
        const hawser::driver::turn t(d);
        first.throws = false;
        d.defer(first);
        ran = true;
    });
    context.restart();
    CHECK_NOTHROW(context.run());
    CHECK(ran);
    CHECK(first.runs == 2);
}

TEST_CASE("a deadline whose function throws: the exception leaves run(), later deadlines come") {
    asio::io_context context;
    auto& d = hawser::use_driver(context);
    struct owner {
        void due(hawser::time_point) {
            ++calls;
            if (calls == 1) throw std::runtime_error("no");
        }
        int calls = 0;
        hawser::timer_node node{this, hawser::on_timer<&owner::due>};
    } one, two;
    two.calls = 1;
    asio::post(d.executor(), [&] {
        const hawser::driver::turn t(d);
        d.arm(one.node, d.now() + 1ms);
        d.arm(two.node, d.now() + 20ms);
    });
    CHECK_THROWS_AS(context.run_for(10s), std::runtime_error);
    context.restart();
    CHECK_NOTHROW(context.run_for(10s));  // returns as soon as nothing is left
    CHECK(two.calls == 2);
}

TEST_CASE("memory that runs out in a socket's deferred work costs the connection and the session, nothing else") {
    world<> w;
    w.listen(quick(hawser::options::reliable()));
    std::vector<std::string> got;
    w.on_accept = [&](hawser::resilient_socket<>& s) {
        s.on_message([&](const hawser::message_view& m) {
            got.emplace_back(m.text());
            throwing_overflow::failing = m.text() == "first";  // when its acknowledgement arrives
        });
    };
    hawser::resilient_socket<with_throwing_queue> client(w.context, quick(hawser::options::reliable()));
    std::vector<hawser::state_change> states;
    client.on_state([&](const hawser::state_change& c) { states.push_back(c); });
    client.connect(url);
    REQUIRE(w.net.run_until([&] { return client.state() == connection_state::open; }));
    std::optional<outcome> result;
    client.async_send(message::text("first"), [&](std::error_code, outcome o) { result = o; });
    CHECK_NOTHROW(w.net.run_until([&] { return client.state() == connection_state::waiting; }, 5s));
    CHECK(client.state() == connection_state::waiting);
    CHECK(states.back().reason == errc::out_of_memory);
    throwing_overflow::failing = false;
    REQUIRE(w.net.run_until([&] { return client.state() == connection_state::open; }));
    REQUIRE(w.net.run_until([&] { return result.has_value(); }));
    CHECK((result == outcome::acknowledged || result == outcome::unknown));
    CHECK(client.try_send(message::text("later")));
    CHECK(w.net.run_until([&] { return !got.empty() && got.back() == "later"; }));
}

TEST_CASE("a store that throws has failed, like one that reports an error") {
    world<> w;
    w.listen(quick(hawser::options::reliable()));
    w.on_accept = [](hawser::resilient_socket<>& s) { s.on_message([](const hawser::message_view&) {}); };
    throwing_store store;
    hawser::resilient_socket<with_throwing_store> client(w.context, quick(hawser::options::reliable()),
                                                         {.store = store});
    client.connect(url);
    REQUIRE(w.net.run_until([&] { return client.state() == connection_state::open; }));
    *store.failing = true;
    std::optional<std::error_code> enqueued;
    client.async_enqueue(message::text("x"), [&](std::error_code ec, hawser::ticket) { enqueued = ec; });
    REQUIRE_NOTHROW(w.net.run_for(1s));
    CHECK(client.state() == connection_state::failed);
    CHECK(enqueued == errc::store_failed);
}

TEST_CASE("on_connect messages: a connection without all of them is none") {
    world<> w;
    w.listen(quick(hawser::options::plain()));
    std::vector<std::vector<std::string>> got;
    w.on_accept = [&](hawser::resilient_socket<>& s) {
        got.emplace_back();
        s.on_message([&, i = got.size() - 1](const hawser::message_view& m) { got[i].emplace_back(m.text()); });
    };
    auto o = quick(hawser::options::plain());
    // More masking keys than the entropy pool holds in reserve.
    for (int i = 0; i < 5000; ++i)
        o.on_connect.push_back(message::text(std::to_string(i)));
    hawser::resilient_socket<> client(w.context, o);
    std::vector<hawser::state_change> states;
    client.on_state([&](const hawser::state_change& c) { states.push_back(c); });
    w.net.on_connection = [&](auto&) { w.net.random_fails = w.net.connections().size() == 1; };
    client.connect(url);
    REQUIRE(w.net.run_until([&] { return client.state() == connection_state::waiting; }));
    CHECK(states.back().reason == errc::random_failed);
    for (const auto& s : states)
        CHECK(s.to != connection_state::open);
    w.net.random_fails = false;
    REQUIRE(w.net.run_until([&] { return got.size() == 2 && got[1].size() == 5000; }, 30s));
    CHECK(got[0].empty());
    CHECK(got[1].front() == "0");
    CHECK(got[1].back() == "4999");
    CHECK(client.state() == connection_state::open);
}

TEST_CASE("callbacks that throw: critical fails the socket and says so, non-critical goes on; both count and log") {
    const auto where = GENERATE(as<std::string>(), "on_state", "on_message", "on_outcome");
    const bool critical = GENERATE(true, false);
    CAPTURE(where, critical);
    world<> w;
    w.listen(quick(hawser::options::reliable()));
    w.on_accept = [](hawser::resilient_socket<>& s) {
        s.on_message([](const hawser::message_view&) {});
        (void)s.try_send(message::text("greeting"));
    };
    auto o = quick(hawser::options::reliable());
    o.handler_errors = critical ? hawser::handler_criticality::critical : hawser::handler_criticality::non_critical;
    logged log;
    hawser::resilient_socket<watched> client(w.context, o, log.objects());
    int calls = 0;
    std::vector<hawser::state_change> states;
    const auto bang = [&](const char* here) {
        if (where == here && ++calls == 1) throw std::runtime_error("bang");
    };
    client.on_state([&](const hawser::state_change& c) {
        states.push_back(c);
        if (c.to == connection_state::open) bang("on_state");
    });
    client.on_message([&](const hawser::message_view&) { bang("on_message"); });
    client.on_outcome([&](hawser::ticket, outcome) { bang("on_outcome"); });
    client.connect(url);
    CHECK(client.try_send(message::text("x")));
    REQUIRE_NOTHROW(w.net.run_for(5s));
    CHECK(calls == 1);
    CHECK(log.metrics.value(hawser::counter::handler_failures) == 1);
    REQUIRE(log.lines.size() == 1);
    CHECK(log.lines[0] == where + "_threw what=bang");
    if (critical) {
        CHECK(client.state() == connection_state::failed);
        CHECK(states.back().reason == errc::handler_failed);
        CHECK(client.try_send(message::text("y")).error == errc::handler_failed);
    } else {
        CHECK(client.state() == connection_state::open);
        std::optional<outcome> result;
        client.async_send(message::text("y"), [&](std::error_code, outcome r) { result = r; });
        CHECK(w.net.run_until([&] { return result == outcome::acknowledged; }));
    }
}

TEST_CASE("handle: of what the connection refuses the outcome is told, and it is true") {
    world<> w;
    std::vector<std::string> got;
    w.on_accept = [&](auto& s) {
        s.on_message([&](const hawser::message_view& m) { got.emplace_back(m.text()); });
    };
    w.listen(quick(hawser::options::plain()));
    logged log;
    hawser::resilient_socket<watched> client(w.context, quick(hawser::options::plain()), log.objects());
    std::vector<outcome> told;
    client.on_outcome([&](hawser::ticket, outcome o) { told.push_back(o); });
    client.connect(url);
    REQUIRE(w.net.run_until([&] { return client.state() == connection_state::open; }));
    const hawser::sender handle = client.handle();
    w.net.random_fails = true;
    // One at a time, each of them straight into the connection: more than the entropy pool holds masking keys for.
    constexpr std::size_t count = 3000;
    for (std::size_t i = 0; i < count; ++i) {
        REQUIRE_FALSE(handle.send(message::text(std::to_string(i))));
        w.net.run_for(1ms);
    }
    const auto refused = static_cast<std::size_t>(std::count(told.begin(), told.end(), outcome::cancelled));
    CHECK(refused > 0);
    CHECK(got.size() + refused == count);
    CHECK(log.metrics.value(hawser::counter::messages_cancelled) == refused);
    w.net.random_fails = false;
    REQUIRE_FALSE(handle.send(message::text("after")));
    w.net.run_for(1ms);
    CHECK(got.back() == "after");
    CHECK(client.state() == connection_state::open);
}

TEST_CASE("handle: the overflow policy is not asked, with a connection as little as without one") {
    const bool open = GENERATE(false, true);
    CAPTURE(open);
    world<with_refusing_queue> w;
    std::vector<std::string> got;
    w.on_accept = [&](auto& s) {
        s.on_message([&](const hawser::message_view& m) { got.emplace_back(m.text()); });
    };
    w.listen(quick(hawser::options::plain()));
    hawser::resilient_socket<with_refusing_queue> client(w.context, quick(hawser::options::plain()));
    if (open) client.connect(url);
    w.net.run_for(1s);
    REQUIRE((client.state() == connection_state::open) == open);
    if (!open) CHECK(client.try_send(message::text("asked")).error == errc::queue_full);
    REQUIRE_FALSE(client.handle().send(message::text("one")));
    REQUIRE_FALSE(client.handle().send(message::text("two")));
    w.net.run_for(1s);
    if (!open) client.connect(url);
    w.net.run_for(1s);
    CHECK(got == std::vector<std::string>{"one", "two"});
}

TEST_CASE("handle: the first message of a session waits until there is memory for its queue, and is told acknowledged once") {
    no_room_store store;
    world<with_no_room_store> w;
    std::vector<std::string> got;
    w.on_accept = [&](auto& s) {
        s.on_message([&](const hawser::message_view& m) { got.emplace_back(m.text()); });
    };
    w.listen(quick(hawser::options::reliable()));
    hawser::resilient_socket<with_no_room_store> client(w.context, quick(hawser::options::reliable()), {.store = store});
    std::vector<outcome> told;
    client.on_outcome([&](hawser::ticket, outcome o) { told.push_back(o); });
    *store.failing = true;
    REQUIRE_FALSE(client.handle().send(message::text("one")));
    CHECK_NOTHROW(w.net.run_for(250ms));
    CHECK(*store.failed > 1);
    *store.failing = false;
    client.connect(url);
    REQUIRE_NOTHROW(w.net.run_for(5s));
    CHECK(got == std::vector<std::string>{"one"});
    CHECK(told == std::vector<outcome>{outcome::acknowledged});
}

TEST_CASE("handle: a message that there was no memory for is counted as cancelled when the socket ends") {
    // As after the failure: it is in hand, and others wait.
    asio::io_context context;
    const auto q = std::make_shared<hawser::detail::sender_queue>(hawser::use_driver(context).executor(), hawser::overflow_limits{}, [] {});
    REQUIRE_FALSE(q->push(message::text("one")));
    REQUIRE_FALSE(q->push(message::text("two")));
    const auto any = [](const hawser::detail::handed_over&) { return true; };
    REQUIRE(q->next(any)->body.text() == "one");
    CHECK(q->next(any)->body.text() == "one");
    CHECK(q->close() == 2);
}

TEST_CASE("authorize that throws: 500, counted, logged, and the listener goes on") {
    world<watched> w;
    logged log;
    int asked = 0;
    hawser::listener_options o{.socket = quick(hawser::options::plain())};
    o.authorize = [&](const hawser::ws::upgrade_request&) -> hawser::authorization {
        if (++asked == 1) throw std::runtime_error("database is down");
        return {};
    };
    w.server.emplace(w.context, hawser::listen_endpoint{.port = port}, std::move(o), log.objects());
    w.accept();
    hawser::resilient_socket<> client(w.context, quick(hawser::options::plain()));
    std::vector<hawser::state_change> states;
    client.on_state([&](const hawser::state_change& c) { states.push_back(c); });
    client.connect(url);
    REQUIRE(w.net.run_until([&] { return client.state() == connection_state::open; }));
    CHECK(asked == 2);
    CHECK(std::any_of(states.begin(), states.end(), [](const auto& s) { return s.http_status == 500; }));
    CHECK(log.metrics.value(hawser::counter::handler_failures) == 1);
    REQUIRE(log.lines.size() == 1);
    CHECK(log.lines[0] == "authorize_threw what=\"database is down\"");
}

TEST_CASE("lingering connections: limited in time and bytes, and they count") {
    world<> w;
    auto o = quick(hawser::options::plain());
    o.linger_timeout = 700ms;
    o.max_linger_bytes = 1000;
    hawser::listener_options l{.socket = o};
    l.max_connections = 2;
    w.listen(l);
    const auto get = [](const char* key) {
        return std::string(
                   "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ") +
               key + "\r\n\r\n";
    };
    const char* key = "dGhlIHNhbXBsZSBub25jZQ==";
    std::vector<std::unique_ptr<hawser::testing::raw_peer>> peers;
    for (int i = 0; i < 2; ++i) {
        peers.push_back(w.net.dial(port));
        REQUIRE(w.net.run_until([&] { return peers.back()->connected; }));
        peers.back()->send(get(key));
        REQUIRE(w.net.run_until([&] { return peers.back()->received.starts_with("HTTP/1.1 101"); }));
    }
    // Frames without a mask: closed with 1002. The peers leave their ends open.
    for (auto& p : peers)
        p->send(std::string("\x82\x01x", 3));
    w.net.run_for(w.net.latency / 2);
    peers[0]->send(std::string(2000, 'x'));  // arrives while it lingers, before the other side's FIN is here
    REQUIRE(w.net.run_until([&] { return w.server->connections() == 0; }));
    const auto late = [&] {
        peers.push_back(w.net.dial(port));
        auto& p = *peers.back();
        REQUIRE(w.net.run_until([&] { return p.connected; }));
        p.send(get(key));
        REQUIRE(w.net.run_until([&] { return !p.received.empty(); }));
        return p.received.substr(0, 12);
    };
    CHECK(late() == "HTTP/1.1 101");  // the first one was over max_linger_bytes, the second lingers
    CHECK(late() == "HTTP/1.1 503");
    w.net.run_for(700ms);
    CHECK(late() == "HTTP/1.1 101");
}

TEST_CASE("lingering connections: those that were refused are bounded by max_connections too") {
    world<> w;
    hawser::listener_options l{.socket = quick(hawser::options::plain())};
    l.max_connections = 3;
    w.listen(l);
    std::vector<std::unique_ptr<hawser::testing::raw_peer>> peers;
    for (int i = 0; i < 3; ++i) {
        peers.push_back(w.net.dial(port));
        REQUIRE(w.net.run_until([&] { return peers.back()->connected; }));
        peers.back()->send("GARBAGE\r\n\r\n");
        REQUIRE(w.net.run_until([&] { return !peers.back()->received.empty(); }));
    }
    auto fourth = w.net.dial(port);
    CHECK(w.net.run_until([&] { return fourth->closed; }, 100ms));
    w.net.run_for(2500ms);
    auto fifth = w.net.dial(port);
    w.net.run_for(100ms);
    CHECK(fifth->connected);
    CHECK_FALSE(fifth->closed);
}

TEST_CASE("options: what lingers and what is remembered of RESUMEs has a range") {
    hawser::listener_options o;
    CHECK(o.problems().empty());
    o.max_resume_addresses = 0;
    o.socket.linger_timeout = 0ms;
    o.socket.max_linger_bytes = std::size_t{1} << 40;
    const auto problems = o.problems();
    REQUIRE(problems.size() == 3);
    CHECK(problems[0].find("socket.linger_timeout") != std::string::npos);
    CHECK(problems[1].find("socket.max_linger_bytes") != std::string::npos);
    CHECK(problems[2].find("max_resume_addresses") != std::string::npos);
}

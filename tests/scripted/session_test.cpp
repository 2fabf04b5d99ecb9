// SPDX-License-Identifier: BSL-1.0
// Whole sockets with hawser.v1 in virtual time.
#include "support/catch.hpp"
#include "support/world.hpp"

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/use_awaitable.hpp>

using namespace support;
using hawser::message;

namespace {

struct exchange {
    std::vector<std::string> at_server, at_client;
    int acknowledged = 0, other_outcomes = 0;
};

// `count` messages in each direction, as fast as the queue takes them.
struct traffic {
    traffic(world<>& w, hawser::options client_options, int n) : count(n), client(w.context, client_options) {
        w.on_accept = [this](hawser::resilient_socket<>& s) {
            server_side = &s;
            s.on_message([this](const hawser::message_view& m) { seen.at_server.emplace_back(m.text()); });
            feed(s, sent_by_server);
        };
        client.on_message([this](const hawser::message_view& m) { seen.at_client.emplace_back(m.text()); });
        client.on_outcome([this](hawser::ticket, outcome o) {
            if (o == outcome::acknowledged) ++seen.acknowledged;
            else ++seen.other_outcomes;
        });
        client.connect(url);
        feed(client, sent_by_client);
    }
    void feed(hawser::resilient_socket<>& s, int& sent) {
        if (sent == count) return;
        s.async_enqueue(message::text("message " + std::to_string(++sent)), [this, &s, &sent](std::error_code ec, hawser::ticket) {
            if (!ec) feed(s, sent);
        });
    }
    [[nodiscard]] bool complete() const {
        return static_cast<int>(seen.at_server.size()) >= count && static_cast<int>(seen.at_client.size()) >= count &&
               seen.acknowledged >= count;
    }
    void check() const {
        REQUIRE(static_cast<int>(seen.at_server.size()) == count);
        REQUIRE(static_cast<int>(seen.at_client.size()) == count);
        for (int i = 0; i < count; ++i) {
            REQUIRE(seen.at_server[static_cast<std::size_t>(i)] == "message " + std::to_string(i + 1));
            REQUIRE(seen.at_client[static_cast<std::size_t>(i)] == "message " + std::to_string(i + 1));
        }
        CHECK(seen.acknowledged == count);
        CHECK(seen.other_outcomes == 0);
    }

    int count;
    int sent_by_server = 0, sent_by_client = 0;
    exchange seen;
    hawser::resilient_socket<>* server_side = nullptr;
    hawser::resilient_socket<> client;
};

}  // namespace

TEST_CASE("session: messages go both ways and are acknowledged") {
    world<> w;
    w.listen(quick(hawser::options::reliable()));
    traffic t(w, quick(hawser::options::reliable()), 200);
    REQUIRE(w.net.run_until([&] { return t.complete(); }, 60s));
    t.check();
    CHECK(w.net.connections().size() == 1);
    CHECK(t.client.in_session());
}

TEST_CASE("session: an awaited send costs a round trip and not the acknowledgement delay") {
    world<> w;
    w.listen(quick(hawser::options::reliable()));
    w.on_accept = [](hawser::resilient_socket<>& s) { s.on_message([](const hawser::message_view&) {}); };
    hawser::resilient_socket<> client(w.context, quick(hawser::options::reliable()));
    client.connect(url);
    REQUIRE(w.net.run_until([&] { return client.state() == connection_state::open; }));
    w.net.run_for(1s);
    int done = 0;
    std::function<void()> next = [&] {
        client.async_send(message::text("x"), [&](std::error_code ec, outcome o) {
            REQUIRE(!ec);
            REQUIRE(o == outcome::acknowledged);
            if (++done < 400) next();
        });
    };
    const auto begin = w.net.clock();
    next();
    REQUIRE(w.net.run_until([&] { return done == 400; }, 10s));
    // 1 ms each way: 2 ms a message.
    CHECK(w.net.clock() - begin <= 1s);
}

TEST_CASE("session: nothing is lost, repeated or reordered while links are cut at random moments") {
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        CAPTURE(seed);
        world<> w(seed);
        hawser::xoshiro256 rng(seed * 77);
        w.listen(quick(hawser::options::reliable()));
        traffic t(w, quick(hawser::options::reliable()), 300);
        std::size_t cuts = 0;
        while (!t.complete()) {
            w.net.run_for(std::chrono::microseconds(hawser::uniform(rng, 200, 60'000)));
            if (w.net.connections().empty() || cuts >= 60) {
                if (cuts >= 60) break;
                continue;
            }
            ++cuts;
            auto& c = w.net.last_connection();
            switch (hawser::uniform(rng, 0, 3)) {
            case 0: c.cut(); break;
            case 1: c.cut_towards(0); break;
            case 2: c.cut_towards(1); break;
            default:
                // One way only: what is acknowledged on the way back is lost.
                c.hold_towards(static_cast<int>(hawser::uniform(rng, 0, 1)), true);
                w.net.run_for(std::chrono::milliseconds(hawser::uniform(rng, 0, 20)));
                c.cut();
            }
        }
        REQUIRE(w.net.run_until([&] { return t.complete(); }, 300s));
        t.check();
    }
}

TEST_CASE("session: every input at any split gives the same result") {
    world<> w;
    w.net.on_connection = [](const auto& c) {
        c->limit_reads_of(0, 1);
        c->limit_reads_of(1, 1);
    };
    w.listen(quick(hawser::options::reliable()));
    traffic t(w, quick(hawser::options::reliable()), 50);
    REQUIRE(w.net.run_until([&] { return t.complete(); }, 60s));
    t.check();
}

TEST_CASE("session: damaged bytes are detected and never delivered") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        CAPTURE(seed);
        world<> w(seed);
        hawser::xoshiro256 rng(seed);
        int damaged = 0;
        w.net.on_connection = [&](const auto& c) {
            c->tap = [&](int, hawser::byte_vector& bytes) {
                if (damaged >= 30 || bytes.empty() || hawser::uniform(rng, 0, 9) != 0) return;
                ++damaged;
                const auto at = hawser::uniform(rng, 0, bytes.size() - 1);
                bytes[at] ^= static_cast<std::byte>(1U << hawser::uniform(rng, 0, 7));
            };
        };
        w.listen(quick(hawser::options::reliable()));
        traffic t(w, quick(hawser::options::reliable()), 100);
        REQUIRE(w.net.run_until([&] { return t.complete() || t.client.state() == connection_state::failed; }, 600s));
        if (t.client.state() == connection_state::failed) continue;  // damage in the upgrade may look like a refusal
        for (std::size_t i = 0; i < t.seen.at_server.size(); ++i)
            REQUIRE(t.seen.at_server[i].rfind("message ", 0) == 0);
    }
}

TEST_CASE("session: async_receive takes responsibility with the next receive, and ack earlier") {
    world<> w;
    w.listen(quick(hawser::options::reliable()));
    hawser::resilient_socket<> client(w.context, quick(hawser::options::reliable()));
    client.connect(url);
    outcome first = outcome::pending;
    client.async_send(message::text("one"), [&](std::error_code, outcome o) { first = o; });
    REQUIRE(w.net.run_until([&] { return !w.accepted.empty(); }));
    auto& server = w.accepted.front();
    message got;
    server.async_receive([&](std::error_code ec, message m) {
        REQUIRE(!ec);
        got = std::move(m);
    });
    w.net.run_for(5s);
    REQUIRE(got.text() == "one");
    CHECK(got.seq() == 1);
    CHECK(first == outcome::pending);
    SECTION("the next receive") { server.async_receive([](std::error_code, message) {}); }
    SECTION("try_receive") { CHECK_FALSE(server.try_receive()); }
    SECTION("message::ack") { got.ack(); }
    w.net.run_for(1s);
    CHECK(first == outcome::acknowledged);
}

TEST_CASE("session: on_processed acknowledges the contiguous prefix, finished in any order") {
    world<> w;
    auto o = quick(hawser::options::reliable());
    o.acceptance = hawser::acceptance_mode::on_processed;
    w.listen(o);
    hawser::resilient_socket<> client(w.context, quick(hawser::options::reliable()));
    client.connect(url);
    std::vector<int> done;
    for (int i = 1; i <= 3; ++i)
        client.async_send(message::text(std::to_string(i)), [&, i](std::error_code ec, outcome) {
            REQUIRE(!ec);
            done.push_back(i);
        });
    REQUIRE(w.net.run_until([&] { return !w.accepted.empty(); }));
    std::vector<message> held;
    w.net.run_for(1s);
    while (auto m = w.accepted.front().try_receive()) held.push_back(std::move(*m));
    REQUIRE(held.size() == 3);
    w.net.run_for(5s);
    CHECK(done.empty());
    held[2].ack();
    held[0].ack();
    w.net.run_for(1s);
    CHECK(done == std::vector<int>{1});
    // A cut in between does not hand over again what is in processing.
    w.net.last_connection().cut();
    w.net.run_for(5s);
    CHECK_FALSE(w.accepted.front().try_receive());
    held[1].ack();
    w.net.run_for(1s);
    CHECK(done == std::vector<int>{1, 2, 3});
}

TEST_CASE("rule 20: after a server restart written messages end unknown, waiting ones go on") {
    world<> w;
    w.listen(quick(hawser::options::reliable()));
    hawser::resilient_socket<> client(w.context, quick(hawser::options::reliable()));
    client.connect(url);
    REQUIRE(w.net.run_until([&] { return !w.accepted.empty(); }));
    // Nobody receives at the server, so this one is written and not acknowledged.
    std::vector<std::pair<int, outcome>> outcomes;
    client.async_send(message::text("written"), [&](std::error_code, outcome o) { outcomes.emplace_back(1, o); });
    w.net.run_for(1s);
    w.server.reset();
    w.accepted.clear();
    w.net.last_connection().cut();
    REQUIRE(w.net.run_until([&] { return client.state() == connection_state::waiting; }, 5s));
    client.async_send(message::text("waiting"), [&](std::error_code, outcome o) { outcomes.emplace_back(2, o); });
    std::vector<std::string> got;
    w.on_accept = [&](hawser::resilient_socket<>& s) {
        s.on_message([&](const hawser::message_view& m) { got.emplace_back(m.text()); });
    };
    w.listen(quick(hawser::options::reliable()));
    REQUIRE(w.net.run_until([&] { return outcomes.size() == 2; }, 60s));
    CHECK(outcomes[0] == std::pair{1, outcome::unknown});
    CHECK(outcomes[1] == std::pair{2, outcome::acknowledged});
    CHECK(got == std::vector<std::string>{"waiting"});
}

TEST_CASE("session: a detached session expires after session_ttl and both sides are told") {
    world<> w;
    auto o = quick(hawser::options::reliable());
    o.session_ttl = 3s;
    w.listen(o);
    hawser::resilient_socket<> client(w.context, quick(hawser::options::reliable()));
    client.connect(url);
    REQUIRE(w.net.run_until([&] { return !w.accepted.empty(); }));
    auto& server = w.accepted.front();
    std::error_code end;
    server.on_state([&](const hawser::state_change& s) {
        if (s.to == connection_state::closed) end = s.reason;
    });
    outcome lost = outcome::pending;
    server.async_send(message::text("to nobody"), [&](std::error_code, outcome x) { lost = x; });
    outcome unacked = outcome::pending;
    client.async_send(message::text("unread"), [&](std::error_code, outcome x) { unacked = x; });
    w.net.run_for(100ms);
    w.net.refuse_connections = true;
    w.net.last_connection().cut();
    w.net.run_for(1s);
    CHECK(server.state() == connection_state::detached);
    w.net.run_for(10s);
    CHECK(end == errc::session_expired);
    CHECK(lost == outcome::unknown);
    w.net.refuse_connections = false;
    REQUIRE(w.net.run_until([&] { return unacked != outcome::pending; }, 30s));
    // The tombstone says how far the server got: the message was not accepted, so it is sent
    // again in a new session, and is acknowledged there once somebody receives it.
    REQUIRE(w.net.run_until([&] { return w.accepted.size() == 2 || unacked != outcome::pending; }, 30s));
}

TEST_CASE("session: closing with 1000 ends it at both sides") {
    world<> w;
    w.listen(quick(hawser::options::reliable()));
    std::vector<std::string> got;
    w.on_accept = [&](hawser::resilient_socket<>& s) {
        s.on_message([&](const hawser::message_view& m) { got.emplace_back(m.text()); });
    };
    hawser::resilient_socket<> client(w.context, quick(hawser::options::reliable()));
    client.connect(url);
    for (int i = 0; i < 10; ++i) REQUIRE(client.try_send(std::to_string(i)));
    bool closed = false;
    REQUIRE(w.net.run_until([&] { return client.state() == connection_state::open; }));
    client.async_close([&](std::error_code ec) {
        CHECK(!ec);
        closed = true;
    });
    REQUIRE(w.net.run_until([&] { return closed; }, 10s));
    CHECK(got.size() == 10);
    CHECK(client.state() == connection_state::closed);
    REQUIRE(w.net.run_until([&] { return w.accepted.front().state() == connection_state::closed; }, 10s));
    CHECK(w.server->connections() == 0);
}

TEST_CASE("session: a client that needs hawser.v1 fails against a plain server and says why") {
    world<> w;
    w.listen(quick(hawser::options::plain()));
    hawser::resilient_socket<> client(w.context, quick(hawser::options::reliable()));
    std::error_code why;
    client.async_connect(url, [&](std::error_code ec) { why = ec; });
    REQUIRE(w.net.run_until([&] { return client.state() == connection_state::failed; }, 10s));
    w.net.poll();
    CHECK(why == errc::session_unsupported);
}

TEST_CASE("session: many wrong tokens from one address close that link, and never touch a session that is known") {
    world<> w;
    hawser::listener_options o{.socket = quick(hawser::options::reliable())};
    o.max_resume_failures = 1;
    w.listen(o);
    // Each of three servers forgets the session; the address has two unknown tokens in a minute.
    hawser::resilient_socket<> client(w.context, quick(hawser::options::reliable()));
    client.connect(url);
    for (int i = 0; i < 3; ++i) {
        CAPTURE(i);
        const std::size_t before = w.accepted.size();
        w.server.reset();
        w.net.poll();
        w.listen(o);
        if (!w.net.connections().empty()) w.net.last_connection().cut();
        REQUIRE(w.net.run_until([&] { return w.accepted.size() > before; }, 200s));
        // A known session resumes whatever its address did.
        w.net.last_connection().cut();
        REQUIRE(w.net.run_until([&] { return client.state() != connection_state::open; }, 5s));
        REQUIRE(w.net.run_until([&] { return client.state() == connection_state::open; }, 60s));
        CHECK(w.accepted.size() == before + 1);
    }
}

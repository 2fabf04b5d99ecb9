// SPDX-License-Identifier: BSL-1.0
// The simulator itself: what users build their tests on must be true as well.
#include "support/catch.hpp"

#include <hawser/hawser.hpp>
#include <hawser/testing/world.hpp>

#include <list>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using hawser::connection_state;
using hawser::testing::fault;
using hawser::testing::process;
using hawser::testing::world;

namespace {

struct server {
    server(process& p, std::vector<std::string>& into) : listener(p.context(), {.port = 9000}, hawser::options::reliable()), seen(into) { accept(); }
    void accept() {
        listener.async_accept([this](std::error_code ec, hawser::resilient_socket<> s) {
            if (ec) return;
            sockets.push_back(std::move(s));
            sockets.back().on_message([this](const hawser::message_view& m) { seen.emplace_back(m.text()); });
            accept();
        });
    }
    hawser::listener<> listener;
    std::list<hawser::resilient_socket<>> sockets;
    std::vector<std::string>& seen;
};

struct client {
    client(process& p, const char* url = "ws://server:9000/") : link(p.context(), hawser::options::reliable()) { link.connect(url); }
    hawser::resilient_socket<> link;
};

struct pair {
    explicit pair(std::uint64_t seed) : w(seed) {
        machine = &w.add("server");
        machine->start([this](process& p) { p.make<server>(p, seen); });
        other = &w.add("client");
        other->start([this](process& p) { c = &p.make<client>(p); });
    }
    ~pair() { w.end(); }
    [[nodiscard]] bool open() const { return c->link.state() == connection_state::open; }
    void send(std::string text) {
        other->run([this, text](process&) { (void)c->link.try_send(text); });
    }
    world w;
    std::vector<std::string> seen;
    hawser::testing::host* machine = nullptr;
    hawser::testing::host* other = nullptr;
    client* c = nullptr;
};

std::uint64_t hash_of_faulty_run(std::uint64_t seed) {
    pair p(seed);
    auto rates = hawser::testing::fault_rates::all(3s);
    rates.immortal = {"server", "client"};
    p.w.faults().start(rates);
    for (int i = 0; i < 50; ++i) {
        p.send(std::to_string(i));
        p.w.run_for(500ms);
    }
    REQUIRE(p.w.faults().total() > 50);
    return p.w.trace_hash();
}

}  // namespace

TEST_CASE("simulator: the same seed gives the same trace, another seed another") {
    CHECK(hash_of_faulty_run(1) == hash_of_faulty_run(1));
    CHECK(hash_of_faulty_run(1) != hash_of_faulty_run(2));
}

TEST_CASE("simulator: machines find each other by name; an unknown name is not found") {
    pair p(1);
    REQUIRE(p.w.run_until([&] { return p.open(); }, 10s));
    client* lost = nullptr;
    std::error_code why;
    p.w.add("lost").start([&](process& q) {
        lost = &q.make<client>(q, "ws://nowhere:9000/");
        lost->link.on_state([&](const hawser::state_change& c) {
            if (c.to == connection_state::waiting && !why) why = c.reason;
        });
    });
    p.w.run_for(1s);
    CHECK(why == asio::error::host_not_found);
}

TEST_CASE("simulator: nothing passes a partition, and everything does once it is over") {
    pair p(1);
    REQUIRE(p.w.run_until([&] { return p.open(); }, 10s));
    p.w.net().block("client", "server", true);
    p.send("a");
    p.w.run_for(3s);
    CHECK(p.seen.empty());
    p.w.net().block("client", "server", false);
    p.w.run_for(1s);
    CHECK(p.seen == std::vector<std::string>{"a"});
}

TEST_CASE("simulator: a process that is killed has its connections reset, and its program starts again") {
    pair p(1);
    REQUIRE(p.w.run_until([&] { return p.open(); }, 10s));
    p.machine->kill();
    p.w.run_for(10ms);
    CHECK_FALSE(p.machine->running());
    CHECK_FALSE(p.open());
    p.machine->restart_in(1s);
    REQUIRE(p.w.run_until([&] { return p.open(); }, 60s));
    CHECK(p.machine->incarnation() == 2);
}

TEST_CASE("simulator: a machine without power answers nothing, and who waits finds out by itself") {
    pair p(1);
    REQUIRE(p.w.run_until([&] { return p.open(); }, 10s));
    p.machine->power_off();
    p.w.run_for(10s);
    CHECK(p.open());  // nobody has told the client
    p.w.run_for(60s);
    CHECK_FALSE(p.open());  // the heartbeat has
    p.machine->restart_in(1s);
    REQUIRE(p.w.run_until([&] { return p.open(); }, 120s));
}

TEST_CASE("simulator: a process that pauses gets what arrived meanwhile") {
    pair p(1);
    REQUIRE(p.w.run_until([&] { return p.open(); }, 10s));
    p.machine->pause(5s);
    p.send("a");
    p.w.run_for(4s);
    CHECK(p.seen.empty());
    p.w.run_for(2s);
    CHECK(p.seen.size() == 1);
}

TEST_CASE("simulator: damage on the way is found by the session's checksum and never handed over") {
    pair p(3);
    REQUIRE(p.w.run_until([&] { return p.open(); }, 10s));
    auto& way = p.w.net().way("client", "server");
    for (int i = 0; i < 200; ++i) {
        // An upgrade request has no checksum: a damaged one may be refused for good.
        way.corrupted_per_million = p.open() ? 300'000 : 0;
        p.send("message " + std::to_string(i));
        p.w.run_for(200ms);
    }
    CHECK(way.damaged > 10);
    p.w.net().heal();
    REQUIRE(p.w.run_until([&] { return p.c->link.unacknowledged() == 0; }, 200s));
    REQUIRE(p.seen.size() == 200);
    for (int i = 0; i < 200; ++i) CHECK(p.seen[static_cast<std::size_t>(i)] == "message " + std::to_string(i));
}

TEST_CASE("simulator: every kind of fault can be injected, and all are over when they are stopped") {
    pair p(5);
    REQUIRE(p.w.run_until([&] { return p.open(); }, 10s));
    for (std::size_t i = 0; i < hawser::testing::fault_count; ++i) {
        CAPTURE(name(static_cast<fault>(i)));
        REQUIRE(p.w.run_until([&] { return p.other->running() && p.machine->running() && p.open(); }, 300s));
        CHECK(p.w.faults().inject(static_cast<fault>(i)));
        p.w.run_for(1s);
    }
    p.w.faults().stop();
    REQUIRE(p.w.run_until([&] { return p.other->running() && p.open(); }, 300s));
}

TEST_CASE("simulator: explore stops at the first seed that fails a check, and tells it") {
    const auto found = hawser::testing::explore(1, 100, [](world& w) { w.check(w.seed() != 42, "forty-two"); });
    REQUIRE(found);
    CHECK(found->seed == 42);
    CHECK(found->what == "forty-two");
    CHECK_FALSE(hawser::testing::explore(1, 10, [](world&) {}));
}

TEST_CASE("simulator: a check that fails ends the run where it stands") {
    world w(1);
    w.after(1s, [&] { w.fail("first"); });
    w.after(2s, [&] { w.fail("second"); });
    w.run_for(10s);
    CHECK(w.violation() == "first");
    CHECK(w.elapsed() == 1s);
}

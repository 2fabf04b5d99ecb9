// SPDX-License-Identifier: BSL-1.0
// Sessions outlive their processes: a crash of either side, or of both, at each operation of a durable store.
#include "support/catch.hpp"
#include "support/restoring.hpp"

using namespace support;
using hawser::message;
using hawser::testing::store_fault;

TEST_CASE("restore: what was accepted for sending is sent by the next process, once and in order", "[restore]") {
    durable_pair p;
    p.start_server();
    p.start_client(10);
    REQUIRE(p.run_until([&] { return p.rows() == 10; }));
    p.kill_client();
    p.start_client(20);
    REQUIRE(p.run_until([&] { return p.all_acknowledged(20); }));
    p.check(20);
    // One session served both processes, and no message came twice.
    CHECK(p.server_store->size() == 1);
}

TEST_CASE("restore: messages that never left are sent by the next process", "[restore]") {
    durable_pair p;
    p.start_client(10);  // there is no server
    REQUIRE(p.run_until([&] { return p.enqueued() == 10; }));
    p.kill_client();
    p.start_server();
    p.start_client(10);
    REQUIRE(p.run_until([&] { return p.all_acknowledged(10); }));
    p.check(10);
}

TEST_CASE("restore: a client resumes with a server that was restarted, and is offered as restored", "[restore]") {
    durable_pair p;
    p.start_server();
    p.start_client(10);
    REQUIRE(p.run_until([&] { return p.rows() == 10; }));
    p.kill_server();
    p.start_server();
    p.want(20);
    REQUIRE(p.run_until([&] { return p.all_acknowledged(20); }));
    p.check(20);
    CHECK(p.restored == 1);
    CHECK(p.resumed >= 1);
    CHECK(p.epochs_lost() == 0);
}

TEST_CASE("restore: messages of the server outlive it", "[restore]") {
    durable_pair p;
    p.start_server();
    p.start_client(1);
    REQUIRE(p.run_until([&] { return p.all_acknowledged(1); }));
    p.client_holds();
    p.server_sends(5);
    REQUIRE(p.run_until([&] { return p.server_enqueued == 5; }));
    p.kill_server();
    p.start_server();
    p.client_takes();
    REQUIRE(p.run_until([&] { return p.from_server.size() == 5; }));
    CHECK(p.from_server == std::vector<std::string>{"s1", "s2", "s3", "s4", "s5"});
}

// Rules 2, 4, 5, 12, 14, 19, and the table "disk before wire", at each place where a process can die.
TEST_CASE("restore: a crash at the Nth operation of a store loses and repeats nothing", "[restore]") {
    const bool both = GENERATE(false, true);
    const auto how = GENERATE(store_fault::lost_before, store_fault::lost_after, store_fault::fails);
    const bool at_server = GENERATE(false, true);
    unsigned crashes = 0;
    for (std::uint64_t n = 1; n < 400; ++n) {
        CAPTURE(n, both, static_cast<int>(how), at_server);
        durable_pair p(n);
        p.crash_at(n, at_server, both, how);
        p.start_server();
        p.start_client(12);
        p.cut_at(n % 5);
        REQUIRE(p.run_until([&] { return p.all_acknowledged(12); }));
        p.check(12);
        if (!p.crashed()) break;
        ++crashes;
    }
    CAPTURE(both, static_cast<int>(how), at_server);
    CHECK(crashes >= (at_server ? 9 : 18));
}

TEST_CASE("restore: many crashes one after the other", "[restore]") {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        CAPTURE(seed);
        durable_pair p(seed);
        p.start_server();
        p.start_client(60);
        for (int i = 0; i < 12; ++i) {
            p.net.run_for(std::chrono::milliseconds(hawser::uniform(p.rng, 1, 150)));
            switch (hawser::uniform(p.rng, 0, 3)) {
            case 0: p.cut(); break;
            case 1: p.kill_client(), p.start_client(60); break;
            case 2: p.kill_server(), p.start_server(); break;
            default: p.kill_server(), p.kill_client(), p.start_client(60), p.start_server(); break;
            }
        }
        REQUIRE(p.run_until([&] { return p.all_acknowledged(60); }));
        p.check(60);
        CHECK(p.epochs_lost() == 0);
    }
}

TEST_CASE("restore: an effect that fails is undone with its position, and its sender keeps the message", "[restore]") {
    durable_pair p;
    p.failing_effects = 3;
    p.start_server();
    p.start_client(5);
    REQUIRE(p.run_until([&] { return p.all_acknowledged(5); }));
    p.check(5);
    CHECK(p.failing_effects == 0);
    CHECK(p.restored >= 1);
}

TEST_CASE("restore: a stream that is open elsewhere is refused with locked", "[restore]") {
    durable_pair p;
    p.start_client(1);
    REQUIRE(p.run_until([&] { return p.enqueued() == 1; }));
    hawser::resilient_socket<durable_policies> second(p.context, p.client_options(),
                                                      {.store = hawser::testing::durable_store(p.client_store)});
    hawser::state_change last;
    second.on_state([&](const hawser::state_change& s) { last = s; });
    std::error_code loaded;
    second.connect(url);
    second.async_wait_loaded([&](std::error_code ec) { loaded = ec; });
    REQUIRE(p.run_until([&] { return second.state() == connection_state::failed; }));
    p.net.run_for(1s);
    CHECK(last.reason == errc::locked);
    CHECK(loaded == errc::locked);
}

TEST_CASE("restore: an image that contradicts itself is refused with store_corrupt", "[restore]") {
    durable_pair p;
    p.start_server();
    p.start_client(5);
    REQUIRE(p.run_until([&] { return p.all_acknowledged(5); }));
    p.kill_client();
    auto& image = const_cast<hawser::store_image&>(p.client_store->image(std::string(hawser::client_stream)));
    image.outbox.push_back({.counter = 7, .seq = 3, .bytes = 3, .written = true, .body = message::text("7")});
    image.next_counter = 8;
    p.start_client(5);
    REQUIRE(p.run_until([&] { return p.client->state() == connection_state::failed; }));
    CHECK(p.client_end.reason == errc::store_corrupt);
}

TEST_CASE("restore: a session whose client does not come ends after its time to live, counted from the restart", "[restore]") {
    // Loading may take longer than from one sweep to the next.
    const auto delay = GENERATE(hawser::milliseconds{0}, hawser::milliseconds{1000});
    durable_pair p;
    p.session_ttl = 3s;
    p.start_server();
    p.start_client(5);
    REQUIRE(p.run_until([&] { return p.all_acknowledged(5); }));
    p.kill_client();
    p.kill_server();
    p.net.run_for(60s);
    p.server_store->delay = delay;
    p.start_server();
    p.net.run_for(1s);
    REQUIRE(p.server_store->size() == 1);
    const std::string name = p.server_store->only_name();
    CHECK(p.server_store->image(name).phase == hawser::epoch_phase::alive);
    p.net.run_for(8s);
    CHECK(p.server_store->image(name).phase == hawser::epoch_phase::ended);
    CHECK(p.server_store->image(name).has_position);
    CHECK(p.server_store->image(name).accepted == 5);
    p.server_store->delay = {};
    // Its tombstone answers for as long as the client takes, also after another restart: nothing is unknown.
    p.kill_server();
    p.net.run_for(600s);
    p.start_server();
    p.start_client(8);
    REQUIRE(p.run_until([&] { return p.all_acknowledged(8); }));
    p.check(8);
    CHECK(p.epochs_lost() == 1);
    p.net.run_for(1s);
    // The client has another session: the tombstone is not needed any more.
    CHECK(p.server_store->size() == 1);
    CHECK(p.server_store->only_name() != name);
}

// Rule "message on disk before `accepted` is reported": also when the socket ends in the same turn.
TEST_CASE("restore: what was not durable when its socket failed was not accepted, and its ticket is given again", "[restore]") {
    durable_pair p;
    p.start_server();
    p.start_client(1);
    REQUIRE(p.run_until([&] { return p.all_acknowledged(1); }));
    std::error_code told;
    p.client->on_state([&](const hawser::state_change& c) {
        p.client_end = c;
        if (c.to != connection_state::waiting) return;
        p.client->async_enqueue(message::text("2"), [&](std::error_code ec, hawser::ticket) { told = ec; });
        throw std::runtime_error("a critical handler");
    });
    p.net.run_for(1ms);
    p.cut();
    REQUIRE(p.run_until([&] { return p.client->state() == connection_state::failed; }));
    p.net.run_for(1s);
    CHECK(p.client_end.reason == errc::handler_failed);
    CHECK(told == errc::handler_failed);
    p.kill_client();
    p.start_client(2);
    REQUIRE(p.run_until([&] { return p.all_acknowledged(2); }));
    p.check(2);
}

TEST_CASE("restore: a socket that ends while its store is at work completes what waits for the store", "[restore]") {
    durable_pair p;
    p.start_server();
    p.start_client(1);
    REQUIRE(p.run_until([&] { return p.all_acknowledged(1); }));
    p.client_store->delay = 30s;  // longer than closing may take
    std::error_code told;
    p.client->async_enqueue(message::text("2"), [&](std::error_code ec, hawser::ticket) { told = ec; });
    p.client->close();
    REQUIRE(p.run_until([&] { return p.client->state() == connection_state::closed; }));
    p.net.run_for(1ms);
    CHECK(told);
}

TEST_CASE("restore: a new stream is not made without randomness for its origin", "[restore]") {
    durable_pair p;
    p.net.random_fails = true;
    p.start_client(1);
    REQUIRE(p.run_until([&] { return p.client->state() == connection_state::failed; }));
    CHECK(p.client_end.reason == errc::random_failed);
    p.kill_client();
    p.net.random_fails = false;
    p.start_server();
    p.start_client(1);
    REQUIRE(p.run_until([&] { return p.all_acknowledged(1); }));
    p.check(1);
}

TEST_CASE("restore: a session that the server's store has lost meanwhile is unknown, and its client begins anew", "[restore]") {
    durable_pair p;
    p.start_server();
    p.start_client(0);
    REQUIRE(p.run_until([&] { return p.peers.size() == 1; }));
    p.kill_client();
    p.kill_server();
    p.start_server();
    p.net.run_for(1s);  // it is listed
    p.server_store->erase(p.server_store->only_name());
    p.start_client(3);
    p.net.run_for(5s);
    CHECK(p.all_acknowledged(3));
    CHECK(p.epochs_lost() == 1);
    CHECK(p.restored == 0);
    p.check(3);
}

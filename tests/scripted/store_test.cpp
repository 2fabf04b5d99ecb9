// SPDX-License-Identifier: BSL-1.0
// Disk before wire, and before report: with a store that completes later.
#include "support/catch.hpp"
#include "support/delaying_store.hpp"
#include "support/policies.hpp"
#include "support/world.hpp"

using namespace support;
using hawser::message;
using kind = hawser::session::record_kind;

namespace {
using support::stored;
}  // namespace

TEST_CASE("store: nothing is written, acknowledged or reported before its record is durable") {
    world<stored> w;
    auto at_client = std::make_shared<delaying_log>(), at_server = std::make_shared<delaying_log>();
    const auto committed = [](const delaying_log& log, kind k, std::uint64_t counter, std::uint64_t seq) {
        return std::any_of(log.records.begin(), log.records.end(), [&](const auto& r) {
            return r.kind == k && (counter == 0 || r.counter == counter) && (seq == 0 || r.seq >= seq);
        });
    };
    w.server.emplace(w.context, hawser::listen_endpoint{.port = port}, quick(hawser::options::reliable()),
                     hawser::policy_objects<stored>{.store = delaying_store(at_server)});
    w.accept();
    int received = 0;
    w.on_accept = [&](hawser::resilient_socket<stored>& s) {
        s.on_message([&](const hawser::message_view& m) {
            ++received;
            // The sender's number was on disk before the first byte left.
            CHECK(committed(*at_client, kind::assigned, m.id.counter, 0));
            CHECK(committed(*at_client, kind::enqueued, m.id.counter, 0));
            CHECK(m.id.origin[0] == std::byte{0x42});
        });
    };
    hawser::resilient_socket<stored> client(w.context, quick(hawser::options::reliable()),
                                            {.store = delaying_store(at_client)});
    int accepted = 0, acknowledged = 0;
    client.connect(url);
    for (int i = 0; i < 50; ++i) {
        client.async_enqueue(message::text("m"), [&](std::error_code ec, hawser::ticket t) {
            REQUIRE(!ec);
            CHECK(committed(*at_client, kind::enqueued, t.counter, 0));
            ++accepted;
        });
    }
    client.on_outcome([&](hawser::ticket t, outcome o) {
        REQUIRE(o == outcome::acknowledged);
        // The receiver's position was on disk before the ACK, the outcome before its report.
        CHECK(committed(*at_server, kind::accepted, 0, t.counter));
        CHECK(committed(*at_client, kind::finished, t.counter, 0));
        ++acknowledged;
    });
    REQUIRE(w.net.run_until([&] { return acknowledged == 50; }, 20s));
    CHECK(accepted == 50);
    CHECK(received == 50);
    CHECK(at_client->loads == 1);
    // Group commit: far fewer commits than records.
    CHECK(at_client->commits < 20);
    CHECK(at_client->records.size() >= 150);
    CHECK(at_client->records.front().kind == kind::enqueued);
    CHECK(at_client->records.front().body.text() == "m");
}

TEST_CASE("store: cuts with a slow store lose, repeat and reorder nothing") {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        CAPTURE(seed);
        world<stored> w(seed);
        hawser::xoshiro256 rng(seed);
        w.listen(quick(hawser::options::reliable()));
        std::vector<std::string> got;
        w.on_accept = [&](hawser::resilient_socket<stored>& s) {
            s.on_message([&](const hawser::message_view& m) { got.emplace_back(m.text()); });
        };
        hawser::resilient_socket<stored> client(w.context, quick(hawser::options::reliable()));
        int acknowledged = 0;
        client.on_outcome([&](hawser::ticket, outcome o) { acknowledged += o == outcome::acknowledged; });
        client.connect(url);
        bool loaded = false;
        client.async_wait_loaded([&](std::error_code ec) { loaded = !ec; });
        CHECK(client.try_send("too early").error == errc::would_block);
        REQUIRE(w.net.run_until([&] { return loaded; }, 1s));
        for (int i = 0; i < 200; ++i) {
            REQUIRE(client.try_send(std::to_string(i)));
            w.net.run_for(std::chrono::microseconds(hawser::uniform(rng, 0, 5000)));
            if (hawser::uniform(rng, 0, 9) == 0 && !w.net.connections().empty()) w.net.last_connection().cut();
        }
        REQUIRE(w.net.run_until([&] { return acknowledged == 200; }, 120s));
        REQUIRE(got.size() == 200);
        for (int i = 0; i < 200; ++i) REQUIRE(got[static_cast<std::size_t>(i)] == std::to_string(i));
    }
}

TEST_CASE("store: an operation that waits for its commit ends with the socket, whatever ended that") {
    world<stored> w;
    auto log = std::make_shared<delaying_log>();
    hawser::resilient_socket<stored> client(w.context, quick(hawser::options::reliable()), {.store = delaying_store(log)});
    client.connect(url);  // there is nobody
    bool loaded = false;
    client.async_wait_loaded([&](std::error_code ec) { loaded = !ec; });
    REQUIRE(w.net.run_until([&] { return loaded; }, 1s));
    std::error_code durable = std::make_error_code(std::errc::timed_out), ended = durable;
    client.async_enqueue(message::text("m"), [&](std::error_code ec, hawser::ticket) { durable = ec; });
    w.net.run_for(100ms);
    CHECK_FALSE(durable);
    log->delay = std::chrono::hours(1);
    client.async_enqueue(message::text("m"), [&](std::error_code ec, hawser::ticket) { ended = ec; });
    client.close();
    REQUIRE(w.net.run_until([&] { return client.state() == connection_state::closed; }, 60s));
    w.net.run_for(1s);
    CHECK(ended == errc::close_timeout);
}

TEST_CASE("store: a failed commit ends the socket with store_failed, and nothing is reported as success") {
    world<stored> w;
    w.listen(quick(hawser::options::reliable()));
    auto log = std::make_shared<delaying_log>();
    log->fail = true;
    hawser::resilient_socket<stored> client(w.context, quick(hawser::options::reliable()), {.store = delaying_store(log)});
    std::error_code sent;
    outcome o = outcome::pending;
    hawser::state_change last;
    client.on_state([&](const hawser::state_change& s) { last = s; });
    client.connect(url);
    client.async_send(message::text("x"), [&](std::error_code ec, outcome x) {
        sent = ec;
        o = x;
    });
    REQUIRE(w.net.run_until([&] { return client.state() == connection_state::failed; }, 20s));
    w.net.run_for(1s);
    CHECK(last.reason == errc::store_failed);
    CHECK(o != outcome::acknowledged);
    CHECK(sent);
}

// SPDX-License-Identifier: BSL-1.0
// options::idle_timeout: what counts as a message on a connection, and what follows where none passes for so long.
#include "support/bad_input_worlds.hpp"
#include "support/policies.hpp"

#include <optional>
#include <string>

using namespace support;

namespace {

constexpr unsigned fin = bad_input::fin, closing = 8;
constexpr auto idle = 10s;

hawser::options idling() {
    auto o = limited();
    o.idle_timeout = idle;
    o.heartbeat.ping_interval = 0ms;
    return o;
}
std::string close_payload() {
    return std::string("\x03\xe9", 2) + hawser::make_error_code(errc::idle_timeout).message();
}
// Runs until `done`, `limit` at most; how long it took.
template <class Done>
hawser::duration time_until(hawser::testing::virtual_driver& net, hawser::duration limit, Done done) {
    const auto begin = net.now();
    const auto end = begin + limit;
    while (!done() && net.now() < end) net.run_for(10ms);
    return net.now() - begin;
}
void check_time(hawser::duration took, hawser::duration expected) {
    CHECK(took >= expected - 20ms);
    CHECK(took <= expected + 50ms);
}

using counted = support::watched;

}  // namespace

TEST_CASE("idle_timeout: off by default") {
    CHECK(hawser::options{}.idle_timeout == 0ms);
    server_world e;
    const auto peer = e.upgraded();
    for (int i = 0; i < 180; ++i) {
        peer->send(frame(fin | bad_input::ping, "", true));
        e.w.net.run_for(20s);
    }
    CHECK(e.ends.empty());
}

TEST_CASE("idle_timeout: a listener closes with 1001, whatever pings and pongs pass") {
    auto o = idling();
    o.heartbeat.ping_interval = 1s;
    server_world e(o);
    const auto peer = e.upgraded();
    int rounds = 0;
    const auto took = time_until(e.w.net, 60s, [&] {
        if (++rounds % 200 == 0) peer->send(frame(fin | bad_input::ping, "", true) + frame(fin | bad_input::pong, "", true));
        return !e.ends.empty();
    });
    check_time(took, idle);
    REQUIRE(e.ends.size() == 1);
    CHECK(e.ends[0].reason == errc::idle_timeout);
    CHECK(e.ends[0].close.code == close_code::going_away);
    CHECK_FALSE(e.ends[0].close.remote);
    e.w.net.run_for(100ms);
    CHECK(peer->received.ends_with(frame(fin | closing, close_payload(), false)));
    CHECK(peer->received.find(frame(fin | bad_input::ping, "", false)) != std::string::npos);
}

TEST_CASE("idle_timeout: a message in either direction begins the time anew") {
    server_world e(idling());
    const auto peer = e.upgraded();
    hawser::resilient_socket<>& socket = e.w.accepted.back();
    for (int i = 0; i < 5; ++i) {
        e.w.net.run_for(idle - 1s);
        CHECK(e.ends.empty());
        if (i % 2 == 0) peer->send(frame(fin | bad_input::text, "in", true));
        else REQUIRE(socket.try_send(hawser::message::text("out")));
    }
    check_time(time_until(e.w.net, 60s, [&] { return !e.ends.empty(); }), idle);
    CHECK(e.messages.size() == 3);
    REQUIRE(e.ends.size() == 1);
    CHECK(e.ends[0].reason == errc::idle_timeout);
}

TEST_CASE("idle_timeout: a message that has begun to arrive is not idleness; it has a deadline of its own") {
    server_world e(idling());
    const auto peer = e.upgraded();
    peer->send(frame(bad_input::text, "begun", true));
    e.w.net.run_for(2 * idle + 5s);
    CHECK(e.ends.empty());
    peer->send(frame(fin | bad_input::continuation, ", done", true));
    e.w.net.run_for(100ms);
    CHECK(e.messages == std::vector<std::string>{"begun, done"});
    check_time(time_until(e.w.net, 60s, [&] { return !e.ends.empty(); }), idle - 100ms);

    server_world stuck(idling());
    const auto silent = stuck.upgraded();
    silent->send(frame(bad_input::text, "begun", true));
    check_time(time_until(stuck.w.net, 100s, [&] { return !stuck.ends.empty(); }), 60s);
    CHECK(stuck.ends[0].reason == errc::message_timeout);
}

TEST_CASE("idle_timeout: what the peer is slow to take is not idleness either") {
    server_world e(idling());
    const auto peer = e.upgraded();
    e.w.net.last_connection().end(1).max_write = 0;
    REQUIRE(e.w.accepted.back().try_send(hawser::message::text("slow")));
    check_time(time_until(e.w.net, 100s, [&] { return !e.ends.empty(); }), 30s);
    CHECK(e.ends[0].reason == errc::write_stalled);
}

TEST_CASE("idle_timeout: while nobody takes what arrived the time stands still") {
    auto o = idling();
    o.receive_buffer_bytes = 100;
    server_world e(o);
    const auto peer = e.upgraded();
    hawser::resilient_socket<>& socket = e.w.accepted.back();
    socket.pause_receiving();
    for (int i = 0; i < 3; ++i) peer->send(frame(fin | bad_input::text, std::string(100, 'x'), true));
    e.w.net.run_for(3 * idle);
    CHECK(e.ends.empty());
    CHECK(e.messages.empty());
    socket.resume_receiving();
    e.w.net.run_for(1s);
    CHECK(e.messages.size() == 3);
    check_time(time_until(e.w.net, 60s, [&] { return !e.ends.empty(); }), idle - 1s);
}

TEST_CASE("idle_timeout: each piece of a message counts, in either direction") {
    server_world e(idling());
    e.w.on_accept = [&e](hawser::resilient_socket<>& s) {
        s.on_message_piece([&e](const hawser::message_piece& p) { e.messages.emplace_back(p.text()); });
        s.on_state([&e](const hawser::state_change& c) {
            if (c.to == connection_state::closed) e.ends.push_back(c);
        });
    };
    const auto peer = e.upgraded();
    hawser::resilient_socket<>& socket = e.w.accepted.back();
    for (int i = 0; i < 3; ++i) {
        e.w.net.run_for(idle - 1s);
        const auto offset = static_cast<std::uint64_t>(i);
        REQUIRE_FALSE(socket.try_send_piece({hawser::as_bytes("o"), hawser::message_kind::text, offset, i == 2}));
    }
    for (int i = 0; i < 3; ++i) {
        e.w.net.run_for(idle - 1s);
        peer->send(frame((i == 2 ? fin : 0U) | (i == 0 ? bad_input::text : bad_input::continuation), "i", true));
    }
    CHECK(e.ends.empty());
    check_time(time_until(e.w.net, 60s, [&] { return !e.ends.empty(); }), idle);
    CHECK(e.messages == std::vector<std::string>{"i", "i", "i"});
}

TEST_CASE("idle_timeout: a dialling socket closes with 1001 and connects again") {
    client_world e(idling());
    auto& peer = e.upgraded();
    check_time(time_until(e.w.net, 60s, [&] { return !e.ends.empty(); }), idle);
    REQUIRE(e.ends.size() == 1);
    CHECK(e.ends[0].reason == errc::idle_timeout);
    CHECK(e.ends[0].close.code == close_code::going_away);
    e.w.net.run_for(100ms);
    CHECK(peer.received.size() == frame(fin | closing, close_payload(), true).size());
    CHECK(peer.received.substr(0, 1) == "\x88");
    (void)e.upgraded();
    CHECK(e.ends.size() == 1);
}

TEST_CASE("idle_timeout: the session of an idle connection is kept, and what is sent later arrives once") {
    for (const bool at_server : {true, false}) {
        CAPTURE(at_server);
        asio::io_context context;
        auto& net = hawser::install_driver<hawser::testing::virtual_driver>(context);
        auto with = quick(hawser::options::reliable()), without = with;
        with.idle_timeout = idle;
        with.heartbeat.ping_interval = without.heartbeat.ping_interval = 1s;  // frames of the session, not of the application
        hawser::counting_metrics server_counts, client_counts;
        hawser::listener<counted> listener(context, {.port = port}, at_server ? with : without, {.metrics = server_counts});
        std::optional<hawser::resilient_socket<counted>> server;
        std::vector<std::string> messages;
        std::vector<hawser::state_change> at_listener, at_client;
        listener.async_accept([&](std::error_code, hawser::resilient_socket<counted> s) {
            server.emplace(std::move(s));
            server->on_message([&](const hawser::message_view& m) { messages.emplace_back(m.text()); });
            server->on_state([&](const hawser::state_change& c) { at_listener.push_back(c); });
        });
        hawser::resilient_socket<counted> client(context, at_server ? without : with, {.metrics = client_counts});
        client.on_state([&](const hawser::state_change& c) { at_client.push_back(c); });
        client.connect(url);
        REQUIRE(net.run_until([&] { return client.state() == connection_state::open && server; }));
        REQUIRE(client.try_send(hawser::message::text("one")));
        net.run_for(idle - 1s);
        REQUIRE(client.try_send(hawser::message::text("two")));
        net.run_for(idle - 1s);
        CHECK(client_counts.value(hawser::counter::disconnects) == 0);
        const auto& ended = at_server ? at_listener : at_client;
        const auto left = at_server ? connection_state::detached : connection_state::waiting;
        at_listener.clear();
        at_client.clear();
        check_time(time_until(net, 60s, [&] { return !ended.empty(); }), 1s);
        CHECK(ended.front().to == left);
        CHECK(ended.front().reason == errc::idle_timeout);
        const auto& counts = at_server ? server_counts : client_counts;
        CHECK(counts.value(hawser::counter::idle_timeouts) == 1);
        REQUIRE(client.try_send(hawser::message::text("three")));
        net.run_for(2s);
        CHECK(client.state() == connection_state::open);
        CHECK(client_counts.value(hawser::counter::sessions_resumed) == 1);
        CHECK(client_counts.value(hawser::counter::sessions_started) == 1);
        CHECK(messages == std::vector<std::string>{"one", "two", "three"});
    }
}

TEST_CASE("idle_timeout: volatile messages of a session count") {
    asio::io_context context;
    auto& net = hawser::install_driver<hawser::testing::virtual_driver>(context);
    auto o = quick(hawser::options::reliable());
    o.idle_timeout = idle;
    hawser::listener<counted> listener(context, {.port = port}, o, {});
    std::optional<hawser::resilient_socket<counted>> server;
    listener.async_accept([&](std::error_code, hawser::resilient_socket<counted> s) {
        server.emplace(std::move(s));
        server->on_message([](const hawser::message_view&) {});
    });
    hawser::counting_metrics counts;
    hawser::resilient_socket<counted> client(context, o, {.metrics = counts});
    client.connect(url);
    REQUIRE(net.run_until([&] { return client.state() == connection_state::open && server; }));
    for (int i = 0; i < 3; ++i) {
        net.run_for(idle - 1s);
        REQUIRE_FALSE(client.try_send_volatile(hawser::message::text("volatile")));
    }
    net.run_for(idle - 1s);
    CHECK(counts.value(hawser::counter::disconnects) == 0);
    net.run_for(2s);
    CHECK(counts.value(hawser::counter::disconnects) == 1);
}

TEST_CASE("idle_timeout: 0 to 24 h") {
    hawser::options o;
    for (const auto good : {0ms, 1ms, hawser::milliseconds{24h}}) {
        o.idle_timeout = good;
        CHECK(o.problems().empty());
    }
    for (const auto bad : {-1ms, hawser::milliseconds{24h} + 1ms}) {
        o.idle_timeout = bad;
        REQUIRE(o.problems().size() == 1);
        CHECK(o.problems()[0].starts_with("idle_timeout is "));
    }
}

// SPDX-License-Identifier: BSL-1.0
// Bad input against whole sockets in virtual time, in both roles and at every split of the input.
#include "support/bad_input_worlds.hpp"

using namespace support;

TEST_CASE("F1 to F4, F7 to F11, F17, F21 to F23, F16: a listener's socket judges bad frames alike at every split") {
    server_world s;
    for (const auto& bad : bad_input::all_bad_frames(true))
        for (std::size_t split = 1; split <= bad.bytes.size(); split += bad.bytes.size() > 100 ? 97U : 1U) {
            CAPTURE(bad.row, split);
            const auto peer = s.upgraded();
            s.ends.clear();
            s.send_split(*peer, bad.bytes, split);
            REQUIRE(s.w.net.run_until([&] { return peer->closed && !s.ends.empty(); }));
            CHECK(last_close(peer->received, false) == static_cast<unsigned>(bad.code));
            CHECK(s.ends.size() == 1);
            CHECK(s.ends[0].reason == bad.error);
            s.w.accepted.clear();
        }
}

TEST_CASE("F1 to F4, F7 to F11, F17, F21 to F23, F16: a client judges bad frames alike at every split") {
    client_world c;
    for (const auto& bad : bad_input::all_bad_frames(false))
        for (std::size_t split = 1; split <= bad.bytes.size(); split += bad.bytes.size() > 100 ? 97U : 1U) {
            CAPTURE(bad.row, split);
            auto& peer = c.upgraded();
            c.ends.clear();
            peer.send(std::string_view(bad.bytes).substr(0, split));
            c.w.net.run_for(c.w.net.latency + 1ms);
            if (split < bad.bytes.size()) peer.send(std::string_view(bad.bytes).substr(split));
            REQUIRE(c.w.net.run_until([&] { return !c.ends.empty() && peer.received.size() >= 8; }));
            CHECK(last_close(peer.received, true) == static_cast<unsigned>(bad.code));
            CHECK(c.ends[0].reason == bad.error);
            peer.close();
        }
}

TEST_CASE("F7: lengths whose sum overflows are over the limit (CVE-2020-27813)") {
    for (const std::uint64_t length : {~std::uint64_t{0} >> 1, (~std::uint64_t{0} >> 1) - 1, std::uint64_t{1} << 62}) {
        server_world s;
        const auto peer = s.upgraded();
        peer->send(frame(bad_input::binary, "12", true) +
                   frame(bad_input::fin | bad_input::continuation, "", true, length));
        REQUIRE(s.w.net.run_until([&] { return peer->closed; }));
        CHECK(last_close(peer->received, false) == 1009);
        CHECK(s.messages.empty());
    }
}

TEST_CASE("F7: empty fragments without end are a message over the limit") {
    auto o = limited();
    o.max_fragments = 100;
    server_world s(o);
    const auto peer = s.upgraded();
    std::string flood = frame(bad_input::text, "", true);
    for (int i = 0; i < 100; ++i)
        flood += frame(bad_input::continuation, "", true);
    peer->send(flood);
    REQUIRE(s.w.net.run_until([&] { return peer->closed; }));
    CHECK(last_close(peer->received, false) == 1009);
}

TEST_CASE("F19: pongs that nobody asked for count like pings") {
    auto o = limited();
    o.max_control_frames_per_second = 100;
    server_world s(o);
    const auto peer = s.upgraded();
    std::string flood;
    for (int i = 0; i < 300; ++i)
        flood += frame(bad_input::fin | bad_input::pong, "", true);
    peer->send(flood);
    REQUIRE(s.w.net.run_until([&] { return peer->closed; }));
    CHECK(last_close(peer->received, false) == 1008);
}

TEST_CASE("H1 to H9, H14, H20, F16: a listener answers a bad request alike at every split") {
    const auto without = [](const std::string& line_start) {
        std::string all = hawser_test::request_text();
        const auto at = all.find(line_start);
        return all.erase(at, all.find("\r\n", at) + 2 - at);
    };
    std::string many;
    for (int i = 0; i < 101; ++i)
        many += "X: y\r\n";
    const auto with = [](const std::string& more) { return hawser_test::request_text(more); };
    const auto line = [](const std::string& first) { return hawser_test::request_text("", first); };
    const std::pair<std::string, std::string> rows[] = {
        {line("POST / HTTP/1.1"), "405"},
        {line("GET / HTTP/1.0"), "400"},
        {line("PRI * HTTP/2.0"), "505"},
        {without("Host"), "400"},
        {with("Host: b\r\n"), "400"},
        {without("Upgrade"), "426"},
        {without("Connection"), "400"},
        {without("Sec-WebSocket-Key"), "400"},
        {with("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), "400"},
        {without("Sec-WebSocket-Version"), "426"},
        {with("A : b\r\n"), "400"},
        {with("A: b\r\n c\r\n"), "400"},
        {with("A: b\rc\r\n"), "400"},
        {with("A: b\nB: c\r\n"), "400"},
        {with("A: " + std::string(1, '\0') + "\r\n"), "400"},
        {with(many), "431"},
        {with("Content-Length: 5\r\n") + "hello", "413"},
        {with("Transfer-Encoding: chunked\r\n"), "413"},
        {with("Content-Length: 0\r\nTransfer-Encoding: identity\r\n"), "413"},
        {line("GET /../x HTTP/1.1"), "400"},
        {line("GET /%0d%0aX:y HTTP/1.1"), "400"},
        {line("GET http://evil.example/ HTTP/1.1"), "400"},
    };
    server_world s;
    for (const auto& [bytes, status] : rows)
        for (std::size_t split = 1; split <= bytes.size(); ++split) {
            CAPTURE(bytes.substr(0, 300), split);
            const auto peer = s.dial();
            s.send_split(*peer, bytes, split);
            REQUIRE(s.w.net.run_until([&] { return peer->closed; }));
            REQUIRE(peer->received.starts_with("HTTP/1.1 " + status + " "));
        }
    CHECK(s.w.accepted.empty());
}

TEST_CASE("H10: a field of nothing but white space costs linear time (CVE-2021-32640)") {
    server_world s;
    const auto peer = s.dial();
    peer->send(hawser_test::request_text("Sec-WebSocket-Protocol: a" + std::string(15'000, ' ') + "b\r\n"));
    const auto begin = std::chrono::steady_clock::now();
    REQUIRE(s.w.net.run_until([&] { return peer->closed; }));
    CHECK(std::chrono::steady_clock::now() - begin < 1s);
    CHECK(peer->received.starts_with("HTTP/1.1 400 "));
}

TEST_CASE("H12: a request of a byte now and then is ended at the deadline, which bytes do not move") {
    auto o = limited();
    o.handshake_timeout = 5s;
    server_world s(o);
    const auto peer = s.dial();
    const auto begin = s.w.net.clock();
    const std::string request = hawser_test::request_text();
    for (std::size_t i = 0; i < request.size() && !peer->closed; ++i) {
        peer->send(request.substr(i, 1));
        s.w.net.run_for(1s);
    }
    CHECK(peer->closed);
    CHECK(peer->received.starts_with("HTTP/1.1 408 "));
    CHECK(s.w.net.clock() - begin <= 8s);
}

TEST_CASE("F16: frames that come with the request, or with the answer, are read behind it, at every split") {
    {
        const std::string bytes = hawser_test::request_text() + frame(bad_input::fin | bad_input::text, "early", true) +
                                  frame(bad_input::fin | bad_input::text, "bird", true);
        for (std::size_t split = 1; split <= bytes.size(); ++split) {
            CAPTURE(split);
            server_world s;
            const auto peer = s.dial();
            s.send_split(*peer, bytes, split);
            REQUIRE(s.w.net.run_until(
                [&] { return peer->received.ends_with(frame(bad_input::fin | bad_input::text, "bird", false)); }));
            CHECK(s.messages == std::vector<std::string>{"early", "bird"});
        }
    }
    for (std::size_t split = 1; split < 200; ++split) {
        CAPTURE(split);
        client_world c;
        auto& peer = c.asked();
        const std::string bytes = c.answer(peer) + frame(bad_input::fin | bad_input::text, "early", false);
        peer.send(bytes.substr(0, split));
        c.w.net.run_for(c.w.net.latency + 1ms);
        if (split < bytes.size()) peer.send(bytes.substr(split));
        REQUIRE(c.w.net.run_until([&] { return !c.messages.empty(); }));
        CHECK(c.messages == std::vector<std::string>{"early"});
    }
}

TEST_CASE("C5, C6, F16: a client drops an answer that was not asked for, at every split") {
    const std::pair<std::string, errc> rows[] = {
        {"Sec-WebSocket-Protocol: chat\r\n", errc::bad_subprotocol},
        {"Sec-WebSocket-Extensions: permessage-deflate\r\n", errc::bad_extension},
        {"Content-Length: 1\r\n", errc::bad_response},
        {"Transfer-Encoding: chunked\r\n", errc::bad_response},
        {"Upgrade: h2c\r\n", errc::bad_response},
        {"Sec-WebSocket-Accept: dGhlIHNhbXBsZSBub25jZQ==\r\n", errc::bad_accept},
    };
    client_world c;
    for (const auto& [more, error] : rows)
        for (std::size_t split = 1; split < 200; split += 3) {
            CAPTURE(more, split);
            auto& peer = c.asked();
            std::string bytes = c.answer(peer);
            bytes.insert(bytes.size() - 2, more);
            c.ends.clear();
            peer.received.clear();
            peer.send(bytes.substr(0, split));
            c.w.net.run_for(c.w.net.latency + 1ms);
            if (split < bytes.size()) peer.send(bytes.substr(split));
            REQUIRE(c.w.net.run_until([&] { return !c.ends.empty() && peer.closed; }));
            CHECK(c.ends[0].reason == error);
            CHECK(peer.received.empty());  // dropped: no Close is sent
        }
}

TEST_CASE("each refusal of a listener has the date of its writing; where the driver knows none there is none") {
    const bool known = GENERATE(true, false);
    CAPTURE(known);
    auto o = limited();
    o.handshake_timeout = 2s;
    server_world world(hawser::listener_options{
        .socket = o, .authorize = [](const hawser::ws::upgrade_request&) { return hawser::authorization{.status = 404}; }});
    if (known) world.w.net.date_at_start = std::chrono::sys_days(std::chrono::year{2026} / 12 / 31) + 23h + 59min;
    const auto answer = [&](std::string_view request) {
        auto peer = world.dial();
        peer->send(request);
        REQUIRE(world.w.net.run_until([&] { return peer->received.find("\r\n\r\n") != std::string::npos; }));
        return peer->received;
    };
    const auto date_of = [](const std::string& a) {
        const auto at = a.find("\r\nDate: ");
        return at == std::string::npos ? std::string() : a.substr(at + 8, a.find("\r\n", at + 2) - at - 8);
    };
    const std::string by_authorize = answer(hawser_test::request_text());
    CHECK(by_authorize.starts_with("HTTP/1.1 404 "));
    CHECK(date_of(by_authorize) == (known ? "Thu, 31 Dec 2026 23:59:00 GMT" : ""));
    const std::string malformed = answer("GET\r\n\r\n");
    CHECK(malformed.starts_with("HTTP/1.1 400 "));
    CHECK(date_of(malformed) == (known ? "Thu, 31 Dec 2026 23:59:00 GMT" : ""));
    world.w.net.run_for(60s);
    const std::string late = answer("GET ");
    CHECK(late.starts_with("HTTP/1.1 408 "));
    CHECK(date_of(late) == (known ? "Fri, 01 Jan 2027 00:00:02 GMT" : ""));
}

TEST_CASE("R2: a reset in the middle of a frame is 1006 once, and nothing partial is delivered") {
    const std::string whole = frame(bad_input::fin | bad_input::text, "whole", true);
    const std::string part =
        frame(bad_input::text, "first", true) + frame(bad_input::fin | bad_input::continuation, "second", true);
    for (std::size_t size = 0; size < part.size(); ++size) {
        CAPTURE(size);
        server_world s;
        const auto peer = s.upgraded();
        peer->send(whole + part.substr(0, size));
        s.w.net.run_for(s.w.net.latency + 1ms);
        peer->reset();
        REQUIRE(s.w.net.run_until([&] { return !s.ends.empty(); }));
        s.w.net.run_for(10s);
        CHECK(s.messages == std::vector<std::string>{"whole"});
        REQUIRE(s.ends.size() == 1);
        CHECK(s.ends[0].close.code == close_code::abnormal);
        CHECK(s.w.server->connections() == 0);
    }
    const std::string reply =
        frame(bad_input::text, "first", false) + frame(bad_input::fin | bad_input::continuation, "second", false);
    for (std::size_t size = 0; size < reply.size(); ++size) {
        CAPTURE(size);
        client_world c;
        auto& peer = c.upgraded();
        peer.send(reply.substr(0, size));
        c.w.net.run_for(c.w.net.latency + 1ms);
        peer.reset();
        REQUIRE(c.w.net.run_until([&] { return !c.ends.empty(); }));
        CHECK(c.messages.empty());
        CHECK(c.ends.size() == 1);
        CHECK(c.ends[0].close.code == close_code::abnormal);
    }
}

TEST_CASE("R7: a machine that sleeps for ten years ends no session before a heartbeat, and one cycle decides") {
    for (const bool session : {false, true}) {
        CAPTURE(session);
        world<> w;
        auto o = quick(session ? hawser::options::reliable() : hawser::options::plain());
        w.listen(o);
        hawser::resilient_socket<> client(w.context, o);
        std::vector<std::string> at_server;
        w.on_accept = [&](hawser::resilient_socket<>& s) {
            s.on_message([&](const hawser::message_view& m) { at_server.emplace_back(m.text()); });
        };
        client.connect(url);
        REQUIRE(w.net.run_until([&] { return client.state() == connection_state::open && !w.accepted.empty(); }, 5s));
        w.net.jump(std::chrono::hours(24 * 3650));
        w.net.run_for(300s);
        CHECK(w.net.connections().size() == 1);  // both ends were there when they woke up
        CHECK(client.state() == connection_state::open);
        CHECK(client.try_send(hawser::message::text("still here")));
        REQUIRE(w.net.run_until([&] { return !at_server.empty(); }, 5s));

        w.net.last_connection().hold_towards(0, true);
        w.net.jump(std::chrono::hours(24 * 3650));
        const auto begin = w.net.clock();
        REQUIRE(w.net.run_until([&] { return client.state() != connection_state::open; }, 120s));
        CHECK(w.net.clock() - begin <= 46s);
    }
}

TEST_CASE("R10: after thousands of attempts the delay is still within its maximum") {
    world<> w;
    w.net.refuse_connections = true;
    auto o = quick(hawser::options::plain());
    o.breaker.minimum_number_of_calls = 1'000'000;
    hawser::resilient_socket<> client(w.context, o);
    std::uint64_t waits = 0;
    hawser::duration longest{};
    client.on_state([&](const hawser::state_change& s) {
        if (s.to != connection_state::waiting) return;
        ++waits;
        longest = std::max<hawser::duration>(longest, s.retry_in);
    });
    client.connect(url);
    REQUIRE(w.net.run_until([&] { return waits == 5'000; }, std::chrono::hours(1)));
    CHECK(longest <= o.reconnect.max_delay);
    CHECK(longest > o.reconnect.max_delay / 2);
}

TEST_CASE("H19: allowed_origins answers 403 to another origin; who has none is no browser") {
    hawser::listener_options o{.socket = limited()};
    o.allowed_origins = {"https://ours.example", "https://ours.example:8443", "null"};
    CHECK(o.problems().empty());
    server_world s(o);
    const std::pair<std::string, bool> rows[] = {
        {"", true},
        {"Origin: https://ours.example\r\n", true},
        {"Origin: HTTPS://OURS.example\r\n", true},
        {"Origin: https://ours.example:8443\r\n", true},
        {"Origin: null\r\n", true},
        {"Origin: https://evil.example\r\n", false},
        {"Origin: https://ours.example.evil.example\r\n", false},
        {"Origin: http://ours.example\r\n", false},
        {"Origin: https://ours.example/\r\n", false},
        {"Origin:\r\n", false},
    };
    for (const auto& [more, welcome] : rows) {
        CAPTURE(more);
        const auto peer = s.dial();
        peer->send(hawser_test::request_text(more));
        REQUIRE(s.w.net.run_until([&] { return peer->received.find("\r\n\r\n") != std::string::npos; }));
        CHECK(peer->received.starts_with(welcome ? "HTTP/1.1 101 " : "HTTP/1.1 403 "));
    }
    for (const std::string wrong : {"ours.example", "https://", "https://a/b", "*"}) {
        CAPTURE(wrong);
        o.allowed_origins = {wrong};
        CHECK(o.problems().size() == 1);
    }
}

TEST_CASE("H22: over max_connections_per_address a client gets 429, far over it a reset; room comes back") {
    hawser::listener_options o{.socket = limited()};
    o.max_connections_per_address = 2;
    server_world s(o);
    std::vector<std::unique_ptr<hawser::testing::raw_peer>> peers;
    const auto answer = [&](hawser::testing::raw_peer& peer) {
        peer.send(hawser_test::request_text());
        REQUIRE(s.w.net.run_until([&] { return peer.received.find("\r\n\r\n") != std::string::npos; }));
        return peer.received.substr(0, 12);
    };
    for (int i = 0; i < 4; ++i)
        peers.push_back(s.dial());
    auto fifth = s.w.net.dial(port);
    CHECK(s.w.net.run_until([&] { return fifth->closed; }, 1s));
    CHECK(answer(*peers[0]) == "HTTP/1.1 429");  // of four, two have to leave
    CHECK(peers[0]->received.find("Retry-After: 5\r\n") != std::string::npos);
    CHECK(answer(*peers[1]) == "HTTP/1.1 429");
    CHECK(answer(*peers[2]) == "HTTP/1.1 101");
    CHECK(answer(*peers[3]) == "HTTP/1.1 101");
    CHECK(answer(*s.dial()) == "HTTP/1.1 429");
    peers[2]->reset();
    s.w.net.run_for(1s);
    CHECK(answer(*s.dial()) == "HTTP/1.1 101");
}

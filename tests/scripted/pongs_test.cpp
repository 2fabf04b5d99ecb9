// SPDX-License-Identifier: BSL-1.0
// When a ping gets its pong: in its place among the messages, and none of many where the peer does not read.
#include "integration/bad_input_sockets.hpp"
#include "support/catch.hpp"
#include "support/upgrade_feed.hpp"
#include "support/world.hpp"

using namespace support;
using bad_input::frame;

namespace {

constexpr unsigned fin = bad_input::fin;

struct echo_world {
    echo_world() {
        auto o = quick(hawser::options::plain());
        o.max_control_frames_per_second = 100'000;
        w.listen({.socket = std::move(o)});
        w.on_accept = [](hawser::resilient_socket<>& s) {
            s.on_message([&s](const hawser::message_view& m) { CHECK(s.try_send(m)); });
        };
        peer = w.net.dial(port);
        REQUIRE(w.net.run_until([&] { return peer->connected; }));
        peer->send(hawser_test::request_text());
        REQUIRE(w.net.run_until([&] { return peer->received.ends_with("\r\n\r\n"); }));
        peer->received.clear();
    }
    world<> w;
    std::unique_ptr<hawser::testing::raw_peer> peer;
};

}  // namespace

TEST_CASE("F12: a pong takes the place of its ping among the echoes, inside of a message and between messages") {
    echo_world e;
    e.peer->send(frame(bad_input::text, "a", true) + frame(fin | bad_input::ping, "p", true) +
                 frame(fin | bad_input::continuation, "b", true) + frame(fin | bad_input::ping, "q", true) +
                 frame(fin | bad_input::text, "c", true));
    e.w.net.run_for(100ms);
    CHECK(e.peer->received == frame(fin | bad_input::pong, "p", false) + frame(fin | bad_input::text, "ab", false) +
                                  frame(fin | bad_input::pong, "q", false) + frame(fin | bad_input::text, "c", false));
}

TEST_CASE("F19: pings in a row get a pong each, of a flood that arrives at once 64 do and then the newest") {
    for (const int count : {1, 10, 64, 65, 1000}) {
        INFO(count);
        echo_world e;
        std::string flood, expected;
        for (int i = 0; i < count; ++i) {
            flood += frame(fin | bad_input::ping, std::to_string(i), true);
            if (i < 64 || i + 1 == count) expected += frame(fin | bad_input::pong, std::to_string(i), false);
        }
        e.peer->send(flood);
        e.w.net.run_for(100ms);
        CHECK(e.peer->received == expected);
    }
}

TEST_CASE("F19: a peer that sends pings and does not read costs 64 pongs, and gets the newest when it reads") {
    echo_world e;
    e.w.net.last_connection().end(1).max_write = 0;
    std::string last;
    for (int round = 0; round < 50; ++round) {
        std::string some;
        for (int i = 0; i < 100; ++i) some += frame(fin | bad_input::ping, last = std::to_string(1000 * round + i), true);
        e.peer->send(some);
        e.w.net.run_for(10ms);
    }
    CHECK(e.peer->received.empty());
    e.w.net.last_connection().end(1).max_write = SIZE_MAX;
    e.peer->send(frame(fin | bad_input::text, "hello", true));
    e.w.net.run_for(100ms);
    std::string expected;
    for (int i = 0; i < 64; ++i) expected += frame(fin | bad_input::pong, std::to_string(i), false);
    CHECK(e.peer->received == expected + frame(fin | bad_input::text, "hello", false) + frame(fin | bad_input::pong, last, false));
}

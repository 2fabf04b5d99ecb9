// SPDX-License-Identifier: BSL-1.0
// When a ping gets its pong: in its place among the messages, and none of many where the peer does not read.
#include "support/bad_input_worlds.hpp"

using namespace support;

namespace {

constexpr unsigned fin = bad_input::fin;

hawser::options many_pings() {
    auto o = limited();
    o.max_control_frames_per_second = 100'000;
    return o;
}

}  // namespace

TEST_CASE("F12: a pong takes the place of its ping among the echoes, inside of a message and between messages") {
    server_world e(many_pings());
    const auto peer = e.upgraded();
    peer->send(frame(bad_input::text, "a", true) + frame(fin | bad_input::ping, "p", true) +
                 frame(fin | bad_input::continuation, "b", true) + frame(fin | bad_input::ping, "q", true) +
                 frame(fin | bad_input::text, "c", true));
    e.w.net.run_for(100ms);
    CHECK(peer->received == frame(fin | bad_input::pong, "p", false) + frame(fin | bad_input::text, "ab", false) +
                                  frame(fin | bad_input::pong, "q", false) + frame(fin | bad_input::text, "c", false));
}

TEST_CASE("F19: pings in a row get a pong each, of a flood that arrives at once 64 do and then the newest") {
    for (const int count : {1, 10, 64, 65, 1000}) {
        INFO(count);
        server_world e(many_pings());
    const auto peer = e.upgraded();
        std::string flood, expected;
        for (int i = 0; i < count; ++i) {
            flood += frame(fin | bad_input::ping, std::to_string(i), true);
            if (i < 64 || i + 1 == count) expected += frame(fin | bad_input::pong, std::to_string(i), false);
        }
        peer->send(flood);
        e.w.net.run_for(100ms);
        CHECK(peer->received == expected);
    }
}

TEST_CASE("F19: a peer that sends pings and does not read costs 64 pongs, and gets the newest when it reads") {
    server_world e(many_pings());
    const auto peer = e.upgraded();
    e.w.net.last_connection().end(1).max_write = 0;
    std::string last;
    for (int round = 0; round < 50; ++round) {
        std::string some;
        for (int i = 0; i < 100; ++i) some += frame(fin | bad_input::ping, last = std::to_string(1000 * round + i), true);
        peer->send(some);
        e.w.net.run_for(10ms);
    }
    CHECK(peer->received.empty());
    e.w.net.last_connection().end(1).max_write = SIZE_MAX;
    peer->send(frame(fin | bad_input::text, "hello", true));
    e.w.net.run_for(100ms);
    std::string expected;
    for (int i = 0; i < 64; ++i) expected += frame(fin | bad_input::pong, std::to_string(i), false);
    CHECK(peer->received == expected + frame(fin | bad_input::text, "hello", false) + frame(fin | bad_input::pong, last, false));
}

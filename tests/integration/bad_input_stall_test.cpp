// SPDX-License-Identifier: BSL-1.0
// A peer that keeps the connection and reads nothing: what it costs, and how it ends.
#include "bad_input_sockets.hpp"

using namespace bad_input;

TEST_CASE("R3: a peer whose window stays closed is dropped at the deadline, and costs a bounded queue until then",
          "[bad_input]") {
    auto o = test_options();
    o.write_stall_timeout = std::chrono::milliseconds(300);
    o.max_message_size = 20'000;
    echo_host host({.socket = o});
    raw_socket s = host.upgraded();
    const std::string one = frame(fin | binary, std::string(20'000, 'm'), true);
    std::string all;
    for (int i = 0; i < 4'000; ++i)
        all += one;
    const std::size_t taken = s.send_until_stuck(all);
    CHECK(taken < all.size());  // it stopped to read: what it cannot pass on it does not take
    const auto end = host.ended();
    CHECK(end.reason == errc::write_stalled);
    CHECK(end.close.code == close_code::abnormal);
    host.check_serves();
}

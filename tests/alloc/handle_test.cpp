// SPDX-License-Identifier: BSL-1.0
// Messages of a handle for which the connection has no memory.
#include "allocations.hpp"
#include "support/catch.hpp"
#include "support/world.hpp"

using namespace support;
using hawser::message;

TEST_CASE("handle: what a connection has no memory for is sent when there is some again, in order, on the same connection") {
    hawser::message::keep_spare(0);
    world<> w;
    std::vector<std::size_t> got;
    int connections = 0;
    w.on_accept = [&](auto& s) {
        ++connections;
        s.on_message([&](const hawser::message_view& m) { got.push_back(m.bytes.size()); });
        (void)s.try_send("now");
    };
    w.listen(quick(hawser::options::plain()));
    hawser::resilient_socket<> client(w.context, quick(hawser::options::plain()));
    const hawser::sender handle = client.handle();
    // Too large for the buffer that the driver lends, which has to grow.
    const std::string large(300'000, 'x');
    bool handed_over = false;
    client.on_message([&](const hawser::message_view&) {
        REQUIRE_FALSE(handle.send(message::text(large)));
        REQUIRE_FALSE(handle.send(message::text("second")));
        handed_over = true;
        allocated::fails_in = 1;
    });
    client.connect(url);
    REQUIRE_NOTHROW(w.net.run_until([&] { return handed_over; }, 5s));
    REQUIRE_NOTHROW(w.net.run_for(50ms));
    CHECK(allocated::fails_in == 0);
    CHECK(got.empty());
    REQUIRE_NOTHROW(w.net.run_for(100ms));
    CHECK(got == std::vector<std::size_t>{large.size(), 6});
    CHECK(connections == 1);
    CHECK(client.state() == connection_state::open);
    hawser::message::keep_spare(hawser::detail::spare_messages::default_limit);
}

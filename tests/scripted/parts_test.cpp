// SPDX-License-Identifier: BSL-1.0
// Large messages of a session leave in parts: on whole sockets, with nothing else that would wake them.
#include "support/catch.hpp"
#include "support/world.hpp"

using namespace support;
using hawser::message;

TEST_CASE("rule 8: a message larger than a part arrives whole in both directions, although nothing follows it") {
    for (const std::size_t size : {65'536U, 65'537U, 131'072U, 300'000U, 1'000'000U}) {
        CAPTURE(size);
        world<> w;
        w.listen(hawser::listener_options{.socket = hawser::options::reliable()});
        w.on_accept = [](hawser::resilient_socket<>& s) {
            s.on_message([&s](const hawser::message_view& m) { CHECK(s.try_send(m)); });
        };
        hawser::resilient_socket<> client(w.context, hawser::options::reliable());
        std::string got;
        client.on_message([&](const hawser::message_view& m) { got = m.text(); });
        client.connect(url);
        std::string text(size, 'x');
        for (std::size_t i = 0; i < size; i += 1000) text[i] = static_cast<char>('a' + i / 1000 % 26);
        REQUIRE(client.try_send(message::text(text)));
        CHECK(w.net.run_until([&] { return !got.empty(); }, 5s));
        CHECK(got == text);
        CHECK(w.net.run_until([&] { return client.unacknowledged() == 0; }, 5s));
    }
}

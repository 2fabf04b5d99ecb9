// SPDX-License-Identifier: BSL-1.0
// A metrics sink is told of messages by the batch, and of all of them.
#include "support/catch.hpp"

#include <hawser/custom_policies.hpp>
#include <hawser/hawser.hpp>
#include <hawser/testing/virtual_driver.hpp>

#include <map>
#include <memory>
#include <optional>

namespace {

struct noting_sink {
    struct noted {
        std::map<hawser::counter, std::uint64_t> sums;
        std::map<hawser::counter, int> calls;
    };
    static constexpr bool enabled = true;
    void add(hawser::counter c, std::uint64_t n = 1) const noexcept {
        shared->sums[c] += n;
        ++shared->calls[c];
    }
    static void record(hawser::histogram, hawser::duration) noexcept {}
    std::shared_ptr<noted> shared = std::make_shared<noted>();
};
struct noting : hawser::default_policies {
    using metrics = noting_sink;
};

struct two_ends {
    explicit two_ends(const hawser::options& o)
        : net(hawser::install_driver<hawser::testing::virtual_driver>(context)),
          listener(context, {.port = 9000}, o, {.metrics = at_server}), client(context, o) {
        listener.async_accept([this](std::error_code, hawser::resilient_socket<noting> s) {
            server.emplace(std::move(s));
            server->on_message([this](const hawser::message_view& m) {
                ++received;
                (void)server->try_send(m);
            });
        });
        client.on_message([this](const hawser::message_view&) { ++echoed; });
        client.connect("ws://a.test:9000/");
        REQUIRE(net.run_until([this] { return client.state() == hawser::connection_state::open && server; }));
    }
    void send(int count) {
        for (int i = 0; i < count; ++i) REQUIRE(client.try_send(hawser::message::text("seven b")));
        REQUIRE(net.run_until([this, count] { return echoed == count; }));
    }
    noting_sink at_server;
    asio::io_context context;
    hawser::testing::virtual_driver& net;
    hawser::listener<noting> listener;
    hawser::resilient_socket<> client;
    std::optional<hawser::resilient_socket<noting>> server;
    int received = 0, echoed = 0;
};

}  // namespace

TEST_CASE("metrics: the messages of one read are counted at its end, together", "[traffic]") {
    two_ends e(hawser::options::plain());
    e.send(10);
    auto& noted = *e.at_server.shared;
    CHECK(noted.sums[hawser::counter::messages_received] == 10);
    CHECK(noted.sums[hawser::counter::bytes_received] == 70);
    CHECK(noted.sums[hawser::counter::messages_sent] == 10);
    CHECK(noted.sums[hawser::counter::bytes_sent] == 70);
    CHECK(noted.calls[hawser::counter::messages_received] < 10);
    CHECK(noted.calls[hawser::counter::messages_sent] < 10);
}

TEST_CASE("metrics: a session counts the same messages", "[traffic]") {
    two_ends e(hawser::options::reliable());
    e.send(10);
    auto& noted = *e.at_server.shared;
    CHECK(noted.sums[hawser::counter::messages_received] == 10);
    CHECK(noted.sums[hawser::counter::bytes_received] == 70);
    CHECK(noted.sums[hawser::counter::messages_sent] == 10);
    CHECK(noted.sums[hawser::counter::bytes_sent] == 70);
}

TEST_CASE("metrics: what a socket sent in its last turn is counted when it is destroyed in it", "[traffic]") {
    two_ends e(hawser::options::plain());
    e.server->on_message([&e](const hawser::message_view& m) {
        (void)e.server->try_send(m);
        e.server.reset();
    });
    REQUIRE(e.client.try_send(hawser::message::text("last")));
    REQUIRE(e.net.run_until([&e] { return !e.server; }));
    e.net.run_for(hawser::seconds{1});
    auto& noted = *e.at_server.shared;
    CHECK(noted.sums[hawser::counter::messages_received] == 1);
    CHECK(noted.sums[hawser::counter::messages_sent] == 1);
}

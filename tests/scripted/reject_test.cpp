// SPDX-License-Identifier: BSL-1.0
// Messages that the application refuses, on whole sockets: rule 6.
#include "support/catch.hpp"
#include "support/world.hpp"

#include <map>

using namespace support;
using hawser::message;

namespace {

struct counting : hawser::default_policies {
    using metrics = hawser::counting_metrics;
};

// A client that sends numbers; the server's application decides.
struct pair_of : world<counting> {
    explicit pair_of(hawser::acceptance_mode mode, std::uint64_t client_features = hawser::session::feature::all)
        : client(context, client_options(client_features), {.metrics = at_client}) {
        auto o = quick(hawser::options::reliable());
        o.acceptance = mode;
        server.emplace(context, hawser::listen_endpoint{.port = port}, hawser::listener_options{.socket = o},
                       hawser::policy_objects<counting>{.metrics = at_server});
        accept();
        client.on_outcome([this](hawser::ticket t, outcome o2) { outcomes[t.counter] = o2; });
    }
    static hawser::options client_options(std::uint64_t features) {
        auto o = quick(hawser::options::reliable());
        o.session_features = features;
        return o;
    }
    void send(int n) {
        for (int i = 0; i < n; ++i) REQUIRE(client.try_send("m"));
    }
    hawser::counting_metrics at_client, at_server;
    hawser::resilient_socket<counting> client;
    std::map<std::uint64_t, outcome> outcomes;
};

}  // namespace

TEST_CASE("rule 6: a message rejected in on_message is told rejected, and those behind it pass") {
    pair_of w(hawser::acceptance_mode::on_hand_off);
    w.on_accept = [](hawser::resilient_socket<counting>& s) {
        s.on_message([&s](const hawser::message_view& m) {
            if (m.seq == 2) s.reject(m);
        });
    };
    w.client.connect(url);
    w.send(3);
    REQUIRE(w.net.run_until([&] { return w.outcomes.size() == 3; }, 10s));
    CHECK(w.outcomes == std::map<std::uint64_t, outcome>{{1, outcome::acknowledged}, {2, outcome::rejected}, {3, outcome::acknowledged}});
    CHECK(w.at_client.value(hawser::counter::messages_rejected) == 1);
    CHECK(w.at_client.value(hawser::counter::messages_acknowledged) == 2);
}

TEST_CASE("rule 6: message::reject() before the next receive, and from the application's queue, in any order") {
    const auto mode = GENERATE(hawser::acceptance_mode::on_hand_off, hawser::acceptance_mode::on_processed);
    pair_of w(mode);
    w.client.connect(url);
    w.send(3);
    REQUIRE(w.net.run_until([&] { return !w.accepted.empty(); }));
    w.net.run_for(1s);
    auto& s = w.accepted.front();
    std::vector<message> held;
    while (auto m = s.try_receive()) {
        if (mode == hawser::acceptance_mode::on_hand_off && m->seq() == 2) {
            m->reject();
            w.net.poll();  // not on the strand here: it takes effect there
        }
        held.push_back(std::move(*m));
    }
    REQUIRE(held.size() == 3);
    if (mode == hawser::acceptance_mode::on_processed) {
        held[1].reject();
        held[2].ack();
        held[0].ack();
    } else {
        held[0].reject();  // too late: the next receive took responsibility
        w.net.poll();
        (void)s.try_receive();
    }
    REQUIRE(w.net.run_until([&] { return w.outcomes.size() == 3; }, 10s));
    CHECK(w.outcomes == std::map<std::uint64_t, outcome>{{1, outcome::acknowledged}, {2, outcome::rejected}, {3, outcome::acknowledged}});
}

TEST_CASE("rule 6: an async_send whose message is rejected completes with errc::rejected") {
    pair_of w(hawser::acceptance_mode::on_hand_off);
    w.on_accept = [](hawser::resilient_socket<counting>& s) {
        s.on_message([&s](const hawser::message_view& m) { s.reject(m); });
    };
    w.client.connect(url);
    std::error_code ec;
    outcome result = outcome::pending;
    w.client.async_send(message::text("poison"), [&](std::error_code e, outcome o) {
        ec = e;
        result = o;
    });
    REQUIRE(w.net.run_until([&] { return result != outcome::pending; }, 10s));
    CHECK(ec == errc::rejected);
    CHECK(result == outcome::rejected);
}

TEST_CASE("rule 6: a rejection survives the loss of the acknowledgement that told it") {
    pair_of w(hawser::acceptance_mode::on_processed);
    w.client.connect(url);
    w.send(2);
    REQUIRE(w.net.run_until([&] { return !w.accepted.empty(); }));
    w.net.run_for(1s);
    auto& s = w.accepted.front();
    std::vector<message> held;
    while (auto m = s.try_receive()) held.push_back(std::move(*m));
    REQUIRE(held.size() == 2);
    // Decided while there is no link: only RESUMED can tell it.
    w.net.refuse_connections = true;
    w.net.last_connection().cut();
    w.net.run_for(1s);
    held[0].reject();
    held[1].ack();
    w.net.refuse_connections = false;
    REQUIRE(w.net.run_until([&] { return w.outcomes.size() == 2; }, 30s));
    CHECK(w.outcomes == std::map<std::uint64_t, outcome>{{1, outcome::rejected}, {2, outcome::acknowledged}});
}

TEST_CASE("rule 6: a peer that does not know rejections is told acknowledged, and that is counted") {
    pair_of w(hawser::acceptance_mode::on_hand_off, hawser::session::feature::checksum);
    w.on_accept = [](hawser::resilient_socket<counting>& s) {
        s.on_message([&s](const hawser::message_view& m) { s.reject(m); });
    };
    w.client.connect(url);
    w.send(1);
    REQUIRE(w.net.run_until([&] { return w.outcomes.size() == 1; }, 10s));
    CHECK(w.outcomes[1] == outcome::acknowledged);
    CHECK(w.at_server.value(hawser::counter::rejections_untold) == 1);
}

TEST_CASE("rule 8: a large message travels in parts between whole sockets, also through a cut") {
    pair_of w(hawser::acceptance_mode::on_hand_off);
    std::string got;
    int count = 0;
    w.on_accept = [&](hawser::resilient_socket<counting>& s) {
        s.on_message([&](const hawser::message_view& m) {
            got = m.text();
            ++count;
        });
    };
    std::string large(900'000, 'x');
    for (std::size_t i = 0; i < large.size(); i += 1000) large[i] = static_cast<char>('a' + i / 1000 % 26);
    w.client.connect(url);
    REQUIRE(w.net.run_until([&] { return w.client.state() == connection_state::open; }));
    REQUIRE(w.client.try_send(large));
    w.net.poll();
    w.net.last_connection().cut();
    REQUIRE(w.net.run_until([&] { return w.outcomes.size() == 1; }, 30s));
    CHECK(w.outcomes[1] == outcome::acknowledged);
    CHECK(count == 1);
    CHECK(got == large);
}

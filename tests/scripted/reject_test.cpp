// SPDX-License-Identifier: BSL-1.0
// Messages that the application refuses, on whole sockets: rule 6.
#include "support/catch.hpp"
#include "support/policies.hpp"
#include "support/restoring.hpp"
#include "support/world.hpp"

#include <map>
#include <set>

using namespace support;
using hawser::message;

namespace {

using counting = support::watched;

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

// A server that rejects what is even, on a durable store, and dies at the Nth operation of that.
struct dying_server {
    using socket = hawser::resilient_socket<durable_policies>;
    static constexpr std::uint64_t messages = 6;

    explicit dying_server(std::uint64_t seed, hawser::milliseconds ttl = 120s)
        : net(hawser::install_driver<hawser::testing::virtual_driver>(context, seed)), session_ttl(ttl) {
        client.emplace(context, quick(hawser::options::reliable()),
                       hawser::policy_objects<durable_policies>{.store = hawser::testing::durable_store(at_client)});
        client->on_outcome([this](hawser::ticket t, outcome o) { told[t.counter].insert(o); });
    }
    void start() {
        auto o = quick(hawser::options::reliable());
        o.session_ttl = session_ttl;
        server.emplace(context, hawser::listen_endpoint{.port = port}, hawser::listener_options{.socket = o},
                       hawser::policy_objects<durable_policies>{.store = hawser::testing::durable_store(at_server)});
        accept();
    }
    void accept() {
        server->async_accept([this](std::error_code ec, socket s) {
            if (ec) return;
            auto& peer = peers.emplace_back(std::move(s));
            peer.on_message([&peer](const hawser::message_view& m) {
                if (m.id.counter % 2 == 0) peer.reject(m);
            });
            accept();
        });
    }
    void kill() {
        peers.clear();
        server.reset();
        net.run_for(1ms);
    }
    void die_at(std::uint64_t n, hawser::testing::store_fault how) {
        at_server->on_operation = [this, n, how] {
            if (at_server->operations != n) return hawser::testing::store_fault::none;
            dead = true;
            return how;
        };
    }
    // One after the other, so that there is a commit for each.
    void send() {
        client->connect(url);
        send_next();
    }
    void send_next() {
        client->async_enqueue(message::text("m"), [this](std::error_code ec, hawser::ticket t) {
            REQUIRE_FALSE(ec);
            if (t.counter < messages) send_next();
        });
    }
    [[nodiscard]] bool all_told() const { return told.size() == messages; }
    void check() const {
        for (const auto& [counter, outcomes] : told)
            CHECK(outcomes == std::set{counter % 2 == 0 ? outcome::rejected : outcome::acknowledged});
    }

    asio::io_context context;
    hawser::testing::virtual_driver& net;
    std::shared_ptr<hawser::testing::stored_streams> at_client = std::make_shared<hawser::testing::stored_streams>(),
                                                     at_server = std::make_shared<hawser::testing::stored_streams>();
    std::optional<hawser::listener<durable_policies>> server;
    std::list<socket> peers;
    std::optional<socket> client;
    std::map<std::uint64_t, std::set<outcome>> told;
    hawser::milliseconds session_ttl;
    bool dead = false;
};

}  // namespace

TEST_CASE("rule 6: a rejection survives a crash of who rejected, wherever it dies", "[restore]") {
    using hawser::testing::store_fault;
    const auto how = GENERATE(store_fault::lost_before, store_fault::lost_after);
    const bool expires = GENERATE(false, true);
    unsigned crashes = 0;
    for (std::uint64_t n = 2; n < 100; ++n) {
        CAPTURE(n, static_cast<int>(how), expires);
        dying_server d(n, expires ? 3s : 120s);
        d.die_at(n, how);
        d.start();
        d.send();
        for (int i = 0; i < 2000 && !d.dead && !d.all_told(); ++i) d.net.run_for(1ms);
        if (!d.dead) break;
        d.net.run_for(1ms);  // the operation is under way
        d.kill();
        if (expires) {
            // The session ends while its client cannot come: its tombstone answers, from the store.
            d.net.refuse_connections = true;
            d.start();
            d.net.run_for(20s);
            d.kill();
            d.start();
            d.net.refuse_connections = false;
        } else {
            d.start();
        }
        for (int i = 0; i < 60'000 && !d.all_told(); ++i) d.net.run_for(1ms);
        REQUIRE(d.all_told());
        d.check();
        ++crashes;
    }
    CHECK(crashes >= 4);
}

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

TEST_CASE("rule 6: a text of a session that is not UTF-8 is not handed over; its sender is told rejected, and those behind it pass") {
    const auto mode = GENERATE(hawser::acceptance_mode::on_hand_off, hawser::acceptance_mode::on_processed);
    const bool told = GENERATE(true, false);
    const bool large = GENERATE(false, true);
    pair_of w(mode, hawser::session::feature::all & ~(told ? 0 : hawser::session::feature::exceptions));
    std::vector<std::string> got;
    w.on_accept = [&](hawser::resilient_socket<counting>& s) {
        s.on_message([&](const hawser::message_view& m) {
            got.emplace_back(m.text());
            s.ack(m);
        });
    };
    const std::string wrong = std::string(large ? 200'000 : 0, 'x') + "\xc3";  // what follows it is missing
    w.client.connect(url);
    REQUIRE(w.client.try_send("before"));
    REQUIRE(w.client.try_send(message::text(wrong)));
    REQUIRE(w.client.try_send(message::binary(hawser::as_bytes("\xc3"))));  // as bytes it is right
    REQUIRE(w.client.try_send("behind"));
    REQUIRE(w.net.run_until([&] { return w.outcomes.size() == 4; }, 10s));
    CHECK(got == std::vector<std::string>{"before", "\xc3", "behind"});
    CHECK(w.outcomes[2] == (told ? outcome::rejected : outcome::acknowledged));
    CHECK(w.at_server.value(hawser::counter::rejections_untold) == (told ? 0 : 1));
    for (const std::uint64_t n : {1u, 3u, 4u}) CHECK(w.outcomes[n] == outcome::acknowledged);
    CHECK(w.net.connections().size() == 1);
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

// SPDX-License-Identifier: BSL-1.0
// Credentials that are refused: by the upgrade, by a close code; with and without somebody who renews them.
#include "support/catch.hpp"
#include "support/policies.hpp"
#include "support/world.hpp"

using namespace support;
using hawser::close_code;
using hawser::connect_attempt;

namespace {

using counted = support::watched;

// A listener that asks for a token, and a client whose `on_attempt` brings `token`.
struct guarded_world : world<counted> {
    explicit guarded_world(unsigned status = 401) {
        hawser::listener_options o{.socket = quick(hawser::options::plain())};
        o.authorize = [this, status](const hawser::ws::upgrade_request& r) {
            ++asked;
            const bool good = r.find_header("Authorization").value_or("") == accepted_token;
            return hawser::authorization{.status = good ? 101U : status};
        };
        listen(std::move(o));
    }
    void start(hawser::options o) {
        client.emplace(context, std::move(o), hawser::policy_objects<counted>{.metrics = metrics});
        client->on_state([this](const hawser::state_change& s) { states.push_back(s); });
        client->connect(url);
    }
    [[nodiscard]] bool reaches(connection_state s, hawser::duration limit = 600s) {
        return net.run_until([&] { return client->state() == s; }, limit);
    }
    std::string accepted_token = "good";
    int asked = 0;
    hawser::counting_metrics metrics;
    std::vector<hawser::state_change> states;
    std::optional<hawser::resilient_socket<counted>> client;
};

}  // namespace

TEST_CASE("credentials: refused and nobody renews them: failed at once, with the reason and the status") {
    const unsigned status = GENERATE(401U, 403U);
    guarded_world w(status);
    w.start(quick(hawser::options::plain()));
    REQUIRE(w.reaches(connection_state::failed));
    w.net.run_for(60s);
    CHECK(w.asked == 1);
    CHECK(w.states.back().reason == errc::unauthorized);
    CHECK(w.states.back().http_status == status);
    CHECK(hawser::cause_of(w.states.back().reason) == hawser::error_cause::authentication);
    CHECK(w.metrics.value(hawser::counter::credentials_refused) == 1);
}

TEST_CASE("credentials: on_attempt is told that they were refused, renews them, and the link comes up") {
    guarded_world w;
    auto o = quick(hawser::options::plain());
    std::string token = "old";
    std::vector<std::error_code> told;
    std::vector<unsigned> statuses;
    o.on_attempt = [&](connect_attempt& a) {
        told.push_back(a.last_error);
        statuses.push_back(a.last_http_status);
        if (a.last_error == errc::unauthorized) token = "good";
        a.headers.push_back({"Authorization", token});
    };
    w.start(o);
    REQUIRE(w.reaches(connection_state::open));
    CHECK(told == std::vector<std::error_code>{{}, errc::unauthorized});
    CHECK(statuses == std::vector<unsigned>{0, 401});
    // It waited in between: never blindly at once.
    const auto waited = std::find_if(w.states.begin(), w.states.end(), [](auto& s) { return s.to == connection_state::waiting; });
    REQUIRE(waited != w.states.end());
    CHECK(waited->reason == errc::unauthorized);
}

TEST_CASE("credentials: further attempts are bounded, and each connection that opens begins a new count") {
    guarded_world w;
    auto o = quick(hawser::options::plain());
    o.authentication.max_retries = 2;
    std::string token = "good";
    o.on_attempt = [&](connect_attempt& a) { a.headers.push_back({"Authorization", token}); };
    w.start(o);
    REQUIRE(w.reaches(connection_state::open));
    // Twice refused, then accepted: that is no third refusal later.
    for (int round = 0; round < 3; ++round) {
        w.accepted_token = "next";
        token = "good";
        const int before = w.asked;
        w.net.last_connection().cut();
        REQUIRE(w.net.run_until([&] { return w.asked == before + 2; }));
        token = w.accepted_token;
        REQUIRE(w.reaches(connection_state::open));
        w.accepted_token = "good";
    }
    w.accepted_token = "never";
    const int before = w.asked;
    w.net.last_connection().cut();
    REQUIRE(w.reaches(connection_state::failed));
    CHECK(w.asked == before + 3);  // and two further attempts
    CHECK(w.states.back().reason == errc::unauthorized);
}

TEST_CASE("credentials: refusals say nothing about the endpoint to its breaker") {
    guarded_world w;
    auto o = quick(hawser::options::plain());
    o.authentication.max_retries = 20;
    o.breaker.minimum_number_of_calls = 2;
    o.on_attempt = [](connect_attempt&) {};
    w.start(o);
    REQUIRE(w.reaches(connection_state::failed));
    CHECK(w.asked == 21);
    CHECK(w.metrics.value(hawser::counter::breaker_opened) == 0);
    CHECK(w.metrics.value(hawser::counter::connects_failed) == 21);
}

TEST_CASE("credentials: close codes of authentication.close_codes refuse them, others do not") {
    struct row {
        close_code code;
        bool refused;
    };
    const row r = GENERATE(row{close_code::policy_violation, true}, row{close_code{4401}, true}, row{close_code{4403}, true},
                           row{close_code{4400}, false}, row{close_code::going_away, false});
    CAPTURE(static_cast<int>(r.code));
    guarded_world w;
    w.accepted_token = "";
    w.on_accept = [&](auto& s) { s.close(r.code, "no"); };
    w.start(quick(hawser::options::plain()));
    if (r.refused) {
        REQUIRE(w.reaches(connection_state::failed));
        CHECK(w.states.back().reason == errc::unauthorized);
        CHECK(w.states.back().close.code == r.code);
        CHECK(w.states.back().close.reason == "no");
    } else {
        REQUIRE(w.net.run_until([&] { return w.asked >= 3; }));
        CHECK(w.client->state() != connection_state::failed);
    }
}

TEST_CASE("credentials: a peer that opens and then refuses by close code is bounded too") {
    guarded_world w;
    w.accepted_token = "";
    w.on_accept = [&](auto& s) { s.close(close_code{4401}, "expired"); };
    auto o = quick(hawser::options::plain());
    o.on_attempt = [](connect_attempt&) {};
    w.start(o);
    REQUIRE(w.reaches(connection_state::failed));
    CHECK(w.asked == 4);  // and three further attempts
}

// SPDX-License-Identifier: BSL-1.0
// Callbacks with a criticality, a fallback and a breaker of their own.
#include "support/catch.hpp"
#include "support/policies.hpp"
#include "support/world.hpp"

#include <stdexcept>

using namespace support;
using hawser::breaker_options;
using hawser::handler_criticality;
using hawser::handler_failure;
using hawser::message;
using hawser::message_view;

namespace {

using support::watched;
using texts = std::vector<std::string>;

// A receiver in a session, and what its sender is told.
struct receiving_world : world<watched> {
    explicit receiving_world(hawser::options o = hawser::options::reliable()) {
        on_accept = [this](hawser::resilient_socket<watched>& s) { peer = &s; };
        listen(quick(hawser::options::reliable()));
        client.emplace(context, quick(std::move(o)), hawser::policy_objects<watched>{
            .metrics = metrics, .logger = hawser::callback_log([this](const hawser::log_record& r) {
                if (r.level == hawser::log_level::error) log.push_back(hawser::format_record(r));
            })});
    }
    void open() {
        client->connect(url);
        REQUIRE(net.run_until([&] { return peer && client->state() == connection_state::open; }));
    }
    // What the sender is told of a message within a second.
    outcome send(const std::string& text) {
        auto told = std::make_shared<outcome>(outcome::pending);
        peer->async_send(message::text(text), [told](std::error_code, outcome o) { *told = o; });
        net.run_for(1s);
        return *told;
    }
    [[nodiscard]] std::uint64_t value(hawser::counter c) const { return metrics.value(c); }

    hawser::counting_metrics metrics;
    texts log, main, fallback;
    std::vector<std::string> failures;
    hawser::resilient_socket<watched>* peer = nullptr;
    std::optional<hawser::resilient_socket<watched>> client;

    std::function<void(const message_view&)> throwing() {
        return [this](const message_view& m) {
            main.emplace_back(m.text());
            if (m.text().starts_with("bad")) throw std::runtime_error("cannot " + std::string(m.text()));
        };
    }
    std::function<void(const message_view&)> helping() {
        return [this](const message_view& m) { fallback.emplace_back(m.text()); };
    }
    std::function<void(const handler_failure&)> noting() {
        return [this](const handler_failure& f) {
            failures.push_back(std::string(f.callback) + "|" + f.error.message() + "|" + std::string(f.what) +
                               (f.skipped ? "|skipped" : "") + (f.breaker_opened ? "|opened" : "") + (f.helped ? "|helped" : ""));
        };
    }
};

}  // namespace

TEST_CASE("handlers: what the fallback took is accepted, and the link goes on, also for a critical callback") {
    receiving_world w;
    w.client->on_message(w.throwing(), {.criticality = handler_criticality::critical, .fallback = w.helping(), .on_failure = w.noting()});
    w.open();
    CHECK(w.send("good") == outcome::acknowledged);
    CHECK(w.send("bad 1") == outcome::acknowledged);
    CHECK(w.send("good 2") == outcome::acknowledged);
    CHECK(w.main == texts{"good", "bad 1", "good 2"});
    CHECK(w.fallback == texts{"bad 1"});
    CHECK(w.client->state() == connection_state::open);
    CHECK(w.failures == texts{"on_message|a critical callback threw|cannot bad 1|helped"});
    CHECK(w.log == texts{"callback_threw callback=on_message what=\"cannot bad 1\""});
    CHECK(w.value(hawser::counter::handler_failures) == 1);
    CHECK(w.value(hawser::counter::handler_fallbacks) == 1);
}

TEST_CASE("handlers: without help, critical fails the socket and does not accept; non-critical goes on and accepts") {
    const bool critical = GENERATE(true, false);
    const bool with_fallback = GENERATE(true, false);
    CAPTURE(critical, with_fallback);
    auto o = hawser::options::reliable();  // the callback's own criticality decides, not that of the options
    o.handler_errors = critical ? handler_criticality::non_critical : handler_criticality::critical;
    receiving_world w(o);
    hawser::message_handler_options how{.criticality = critical ? handler_criticality::critical : handler_criticality::non_critical,
                                        .on_failure = w.noting()};
    if (with_fallback) how.fallback = [](const message_view&) { throw std::logic_error("no help"); };
    w.client->on_message(w.throwing(), std::move(how));
    w.open();
    const outcome told = w.send("bad");
    if (critical) {
        CHECK(told != outcome::acknowledged);
        CHECK(w.client->state() == connection_state::failed);
    } else {
        CHECK(told == outcome::acknowledged);
        CHECK(w.client->state() == connection_state::open);
    }
    CHECK(w.failures == texts{"on_message|a critical callback threw|cannot bad"});
    CHECK(w.value(hawser::counter::handler_failures) == (with_fallback ? 2U : 1U));
    CHECK(w.value(hawser::counter::handler_fallbacks) == 0);
}

TEST_CASE("handlers: after repeated failures the callback is skipped for a time, then tried again") {
    receiving_world w;
    const breaker_options breaker{.failure_rate_threshold = 100, .minimum_number_of_calls = 3, .wait_duration_in_open_state = 30s};
    w.client->on_message(w.throwing(), {.fallback = w.helping(), .breaker = breaker, .on_failure = w.noting()});
    w.open();
    for (const char* text : {"bad 1", "bad 2", "bad 3", "good 4"}) CHECK(w.send(text) == outcome::acknowledged);
    CHECK(w.main == texts{"bad 1", "bad 2", "bad 3"});
    CHECK(w.fallback == texts{"bad 1", "bad 2", "bad 3", "good 4"});
    REQUIRE(w.failures.size() == 4);
    CHECK(w.failures[2] == "on_message|a critical callback threw|cannot bad 3|opened|helped");
    CHECK(w.failures[3] == "on_message|the circuit breaker is open||skipped|helped");
    CHECK(w.value(hawser::counter::handlers_skipped) == 1);
    w.net.run_for(30s);
    CHECK(w.send("good 5") == outcome::acknowledged);  // the probe
    CHECK(w.send("good 6") == outcome::acknowledged);
    CHECK(w.main == texts{"bad 1", "bad 2", "bad 3", "good 5", "good 6"});
    CHECK(w.fallback.size() == 4);
}

TEST_CASE("handlers: with on_processed nothing is accepted before ack, whoever calls it") {
    auto o = hawser::options::reliable();
    o.acceptance = hawser::acceptance_mode::on_processed;
    receiving_world w(o);
    w.client->on_message(w.throwing(), {.fallback = [&](const message_view& m) {
        if (m.text() == "bad and done") w.client->ack(m);
    }});
    w.open();
    CHECK(w.send("bad and open") == outcome::pending);
    CHECK(w.send("bad and done") != outcome::cancelled);
    CHECK(w.client->state() == connection_state::open);
}

TEST_CASE("handlers: on_state and on_outcome have the same guard, each its own breaker") {
    receiving_world w;
    int states = 0, outcomes = 0;
    w.client->on_state([](const hawser::state_change&) { throw std::runtime_error("state"); },
                       {.fallback = [&](const hawser::state_change&) { ++states; }, .on_failure = w.noting()});
    w.client->on_outcome([](hawser::ticket, outcome) { throw std::runtime_error("outcome"); },
                         {.fallback = [&](hawser::ticket, outcome) { ++outcomes; }, .on_failure = w.noting()});
    w.client->connect(url);
    REQUIRE(w.net.run_until([&] { return w.peer && w.client->state() == connection_state::open; }));
    w.peer->on_message([](const message_view&) {});
    REQUIRE(w.client->try_send("x"));
    w.net.run_for(1s);
    CHECK(states == 2);
    CHECK(outcomes == 1);
    CHECK(w.failures.back() == "on_outcome|a critical callback threw|outcome|helped");
    CHECK(w.client->state() == connection_state::open);
}

TEST_CASE("handlers: a critical on_state without help fails the socket") {
    receiving_world w;
    w.client->on_state([](const hawser::state_change& s) {
        if (s.to == connection_state::open) throw std::runtime_error("no");
    }, {.criticality = handler_criticality::critical});
    w.client->connect(url);
    REQUIRE(w.net.run_until([&] { return w.client->state() == connection_state::failed; }, 10s));
}

TEST_CASE("handlers: an exception out of on_failure is counted and logged, and nothing else") {
    receiving_world w;
    w.client->on_message(w.throwing(), {.fallback = w.helping(), .on_failure = [](const handler_failure&) { throw std::runtime_error("told"); }});
    w.open();
    CHECK(w.send("bad") == outcome::acknowledged);
    CHECK(w.log.back() == "on_failure_threw callback=on_message what=told");
    CHECK(w.client->state() == connection_state::open);
}

TEST_CASE("handlers: the socket may be destroyed in the callback, the fallback and on_failure; then nothing more is called") {
    const int where = GENERATE(0, 1, 2);
    CAPTURE(where);
    receiving_world w;
    int after = 0;
    w.client->on_message([&](const message_view&) {
        if (where == 0) w.client.reset();
        throw std::runtime_error("bad");
    }, {.fallback = [&](const message_view&) {
        after += where == 0;
        if (where == 1) w.client.reset();
        throw std::runtime_error("bad too");
    }, .on_failure = [&](const handler_failure&) {
        after += where <= 1;
        w.client.reset();
    }});
    w.open();
    (void)w.send("x");
    CHECK_FALSE(w.client);
    CHECK(after == 0);
}

TEST_CASE("handlers: a callback may replace itself while it fails") {
    receiving_world w;
    w.client->on_message([&](const message_view&) {
        w.client->on_message(w.helping());
        throw std::runtime_error("old");
    }, {.fallback = w.helping()});
    w.open();
    CHECK(w.send("one") == outcome::acknowledged);
    CHECK(w.send("two") == outcome::acknowledged);
    CHECK(w.fallback == texts{"one", "two"});
}

TEST_CASE("handlers: options that are wrong are refused with a sentence, and the old callback stays") {
    receiving_world w;
    w.client->on_message(w.helping());
    CHECK_THROWS_AS(w.client->on_message(w.throwing(), {.breaker = breaker_options{}}), hawser::option_error);
    w.open();
    CHECK(w.send("x") == outcome::acknowledged);
    CHECK(w.fallback == texts{"x"});
}

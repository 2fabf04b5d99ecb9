// SPDX-License-Identifier: BSL-1.0
// Plain mode for feeds: no copies, no silence, a confirmed subscription, sends while offline.
#include "support/catch.hpp"
#include "support/policies.hpp"
#include "support/world.hpp"

using namespace support;
using hawser::message;
using hawser::message_view;
using hawser::subscription_answer;

namespace {

using counted = support::watched;

// A feed server that answers what it is asked by `reply`, and a client that keeps what it gets.
struct feed_world : world<counted> {
    feed_world() {
        on_accept = [this](hawser::resilient_socket<counted>& s) {
            s.on_message([this, &s](const message_view& m) {
                asked.emplace_back(m.text());
                for (const auto& text : reply(std::string(m.text()))) (void)s.try_send(text);
            });
        };
        listen(quick(hawser::options::plain()));
    }
    void start(hawser::options o) {
        client.emplace(context, std::move(o), hawser::policy_objects<counted>{.metrics = metrics});
        client->on_state([this](const hawser::state_change& s) {
            states.push_back(s);
            events.push_back(to_string(s.to));
        });
        client->on_message([this](const message_view& m) {
            got.emplace_back(m.text());
            events.emplace_back(m.text());
        });
        client->connect(url);
    }
    [[nodiscard]] bool reaches(connection_state s, hawser::duration limit = 600s) {
        return net.run_until([&] { return client->state() == s; }, limit);
    }
    void publish(const std::vector<std::string>& texts) {
        for (const auto& t : texts) REQUIRE(accepted.back().try_send(t));
        net.run_for(100ms);
    }
    [[nodiscard]] std::uint64_t value(hawser::counter c) const { return metrics.value(c); }

    std::function<std::vector<std::string>(const std::string&)> reply = [](const std::string&) { return std::vector<std::string>(); };
    std::vector<std::string> asked, got, events;
    std::vector<hawser::state_change> states;
    hawser::counting_metrics metrics;
    std::optional<hawser::resilient_socket<counted>> client;
};

std::string_view before_colon(const message_view& m) {
    const auto at = m.text().find(':');
    return at == std::string_view::npos ? std::string_view() : m.text().substr(0, at);
}

// "ok" confirms, "no" refuses.
subscription_answer by_word(const message_view& m) {
    if (m.text() == "ok") return subscription_answer::confirmed;
    return m.text() == "no" ? subscription_answer::failed : subscription_answer::undecided;
}
hawser::options subscribing() {
    auto o = quick(hawser::options::plain());
    o.on_connect = {message::text("subscribe")};
    o.feed.confirm = by_word;
    o.feed.confirm_timeout = 1s;
    return o;
}
using texts = std::vector<std::string>;

}  // namespace

TEST_CASE("feed: a message whose id was here is dropped and counted, also after a reconnect") {
    feed_world w;
    auto o = quick(hawser::options::plain());
    o.feed.id = before_colon;
    w.start(o);
    REQUIRE(w.reaches(connection_state::open));
    w.publish({"1:a", "2:b", "1:again", "no id", "no id"});
    CHECK(w.got == texts{"1:a", "2:b", "no id", "no id"});
    w.net.last_connection().cut();
    REQUIRE(w.net.run_until([&] { return w.accepted.size() == 2 && w.client->state() == connection_state::open; }));
    w.publish({"2:replayed", "3:c"});
    CHECK(w.got == texts{"1:a", "2:b", "no id", "no id", "3:c"});
    CHECK(w.value(hawser::counter::duplicates_dropped) == 2);
}

TEST_CASE("feed: by digest the whole content is the id, and text is not binary") {
    feed_world w;
    auto o = quick(hawser::options::plain());
    o.feed.by_digest = true;
    w.start(o);
    REQUIRE(w.reaches(connection_state::open));
    w.publish({"a", "b", "a", std::string(500, 'x'), std::string(500, 'x')});
    REQUIRE(w.accepted.back().try_send(message::binary(hawser::as_bytes("a"))));
    w.net.run_for(100ms);
    CHECK(w.got == texts{"a", "b", std::string(500, 'x'), "a"});
}

TEST_CASE("feed: ids are forgotten by options::dedup: after dedup_ttl, and the oldest beyond max_entries") {
    feed_world w;
    auto o = quick(hawser::options::plain());
    o.feed.id = before_colon;
    o.dedup.max_entries = 2;
    o.dedup.dedup_ttl = 10s;
    w.start(o);
    REQUIRE(w.reaches(connection_state::open));
    w.publish({"1:", "2:", "3:", "1:", "3:"});
    CHECK(w.got == texts{"1:", "2:", "3:", "1:"});
    w.net.run_for(10s);
    w.publish({"3:"});
    CHECK(w.got.size() == 5);
}

TEST_CASE("feed: an id function that throws loses no message") {
    feed_world w;
    auto o = quick(hawser::options::plain());
    o.handler_errors = hawser::handler_criticality::non_critical;
    o.feed.id = [](const message_view&) -> std::string_view { throw std::runtime_error("no id"); };
    w.start(o);
    REQUIRE(w.reaches(connection_state::open));
    w.publish({"a", "a"});
    CHECK(w.got == texts{"a", "a"});
    CHECK(w.value(hawser::counter::handler_failures) == 2);
}

TEST_CASE("feed: nothing useful for stale_after: the link is dropped with feed_stale, dialled and subscribed again") {
    feed_world w;
    auto o = quick(hawser::options::plain());
    o.on_connect = {message::text("subscribe")};
    o.feed.stale_after = 10s;
    o.feed.useful = [](const message_view& m) { return m.text() != "beat"; };
    w.start(o);
    REQUIRE(w.reaches(connection_state::open));
    for (int i = 0; i < 4; ++i) {  // useful messages keep it
        w.net.run_for(9s);
        w.publish({"price"});
    }
    CHECK(w.accepted.size() == 1);
    const auto last_useful = w.net.clock();
    for (int i = 0; i < 3; ++i) {  // others do not
        w.net.run_for(3s);
        w.publish({"beat"});
    }
    REQUIRE(w.reaches(connection_state::waiting, 2s));
    CHECK(w.net.clock() - last_useful <= 10s);
    CHECK(w.net.clock() - last_useful > 9s);
    CHECK(w.states.back().reason == errc::feed_stale);
    CHECK(w.states.back().close.code == hawser::close_code::going_away);
    REQUIRE(w.reaches(connection_state::open));
    w.net.run_for(100ms);
    CHECK(w.asked == texts{"subscribe", "subscribe"});
    CHECK(w.value(hawser::counter::feeds_stale) == 1);
    CHECK(w.accepted.size() == 2);
}

TEST_CASE("feed: copies are not useful") {
    feed_world w;
    auto o = quick(hawser::options::plain());
    o.feed.by_digest = true;
    o.feed.stale_after = 5s;
    w.start(o);
    REQUIRE(w.reaches(connection_state::open));
    for (int i = 0; i < 6 && w.value(hawser::counter::feeds_stale) == 0; ++i) {
        w.publish({"the same"});
        w.net.run_for(1s);
    }
    CHECK(w.value(hawser::counter::feeds_stale) == 1);
}

TEST_CASE("feed: while the application takes nothing and reading stands still, the feed is not stale") {
    feed_world w;
    auto o = quick(hawser::options::plain());
    o.feed.stale_after = 5s;
    o.receive_buffer_bytes = 1000;
    w.start(o);
    REQUIRE(w.reaches(connection_state::open));
    w.client->pause_receiving();
    w.publish({std::string(600, 'a'), std::string(600, 'b')});
    w.net.run_for(60s);
    CHECK(w.value(hawser::counter::feeds_stale) == 0);
    w.client->resume_receiving();
    w.net.run_for(4s);
    CHECK(w.got.size() == 2);
    CHECK(w.value(hawser::counter::feeds_stale) == 0);  // the whole time again
    w.net.run_for(2s);
    CHECK(w.value(hawser::counter::feeds_stale) == 1);
}

TEST_CASE("feed: a close in order is not disturbed by silence") {
    feed_world w;
    auto o = quick(hawser::options::plain());
    o.feed.stale_after = 100ms;
    w.start(o);
    REQUIRE(w.reaches(connection_state::open));
    w.net.blackhole = true;
    w.client->close();
    REQUIRE(w.reaches(connection_state::closed));
    CHECK(w.value(hawser::counter::feeds_stale) == 0);
}

TEST_CASE("subscription: open is told and messages are handed over once it is confirmed, early ones in order") {
    feed_world w;
    w.reply = [](const std::string& m) { return m == "subscribe" ? texts{"early 1", "early 2", "ok", "late"} : texts{}; };
    auto o = subscribing();
    w.start(o);
    REQUIRE(w.client->try_send("mine"));
    REQUIRE(w.net.run_until([&] { return w.got.size() == 3; }, 5s));
    CHECK(w.events == texts{"connecting", "open", "early 1", "early 2", "late"});
    w.net.run_for(100ms);
    CHECK(w.asked == texts{"subscribe", "mine"});
    w.net.last_connection().cut();  // and anew on the next connection
    REQUIRE(w.net.run_until([&] { return w.got.size() == 6; }, 5s));
    CHECK(w.asked == texts{"subscribe", "mine", "subscribe"});
}

TEST_CASE("subscription: nothing of the application leaves before it is confirmed") {
    feed_world w;
    auto o = subscribing();
    o.feed.confirm_timeout = 60s;
    w.start(o);
    REQUIRE(w.client->try_send("mine"));
    w.net.run_for(30s);
    CHECK(w.asked == texts{"subscribe"});
    CHECK(w.client->state() == connection_state::connecting);
    w.publish({"ok"});
    CHECK(w.client->state() == connection_state::open);
    CHECK(w.asked == texts{"subscribe", "mine"});
}

TEST_CASE("subscription: one confirmation for each of several") {
    feed_world w;
    w.reply = [](const std::string& m) { return m == "b" ? texts{"ok"} : texts{"ok", "between"}; };
    auto o = subscribing();
    o.on_connect = {message::text("a"), message::text("b")};
    o.feed.confirmations = 2;
    w.start(o);
    REQUIRE(w.net.run_until([&] { return !w.got.empty(); }, 5s));
    CHECK(w.events == texts{"connecting", "open", "between"});
}

TEST_CASE("subscription: refused or unanswered, it is retried with backoff, or critical: failed") {
    const bool refused = GENERATE(true, false);
    const bool critical = GENERATE(true, false);
    CAPTURE(refused, critical);
    const errc expected = refused ? errc::subscription_failed : errc::subscription_timeout;
    feed_world w;
    int answers = 0;
    w.reply = [&](const std::string&) {
        if (++answers > 2) return texts{"ok"};
        return refused ? texts{"data", "no"} : texts{"data"};
    };
    auto o = subscribing();
    if (critical) o.feed.subscription = hawser::handler_criticality::critical;
    w.start(o);
    REQUIRE(w.reaches(critical ? connection_state::failed : connection_state::open));
    w.net.run_for(60s);
    CHECK(w.asked.size() == (critical ? 1U : 3U));
    CHECK(w.got.empty());  // what came with a subscription that failed is not handed over
    CHECK(w.value(hawser::counter::subscriptions_failed) == (critical ? 1U : 2U));
    CHECK(w.value(hawser::counter::connects_succeeded) == (critical ? 0U : 1U));
    const auto told = std::find_if(w.states.begin(), w.states.end(), [](auto& s) { return static_cast<bool>(s.reason); });
    REQUIRE(told != w.states.end());
    CHECK(told->reason == expected);
    CHECK(told->to == (critical ? connection_state::failed : connection_state::waiting));
}

TEST_CASE("subscription: what a peer sends in place of an answer is bounded by receive_buffer_bytes") {
    feed_world w;
    w.reply = [](const std::string&) { return texts(20, std::string(100, 'x')); };
    auto o = subscribing();
    o.feed.confirm_timeout = 60s;
    o.receive_buffer_bytes = 1000;
    w.start(o);
    REQUIRE(w.reaches(connection_state::waiting, 1s));
    CHECK(w.states.back().reason == errc::subscription_timeout);
}

TEST_CASE("subscription: the socket may be closed and destroyed while it is pending, and inside confirm") {
    const int how = GENERATE(0, 1, 2);
    feed_world w;
    w.reply = [](const std::string&) { return texts{"x", "ok"}; };
    auto o = subscribing();
    if (how == 0) o.feed.confirm = [&](const message_view&) { w.client.reset(); return subscription_answer::confirmed; };
    if (how == 1) o.feed.confirm = [&](const message_view&) { w.client->close(); return subscription_answer::undecided; };
    if (how == 2) w.reply = [](const std::string&) { return texts{}; };
    w.start(o);
    w.net.run_for(500ms);
    if (how == 2) w.client->close();
    CHECK(w.net.run_until([&] { return !w.client || w.client->state() == connection_state::closed; }, 10s));
    w.net.run_for(60s);
    CHECK(w.got.empty());
}

TEST_CASE("subscription: a confirm that throws is a refusal") {
    feed_world w;
    w.reply = [](const std::string&) { return texts{"?"}; };
    auto o = subscribing();
    o.handler_errors = hawser::handler_criticality::non_critical;
    o.feed.confirm = [](const message_view&) -> subscription_answer { throw std::runtime_error("bad JSON"); };
    w.start(o);
    REQUIRE(w.reaches(connection_state::waiting, 5s));
    CHECK(w.states.back().reason == errc::subscription_failed);
}

TEST_CASE("offline sends: refused with not_connected before, between and while connecting; queued by default") {
    for (const bool refuse : {true, false}) {
        CAPTURE(refuse);
        feed_world w;
        auto o = quick(hawser::options::plain());
        if (refuse) o.feed.offline = hawser::offline_sends::refuse;
        w.start(o);
        const std::error_code expected = refuse ? make_error_code(errc::not_connected) : std::error_code();
        CHECK(w.client->try_send("while connecting").error == expected);
        REQUIRE(w.reaches(connection_state::open));
        CHECK(!w.client->try_send("open").error);
        w.net.run_for(100ms);
        w.net.last_connection().cut();
        REQUIRE(w.reaches(connection_state::waiting));
        std::error_code ec;
        auto result = outcome::pending;
        w.client->async_send(message::text("down"), [&](std::error_code e, outcome r) { ec = e, result = r; });
        w.net.run_for(1ms);
        if (refuse) {
            CHECK(ec == errc::not_connected);
            CHECK(result == outcome::refused);
        }
        REQUIRE(w.net.run_until([&] { return w.accepted.size() == 2 && w.client->state() == connection_state::open; }));
        w.net.run_for(1s);
        CHECK(w.asked == (refuse ? texts{"open"} : texts{"while connecting", "open", "down"}));
        CHECK(w.value(hawser::counter::queue_rejected) == (refuse ? 2U : 0U));
    }
}

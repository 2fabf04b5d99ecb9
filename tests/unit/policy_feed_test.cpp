// SPDX-License-Identifier: BSL-1.0
// The policies of a feed, of credentials and of guarded handlers, without a socket.
#include "support/catch.hpp"

#include <hawser/options.hpp>
#include <hawser/policy/content_id.hpp>
#include <hawser/policy/feed_watch.hpp>
#include <hawser/policy/subscription.hpp>

#include <set>
#include <string>

using namespace hawser;
using namespace std::chrono_literals;

namespace {
constexpr time_point t0{std::chrono::hours{1}};

bool has(const std::vector<std::string>& problems, std::string_view text) {
    return std::any_of(problems.begin(), problems.end(), [&](auto& p) { return p.find(text) != std::string::npos; });
}
}  // namespace

TEST_CASE("feed_watch: stale exactly when nothing useful came for the whole time", "[feed]") {
    feed_watch w(10s);
    CHECK(w.deadline() == never);
    w.start(t0);
    CHECK(w.deadline() == t0 + 10s);
    w.on_useful(t0 + 4s);
    CHECK_FALSE(w.stale(t0 + 10s));
    CHECK(w.deadline() == t0 + 14s);
    CHECK(w.stale(t0 + 14s));
    CHECK(w.deadline() == never);  // told once
    CHECK_FALSE(w.stale(t0 + 20s));
}

TEST_CASE("feed_watch: while reading is paused, and after a sleep of this machine, there is no verdict", "[feed]") {
    feed_watch w(10s);
    w.start(t0);
    w.suspend();
    CHECK(w.deadline() == never);
    w.resume(t0 + 60s);
    CHECK(w.deadline() == t0 + 70s);
    CHECK_FALSE(w.stale(t0 + 70s + feed_watch::late_tolerance + 1ms));
    CHECK(w.on());
    CHECK(w.stale(w.deadline()));
    feed_watch off;
    off.start(t0);
    CHECK_FALSE(off.on());
    CHECK(off.deadline() == never);
}

TEST_CASE("subscription: so many confirmations in time, anew for each connection", "[feed]") {
    subscription s(2, 5s);
    CHECK_FALSE(s.pending());
    for (const auto begin : {t0, t0 + 60s}) {
        s.start(begin);
        CHECK((s.pending() && s.deadline() == begin + 5s));
        CHECK(s.judge(subscription_answer::undecided) == subscription_step::keep);
        CHECK(s.judge(subscription_answer::confirmed) == subscription_step::consume);
        CHECK(s.pending());
        CHECK(s.judge(subscription_answer::confirmed) == subscription_step::open);
        CHECK_FALSE(s.pending());
        CHECK(s.deadline() == never);
    }
    s.start(t0);
    CHECK(s.judge(subscription_answer::confirmed) == subscription_step::consume);
    CHECK(s.judge(subscription_answer::failed) == subscription_step::fail);
    CHECK_FALSE(s.pending());
}

TEST_CASE("content ids: no two short ids share a key, whatever bytes they have; long ones by digest", "[feed]") {
    std::set<std::string> keys;
    std::size_t made = 0;
    const auto add = [&](const message_id& key) {
        keys.insert(std::string(reinterpret_cast<const char*>(&key), sizeof key));
        ++made;
    };
    using namespace std::string_literals;
    for (const auto& id : {""s, "\0"s, "\0\0"s, "a"s, "a\0"s, "\0a"s, std::string(22, 'a'), std::string(22, '\0'),
                           std::string(21, 'a'), std::string(23, 'a'), std::string(24, 'a'), std::string(1000, 'a')})
        add(key_of_id(id, 7));
    CHECK(keys.size() == made);
    CHECK(key_of_id("trade 17", 1) == key_of_id("trade 17", 2));
    CHECK(key_of_id(std::string(23, 'a'), 1) != key_of_id(std::string(23, 'a'), 2));  // seeded
    CHECK(key_of_content(as_bytes("x"), true, 1) == key_of_content(as_bytes("x"), true, 1));
    CHECK(key_of_content(as_bytes("x"), true, 1) != key_of_content(as_bytes("x"), false, 1));
}

TEST_CASE("xxh3_128: the canonical bytes of the reference", "[core]") {
    // XXH3_128bits of no bytes with seed 0: 0x99aa06d3014798d86001c324468d497f, high half first.
    const auto digest = xxh3_128({});
    CHECK(std::to_integer<int>(digest[0]) == 0x99);
    CHECK(std::to_integer<int>(digest[7]) == 0xd8);
    CHECK(std::to_integer<int>(digest[8]) == 0x60);
    CHECK(std::to_integer<int>(digest[15]) == 0x7f);
}

TEST_CASE("credentials: a bounded number of refusals in a row", "[credentials]") {
    credential_retries c(2, 30s);
    CHECK((c.refused(t0, false) && c.refused(t0, false)));
    CHECK_FALSE(c.refused(t0, false));
    c.opened(t0);  // the upgrade accepted them
    CHECK(c.count() == 0);
    credential_retries none(0, 30s);
    CHECK_FALSE(none.refused(t0, false));
}

TEST_CASE("credentials: a peer that upgrades and then closes does not reset the count, a long connection does", "[credentials]") {
    credential_retries c(2, 30s);
    c.opened(t0);
    CHECK(c.refused(t0 + 1s, true));
    c.opened(t0 + 2s);
    CHECK(c.refused(t0 + 3s, true));
    c.opened(t0 + 4s);
    CHECK_FALSE(c.refused(t0 + 5s, true));
    c.opened(t0 + 6s);
    CHECK(c.refused(t0 + 36s, true));
    CHECK(c.count() == 1);
    c.opened(t0 + 40s);
    c.lost(t0 + 80s);
    CHECK(c.count() == 0);
}

TEST_CASE("options: of feeds and credentials, what is wrong is named with its value", "[options]") {
    CHECK(options::plain().problems().empty());
    options o;
    o.feed.stale_after = -1ms;
    o.feed.confirmations = 0;
    o.feed.confirm_timeout = 0ms;
    o.feed.by_digest = true;
    o.feed.id = [](const message_view& m) { return m.text(); };
    o.authentication.max_retries = 1001;
    o.authentication.close_codes.resize(65);
    const auto found = o.problems();
    CHECK(found.size() == 6);
    CHECK(has(found, "feed.stale_after is -1 ms, but must be between 0 ms and 86400000 ms"));
    CHECK(has(found, "feed.confirmations is 0, but must be between 1 and 10000"));
    CHECK(has(found, "feed.confirm_timeout is 0 ms"));
    CHECK(has(found, "feed.by_digest is true, but must be false where feed.id is given"));
    CHECK(has(found, "authentication.max_retries is 1001"));
    CHECK(has(found, "authentication.close_codes.size() is 65"));

    options unused;
    unused.feed.useful = [](const message_view&) { return true; };
    CHECK(has(unused.problems(), "feed.useful is given, but feed.stale_after is 0 ms"));
    for (const auto mode : {session_mode::preferred, session_mode::required}) {
        options refuses;
        refuses.session = mode;
        refuses.feed.offline = offline_sends::refuse;
        CHECK(has(refuses.problems(), "feed.offline is refuse, but must be queue where session is not off"));
    }
}

TEST_CASE("handler_options: a breaker needs a fallback, and right options", "[options]") {
    CHECK(message_handler_options{}.problems().empty());
    const message_handler_options alone{.breaker = breaker_options{}};
    CHECK(has(alone.problems(), "handler_options.breaker is given, but needs handler_options.fallback"));
    const message_handler_options wrong{.fallback = [](const message_view&) {}, .breaker = breaker_options{.minimum_number_of_calls = 0}};
    CHECK(has(wrong.problems(), "handler_options.breaker.minimum_number_of_calls is 0"));
}

// SPDX-License-Identifier: BSL-1.0
// What waits: priorities, times to live, keys, overflow, batches, gathering. In virtual time.
#include "support/catch.hpp"
#include "support/delaying_store.hpp"
#include "support/world.hpp"

#include <algorithm>
#include <map>

using namespace support;
using hawser::message;
using hawser::message_priority;
using hawser::overflow_action;

namespace {

using texts = std::vector<std::string>;

// The model is chosen at run time, so that one type of socket serves all tests.
class chosen_overflow {
public:
    static inline overflow_action model = overflow_action::wait;

    explicit chosen_overflow(const hawser::overflow_limits& limits) : limits_(limits), blocking_(limits), coalescing_(limits) {}
    overflow_action on_enqueue(std::size_t bytes, std::size_t messages, std::size_t size) {
        if (model == overflow_action::wait) return blocking_.on_enqueue(bytes, messages, size);
        if (model == overflow_action::coalesce) return coalescing_.on_enqueue(bytes, messages, size);
        return limits_.fits(bytes, messages, size) ? overflow_action::accept : model;
    }
    bool on_drained(std::size_t bytes, std::size_t messages) {
        return model == overflow_action::coalesce ? coalescing_.on_drained(bytes, messages) : blocking_.on_drained(bytes, messages);
    }
    [[nodiscard]] bool paused() const { return blocking_.paused() || coalescing_.paused(); }
    [[nodiscard]] static overflow_action on_aged() {
        return model == overflow_action::close ? overflow_action::close : overflow_action::drop_oldest;
    }

private:
    hawser::overflow_limits limits_;
    hawser::blocking_overflow blocking_;
    hawser::coalescing_overflow coalescing_;
};
struct policies : hawser::default_policies {
    using overflow = chosen_overflow;
    using metrics = hawser::counting_metrics;
};
using socket = hawser::resilient_socket<policies>;

// A client, its server, and what the server got.
struct stage {
    explicit stage(hawser::options o = hawser::options::reliable(), overflow_action model = overflow_action::wait)
        : client((chosen_overflow::model = model, w.context), quick(o), {.metrics = metrics}) {
        w.listen(quick(o.session == hawser::session_mode::off ? hawser::options::plain() : hawser::options::reliable()));
        w.on_accept = [this](socket& s) {
            s.on_message([this](const hawser::message_view& m) {
                got.emplace_back(m.text());
                at.push_back(w.net.clock());
            });
        };
        client.on_outcome([this](hawser::ticket t, outcome x) {
            REQUIRE(told.emplace(t.counter, x).second);  // once
        });
        client.on_state([this](const hawser::state_change& c) {
            if (c.to == connection_state::failed) failed_with = c.reason;
        });
        client.on_backpressure([this](bool paused) { pressure.push_back(paused); });
    }
    std::uint64_t send(std::string_view text, const hawser::send_options& how = {}) {
        const auto r = client.try_send(message::text(text), how);
        CAPTURE(r.error.message());
        REQUIRE(r);
        return r.ticket.counter;
    }
    std::error_code error(std::string_view text, const hawser::send_options& how = {}) {
        return client.try_send(message::text(text), how).error;
    }
    void connect() {
        client.connect(url);
        REQUIRE(w.net.run_until([&] { return client.state() == connection_state::open; }, 5s));
        w.net.run_for(500ms);
    }
    [[nodiscard]] outcome told_of(std::uint64_t counter) const {
        const auto t = told.find(counter);
        return t == told.end() ? outcome::pending : t->second;
    }

    world<policies> w;
    hawser::counting_metrics metrics;
    socket client;
    texts got;
    std::vector<hawser::time_point> at;
    std::map<std::uint64_t, outcome> told;
    std::vector<bool> pressure;
    std::error_code failed_with;
};

hawser::options limited(hawser::options o, std::size_t messages) {
    o.queue.max_messages = messages;
    return o;
}

}  // namespace

TEST_CASE("priorities: of 15 messages 8 are urgent, 4 high, 2 normal, 1 low, evenly spread; a class keeps its order") {
    for (const bool session : {true, false}) {
        stage s(session ? hawser::options::reliable() : hawser::options::plain());
        for (int i = 0; i < 15; ++i)
            for (const char* c : {"L", "N", "H", "U"})
                s.send(c + std::to_string(i), {.priority = static_cast<message_priority>(std::string("UHNL").find(*c))});
        s.connect();
        REQUIRE(s.got.size() == 60);
        std::string order;
        std::map<char, int> next;
        for (const auto& text : s.got) {
            order += text[0];
            CHECK(text.substr(1) == std::to_string(next[text[0]]++));
        }
        CHECK(order.substr(0, 15) == "UHUNUHULUHUNUHU");
    }
}

TEST_CASE("ttl: what waits too long ends expired at its deadline, and is not sent", "[ttl]") {
    stage s;
    const auto dies = s.send("dies", {.ttl = 100ms}), lives = s.send("lives", {.ttl = 10s});
    std::pair<std::error_code, outcome> awaited;
    s.client.async_send(message::text("awaited"), hawser::send_options{.ttl = 100ms}, [&](std::error_code ec, outcome o) { awaited = {ec, o}; });
    s.w.net.run_for(99ms);
    CHECK(s.told_of(dies) == outcome::pending);
    s.w.net.run_for(2ms);
    CHECK(s.told_of(dies) == outcome::expired);
    CHECK(awaited == std::pair<std::error_code, outcome>{errc::expired, outcome::expired});
    s.connect();
    CHECK(s.got == texts{"lives"});
    CHECK(s.told_of(lives) == outcome::acknowledged);
    CHECK(s.metrics.value(hawser::counter::messages_expired) == 2);
}

TEST_CASE("rule 3: a message with a number does not expire", "[ttl]") {
    stage s;
    s.connect();
    s.w.net.last_connection().hold_towards(1, true);
    s.w.net.last_connection().hold_towards(0, true);
    const auto m = s.send("flies", {.ttl = 50ms});
    s.w.net.run_for(1s);
    CHECK(s.told_of(m) == outcome::pending);
    s.w.net.last_connection().hold_towards(1, false);
    s.w.net.last_connection().hold_towards(0, false);
    s.w.net.run_for(1s);
    CHECK(s.told_of(m) == outcome::acknowledged);
    CHECK(s.got == texts{"flies"});
}

TEST_CASE("rule 22: the age of what waits is limited", "[ttl]") {
    auto o = hawser::options::reliable();
    o.queue.max_age = 200ms;
    stage s(o);
    const auto old = s.send("old"), key = s.send("key", {.coalesce_key = "k"});
    s.w.net.run_for(150ms);
    const auto fresh = s.send("fresh"), newer = s.send("newer key", {.coalesce_key = "k"});
    s.w.net.run_for(51ms);
    CHECK(s.told_of(old) == outcome::expired);
    CHECK(s.told_of(key) == outcome::replaced);
    CHECK(s.told_of(fresh) == outcome::pending);
    s.w.net.run_for(150ms);
    CHECK(s.told_of(fresh) == outcome::expired);
    CHECK(s.told_of(newer) == outcome::expired);
    CHECK(s.client.queued_bytes() == 0);
}

TEST_CASE("coalescing: the newest of a key waits in the place of the first, and who is replaced is told", "[coalesce]") {
    stage s;
    const auto a1 = s.send("a1", {.coalesce_key = "a"});
    s.send("b");
    const auto a2 = s.send("a2", {.priority = message_priority::low, .coalesce_key = "a"});
    const auto a3 = s.send("a3", {.coalesce_key = "a"});
    s.send("c", {.coalesce_key = "c"});
    s.w.net.run_for(1ms);
    CHECK(s.told_of(a1) == outcome::replaced);
    CHECK(s.told_of(a2) == outcome::replaced);
    s.connect();
    CHECK(s.got == texts{"a3", "b", "c"});
    CHECK(s.told_of(a3) == outcome::acknowledged);
    // What left is not replaced any more.
    s.send("a4", {.coalesce_key = "a"});
    s.send("a5", {.coalesce_key = "a"});
    s.w.net.run_for(1s);
    CHECK(s.got.back() == "a5");
    CHECK(s.metrics.value(hawser::counter::messages_replaced) == 3);
}

TEST_CASE("overflow: drop_oldest takes the oldest of the least urgent class, and none more urgent than what comes", "[overflow]") {
    stage s(limited(hawser::options::reliable(), 4), overflow_action::drop_oldest);
    const auto u = s.send("u", {.priority = message_priority::urgent});
    const auto n1 = s.send("n1"), n2 = s.send("n2");
    const auto l = s.send("l", {.priority = message_priority::low});
    s.send("n3");  // l goes
    s.send("n4");  // n1 goes
    CHECK(s.error("low", {.priority = message_priority::low}) == errc::queue_full);
    for (int i = 0; i < 3; ++i) s.send("u" + std::to_string(i), {.priority = message_priority::urgent});
    CHECK(s.error("n5") == errc::queue_full);  // only urgent ones wait
    s.w.net.run_for(1ms);
    CHECK(s.told_of(l) == outcome::dropped);
    CHECK(s.told_of(n1) == outcome::dropped);
    CHECK(s.told_of(n2) == outcome::dropped);
    CHECK(s.told_of(u) == outcome::pending);
    s.connect();
    CHECK(s.got == texts{"u", "u0", "u1", "u2"});
    CHECK(s.metrics.value(hawser::counter::messages_dropped) == 5);
}

TEST_CASE("overflow: drop_newest takes the message and says that it was dropped", "[overflow]") {
    stage s(limited(hawser::options::reliable(), 2), overflow_action::drop_newest);
    s.send("1");
    s.send("2");
    const auto third = s.send("3");
    std::pair<std::error_code, outcome> awaited;
    s.client.async_send(message::text("4"), [&](std::error_code ec, outcome o) { awaited = {ec, o}; });
    s.w.net.run_for(1ms);
    CHECK(s.told_of(third) == outcome::dropped);
    CHECK(awaited == std::pair<std::error_code, outcome>{errc::dropped, outcome::dropped});
    s.connect();
    CHECK(s.got == texts{"1", "2"});
}

TEST_CASE("overflow: coalesce_by_key lets pass what replaces, others wait and are not overtaken otherwise", "[overflow]") {
    stage s(limited(hawser::options::reliable(), 2), overflow_action::coalesce);
    s.send("a1", {.coalesce_key = "a"});
    s.send("b1", {.coalesce_key = "b"});
    CHECK(s.error("c1", {.coalesce_key = "c"}) == errc::would_block);
    bool accepted = false;
    s.client.async_enqueue(message::text("d"), [&](std::error_code ec, hawser::ticket) { accepted = !ec; });
    s.w.net.run_for(1ms);
    s.send("a2", {.coalesce_key = "a"});
    CHECK_FALSE(accepted);
    s.connect();
    CHECK(accepted);
    CHECK(s.got == texts{"a2", "b1", "d"});
}

TEST_CASE("overflow: coalesce_by_key: nothing overtakes an older message with its key that waits for room", "[overflow]") {
    auto o = hawser::options::reliable();
    o.queue.high_watermark = 2000;
    o.queue.low_watermark = 500;
    stage s(o, overflow_action::coalesce);
    s.send("a0", {.coalesce_key = "a"});
    const std::string b(1000, 'b'), large(900, 'a');
    s.send(b);
    bool accepted = false;
    s.client.async_enqueue(message::text(large), hawser::send_options{.coalesce_key = "a"}, [&](std::error_code ec, hawser::ticket) { accepted = !ec; });
    s.w.net.run_for(1ms);
    CHECK_FALSE(accepted);
    CHECK(s.error("a2", {.coalesce_key = "a"}) == errc::would_block);
    s.connect();
    CHECK(accepted);
    CHECK(s.got == texts{"a0", b, large});
}

TEST_CASE("overflow: close ends the socket, and nothing more is sent once that is decided", "[overflow]") {
    for (const bool by_age : {false, true}) {
        auto o = limited(hawser::options::reliable(), 2);
        if (by_age) o.queue.max_age = 10ms;
        stage s(o, overflow_action::close);
        const auto first = s.send("1");
        if (by_age) {
            s.w.net.run_for(11ms);
        } else {
            s.client.connect(url);
            s.send("2");
            CHECK(s.error("3") == errc::queue_full);
            CHECK(s.error("4") == errc::queue_full);
        }
        s.w.net.run_for(1s);
        CHECK(s.failed_with == errc::queue_full);
        CHECK(s.client.state() == connection_state::failed);
        CHECK(s.told_of(first) == outcome::cancelled);
        CHECK(s.got.empty());
    }
}

TEST_CASE("overflow: close on an open connection tells the peer 1013 and leaves what waits unsent", "[overflow]") {
    auto o = limited(hawser::options::reliable(), 3);
    o.send_window_messages = 1;
    stage s(o, overflow_action::close);
    s.connect();
    s.w.net.last_connection().hold_towards(0, true);  // no acknowledgement comes
    const auto flies = s.send("flies");
    s.w.net.run_for(10ms);
    hawser::close_code code{};
    s.w.accepted.front().on_state([&](const hawser::state_change& c) {
        if (c.close.remote) code = c.close.code;
    });
    std::vector<std::uint64_t> waiting;
    for (const char* text : {"1", "2", "3"}) waiting.push_back(s.send(text));
    CHECK(s.error("4") == errc::queue_full);
    s.w.net.run_for(1s);
    CHECK(s.got == texts{"flies"});
    CHECK(s.told_of(flies) == outcome::unknown);
    for (const auto m : waiting) CHECK(s.told_of(m) == outcome::cancelled);
    CHECK(code == hawser::close_code::try_again_later);
}

TEST_CASE("invariant 8: each pause is told once and gets one resume", "[overflow]") {
    const auto model = GENERATE(overflow_action::wait, overflow_action::reject, overflow_action::drop_oldest);
    stage s(limited(hawser::options::reliable(), 10), model);
    int accepted = 0;
    for (int i = 0; i < 30; ++i)
        s.client.async_enqueue(message::text("x"), [&](std::error_code ec, hawser::ticket) { accepted += ec ? 0 : 1; });
    s.w.net.run_for(1s);
    CHECK(s.pressure == std::vector<bool>{true});
    s.connect();
    CHECK(accepted == (model == overflow_action::reject ? 10 : 30));
    REQUIRE(s.pressure.size() % 2 == 0);
    for (std::size_t i = 0; i < s.pressure.size(); ++i) CHECK(s.pressure[i] == (i % 2 == 0));
    if (model != overflow_action::wait) CHECK(s.pressure.size() == 2);
    for (int i = 0; i < 9; ++i) s.send("y");
    s.w.net.run_for(1s);
    CHECK(s.pressure.back() == false);
}

TEST_CASE("overflow: who waited for a store that was being read is put to the policy then, and nobody waits for ever", "[overflow]") {
    struct stored : policies {
        using store = delaying_store;
    };
    const auto model = GENERATE(overflow_action::wait, overflow_action::reject, overflow_action::drop_newest,
                                overflow_action::drop_oldest, overflow_action::close);
    chosen_overflow::model = model;
    CAPTURE(static_cast<int>(model));
    world<stored> w;
    hawser::resilient_socket<stored> client(w.context, limited(quick(hawser::options::reliable()), 2));
    std::error_code failed_with;
    client.on_state([&](const hawser::state_change& c) {
        if (c.to == connection_state::failed) failed_with = c.reason;
    });
    std::map<std::uint64_t, outcome> told;
    client.on_outcome([&](hawser::ticket t, outcome x) { told[t.counter] = x; });
    client.connect(url);  // there is nobody
    std::string results;  // a: accepted, f: queue_full, x: something else
    CHECK(client.try_send("too early").error == errc::would_block);
    for (int i = 0; i < 4; ++i)
        client.async_enqueue(message::text("m"), [&](std::error_code ec, hawser::ticket) {
            results += !ec ? 'a' : ec == errc::queue_full ? 'f' : 'x';
        });
    outcome last = outcome::pending;
    client.async_send(message::text("m"), [&](std::error_code, outcome x) { last = x; });
    w.net.run_for(1ms);
    CHECK(results.empty());
    w.net.run_for(1s);
    const auto dropped = outcome::dropped;
    switch (model) {
    case overflow_action::wait:
        CHECK(results == "aa");
        CHECK(last == outcome::pending);
        break;
    case overflow_action::reject:
        CHECK(results.size() == 4);
        CHECK(std::count(results.begin(), results.end(), 'f') == 2);
        CHECK(last == outcome::refused);
        CHECK(client.unacknowledged() == 2);
        break;
    case overflow_action::drop_newest:
        CHECK(results == "aaaa");
        CHECK(told == std::map<std::uint64_t, outcome>{{3, dropped}, {4, dropped}, {5, dropped}});
        CHECK(last == dropped);
        break;
    case overflow_action::drop_oldest:
        CHECK(results == "aaaa");
        CHECK(told == std::map<std::uint64_t, outcome>{{1, dropped}, {2, dropped}, {3, dropped}});
        CHECK(last == outcome::pending);
        break;
    default:
        CHECK(results == "ffff");
        CHECK(failed_with == errc::queue_full);
        CHECK(last == outcome::cancelled);
        break;
    }
    CHECK(client.state() == (model == overflow_action::close ? connection_state::failed : connection_state::waiting));
}

TEST_CASE("batches: accepted or refused together, in places next to each other", "[batch]") {
    const auto model = GENERATE(overflow_action::wait, overflow_action::reject);
    stage s(limited(hawser::options::reliable(), 6), model);
    const std::vector<message> three{message::text("1"), message::text("2"), message::text("3")};
    for (int i = 0; i < 4; ++i) s.send("s");
    const auto refused = s.client.try_send_batch(three);
    CHECK(refused.error == (model == overflow_action::wait ? errc::would_block : errc::queue_full));
    CHECK(s.client.unacknowledged() == 4);
    CHECK(s.client.try_send_batch({}).error == errc::invalid_argument);
    CHECK(s.client.try_send_batch(std::vector<message>(7, message::text("x"))).error == errc::invalid_argument);
    CHECK(s.client.try_send_batch(three, {.coalesce_key = "k"}).error == errc::invalid_argument);
    hawser::ticket_range tickets;
    std::error_code ec;
    s.client.async_enqueue_batch(three, [&](std::error_code e, hawser::ticket_range t) { ec = e, tickets = t; });
    s.w.net.run_for(1ms);
    if (model == overflow_action::reject) {
        CHECK(ec == errc::queue_full);
        return;
    }
    CHECK(tickets.count == 0);
    s.connect();
    CHECK(!ec);
    REQUIRE(tickets.count == 3);
    for (std::size_t i = 0; i < 3; ++i) CHECK(s.told_of(tickets[i].counter) == outcome::acknowledged);
    CHECK(s.got == texts{"s", "s", "s", "s", "1", "2", "3"});
    const auto urgent = s.client.try_send_batch(three, {.priority = message_priority::urgent});
    REQUIRE(urgent);
    CHECK(urgent.tickets[2].counter == urgent.tickets.first.counter + 2);
    s.w.net.run_for(1s);
    CHECK(s.got.size() == 10);
}

TEST_CASE("batches: drop_oldest makes room for all or drops nothing; drop_newest drops all", "[batch]") {
    {
        stage s(limited(hawser::options::reliable(), 4), overflow_action::drop_oldest);
        const auto u = s.send("u", {.priority = message_priority::urgent});
        const auto a = s.send("a"), b = s.send("b"), c = s.send("c");
        CHECK(s.client.try_send_batch(std::vector<message>(4, message::text("x"))).error == errc::queue_full);
        REQUIRE(s.client.try_send_batch(std::vector<message>(2, message::text("x"))));
        s.w.net.run_for(1ms);
        CHECK(s.told == std::map<std::uint64_t, outcome>{{a, outcome::dropped}, {b, outcome::dropped}});
        CHECK(s.told_of(u) == outcome::pending);
        CHECK(s.told_of(c) == outcome::pending);
    }
    stage s(limited(hawser::options::reliable(), 2), overflow_action::drop_newest);
    s.send("a");
    const auto r = s.client.try_send_batch(std::vector<message>(2, message::text("x")));
    REQUIRE(r);
    s.w.net.run_for(1ms);
    CHECK(s.told == std::map<std::uint64_t, outcome>{{r.tickets[0].counter, outcome::dropped}, {r.tickets[1].counter, outcome::dropped}});
}

TEST_CASE("batches: cancelled as one, or not at all", "[batch]") {
    stage s;
    asio::cancellation_signal signal;
    std::error_code ec;
    const auto start = [&] {
        s.client.async_enqueue_batch(std::vector<message>(3, message::text("x")),
                                     asio::bind_cancellation_slot(signal.slot(), [&](std::error_code e, hawser::ticket_range) { ec = e; }));
    };
    for (int i = 0; i < 2; ++i) s.send("s");
    start();
    signal.emit(asio::cancellation_type::total);  // before it was even durable
    s.w.net.run_for(1ms);
    CHECK(ec == errc::cancelled);
    CHECK(s.client.unacknowledged() == 2);
}

TEST_CASE("gather_delay: small messages leave together, at the latest after the delay; urgent and large ones do not wait", "[gather]") {
    for (const bool session : {true, false}) {
        CAPTURE(session);
        auto o = session ? hawser::options::reliable() : hawser::options::plain();
        o.gather_delay = 50ms;
        o.gather_bytes = 1000;
        stage s(o);
        s.connect();
        const auto begin = s.w.net.clock();
        const auto way = s.w.net.latency;
        for (const char* text : {"1", "2", "3"}) {
            s.send(text);
            s.w.net.run_for(10ms);
        }
        CHECK(s.got.empty());
        s.w.net.run_for(100ms);
        CHECK(s.got == texts{"1", "2", "3"});
        for (const auto t : s.at) CHECK((t - begin >= 50ms && t - begin <= 52ms + way));
        s.at.clear();
        const auto then = s.w.net.clock();
        s.send("4");
        s.send("5", {.priority = message_priority::urgent});
        s.w.net.run_for(100ms);
        REQUIRE(s.at.size() == 2);
        CHECK(s.at[1] - then <= 2ms + way);
        s.at.clear();
        const auto later = s.w.net.clock();
        s.send(std::string(1000, 'x'));
        s.w.net.run_for(100ms);
        REQUIRE(s.at.size() == 1);
        CHECK(s.at[0] - later <= 2ms + way);
    }
}

TEST_CASE("gather_delay: closing waits for nothing", "[gather]") {
    auto o = hawser::options::plain();
    o.gather_delay = 5s;
    stage s(o);
    s.connect();
    s.send("last");
    bool closed = false;
    s.client.async_close([&](std::error_code) { closed = true; });
    s.w.net.run_for(1s);
    CHECK(closed);
    CHECK(s.got == texts{"last"});
}

TEST_CASE("handle: options go with a message from another thread, and wrong ones are refused") {
    stage s;
    auto handle = s.client.handle();
    REQUIRE(!handle.send(message::text("normal")));
    REQUIRE(!handle.send(message::text("urgent"), {.priority = message_priority::urgent}));
    CHECK(handle.send(message::text("x"), {.ttl = -1ms}) == errc::invalid_argument);
    CHECK(s.error("x", {.coalesce_key = std::string(256, 'k')}) == errc::invalid_argument);
    CHECK(s.error("x", {.priority = static_cast<message_priority>(4)}) == errc::invalid_argument);
    s.w.net.run_for(1ms);
    s.connect();
    CHECK(s.got == texts{"urgent", "normal"});
}

// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/session_frames.hpp"

#include <algorithm>
#include <vector>

using namespace session_test;
using hawser::message;
using hawser::message_priority;
using hawser::outcome;
using namespace std::chrono_literals;

namespace {

session::endpoint_options recording() {
    auto o = one_end::defaults(session::side::client);
    o.keep_records = true;
    return o;
}

}  // namespace

TEST_CASE("rule 14: what is sent again goes before all priorities, in its old order", "[session][queue]") {
    one_end c;
    c.open();
    c.send("low", {.priority = message_priority::low});
    c.send("high", {.priority = message_priority::high});
    CHECK(c.out() == texts{"data 1 'high' delta=1 text", "data 2 'low' delta=-1 text ack_now"});
    c.ep.detach();
    c.ep.end_epoch(0);
    c.send("urgent", {.priority = message_priority::urgent});
    c.open();
    c.ep.detach();
    c.ep.end_epoch(1);  // once more, in the middle
    c.open();
    const auto frames = c.out();
    CHECK(c.ep.out().in_flight() == 2);
    CHECK(c.ep.out().find(1)->order < c.ep.out().find(3)->order);
    c.ep.out().finish_all(outcome::cancelled);
    c.commit();
    CHECK(c.outcomes() == texts{"2:acknowledged", "1:unknown", "3:unknown"});
}

TEST_CASE("rule 22: what returned from a lost session is neither dropped nor replaced, and does not expire", "[session][queue]") {
    one_end c;
    c.open();
    const auto a = c.send("a", {.priority = message_priority::low, .ttl = 10ms, .coalesce_key = "k"});
    CHECK(c.out().size() == 1);
    c.ep.detach();
    c.ep.end_epoch(0);
    CHECK(c.ep.out().queued() == 1);
    CHECK_FALSE(c.ep.out().intake().drop_for(message_priority::urgent));
    CHECK(c.ep.out().intake().droppable_for(message_priority::urgent) == std::pair<std::size_t, std::size_t>{0, 0});
    CHECK_FALSE(c.ep.out().intake().replaceable("k"));
    c.ep.out().expire(c.now + 1h);
    const auto b = c.send("b", {.coalesce_key = "k"});
    CHECK(c.ep.out().queued() == 2);
    CHECK(c.ep.out().find(a) != nullptr);
    CHECK(c.ep.out().find(b) != nullptr);
    CHECK_FALSE(c.ep.out().cancel(a));  // it was written
}

TEST_CASE("rule 2: the base of the ids is below every message that waits, whatever its class", "[session][queue]") {
    one_end c;
    const auto gone = c.send("gone");
    c.send("low", {.priority = message_priority::low});
    c.send("urgent", {.priority = message_priority::urgent});
    CHECK(c.ep.out().cancel(gone));
    CHECK(c.ep.out().id_base() == 1);
    CHECK(c.ep.out().cancel(2));
    CHECK(c.ep.out().id_base() == 2);
    CHECK(c.ep.out().cancel(3));
    CHECK(c.ep.out().id_base() == 3);
}

TEST_CASE("disk before report: an enqueued record carries class, keys and time to live; a batch is one commit", "[session][queue]") {
    one_end c(recording());
    (void)c.send("x", {.priority = message_priority::high, .ttl = 5s, .coalesce_key = "c", .key = "k"});
    const std::vector<message> batch(3, message::text("y"));
    CHECK(c.ep.out().intake().enqueue_batch(batch, {.priority = message_priority::low}, c.now) == 2);
    (void)c.send("z", {.coalesce_key = "c"});
    const auto records = c.ep.begin_commit();
    c.ep.end_commit();
    REQUIRE(records.size() == 6);
    CHECK(records[0].priority == message_priority::high);
    CHECK(records[0].ttl == 5s);
    CHECK(records[0].coalesce_key == "c");
    CHECK(records[0].key == "k");
    for (std::size_t i = 1; i < 4; ++i) {
        CHECK(records[i].kind == session::record_kind::enqueued);
        CHECK(records[i].counter == i + 1);
        CHECK(records[i].priority == message_priority::low);
    }
    // A replacement and the end of what it replaces are in one commit, too.
    CHECK(records[4].kind == session::record_kind::enqueued);
    CHECK(records[5].kind == session::record_kind::finished);
    CHECK(records[5].result == outcome::replaced);
}

TEST_CASE("disk before report: a message that is dropped at once begins and ends in one commit", "[session][queue]") {
    one_end c(recording());
    CHECK(c.ep.out().intake().enqueue_dropped(c.now) == 1);
    CHECK(c.outcomes().empty());
    const auto records = c.ep.begin_commit();
    c.ep.end_commit();
    REQUIRE(records.size() == 2);
    CHECK(records[0].kind == session::record_kind::enqueued);
    CHECK(records[1].kind == session::record_kind::finished);
    for (const auto& r : records) CHECK(r.counter == 1);
    CHECK(records[1].result == outcome::dropped);
    CHECK(c.outcomes() == texts{"1:dropped"});
}

TEST_CASE("limits: deadlines of messages that left hold no memory that grows", "[session][queue]") {
    one_end c;
    c.send("stays");
    for (int i = 0; i < 20'000; ++i) {
        const auto counter = c.send("x", {.ttl = 24h, .coalesce_key = i % 2 == 0 ? "k" : ""});
        if (i % 2 == 1) CHECK(c.ep.out().cancel(counter));
        if (i % 1000 == 0) c.commit(), (void)c.outcomes();
    }
    CHECK(c.ep.out().queued() == 2);
    CHECK(c.ep.out().queue_slots() < 200);
    CHECK(c.ep.out().intake().queue().expiry_rows() < 200);
}

TEST_CASE("rule 8: between the parts of a large message other classes have their turns, and it has its own", "[session][queue]") {
    auto o = one_end::defaults(session::side::client);
    o.part_size = 10;
    one_end c(o);
    c.ep.attach_client();
    (void)c.out();
    session::welcome w;
    w.features = session::feature::parts;
    w.max_message_size = 1000;
    w.credit_messages = 1000;
    w.credit_bytes = 100'000;
    CHECK(c.in_frame(w) == "established");
    (void)c.out();
    const std::string large(95, 'L');
    c.send(large, {.priority = message_priority::low});
    c.send(std::string(95, 'M'));  // another large one waits until the first is through
    for (int i = 0; i < 40; ++i) c.send("u" + number(static_cast<std::uint64_t>(i)), {.priority = message_priority::urgent});
    std::vector<char> order;
    for (int turn = 0; turn < 200; ++turn) {
        c.ep.assign(1);
        c.commit();
        if (const auto frame = c.ep.next_frame(); frame && frame->body) order.push_back(static_cast<char>(frame->payload[0]));
    }
    const auto count = [&](char what) { return std::count(order.begin(), order.end(), what); };
    CHECK(count('u') == 40);
    CHECK(count('L') == 10);  // each part once: it never began anew
    CHECK(count('M') == 10);
    CHECK(c.ep.out().queued() == 0);
    // Of 11 turns, those of the empty class left out, 8 are urgent and 3 are of the large ones; nearly so, as a last part
    // is a message like others.
    const auto last_urgent = std::find(order.rbegin(), order.rend(), 'u').base() - order.begin();
    CHECK(last_urgent >= 50);
    CHECK(last_urgent <= 55);
}

TEST_CASE("rule 22: parts of transfers are neither dropped nor do they age", "[session][queue]") {
    auto o = one_end::defaults(session::side::client);
    o.max_age = 1s;
    one_end c(o);
    const auto transfer = [&] {
        return c.ep.out().enqueue(message::copy(hawser::as_bytes("part"), hawser::message_kind::transfer), {}, nullptr, c.now);
    };
    const auto first = transfer();
    const auto usual = c.send("usual");
    const auto second = transfer();
    auto& intake = c.ep.out().intake();
    CHECK(intake.droppable_for(message_priority::urgent).first == 1);
    CHECK(intake.drop_for(message_priority::urgent));
    CHECK(c.ep.out().find(usual) == nullptr);
    CHECK_FALSE(intake.drop_for(message_priority::urgent));
    CHECK(c.ep.out().deadline() == hawser::never);
    c.ep.out().expire(c.now + 1h);
    CHECK(c.ep.out().find(first) != nullptr);
    CHECK(c.ep.out().find(second) != nullptr);
    const auto late = c.send("late");
    CHECK(c.ep.out().deadline() == c.now + 1s);
    c.ep.out().expire(c.now + 1s);
    CHECK(c.ep.out().find(late) == nullptr);
    CHECK(c.ep.out().queued() == 2);
}

TEST_CASE("what a store gives back waits as it did: by class, with its keys, its time to live begins anew", "[session][queue]") {
    one_end c(recording());
    hawser::store_image image;
    image.next_counter = 6;
    const auto add = [&](std::uint64_t counter, message_priority p, bool written) {
        image.outbox.push_back({.counter = counter, .written = written, .body = message::text("m" + std::to_string(counter)), .priority = p});
    };
    add(1, message_priority::low, false);
    add(2, message_priority::normal, false);
    add(3, message_priority::urgent, false);
    add(4, message_priority::low, true);  // it had a number in an earlier epoch
    add(5, message_priority::normal, false);
    image.outbox[1].ttl = 5s;
    image.outbox[1].coalesce_key = "k";
    REQUIRE_FALSE(c.ep.out().restore(image, 0, c.now));
    CHECK(c.ep.out().queued() == 5);
    CHECK(c.ep.out().deadline() == c.now + 5s);
    CHECK(c.ep.out().intake().replaceable("k"));
    CHECK(c.ep.out().find(4)->numbered);
    CHECK_FALSE(c.ep.out().cancel(4));
    for (std::uint64_t n = 1; n <= 5; ++n) CHECK(c.ep.out().find(n)->counter == n);
    CHECK(c.ep.out().intake().queue().front()->counter == 4);
    CHECK(c.ep.out().cancel(2));
    CHECK(c.ep.out().deadline() == hawser::never);
    CHECK(c.send("next") == 6);
}

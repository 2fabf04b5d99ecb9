// SPDX-License-Identifier: BSL-1.0
// The streams of a simulated machine on its disk: what was durable is there after every loss of power, what was not is there
// as a whole or not at all.
#include "support/catch.hpp"

#include <hawser/testing/stored_streams.hpp>

#include <set>
#include <string>

using hawser::as_text;
using hawser::message;
using hawser::session::record;
using hawser::session::record_kind;
using hawser::testing::disk;
using hawser::testing::stored_streams;

namespace {

const hawser::session::origin_id origin{std::byte{7}};

record enqueued(std::uint64_t counter, std::string text) {
    return {.kind = record_kind::enqueued, .counter = counter, .body = message::text(text), .key = "key", .coalesce_key = "other",
            .ttl = hawser::milliseconds(5), .priority = hawser::message_priority::high};
}
std::vector<record> epoch_and(record last) {
    std::vector<record> list;
    list.push_back({.kind = record_kind::epoch_begun, .epoch = {std::byte{3}}, .state = "state"});
    list.push_back(std::move(last));
    return list;
}
record accepted(std::uint64_t seq, std::string row) {
    return {.kind = record_kind::accepted, .seq = seq, .from = seq - 1, .bytes = 10 * seq, .epoch = {std::byte{3}}, .exceptions = "but one",
            .effect = [row = std::move(row)](hawser::store_transaction& tx) {
                static_cast<hawser::testing::transaction&>(tx).append(row);
                return std::error_code{};
            }};
}
std::vector<record> only(record r) {
    std::vector<record> list;
    list.push_back(std::move(r));
    return list;
}

}  // namespace

TEST_CASE("simulated store on a disk: a new process finds all of what was committed") {
    disk d(1);
    {
        stored_streams s(d);
        REQUIRE(!s.begin_process("a", origin));
        REQUIRE(!s.apply("a", epoch_and(enqueued(1, "one"))));
        REQUIRE(!s.apply("a", only({.kind = record_kind::assigned, .counter = 1, .seq = 1, .bytes = 3})));
        REQUIRE(!s.apply("a", only(enqueued(2, "two"))));
        REQUIRE(!s.apply("a", only({.kind = record_kind::finished, .counter = 1})));
        REQUIRE(!s.apply("b", only(enqueued(1, "of another stream"))));
        s.erase("b");
        REQUIRE(!s.apply("a", only(accepted(1, "row"))));
    }
    d.crash();
    stored_streams s(d);
    s.recover();
    REQUIRE(!s.begin_process("a", {}));
    CHECK(s.size() == 1);
    CHECK(s.rows() == std::vector<std::string>{"row"});
    const hawser::store_image& i = s.image("a");
    CHECK(i.origin == origin);
    CHECK(i.boot == 2);
    CHECK(i.phase == hawser::epoch_phase::alive);
    CHECK(i.state == "state");
    CHECK(i.accepted == 1);
    CHECK(i.accepted_bytes == 10);
    CHECK(i.exceptions == "but one");
    CHECK(i.assigned == 1);
    CHECK(i.next_counter == 3);
    REQUIRE(i.outbox.size() == 1);
    const hawser::stored_message& m = i.outbox.front();
    CHECK(m.counter == 2);
    CHECK(m.body.text() == "two");
    CHECK(m.body.kind() == hawser::message_kind::text);
    CHECK(m.key == "key");
    CHECK(m.coalesce_key == "other");
    CHECK(m.ttl == hawser::milliseconds(5));
    CHECK(m.priority == hawser::message_priority::high);
}

TEST_CASE("simulated store on a disk: of a transaction that was not synchronised all is there after a loss of power, or nothing") {
    std::set<std::string> seen;
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        disk d(seed);
        stored_streams s(d);
        REQUIRE(!s.apply("a", only(enqueued(1, "durable"))));
        stored_streams::staged on_its_way;
        REQUIRE(!s.stage("a", only(enqueued(2, std::string(1'500, 'x'))), on_its_way));
        d.crash();
        s.recover();
        const auto& i = s.image("a");
        REQUIRE(i.outbox.size() >= 1);
        CHECK(i.outbox[0].body.text() == "durable");
        const bool there = i.outbox.size() == 2;
        if (there) CHECK(i.outbox[1].body.text() == std::string(1'500, 'x'));
        CHECK((!there || s.torn_tails == 0));
        seen.insert(there ? "there" : s.torn_tails > 0 ? "torn" : "not there");
        // It goes on behind what was cut off.
        REQUIRE(!s.apply("a", only(enqueued(there ? 3 : 2, "next"))));
        d.crash();
        s.recover();
        CHECK(s.image("a").outbox.back().body.text() == "next");
    }
    CHECK(seen == std::set<std::string>{"there", "torn", "not there"});
}

TEST_CASE("simulated store on a disk: what its disk refuses was not committed") {
    disk d(1);
    stored_streams s(d);
    d.short_writes = true;
    REQUIRE(!s.apply("a", only(enqueued(1, "one"))));
    const auto is_there = [&](std::size_t count) {
        s.recover();
        return s.image("a").outbox.size() == count && s.image("a").next_counter == count + 1 && s.torn_tails == 0;
    };
    CHECK(is_there(1));
    d.capacity = d.used() + 50;
    CHECK(s.apply("a", only(enqueued(2, std::string(100, 'x')))) == std::errc::no_space_on_device);
    CHECK(is_there(1));
    d.capacity = 1'000'000;
    d.sync_fails = true;
    CHECK(s.apply("a", only(enqueued(2, "two"))) == std::errc::io_error);
    d.sync_fails = false;
    CHECK(s.apply("a", only(enqueued(2, "two"))) == std::errc::io_error);  // until somebody looks what is there
    CHECK(is_there(1));
    CHECK(!s.apply("a", only(enqueued(2, "two"))));
    CHECK(is_there(2));
}

// SPDX-License-Identifier: BSL-1.0
// The streams of a simulated machine on its disk: what was durable is there after every loss of power, what was not is there
// as a whole or not at all.
#include "support/catch.hpp"

#include <hawser/driver/use_driver.hpp>
#include <hawser/testing/durable_store.hpp>
#include <hawser/testing/stored_streams.hpp>
#include <hawser/testing/virtual_driver.hpp>

#include <asio/io_context.hpp>

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

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
std::vector<record> joined(std::vector<record> list, record last) {
    list.push_back(std::move(last));
    return list;
}

// What a process sees of a stream, or a later one finds.
struct seen {
    std::vector<std::string> waiting{}, rows{};
    std::uint64_t accepted = 0;
    std::size_t streams = 0;
    friend bool operator==(const seen&, const seen&) = default;
};
seen of(stored_streams& s, const std::string& name) {
    seen all{{}, s.rows(), s.image(name).accepted, s.size()};
    for (const auto& m : s.image(name).outbox) all.waiting.emplace_back(m.body.text());
    return all;
}
seen found(disk& d, const std::string& name) {
    stored_streams next(d);
    next.recover();
    return of(next, name);
}

// A process with handles to the store of its machine.
struct process {
    struct handle final : hawser::store_client {
        handle(process& p, const std::string& name) : opened(hawser::testing::durable_store(p.streams).open(p.net, *this, name)) {}
        void on_loaded(std::error_code ec, hawser::store_image) override { result = ec; }
        void on_committed(std::error_code ec) override { result = ec; }
        std::unique_ptr<hawser::opened_store> opened;
        std::optional<std::error_code> result;
    };
    explicit process(disk& d) : streams(std::make_shared<stored_streams>(d)) {}
    // Without an error.
    [[nodiscard]] bool load(handle& h) {
        h.opened->load(origin);
        return done(h);
    }
    [[nodiscard]] bool commit(handle& h, std::vector<record> list) {
        h.opened->commit(std::move(list));
        return done(h);
    }
    [[nodiscard]] bool done(handle& h) {
        return net.run_until([&] { return h.result.has_value(); }) && !*std::exchange(h.result, std::nullopt);
    }
    asio::io_context context;
    hawser::testing::virtual_driver& net{hawser::install_driver<hawser::testing::virtual_driver>(context, 1)};
    std::shared_ptr<stored_streams> streams;
};

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
        std::uint64_t on_its_way = 0;
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

TEST_CASE("simulated store on a disk: a handle that goes in the middle of a commit leaves no difference between process and disk") {
    const auto after = std::chrono::milliseconds(GENERATE(0, 1, 2, 4));
    const bool other_first = GENERATE(false, true);
    CAPTURE(after.count(), other_first);
    disk d(1);
    process p(d);
    p.streams->delay = hawser::milliseconds(3);  // written after half of it
    std::optional<process::handle> goes(std::in_place, p, "a");
    process::handle other(p, "b");
    REQUIRE(p.load(*goes));
    REQUIRE(p.load(other));
    goes->opened->commit(joined(epoch_and(enqueued(1, "one")), accepted(1, "row")));
    p.net.run_for(after);
    goes.reset();
    if (other_first) {
        REQUIRE(p.commit(other, only(enqueued(1, "of another stream"))));
        CHECK(of(*p.streams, "a") == found(d, "a"));
    }
    process::handle next(p, "a");
    REQUIRE(p.load(next));
    const seen now = of(*p.streams, "a");
    CHECK(now == found(d, "a"));
    // All of it or nothing.
    const bool there = after.count() >= 2;
    CHECK(now.waiting == (there ? std::vector<std::string>{"one"} : std::vector<std::string>{}));
    CHECK(now.rows == (there ? std::vector<std::string>{"row"} : std::vector<std::string>{}));
    CHECK(now.accepted == (there ? 1U : 0U));
    REQUIRE(p.commit(next, only(enqueued(2, "two"))));
    CHECK(of(*p.streams, "a") == found(d, "a"));
    d.crash();
    CHECK(of(*p.streams, "a") == found(d, "a"));
}

namespace {
// Two streams whose commits take a while; the handle of "a" may go meanwhile.
struct one_goes {
    one_goes() {
        p.streams->delay = hawser::milliseconds(4);
        REQUIRE(p.load(*goes));
        REQUIRE(p.load(stays));
    }
    disk d{1};
    process p{d};
    std::optional<process::handle> goes{std::in_place, p, "a"};
    process::handle stays{p, "b"};
};
}  // namespace

TEST_CASE("simulated store on a disk: rows have the order of their transactions, whoever goes meanwhile") {
    one_goes t;
    auto& [d, p, goes, stays] = t;
    goes->opened->commit(epoch_and(accepted(1, "first")));
    p.net.run_for(hawser::milliseconds(1));
    stays.opened->commit(epoch_and(accepted(1, "second")));
    p.net.run_for(hawser::milliseconds(2));
    goes.reset();
    REQUIRE(p.done(stays));
    CHECK(p.streams->rows() == std::vector<std::string>{"first", "second"});
    CHECK(of(*p.streams, "a") == found(d, "a"));
}

TEST_CASE("simulated store on a disk: a stream that is erased in the middle of a commit does not come back by it") {
    disk d(1);
    process p(d);
    p.streams->delay = hawser::milliseconds(4);
    process::handle h(p, "a"), other(p, "b");
    REQUIRE(p.load(h));
    REQUIRE(p.load(other));
    h.opened->commit(only(enqueued(1, "one")));
    p.net.run_for(hawser::milliseconds(3));
    p.streams->erase("a");
    (void)p.done(h);
    REQUIRE(p.commit(other, only(enqueued(1, "x"))));
    CHECK(p.streams->size() == 1);
    CHECK(of(*p.streams, "b") == found(d, "b"));
}

TEST_CASE("simulated store on a disk: where a synchronisation fails, what others had on the way is nowhere") {
    one_goes t;
    auto& [d, p, goes, stays] = t;
    goes->opened->commit(only(enqueued(1, "one")));
    p.net.run_for(hawser::milliseconds(3));
    goes.reset();
    d.sync_fails = true;
    CHECK_FALSE(p.commit(stays, only(enqueued(1, "two"))));
    d.sync_fails = false;
    CHECK(of(*p.streams, "a") == found(d, "a"));
    CHECK(of(*p.streams, "b") == found(d, "b"));
    CHECK(of(*p.streams, "a").waiting.empty());
}

TEST_CASE("simulated store in memory: a handle that goes in the middle of a commit takes it with it") {
    asio::io_context context;
    auto& net = hawser::install_driver<hawser::testing::virtual_driver>(context, 1);
    const auto streams = std::make_shared<stored_streams>();
    struct silent final : hawser::store_client {
        void on_loaded(std::error_code, hawser::store_image) override {}
        void on_committed(std::error_code) override {}
    } nobody;
    auto opened = hawser::testing::durable_store(streams).open(net, nobody, "a");
    opened->commit(only(enqueued(1, "one")));
    net.run_for(streams->delay * 2 / 3);
    opened.reset();
    net.run_for(streams->delay);
    CHECK(streams->image("a").outbox.empty());
    CHECK(streams->commits == 0);
    REQUIRE(!streams->apply("a", only(enqueued(1, "again"))));
    CHECK(streams->image("a").outbox.size() == 1);
}

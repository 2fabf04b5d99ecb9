// SPDX-License-Identifier: BSL-1.0
// What the origins of a listener have delivered: which of them is forgotten when they are too many, too large or too old.
#include "support/catch.hpp"

#include <hawser/policies.hpp>
#include <hawser/server/dedup_table.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace hawser;

namespace {

using table = detail::dedup_table<default_policies>;
using state = detail::dedup_state<default_policies>;
using verdict = state::verdict;

// As a link does.
struct leaving {
    void operator()(state* s) const noexcept {
        s->leave();
        owner = nullptr;
    }
    mutable std::shared_ptr<state> owner{};
};
using handle = std::unique_ptr<state, leaving>;

constexpr time_point begin = time_point{} + seconds{100};
constexpr std::size_t unbounded = SIZE_MAX;

dedup_options ten_seconds() {
    dedup_options o;
    o.dedup_ttl = seconds{10};
    return o;
}
session::origin_id origin(int n) {
    session::origin_id id{};
    id[0] = static_cast<std::byte>(n);
    return id;
}
handle session_of(table& t, int n, const std::string& principal = "somebody") {
    const auto found = t.find(origin(n), principal, [] { return std::uint64_t{1}; });
    found->join();
    return handle(found.get(), {found});
}
// Falling ones go into the hash table, with about 40 bytes each.
void deliver(const handle& h, std::uint64_t ids) {
    for (std::uint64_t i = ids; i > 0; --i) h->processed({{}, i}, begin);
}
bool remembers(table& t, int n) { return session_of(t, n)->check({{}, 1}, begin) == verdict::duplicate; }

}  // namespace

TEST_CASE("dedup table: beyond its bytes the origins without a session are forgotten, the one first that ended first", "[dedup]") {
    table t(ten_seconds(), 100, 300'000);
    std::vector<handle> sessions;
    for (int n = 0; n < 6; ++n) deliver(sessions.emplace_back(session_of(t, n)), 1'000);
    REQUIRE(t.memory_bytes() > 6 * 24'000);
    REQUIRE(t.memory_bytes() < 300'000);
    for (const int n : {3, 0, 5, 1}) sessions[static_cast<std::size_t>(n)].reset();
    CHECK(t.size() == 6);
    deliver(sessions[2], 3'000);
    CHECK(t.memory_bytes() <= 300'000);
    CHECK(t.size() < 6);
    CHECK(t.size() > 3);
    const std::size_t left = t.size();
    CHECK(remembers(t, 1));  // the last that ended
    CHECK_FALSE(remembers(t, 3));  // the first; it is made anew
    CHECK(t.size() == left + 1);
    CHECK(remembers(t, 2));
    CHECK(remembers(t, 4));
}

TEST_CASE("dedup table: what sessions have stays, although nothing fits; it goes when the last of them ends", "[dedup]") {
    table t(ten_seconds(), 100, 0);
    handle first = session_of(t, 1);
    handle same = session_of(t, 1);
    CHECK(first.get() == same.get());
    deliver(first, 1'000);
    CHECK(t.memory_bytes() > 24'000);
    first.reset();
    CHECK(t.size() == 1);
    CHECK(remembers(t, 1));
    same.reset();
    CHECK(t.size() == 0);
    CHECK(t.memory_bytes() == 0);
    CHECK_FALSE(remembers(t, 1));
}

TEST_CASE("dedup table: a limit of origins forgets the oldest without a session, and no more than it must", "[dedup]") {
    table t(ten_seconds(), 3, unbounded);
    for (int n = 0; n < 3; ++n) deliver(session_of(t, n), 1);
    const handle fourth = session_of(t, 3);
    CHECK(t.size() == 3);
    CHECK(remembers(t, 1));
    CHECK(remembers(t, 2));
    CHECK_FALSE(remembers(t, 0));
}

TEST_CASE("dedup table: origins of different principals are different", "[dedup]") {
    table t(ten_seconds(), 100, unbounded);
    const handle one = session_of(t, 1, "one"), other = session_of(t, 1, "other");
    CHECK(one != other);
    CHECK(t.size() == 2);
}

TEST_CASE("dedup table: an origin is forgotten when the time of its ids is over, and not while it has a session", "[dedup]") {
    table t(ten_seconds(), 100, unbounded);
    const handle stays = session_of(t, 0);
    handle goes = session_of(t, 1);
    t.sweep(begin);
    goes.reset();
    t.sweep(begin + seconds{5});
    t.sweep(begin + seconds{14});
    CHECK(t.size() == 2);
    t.sweep(begin + seconds{15});
    CHECK(t.size() == 1);
    t.sweep(begin + seconds{1'000});
    CHECK(session_of(t, 0) == stays);
}

TEST_CASE("dedup table: an origin that comes back begins its time anew", "[dedup]") {
    table t(ten_seconds(), 100, unbounded);
    session_of(t, 1).reset();
    t.sweep(begin);
    session_of(t, 1).reset();
    t.sweep(begin + seconds{10});
    CHECK(t.size() == 1);
    t.sweep(begin + seconds{20});
    CHECK(t.empty());
}

TEST_CASE("dedup table: ids whose time is over do not count when they are gone", "[dedup]") {
    table t(ten_seconds(), 100, unbounded);
    const handle h = session_of(t, 1);
    const std::size_t empty = t.memory_bytes();
    CHECK(empty > 0);  // the origin itself
    deliver(h, 500);
    CHECK(t.memory_bytes() > empty + 500 * sizeof(message_id));
    h->expire(begin + seconds{10});
    CHECK(t.memory_bytes() == empty);
}

TEST_CASE("dedup table: few ids are counted, too", "[dedup]") {
    table t(ten_seconds(), 1'000, unbounded);
    std::vector<handle> sessions;
    std::size_t sum = 0;
    for (int n = 0; n < 100; ++n) deliver(sessions.emplace_back(session_of(t, n)), 3);
    const std::size_t counted = t.memory_bytes();
    for (const handle& h : sessions) sum += h->memory_bytes();
    CHECK(sum > 0);
    CHECK(counted > sum);
}

TEST_CASE("dedup table: a session may outlive it", "[dedup]") {
    auto t = std::make_unique<table>(ten_seconds(), 100, unbounded);
    const handle h = session_of(*t, 1);
    session_of(*t, 2).reset();
    t.reset();
    deliver(h, 1'000);
    h->expire(begin);
    CHECK(h->check({{}, 1}, begin) == verdict::duplicate);
}

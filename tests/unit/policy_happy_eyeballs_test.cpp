// SPDX-License-Identifier: BSL-1.0
// RFC 8305: the order and the times of connection attempts, without a socket or a clock.
#include <hawser/policy/happy_eyeballs.hpp>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using hawser::happy_eyeballs;
using enum hawser::address_family;
using families = std::vector<hawser::address_family>;

namespace {

const hawser::time_point start{1h};

// The order in which addresses are tried when each of them fails at once.
std::vector<std::size_t> order(const families& list) {
    happy_eyeballs e(list);
    std::vector<std::size_t> tried;
    while (const auto next = e.next(start)) {
        tried.push_back(*next);
        e.on_failed(start);
    }
    CHECK(e.exhausted());
    return tried;
}
std::vector<std::size_t> due(happy_eyeballs& e, hawser::time_point now) {
    std::vector<std::size_t> tried;
    while (const auto next = e.next(now)) tried.push_back(*next);
    return tried;
}
using list = std::vector<std::size_t>;

}  // namespace

TEST_CASE("RFC 8305 section 4: families alternate, beginning with the first; within each the resolver's order stays") {
    CHECK(order({}) == list{});
    CHECK(order({v4}) == list{0});
    CHECK(order({v6, v6, v6, v4, v4}) == list{0, 3, 1, 4, 2});
    CHECK(order({v4, v4, v6, v6, v6}) == list{0, 2, 1, 3, 4});
    CHECK(order({v6, v4, v6, v4}) == list{0, 1, 2, 3});
    CHECK(order({v4, v4, v4}) == list{0, 1, 2});
}

TEST_CASE("RFC 8305 section 5: the next attempt begins 250 ms later, beside those under way") {
    happy_eyeballs e(families{v6, v4, v6});
    CHECK(due(e, start) == list{0});
    CHECK(e.deadline() == start + 250ms);
    CHECK(due(e, start + 249ms) == list{});
    CHECK(due(e, start + 250ms) == list{1});
    CHECK(e.deadline() == start + 500ms);
    CHECK(due(e, start + 10s) == list{2});
    CHECK(e.deadline() == hawser::never);
    CHECK(!e.exhausted());  // three are under way
}

TEST_CASE("RFC 8305 section 5: after a failure the next attempt begins at once, and its delay with it") {
    happy_eyeballs e(families{v6, v4, v6, v4});
    CHECK(due(e, start) == list{0});
    e.on_failed(start + 10ms);
    CHECK(due(e, start + 10ms) == list{1});
    CHECK(e.deadline() == start + 260ms);
    CHECK(due(e, start + 260ms) == list{2});  // 1 is still under way
    e.on_failed(start + 300ms);               // 1 or 2
    CHECK(due(e, start + 300ms) == list{3});
    e.on_failed(start + 400ms);
    CHECK(!e.exhausted());
    e.on_failed(start + 400ms);
    CHECK(e.exhausted());
    CHECK(!e.next(start + 10s));
}

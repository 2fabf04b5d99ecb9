// SPDX-License-Identifier: BSL-1.0
// What one origin has delivered: the memory of ids whose time is over.
#include "support/catch.hpp"

#include <hawser/link/dedup_state.hpp>
#include <hawser/policies.hpp>

using namespace hawser;

TEST_CASE("dedup state: a quiet socket gives back the memory of ids whose time is over, some thousand at a time", "[dedup]") {
    dedup_options o;
    o.dedup_ttl = seconds{10};
    detail::dedup_state<default_policies> state(o, 1);
    const time_point begin = time_point{} + seconds{100};
    for (std::uint64_t i = 5'000; i > 0; --i) state.processed({{}, i}, begin);  // falling: rising ones would be one run
    const std::size_t all = state.memory_bytes();
    REQUIRE(all > 5'000 * sizeof(message_id));
    state.expire(begin + seconds{9});
    CHECK(state.memory_bytes() == all);
    state.expire(begin + seconds{10});
    CHECK(state.memory_bytes() < all);
    CHECK(state.memory_bytes() > 2'500 * sizeof(message_id));
    for (int i = 0; i < 4; ++i) state.expire(begin + seconds{10});
    CHECK(state.memory_bytes() == 0);
    CHECK(state.check({{}, 1}, begin + seconds{10}) == detail::dedup_state<default_policies>::verdict::fresh);
}

// SPDX-License-Identifier: BSL-1.0
// The dedup cache against a plain map of id -> time, for good, poor and hopeless hashes.
#include "support/catch.hpp"

#include <hawser/policy/dedup_cache.hpp>
#include <hawser/policy/random.hpp>

#include <map>

using namespace hawser;
using namespace std::chrono_literals;

namespace {

message_id id_of(std::uint64_t n) {
    message_id id;
    id.origin[3] = static_cast<std::byte>(n % 3);
    id.counter = n;
    return id;
}

struct same_hash {
    std::uint64_t operator()(const message_id&) const noexcept { return 0; }
};
struct same_segment_hash {  // all in one segment, spread over its slots
    std::uint64_t operator()(const message_id& id) const noexcept { return id.counter << 33; }
};
struct same_slot_hash {  // spread over the segments, one home slot in each
    std::uint64_t operator()(const message_id& id) const noexcept { return xxh3_hash{}(id) & 0xfff00000'00000000u; }
};

// In the order of their counters, or in any.
struct ids {
    bool rising;
    std::uint64_t bound;
    std::uint64_t last = 0;
    std::uint64_t next(xoshiro256& rng) {
        if (!rising) return uniform(rng, 0, bound);
        if (uniform(rng, 0, 3) == 0) return uniform(rng, last > bound ? last - bound : 0, last + 2);
        last += 3 * uniform(rng, 1, 20);  // of one origin
        return last;
    }
};

template <class Hash>
void compare(std::uint64_t seed, std::size_t max_entries, int steps, bool rising = false) {
    xoshiro256 rng{seed};
    constexpr milliseconds ttl{2000};
    xxhash_dedup_cache<Hash> cache{{.max_entries = max_entries, .dedup_ttl = ttl}};
    std::map<std::uint64_t, time_point> expires;  // no bound: what the cache holds must be in here
    time_point now{};
    std::uint64_t missed = 0;
    ids source{rising, 2 * max_entries};
    for (int i = 0; i < steps; ++i) {
        now += duration{static_cast<duration::rep>(uniform(rng, 0, 2'000'000))};
        if (uniform(rng, 0, 4999) == 0) now += 3s;
        const std::uint64_t n = source.next(rng);
        const auto known = expires.find(n);
        const bool held = known != expires.end() && known->second > now;
        switch (uniform(rng, 0, 9)) {
        case 0: {
            const bool erased = cache.erase(id_of(n));
            REQUIRE((!erased || known != expires.end()));
            expires.erase(n);
            break;
        }
        case 1: REQUIRE((!cache.contains(id_of(n), now) || held)); break;
        case 2: (void)cache.expire(now); break;
        default:
            if (cache.insert(id_of(n), now) == dedup_result::duplicate) {
                REQUIRE(held);
            } else {
                missed += held ? 1 : 0;
                expires[n] = now + ttl;
            }
            REQUIRE(cache.contains(id_of(n), now));
        }
        REQUIRE(cache.size() <= max_entries);
    }
    // A live id is taken as new only because it was evicted.
    REQUIRE(missed <= cache.evicted());
}

}  // namespace

TEST_CASE("dedup: never a false duplicate, and a missed one only after an eviction", "[policy][dedup][property]") {
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
        CAPTURE(seed);
        for (const std::size_t max_entries : {1u, 7u, 128u, 700u, 5000u}) {
            compare<xxh3_hash>(seed, max_entries, 20'000);
            compare<xxh3_hash>(seed, max_entries, 20'000, true);
            compare<same_hash>(seed, max_entries, 5'000);
            compare<same_segment_hash>(seed, max_entries, 5'000);
            compare<same_slot_hash>(seed, max_entries, 5'000);
        }
    }
}

TEST_CASE("dedup: without eviction every id within its TTL is found", "[policy][dedup][property]") {
    xoshiro256 rng{99};
    xxhash_dedup_cache<> cache{{.max_entries = 200'000}};
    for (std::uint64_t n = 0; n < 150'000; ++n) REQUIRE(cache.insert(id_of(n), {}) == dedup_result::inserted);
    for (std::uint64_t n = 0; n < 150'000; ++n) REQUIRE(cache.insert(id_of(n), {}) == dedup_result::duplicate);
    for (std::uint64_t n = 0; n < 150'000; n += 2) REQUIRE(cache.erase(id_of(n)));
    for (std::uint64_t n = 0; n < 150'000; ++n) REQUIRE(cache.contains(id_of(n), {}) == (n % 2 == 1));
    for (int i = 0; i < 20'000; ++i) REQUIRE_FALSE(cache.contains(id_of(uniform(rng, 150'000, UINT64_MAX)), {}));
    CHECK(cache.evicted() == 0);
}

// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <hawser/policy/dedup_cache.hpp>

#include <string>
#include <vector>

using namespace hawser;
using namespace std::chrono_literals;

namespace {

constexpr time_point t0{};

message_id id_of(std::uint64_t counter, unsigned char origin = 1) {
    message_id id;
    id.origin.fill(std::byte{origin});
    id.counter = counter;
    return id;
}

// The other way round none is above the ones before, so that all but the first are in the table.
message_id falling(std::uint64_t n) { return id_of(1'000'000 - n); }

struct same_hash {
    std::uint64_t operator()(const message_id&) const noexcept { return 0x0123456789abcdefu; }
};

}  // namespace

TEST_CASE("message_id: as text", "[message_id]") {
    message_id id;
    for (std::size_t i = 0; i < 16; ++i) id.origin[i] = static_cast<std::byte>(i * 0x11);
    id.counter = 42;
    CHECK(to_string(id) == "00112233445566778899aabbccddeeff:42");
    CHECK(id == id);
    CHECK_FALSE(id == id_of(42));
}

TEST_CASE("xxh3: known values", "[xxh3]") {
    CHECK(xxh3_64({}) == 0x2d06800538d394c2u);
    CHECK(xxh3_64({}, 0) == xxh3_64({}));
    CHECK(xxh3_64(as_bytes("hawser"), 1) != xxh3_64(as_bytes("hawser"), 2));
    CHECK(xxh3_64(as_bytes("hawser"), 0) == xxh3_64(as_bytes("hawser")));
}

TEST_CASE("dedup: new once, then a duplicate, by the whole id (rule 21)", "[policy][dedup]") {
    xxhash_dedup_cache<> cache;
    CHECK(cache.insert(id_of(1), t0) == dedup_result::inserted);
    CHECK(cache.insert(id_of(1), t0) == dedup_result::duplicate);
    CHECK(cache.insert(id_of(1, 2), t0) == dedup_result::inserted);
    CHECK(cache.contains(id_of(1), t0));
    CHECK_FALSE(cache.contains(id_of(2), t0));
    CHECK(cache.size() == 2);
}

TEST_CASE("dedup: an empty cache allocates nothing, and is empty again after the TTL", "[policy][dedup]") {
    xxhash_dedup_cache<> cache;
    CHECK(cache.memory_bytes() == 0);
    (void)cache.insert(id_of(1), t0);
    CHECK(cache.memory_bytes() < 1024);
    for (std::uint64_t i = 0; i < 20'000; ++i) (void)cache.insert(falling(i), t0);
    CHECK(cache.memory_bytes() < 20'000 * 60);
    while (cache.expire(t0 + 300s) == 64) {}
    CHECK(cache.size() == 0);
    for (int i = 0; i < 16; ++i) (void)cache.expire(t0 + 300s);  // the index goes in steps too
    CHECK(cache.memory_bytes() == 0);
    CHECK(cache.insert(id_of(1), t0 + 300s) == dedup_result::inserted);
    cache.clear();
    CHECK(cache.memory_bytes() == 0);
}

TEST_CASE("dedup: an id is forgotten after exactly dedup_ttl, a duplicate does not prolong it", "[policy][dedup]") {
    xxhash_dedup_cache<> cache;
    for (std::uint64_t i = 0; i < 10; ++i) (void)cache.insert(falling(i), t0);
    CHECK(cache.insert(falling(9), t0 + 299s) == dedup_result::duplicate);
    CHECK(cache.contains(falling(9), t0 + 300s - 1ns));
    CHECK_FALSE(cache.contains(falling(9), t0 + 300s));
    // Number 9 is still in the table (two are removed per insert), but it is not a duplicate.
    CHECK(cache.insert(falling(9), t0 + 300s) == dedup_result::inserted);
    CHECK(cache.insert(falling(9), t0 + 300s) == dedup_result::duplicate);
}

TEST_CASE("dedup: a clock jump of ten years forgets, and no insert removes more than two (R7)", "[policy][dedup]") {
    xxhash_dedup_cache<> cache;
    for (std::uint64_t i = 0; i < 1000; ++i) (void)cache.insert(falling(i), t0);
    const time_point later = t0 + std::chrono::hours{24 * 3650};
    CHECK(cache.insert(falling(5000), later) == dedup_result::inserted);
    CHECK(cache.size() == 999);
    CHECK(cache.insert(falling(5001), t0) == dedup_result::inserted);  // time that went back is taken as the last one
    CHECK(cache.size() == 998);
}

TEST_CASE("dedup: a flood stays bounded, the oldest go first (S9)", "[policy][dedup]") {
    xxhash_dedup_cache<> cache{{.max_entries = 1000}};
    for (std::uint64_t i = 0; i < 100'000; ++i) REQUIRE(cache.insert(falling(i), t0) == dedup_result::inserted);
    CHECK(cache.size() == 1000);
    CHECK(cache.evicted() == 99'000);
    CHECK(cache.memory_bytes() < 1000 * 70);
    CHECK_FALSE(cache.contains(falling(98'999), t0));
    CHECK(cache.contains(falling(99'000), t0));
    xxhash_dedup_cache<> one{{.max_entries = 1}};
    CHECK(one.insert(falling(1), t0) == dedup_result::inserted);
    CHECK(one.insert(falling(2), t0) == dedup_result::inserted);
    CHECK_FALSE(one.contains(falling(1), t0));
    CHECK(one.contains(falling(2), t0));
}

TEST_CASE("dedup: erase, also again and again, keeps the table bounded", "[policy][dedup]") {
    xxhash_dedup_cache<> cache{{.max_entries = 100}};
    (void)cache.insert(falling(0), t0);
    for (std::uint64_t i = 1; i < 10'000; ++i) {
        REQUIRE(cache.insert(falling(i), t0) == dedup_result::inserted);
        REQUIRE(cache.erase(falling(i)));
        REQUIRE_FALSE(cache.erase(falling(i)));
        REQUIRE_FALSE(cache.contains(falling(i), t0));
    }
    CHECK(cache.size() <= 1);
    CHECK(cache.memory_bytes() < 16'000);
    CHECK(cache.insert(falling(9'999), t0) == dedup_result::inserted);
}

TEST_CASE("dedup: with a hash that always collides it is right, and not slow", "[policy][dedup]") {
    xxhash_dedup_cache<same_hash> cache{{.max_entries = 20'000}};
    for (std::uint64_t i = 0; i < 30'000; ++i) REQUIRE(cache.insert(falling(i), t0) == dedup_result::inserted);
    CHECK(cache.size() == 20'000);
    for (std::uint64_t i = 0; i < 30'000; i += 7) REQUIRE(cache.contains(falling(i), t0) == (i >= 10'000));
    for (std::uint64_t i = 10'000; i < 30'000; i += 3) REQUIRE(cache.erase(falling(i)));
    for (std::uint64_t i = 10'000; i < 30'000; ++i) REQUIRE(cache.contains(falling(i), t0) == (i % 3 != 10'000 % 3));
    // The directory does not grow for nothing: 32 bytes of ring, a tree node each, little else.
    CHECK(cache.memory_bytes() < 20'000 * 160);
    cache.clear();
    CHECK(cache.memory_bytes() == 0);
}

TEST_CASE("dedup: rising ids of one origin cost a few bytes each, and the same rules hold", "[policy][dedup]") {
    xxhash_dedup_cache<> cache{{.max_entries = 1000}};
    for (std::uint64_t i = 0; i < 10'000; ++i) REQUIRE(cache.insert(id_of(i), t0) == dedup_result::inserted);
    CHECK(cache.size() == 1000);
    CHECK(cache.evicted() == 9000);
    CHECK(cache.memory_bytes() < 2 * 256 * 32 + 64);
    for (std::uint64_t i = 8990; i < 10'010; ++i) REQUIRE(cache.contains(id_of(i), t0) == (i >= 9000 && i < 10'000));
    CHECK(cache.insert(id_of(9000), t0) == dedup_result::duplicate);
    CHECK(cache.erase(id_of(9500)));
    CHECK_FALSE(cache.erase(id_of(9500)));
    CHECK_FALSE(cache.contains(id_of(9500), t0));
    CHECK(cache.insert(id_of(9500), t0) == dedup_result::inserted);  // in the table now
    CHECK(cache.insert(id_of(9500), t0) == dedup_result::duplicate);
    CHECK(cache.size() == 1000);
    CHECK_FALSE(cache.contains(id_of(10'000, 2), t0));
    CHECK_FALSE(cache.contains(id_of(9999, 2), t0));
    CHECK(cache.insert(id_of(20'000), t0 + 300s) == dedup_result::inserted);
    CHECK(cache.size() == 999);  // no insert removes more than two
    while (cache.expire(t0 + 300s) == 64) {}
    CHECK(cache.size() == 1);
    CHECK_FALSE(cache.contains(id_of(9500), t0 + 300s));
    CHECK(cache.contains(id_of(20'000), t0 + 600s - 1ns));
    CHECK_FALSE(cache.contains(id_of(20'000), t0 + 600s));
}

TEST_CASE("dedup: each of the neighbours that came at different moments has its own time", "[policy][dedup]") {
    xxhash_dedup_cache<> cache;
    for (std::uint64_t i = 1; i <= 5; ++i) (void)cache.insert(id_of(i), t0 + seconds(i));
    for (std::uint64_t i = 1; i <= 5; ++i) {
        CHECK(cache.contains(id_of(i), t0 + 300s + seconds(i) - 1ns));
        CHECK_FALSE(cache.contains(id_of(i), t0 + 300s + seconds(i)));
    }
    CHECK(cache.insert(id_of(3), t0 + 303s) == dedup_result::inserted);
    CHECK(cache.insert(id_of(3), t0 + 303s) == dedup_result::duplicate);
    CHECK(cache.insert(id_of(4), t0 + 303s) == dedup_result::duplicate);
}

TEST_CASE("dedup: with two origins in turn the oldest id goes first, wherever it is", "[policy][dedup]") {
    xxhash_dedup_cache<> cache{{.max_entries = 10}};
    const auto nth = [](std::uint64_t n) { return id_of(n / 2, static_cast<unsigned char>(n % 2)); };
    for (std::uint64_t n = 0; n < 1000; ++n) {
        REQUIRE(cache.insert(nth(n), t0) == dedup_result::inserted);
        for (std::uint64_t k = n < 20 ? 0 : n - 20; k <= n; ++k) REQUIRE(cache.contains(nth(k), t0) == (k + 10 > n));
    }
    CHECK(cache.evicted() == 990);
}

TEST_CASE("dedup: the null model holds nothing", "[policy][dedup]") {
    no_dedup none{dedup_options{}};
    CHECK(none.insert(id_of(1), t0) == dedup_result::inserted);
    CHECK(none.insert(id_of(1), t0) == dedup_result::inserted);
    CHECK(std::is_empty_v<no_dedup>);
}

TEST_CASE("dedup: a wrong option is named", "[policy][dedup]") {
    std::vector<std::string> problems;
    dedup_options{}.check(problems, "dedup");
    CHECK(problems.empty());
    dedup_options{.max_entries = 0, .dedup_ttl = 0ms}.check(problems, "dedup");
    CHECK(problems == std::vector<std::string>{"dedup.max_entries is 0, but must be between 1 and 1073741824",
                                               "dedup.dedup_ttl is 0 ms, but must be between 1 ms and 31536000000 ms"});
}

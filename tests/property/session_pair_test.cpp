// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/session_pair.hpp"

#include <rapidcheck.h>

#include <cstdint>
#include <string>

using session_test::coverage;
using session_test::pair_options;
using session_test::session_pair;

namespace {

// A random subset of the faults and a random shape of the windows, as swarm testing does.
pair_options random_options() {
    pair_options o;
    o.crashes = *rc::gen::arbitrary<bool>();
    o.expiry = *rc::gen::arbitrary<bool>();
    o.damage = *rc::gen::arbitrary<bool>();
    o.losses = *rc::gen::arbitrary<bool>();
    o.on_processed = *rc::gen::arbitrary<bool>();
    o.dedup = *rc::gen::arbitrary<bool>();
    o.checksum = o.damage || *rc::gen::arbitrary<bool>();
    o.window_messages = *rc::gen::element<std::uint64_t>(1, 2, 8, 64);
    o.window_bytes = *rc::gen::element<std::uint64_t>(1, 100, 400, 100'000);
    o.rejects = *rc::gen::arbitrary<bool>();
    for (auto& features : o.features) features = *rc::gen::inRange<std::uint64_t>(0, session_test::session::feature::all + 1);
    o.part_size = *rc::gen::element<std::size_t>(10, 50, 64 * 1024);
    o.send_window = *rc::gen::element<std::uint64_t>(1, 3, 6, 64);
    return o;
}

coverage run(const pair_options& o, int steps) {
    session_pair pair(o);
    try {
        for (int i = 0; i < steps; ++i) pair.step();
        pair.drain();
        pair.check_end();
    } catch (const session_test::violation& v) {
        throw session_test::violation(std::string(v.what()) + " [" + pair.describe() + "]");
    }
    return pair.seen;
}

void add(coverage& sum, const coverage& c) {
    constexpr std::size_t fields = sizeof(coverage) / sizeof(std::uint64_t);
    auto* to = reinterpret_cast<std::uint64_t*>(&sum);
    const auto* from = reinterpret_cast<const std::uint64_t*>(&c);
    for (std::size_t i = 0; i < fields; ++i) to[i] += from[i];
}

}  // namespace

TEST_CASE("invariants 1 to 5 and 11: any schedule of faults keeps order, once, truth and liveness", "[session][property]") {
    CHECK(rc::check("two peers over failing links", [] {
        pair_options o = random_options();
        const auto first = *rc::gen::inRange<std::uint64_t>(0, 1'000'000);
        const int steps = *rc::gen::inRange(1, 1500);
        for (std::uint64_t i = 0; i < 25; ++i) {
            o.seed = first + i;
            (void)run(o, steps);
        }
    }));
}

TEST_CASE("the schedules reach what they are meant to test", "[session][property]") {
    coverage all;
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
        pair_options o;
        o.seed = seed;
        o.crashes = seed % 3 == 0;
        o.expiry = seed % 3 == 1;
        o.losses = seed % 4 == 1;
        o.damage = seed % 4 == 2;
        o.on_processed = seed % 2 == 0;
        o.rejects = seed % 5 == 0;
        o.part_size = seed % 2 == 0 ? 40 : 64 * 1024;
        add(all, run(o, 1200));
    }
    CHECK(all.delivered > 1000);
    CHECK(all.acknowledged > 1000);
    CHECK(all.resumed > 0);
    CHECK(all.superseded > 0);
    CHECK(all.late_frames_ignored > 0);
    CHECK(all.stale > 0);
    CHECK(all.previous_token > 0);
    CHECK(all.sent_again > 0);
    CHECK(all.failed_with_position > 0);
    CHECK(all.failed_without_position > 0);
    CHECK(all.epochs > 300);
    CHECK(all.crashes > 0);
    CHECK(all.expired > 0);
    CHECK(all.copies_dropped > 0);
    CHECK(all.gaps > 0);
    CHECK(all.damaged > 0);
    CHECK(all.cancelled > 0);
    CHECK(all.unknown > 0);
    CHECK(all.rejected > 0);
    CHECK(all.duplicates > 0);
    CHECK(all.parts > 0);
}

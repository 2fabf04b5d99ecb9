// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <hawser/policy/handshake_pacer.hpp>

#include <map>

using hawser::handshake_pacer;
using namespace std::chrono_literals;

namespace {
const hawser::time_point start = hawser::time_point{} + 1000s;
}

TEST_CASE("handshake_pacer: without a limit everybody comes in") {
    handshake_pacer p;
    for (int i = 0; i < 100'000; ++i) REQUIRE_FALSE(p.admit(start));
}

TEST_CASE("handshake_pacer: no more than the rate after a burst of a second") {
    handshake_pacer p(1'000);
    int admitted = 0;
    for (int ms = 0; ms < 3'000; ++ms)
        for (int i = 0; i < 20; ++i)
            if (!p.admit(start + std::chrono::milliseconds(ms))) ++admitted;
    CHECK(admitted >= 3'000);
    CHECK(admitted <= 4'000);
}

TEST_CASE("handshake_pacer: who is refused gets a moment of its own, four fifths of the rate per second") {
    handshake_pacer p(1'000);
    std::map<std::int64_t, int> told;
    int admitted = 0;
    for (int i = 0; i < 10'000; ++i) {
        if (const auto wait = p.admit(start)) ++told[wait->count()];
        else ++admitted;
    }
    CHECK(admitted == 1'000);
    REQUIRE(told.size() == 12);
    for (const auto& [second, clients] : told) {
        CHECK(second >= 1);
        CHECK(clients <= 800);
    }
    // Time frees the queue again.
    CHECK_FALSE(p.admit(start + 20s));
    for (int i = 0; i < 999; ++i) (void)p.admit(start + 20s);
    CHECK(p.admit(start + 20s) == 1s);
}

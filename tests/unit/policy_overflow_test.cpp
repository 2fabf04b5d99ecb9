// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <hawser/policy/overflow.hpp>

#include <string>
#include <type_traits>
#include <vector>

using namespace hawser;

namespace {
constexpr overflow_limits small{.high_watermark = 100, .low_watermark = 40, .max_messages = 10};
}  // namespace

TEST_CASE("overflow: blocking pauses above the high watermark and resumes once at the low one (invariant 8)", "[policy][overflow]") {
    blocking_overflow policy{small};
    CHECK(policy.on_enqueue(50, 2, 50) == overflow_action::accept);  // exactly full
    CHECK_FALSE(policy.paused());
    CHECK(policy.on_enqueue(100, 3, 1) == overflow_action::wait);
    CHECK(policy.paused());
    CHECK_FALSE(policy.on_drained(41, 2));
    CHECK(policy.on_enqueue(41, 2, 1) == overflow_action::wait);  // would fit, but nobody overtakes
    CHECK(policy.on_drained(40, 2));
    CHECK_FALSE(policy.on_drained(30, 1));  // once
    CHECK_FALSE(policy.paused());
    CHECK(policy.on_enqueue(40, 2, 60) == overflow_action::accept);
}

TEST_CASE("overflow: the count of messages is a limit too", "[policy][overflow]") {
    blocking_overflow policy{small};
    CHECK(policy.on_enqueue(9, 9, 1) == overflow_action::accept);
    CHECK(policy.on_enqueue(10, 10, 1) == overflow_action::wait);
    CHECK_FALSE(policy.on_drained(6, 6));
    CHECK(policy.on_drained(5, 5));
    blocking_overflow one{{.high_watermark = 100, .low_watermark = 40, .max_messages = 1}};
    CHECK(one.on_enqueue(0, 0, 5) == overflow_action::accept);
    CHECK(one.on_enqueue(5, 1, 5) == overflow_action::wait);
    CHECK(one.on_drained(0, 0));
}

TEST_CASE("overflow: one message larger than the watermark passes when nothing is queued", "[policy][overflow]") {
    blocking_overflow blocking{small};
    rejecting_overflow rejecting{small};
    CHECK(blocking.on_enqueue(0, 0, 1'000'000) == overflow_action::accept);
    CHECK(blocking.on_enqueue(1'000'000, 1, 1) == overflow_action::wait);
    CHECK(rejecting.on_enqueue(0, 0, SIZE_MAX) == overflow_action::accept);
    CHECK(rejecting.on_enqueue(SIZE_MAX, 1, SIZE_MAX) == overflow_action::reject);  // no overflow of the sum
    CHECK(rejecting.on_enqueue(1, 1, SIZE_MAX) == overflow_action::reject);
}

TEST_CASE("rule 22: overflow: rejecting refuses what does not fit and never pauses", "[policy][overflow]") {
    rejecting_overflow policy{small};
    CHECK(policy.on_enqueue(60, 2, 40) == overflow_action::accept);
    CHECK(policy.on_enqueue(60, 2, 41) == overflow_action::reject);
    CHECK(policy.on_enqueue(60, 2, 40) == overflow_action::accept);
    CHECK(policy.on_enqueue(0, 10, 1) == overflow_action::reject);
    CHECK_FALSE(policy.paused());
    CHECK_FALSE(policy.on_drained(0, 0));
}

TEST_CASE("overflow: any sequence gives each pause one resume", "[policy][overflow]") {
    blocking_overflow policy{small};
    std::size_t bytes = 0, messages = 0;
    unsigned random = 1;
    int pauses = 0, resumes = 0;
    for (int i = 0; i < 100'000; ++i) {
        random = random * 1664525 + 1013904223;
        const std::size_t size = random >> 25;
        const bool before = policy.paused();
        if ((random >> 24 & 1) != 0) {
            if (policy.on_enqueue(bytes, messages, size) == overflow_action::accept) bytes += size, ++messages;
        } else if (messages != 0) {
            const std::size_t gone = messages == 1 ? bytes : bytes / messages;
            bytes -= gone, --messages;
            resumes += policy.on_drained(bytes, messages) ? 1 : 0;
        }
        pauses += !before && policy.paused() ? 1 : 0;
        REQUIRE(pauses - resumes == (policy.paused() ? 1 : 0));
        REQUIRE((messages != 0 || !policy.paused()));  // never stuck
    }
    CHECK(pauses > 100);
}

TEST_CASE("overflow: the null model, and wrong options", "[policy][overflow]") {
    CHECK(no_overflow{small}.on_enqueue(SIZE_MAX, SIZE_MAX, SIZE_MAX) == overflow_action::accept);
    CHECK(std::is_empty_v<no_overflow>);
    std::vector<std::string> problems;
    overflow_limits{}.check(problems, "overflow");
    CHECK(problems.empty());
    overflow_limits{.high_watermark = 10, .low_watermark = 20, .max_messages = 0}.check(problems, "overflow");
    CHECK(problems == std::vector<std::string>{"overflow.high_watermark is 10, but must be at least overflow.low_watermark (20)",
                                               "overflow.max_messages is 0, but must be between 1 and 1073741824"});
}

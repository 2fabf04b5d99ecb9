// SPDX-License-Identifier: BSL-1.0
// The end of an epoch that runs out of memory in the middle, and is repeated: at each of its allocations.
#include "allocations.hpp"
#include "support/catch.hpp"
#include "support/session_frames.hpp"

#include <hawser/core/message.hpp>

#include <algorithm>
#include <new>
#include <optional>
#include <string>
#include <vector>

using namespace session_test;

namespace {

struct kept_end : one_end {
    kept_end() : one_end(options()) {
        open(100);
        for (int i = 0; i < 20; ++i) send("message");
        (void)out();
    }
    static session::endpoint_options options() {
        auto o = defaults(session::side::client);
        o.keep_records = true;
        return o;
    }
    // Whether it was done without a failure.
    bool end(std::size_t failing) {
        allocated::fails_in = failing;
        bool done = true;
        try {
            ep.end_epoch(std::nullopt);
        } catch (const std::bad_alloc&) {
            done = false;
        }
        allocated::fails_in = 0;
        return done;
    }
    void take_records() {
        while (ep.wants_commit()) {
            const auto list = ep.begin_commit();
            ep.end_commit();
            const auto of = [&](session::record_kind k) { return std::count_if(list.begin(), list.end(), [k](const auto& r) { return r.kind == k; }); };
            ends += of(session::record_kind::epoch_ended);
            outcomes_kept += of(session::record_kind::finished);
        }
    }
    std::ptrdiff_t ends = 0, outcomes_kept = 0;
};

// At every allocation until there is none left; returns how often it failed.
template <class Then>
std::size_t at_each(Then then) {
    hawser::message::keep_spare(0);  // all memory is asked for
    std::size_t n = 1;
    for (;; ++n) {
        kept_end c;
        if (c.end(n)) return n - 1;
        CAPTURE(n);
        then(c);
        c.take_records();
        CHECK(c.ends <= 1);
        CHECK_FALSE(c.ep.has_epoch());
    }
}

}  // namespace

TEST_CASE("an end of an epoch that is repeated for want of memory is one record, and each outcome too") {
    const bool committed = GENERATE(false, true);
    CAPTURE(committed);
    const std::size_t failures = at_each([&](kept_end& c) {
        if (committed) c.take_records();
        REQUIRE(c.end(0));
        c.take_records();
        CHECK(c.ends == 1);
        CHECK(c.outcomes_kept == 20);
    });
    CHECK(failures > 3);
}

TEST_CASE("an end of an epoch that had no memory, and then the end of its socket, are one record") {
    const std::size_t failures = at_each([](kept_end& c) {
        c.ep.bury(std::nullopt);
        c.take_records();
        CHECK(c.ends == 1);
    });
    CHECK(failures > 3);
}

// SPDX-License-Identifier: BSL-1.0
#include "mutants.hpp"

#include "campaign.hpp"
#include "corpus.hpp"
#include "report.hpp"

#include <hawser/core/planted.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace sim {

bool plant(std::string_view name) {
#ifdef HAWSER_PLANTED_BUGS
    for (const auto& b : hawser::detail::planted_bugs)
        if (b.name == name) {
            hawser::detail::active_bug = b.which;
            return true;
        }
#endif
    (void)name;
    return false;
}

#ifdef HAWSER_PLANTED_BUGS
namespace {

// Which invariant each is to trip, and within how many seeds. The oracle does not know which is on.
struct expected {
    std::string_view name;
    const char* invariant;
    std::uint64_t within = 500;
};
constexpr expected table[] = {
    {"nothing_replayed", "1: no message is lost in silence"},
    {"copies_delivered", "2: delivered once"},
    {"requeued_behind", "3: in order", 2'000},
    {"position_not_restored", "2: one effect for ever"},
    {"effect_apart", "2: one effect for ever"},
    {"sync_skipped", "6: what is acknowledged survives every crash image of the disk"},
    {"ids_used_again", "2: an id is never used twice"},
    {"boot_stands_still", "12: attempts rise across restarts"},
    {"class_starves", "3: no class of priority starves"},
    {"numbered_expired", "3: a message with a number does not expire", 2'000},
    {"numbered_replaced", "3: a message with a number is not replaced", 2'000},
    {"expiry_forgotten", "22: what has waited for its time to live ends expired"},
    {"replaced_untold", "1: who is replaced is told"},
    {"checksum_unchecked", "4: bytes delivered are the bytes sent", 2'000},
    {"ack_of_received", "5: what is acknowledged was handed over"},
    {"ack_goes_back", "5: acknowledgements never go back", 2'000},
    {"limits_ignored", "7: byte budgets hold"},
    {"pause_without_resume", "8: each pause gets exactly one resume"},
    {"told_after_destruction", "9: no callback after destruction"},
    {"ghost_session", "10: no ghosts"},
    {"two_owners", "11: a session has at most one live owner"},
    {"open_breaker_permits", "12: no attempt while the breaker is open"},
    {"delay_beyond_maximum", "13: every delay is in [0, max]"},
    {"mask_used_again", "14: a fresh mask for each frame"},
    {"acknowledged_not_counted", "16: metrics conserve"},
    {"transfer_prefix_trusted", "transfers: what arrives is what was sent"},
    {"attempt_without_deadline", "17: every wait has a deadline"},
    {"seed_from_address", "18: the same seed gives the same trace"},
};

}  // namespace
#endif

int run_mutants(const std::string& self) {
#ifdef HAWSER_PLANTED_BUGS
    int missed = 0, found = 0;
    for (const auto& b : table) {
        // Another trace is only seen where seeds run twice.
        const bool twice = b.name == "seed_from_address";
        const auto c = run_campaign(self, {1, twice ? 40 : b.within}, std::string(b.name), !twice, false);
        if (c.findings.empty()) {
            ++missed;
            fmt::print("{:32} NOT FOUND in {} seeds   ({})\n", b.name, b.within, b.invariant);
        } else {
            ++found;
            const auto first = std::min_element(c.findings.begin(), c.findings.end(), [](auto& x, auto& y) { return x.seed < y.seed; });
            fmt::print("{:32} found by seed {}: {}   ({})\n", b.name, first->seed, first->what, b.invariant);
        }
        std::fflush(stdout);
    }
    fmt::print("{} found, {} not found\n", found, missed);
    return missed == 0 ? 0 : 1;
#else
    (void)self;
    fmt::print("this build has no planted bugs: compile with HAWSER_PLANTED_BUGS\n");
    return 2;
#endif
}

int run_corpus(const std::string& self, bool json) {
    campaign_result all;
    for (const auto& old : corpus) {
        const auto c = run_campaign(self, {old.seed, old.seed}, {}, false, false);
        all.sum.add(c.sum);
        all.wall_seconds += c.wall_seconds;
        for (const auto& f : c.findings) all.findings.push_back({f.seed, f.what + " (once: " + old.what + ")"});
    }
    (void)print_report(all, json, false);
    return all.findings.empty() ? 0 : 1;
}

}  // namespace sim

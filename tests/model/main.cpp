// SPDX-License-Identifier: BSL-1.0
// Every interleaving of a small world, on the shipped session state machines:
//   hawser_model [--config NAME] [--states N] [--more N] [--audit] [--json]
//       N more links, and N more that one side leaves, than the bounds say
//   hawser_model --mutants [--only NAME] [--json]         each planted bug must be found
//   hawser_model --config NAME [--mutant NAME] --replay "send:0 write:0 ..."
#include "model/explorer.hpp"

#include <hawser/core/message.hpp>
#include <hawser/core/planted.hpp>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <new>
#include <string_view>

void* operator new(std::size_t n) {
    if (model::arena::open()) return model::arena::take(n);
    if (void* p = std::malloc(n == 0 ? 1 : n)) return p;
    throw std::bad_alloc();
}
void* operator new(std::size_t n, std::align_val_t) { return operator new(n); }
void operator delete(void* p) noexcept {
    if (!p) return;
    if (model::arena::owns(p))
        model::arena::give(p);
    else
        std::free(p);
}
void operator delete(void* p, std::size_t) noexcept { operator delete(p); }
void operator delete(void* p, std::align_val_t) noexcept { operator delete(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { operator delete(p); }
// A sanitizer brings its own, which do not lead to those above.
void* operator new[](std::size_t n) { return operator new(n); }
void* operator new[](std::size_t n, std::align_val_t) { return operator new(n); }
void operator delete[](void* p) noexcept { operator delete(p); }
void operator delete[](void* p, std::size_t) noexcept { operator delete(p); }
void operator delete[](void* p, std::align_val_t) noexcept { operator delete(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { operator delete(p); }

namespace {

using model::bounds;
using hawser::session::feature::exceptions;
using hawser::session::feature::parts;

const std::vector<bounds>& configurations() {
    static const std::vector<bounds> all = {
        {.name = "cuts", .messages = {2, 1}, .dials = 3, .cuts = 1, .leaves = 1},
        {.name = "one_way", .messages = {1, 1}, .dials = 3, .leaves = 2},
        {.name = "late", .messages = {1, 0}, .dials = 4, .leaves = 3},
        {.name = "down", .messages = {0, 2}, .dials = 3, .leaves = 2},
        {.name = "expiry", .messages = {2, 0}, .dials = 3, .leaves = 2, .expiries = 1, .slow_store = {false, true}},
        {.name = "expiry_both", .messages = {2, 1}, .dials = 3, .cuts = 1, .leaves = 1, .expiries = 2},
        {.name = "crash_server", .messages = {2, 1}, .dials = 4, .leaves = 1, .server_crashes = 2},
        {.name = "crash_client", .messages = {1, 1}, .dials = 3, .leaves = 1, .expiries = 1, .client_crashes = 1},
        {.name = "store_client",
         .messages = {2, 0},
         .cancels = 1,
         .dials = 2,
         .leaves = 1,
         .expiries = 1,
         .slow_store = {true, false}},
        {.name = "store_both", .messages = {1, 1}, .dials = 3, .leaves = 1, .slow_store = {true, true}},
        {.name = "processing", .messages = {3, 0}, .dials = 3, .leaves = 1, .expiries = 1, .on_processed = true},
        {.name = "credit", .messages = {3, 1}, .dials = 2, .leaves = 1, .on_processed = true, .window_messages = 2},
        {.name = "bytes", .messages = {3, 1}, .dials = 2, .cuts = 1, .window_bytes = 1},
        {.name = "window", .messages = {3, 0}, .dials = 3, .leaves = 2, .send_window = 1},
        {.name = "numbers_end", .messages = {3, 1}, .dials = 3, .cuts = 1, .sequence_end = 3},
        {.name = "cancel", .messages = {2, 1}, .cancels = 2, .dials = 3, .cuts = 1, .expiries = 1},
        {.name = "ack_timer", .messages = {2, 0}, .cancels = 1, .dials = 1},
        {.name = "losses", .messages = {2, 1}, .dials = 4, .leaves = 1, .losses = 2},
        {.name = "damage", .messages = {1, 1}, .dials = 3, .cuts = 1, .damages = 2, .checksum = true},
        {.name = "ping", .messages = {1, 1}, .pings = 2, .dials = 2, .cuts = 1},
        {.name = "forged", .messages = {1, 1}, .dials = 3, .leaves = 1, .forgeries = 1},
        {.name = "forged_early", .messages = {1, 0}, .dials = 3, .cuts = 1, .forgeries = 1, .slow_store = {true, true}},
        {.name = "reject",
         .messages = {3, 0},
         .dials = 3,
         .leaves = 1,
         .expiries = 1,
         .rejects = 2,
         .features = {exceptions, exceptions},
         .on_processed = true},
        {.name = "reject_down",
         .messages = {0, 2},
         .pings = 1,
         .dials = 3,
         .leaves = 2,
         .rejects = 1,
         .features = {exceptions, exceptions},
         .on_processed = true},
        {.name = "reject_store",
         .messages = {1, 1},
         .dials = 2,
         .leaves = 1,
         .rejects = 2,
         .features = {exceptions, exceptions},
         .on_processed = true,
         .slow_store = {true, true}},
        {.name = "reject_lost",
         .messages = {2, 0},
         .dials = 3,
         .leaves = 1,
         .losses = 2,
         .rejects = 1,
         .features = {exceptions, exceptions},
         .on_processed = true},
        {.name = "reject_old", .messages = {2, 0}, .dials = 2, .cuts = 1, .rejects = 1, .features = {0, exceptions}, .on_processed = true},
        {.name = "duplicate",
         .messages = {2, 0},
         .dials = 4,
         .leaves = 2,
         .expiries = 1,
         .features = {exceptions, exceptions}},
        {.name = "parts", .messages = {2, 1}, .dials = 3, .cuts = 1, .leaves = 1, .features = {parts, parts}, .part_size = 1},
        {.name = "parts_lost", .messages = {2, 0}, .dials = 4, .leaves = 1, .losses = 2, .features = {parts, parts}, .part_size = 1},
        {.name = "parts_cancel",
         .messages = {2, 0},
         .cancels = 2,
         .dials = 3,
         .cuts = 1,
         .features = {parts, parts},
         .part_size = 1,
         .slow_store = {true, false}},
        {.name = "parts_old", .messages = {1, 1}, .dials = 2, .cuts = 1, .features = {parts, 0}, .part_size = 1},
    };
    return all;
}

struct arguments {
    std::string config, mutant, replay;
    bool mutants = false, json = false, replaying = false, audit = false;
    unsigned more = 0;
    std::uint64_t states = UINT64_MAX;
};
bool parse(int argc, char** argv, arguments& a) {
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        const bool more = i + 1 < argc;
        if (word == "--mutants")
            a.mutants = true;
        else if (word == "--json")
            a.json = true;
        else if (word == "--audit")
            a.audit = true;
        else if (word == "--more" && more)
            a.more = static_cast<unsigned>(std::strtoul(argv[++i], nullptr, 10));
        else if (word == "--config" && more)
            a.config = argv[++i];
        else if ((word == "--mutant" || word == "--only") && more)
            a.mutant = argv[++i];
        else if (word == "--states" && more)
            a.states = std::strtoull(argv[++i], nullptr, 10);
        else if (word == "--replay" && more)
            a.replay = argv[++i], a.replaying = true;
        else
            return false;
    }
    return true;
}
bool chosen(const arguments& a, const bounds& b) { return a.config.empty() || a.config == b.name; }

void print(const char* config, const model::counterexample& c) {
    std::printf("  %s\n  %s%s\n", c.what, model::to_string(c.steps).c_str(),
                c.draining ? ", then all faults stop" : "");
    std::printf("  repeat: hawser_model --config %s --replay \"%s\"\n", config, model::to_string(c.steps).c_str());
}

int explore(const arguments& a) {
    std::uint64_t states = 0, transitions = 0;
    double seconds = 0;
    int bad = 0;
    if (!a.json) std::printf("%-14s %10s %12s %6s %8s\n", "configuration", "states", "transitions", "depth", "seconds");
    for (bounds b : configurations()) {
        if (!chosen(a, b)) continue;
        b.dials += a.more;
        b.leaves += a.more;
        model::explorer e(b, a.audit);
        const model::result r = e.run(a.states);
        states += r.states, transitions += r.transitions, seconds += r.seconds;
        bad += r.found ? 1 : 0;
        if (!a.json || r.found)
            std::fprintf(a.json ? stderr : stdout, "%-14s %10llu %12llu %6zu %8.2f%s\n", b.name,
                         static_cast<unsigned long long>(r.states), static_cast<unsigned long long>(r.transitions),
                         r.depth, r.seconds,
                         r.found      ? "  VIOLATION"
                         : r.complete ? ""
                                      : "  cut short");
        if (r.found && !a.json) print(b.name, a.audit ? *r.found : e.shorten(*r.found));
        std::fflush(stdout);
    }
    std::printf(a.json ? "{\"states\":%llu,\"transitions\":%llu,\"seconds\":%.2f,\"violations\":%d}\n"
                       : "%llu states, %llu transitions, %.2f s, %d violations\n",
                static_cast<unsigned long long>(states), static_cast<unsigned long long>(transitions), seconds, bad);
    return bad == 0 ? 0 : 1;
}

// A little of each configuration first, then ten times as much.
bool find(const arguments& a, const hawser::detail::planted_bug& bug) {
    std::uint64_t states = 0;
    for (std::uint64_t most = 1'000; most <= 1'000'000; most *= 10)
        for (const bounds& b : configurations()) {
            if (!chosen(a, b)) continue;
            model::explorer e(b);
            const model::result r = e.run(std::min(a.states, most));
            states += r.states;
            if (!r.found) continue;
            const auto c = e.shorten(*r.found);
            if (a.json) return true;
            std::printf("%-28s found after %llu states, in %s: %s\n    breaks %.*s\n    %s%s\n", bug.name.data(),
                        static_cast<unsigned long long>(states), b.name, c.what, static_cast<int>(bug.breaks.size()),
                        bug.breaks.data(), model::to_string(c.steps).c_str(),
                        c.draining ? ", then all faults stop" : "");
            return true;
        }
    std::fprintf(a.json ? stderr : stdout, "%-28s NOT FOUND in %llu states\n    breaks %.*s\n", bug.name.data(),
                 static_cast<unsigned long long>(states), static_cast<int>(bug.breaks.size()), bug.breaks.data());
    return false;
}
// These need a restart, or a queue with options: the simulator finds them.
constexpr std::string_view simulated[] = {"ids_used_again",   "boot_stands_still", "position_not_restored",
                                          "effect_apart",     "sync_skipped",      "class_starves",     "numbered_expired",
                                          "numbered_replaced", "expiry_forgotten", "replaced_untold"};
bool of_the_session(const hawser::detail::planted_bug& bug) {
    if (std::find(std::begin(simulated), std::end(simulated), bug.name) != std::end(simulated)) return false;
    return (bug.breaks[0] >= '0' && bug.breaks[0] <= '9') || bug.breaks.starts_with("durability");
}
int mutants(const arguments& a) {
    std::size_t all = 0, found = 0;
    for (const auto& bug : hawser::detail::planted_bugs) {
        if (!of_the_session(bug) || (!a.mutant.empty() && a.mutant != bug.name)) continue;
        hawser::detail::active_bug = bug.which;
        ++all;
        found += find(a, bug) ? 1U : 0U;
        std::fflush(stdout);
    }
    std::printf(a.json ? "{\"planted\":%zu,\"found\":%zu}\n" : "%zu planted, %zu found\n", all, found);
    return all == found && all > 0 ? 0 : 1;
}

int replay(const arguments& a) {
    for (const auto& bug : hawser::detail::planted_bugs)
        if (bug.name == a.mutant) hawser::detail::active_bug = bug.which;
    const auto steps = model::parse(a.replay);
    for (const bounds& b : configurations()) {
        if (!steps || a.config != b.name) continue;
        model::explorer e(b);
        const auto c = e.replay(*steps, true);
        if (c)
            print(b.name, *c);
        else
            std::printf("all rules hold\n");
        return c ? 1 : 0;
    }
    std::fprintf(stderr, "--replay needs --config with a known name, and known steps\n");
    return 2;
}

}  // namespace

int main(int argc, char** argv) {
    hawser::message::keep_spare(0);  // its lists are not in the arena
    arguments a;
    if (!parse(argc, argv, a)) return std::fprintf(stderr, "unknown argument; see the head of main.cpp\n"), 2;
    if (a.replaying) return replay(a);
    return a.mutants ? mutants(a) : explore(a);
}

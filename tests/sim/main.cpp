// SPDX-License-Identifier: BSL-1.0
// ./run sim: the simulator's campaigns.
#include "campaign.hpp"
#include "large.hpp"
#include "mutants.hpp"
#include "report.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace {

constexpr const char* usage = R"(usage: ./run sim [--seeds A..B] [--json]     many seeds over all cores; default 1..200
       ./run sim --seed S [--trace] [--json]  one seed; with what happened, line by line
       ./run sim --corpus [--json]            the seeds that once found something
       ./run sim --mutants                    each planted bug must be found
       ./run sim --day [--json]               24 simulated hours, 1,000 clients
       ./run sim --storm [--json]             10,000 clients after a server restart, for each jitter
Options: --plant NAME switches one planted bug on. Exit status: 0 nothing found, 1 a finding, 2 wrong use.
)";

struct arguments {
    enum class mode { seeds, seed, corpus, mutants, day, storm, worker, worker_hashes, help } what = mode::seeds;
    sim::seed_range range{1, 200};
    std::uint64_t step = 1;
    bool json = false, trace = false;
    std::string planted;
};

std::optional<std::uint64_t> number(std::string_view text) {
    char* end = nullptr;
    const std::string copy(text);
    const auto n = std::strtoull(copy.c_str(), &end, 10);
    if (copy.empty() || *end != '\0') return std::nullopt;
    return n;
}

bool parse_range(std::string_view text, sim::seed_range& range) {
    const auto dots = text.find("..");
    const auto first = number(text.substr(0, dots));
    const auto last = dots == std::string_view::npos ? first : number(text.substr(dots + 2));
    if (!first || !last || *first > *last || *first == 0) return false;
    range = {*first, *last};
    return true;
}

bool parse(int argc, char** argv, arguments& a) {
    using mode = arguments::mode;
    for (int i = 1; i < argc; ++i) {
        const std::string_view arg = argv[i];
        const auto value = [&]() -> std::string_view { return i + 1 < argc ? argv[++i] : ""; };
        if (arg == "--help" || arg == "-h") a.what = mode::help;
        else if (arg == "--json") a.json = true;
        else if (arg == "--trace") a.trace = true;
        else if (arg == "--corpus") a.what = mode::corpus;
        else if (arg == "--mutants") a.what = mode::mutants;
        else if (arg == "--day") a.what = mode::day;
        else if (arg == "--storm") a.what = mode::storm;
        else if (arg == "--plant") a.planted = value();
        else if (arg == "--seeds") {
            if (!parse_range(value(), a.range)) return false;
        } else if (arg == "--seed") {
            a.what = mode::seed;
            if (!parse_range(value(), a.range)) return false;
        } else if (arg == "--worker" || arg == "--worker-hashes") {
            a.what = arg == "--worker" ? mode::worker : mode::worker_hashes;
            const auto first = number(value()), last = number(value()), step = number(value());
            if (!first || !last || !step) return false;
            a.range = {*first, *last};
            a.step = *step;
        } else {
            return false;
        }
    }
    return true;
}

int run_one(const arguments& a) {
    sim::trace_sink sink;
    if (a.trace)
        sink = [](hawser::time_point t, const std::string& line) {
            std::fprintf(stderr, "%12.6f %s\n", std::chrono::duration<double>(t - hawser::testing::scheduler::start()).count(), line.c_str());
        };
    sim::campaign_result c;
    const auto began = std::chrono::steady_clock::now();
    c.sum = sim::run_seed(a.range.first, sink);
    c.wall_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    if (c.sum.violations) c.findings.push_back({a.range.first, c.sum.first_violation});
    (void)sim::print_report(c, a.json, false);
    return c.findings.empty() ? 0 : 1;
}

int run_many(const arguments& a, const std::string& self) {
    const auto c = sim::run_campaign(self, a.range, a.planted, false, !a.json);
    // A few seeds need not meet everything.
    const bool all_reached = sim::print_report(c, a.json, a.range.last - a.range.first >= 199);
    return c.findings.empty() && all_reached ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    arguments a;
    if (!parse(argc, argv, a)) {
        std::fputs(usage, stderr);
        return 2;
    }
    if (!a.planted.empty() && !sim::plant(a.planted)) {
        std::fprintf(stderr, "sim: no planted bug is called '%s', or this build has none\n", a.planted.c_str());
        return 2;
    }
    const std::string self = "/proc/self/exe";
    switch (a.what) {
    case arguments::mode::help: std::fputs(usage, stdout); return 0;
    case arguments::mode::worker: return sim::run_worker(a.range.first, a.range.last, a.step, false);
    case arguments::mode::worker_hashes: return sim::run_worker(a.range.first, a.range.last, a.step, true);
    case arguments::mode::seed: return run_one(a);
    case arguments::mode::seeds: return run_many(a, self);
    case arguments::mode::corpus: return sim::run_corpus(self, a.json);
    case arguments::mode::mutants: return sim::run_mutants(self);
    case arguments::mode::day: return sim::run_day(a.range.first, a.json);
    case arguments::mode::storm: return sim::run_storm(a.range.first, a.json);
    }
    return 2;
}

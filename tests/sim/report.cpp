// SPDX-License-Identifier: BSL-1.0
#include "report.hpp"

#include <fmt/format.h>

#include <cstdio>

namespace sim {
namespace {

std::vector<std::string> unreached(const campaign_result& c) {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < mark_names.size(); ++i)
        if (c.sum.reached[i] == 0) names.emplace_back(mark_names[i]);
    return names;
}

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char ch : text) {
        if (ch == '"' || ch == '\\') out += '\\';
        out += static_cast<unsigned char>(ch) < 0x20 ? ' ' : ch;
    }
    return out + '"';
}

std::string joined(const std::vector<std::string>& parts) {
    std::string out;
    for (const auto& p : parts) out += (out.empty() ? "" : ", ") + p;
    return out;
}

void print_json(const campaign_result& c, const std::vector<std::string>& missing) {
    const auto& s = c.sum;
    std::vector<std::string> faults, reached, names, findings;
    for (std::size_t i = 0; i < s.faults.size(); ++i)
        faults.push_back(fmt::format("\"{}\": {}", name(static_cast<hawser::testing::fault>(i)), s.faults[i]));
    for (std::size_t i = 0; i < s.reached.size(); ++i) reached.push_back(fmt::format("\"{}\": {}", mark_names[i], s.reached[i]));
    for (const auto& m : missing) names.push_back(quoted(m));
    for (std::size_t i = 0; i < c.findings.size() && i < 100; ++i)
        findings.push_back(fmt::format("{{\"seed\": {}, \"what\": {}}}", c.findings[i].seed, quoted(c.findings[i].what)));
    std::uint64_t total = 0;
    for (const auto n : s.faults) total += n;
    fmt::print("{{\"seeds\": {}, \"violations\": {}, \"simulated_hours\": {:.3f}, \"wall_seconds\": {:.3f}, \"speedup\": {:.0f}, "
               "\"nondeterministic\": {}, \"compared\": {}, \"messages\": {}, \"deliveries\": {}, \"acknowledged\": {}, \"unknown\": {}, "
               "\"connections\": {}, \"below_minimum\": {}, \"events\": {}, \"faults\": {}, \"faults_by_kind\": {{{}}}, \"reached\": {{{}}}, "
               "\"unreached\": [{}], \"findings\": [{}]}}\n",
               s.seeds, s.violations, s.simulated_seconds / 3600, c.wall_seconds, s.simulated_seconds / c.wall_seconds, s.nondeterministic,
               c.compared, s.messages, s.deliveries, s.acknowledged, s.unknown, s.reconnects, s.too_small, s.events, total, joined(faults),
               joined(reached), joined(names), joined(findings));
}

void print_text(const campaign_result& c, const std::vector<std::string>& missing) {
    const auto& s = c.sum;
    fmt::print("{} seeds, {:.1f} simulated hours in {:.1f} s: {:.0f} times real time\n", s.seeds, s.simulated_seconds / 3600, c.wall_seconds,
               s.simulated_seconds / c.wall_seconds);
    fmt::print("{} messages accepted, {} delivered, {} acknowledged, {} unknown; {} connections, {} events\n", s.messages, s.deliveries,
               s.acknowledged, s.unknown, s.reconnects, s.events);
    fmt::print("faults:");
    for (std::size_t i = 0; i < s.faults.size(); ++i) fmt::print(" {} {}", name(static_cast<hawser::testing::fault>(i)), s.faults[i]);
    fmt::print("\nreached:");
    for (std::size_t i = 0; i < s.reached.size(); ++i) fmt::print(" {} {}", mark_names[i], s.reached[i]);
    fmt::print("\n");
    if (!missing.empty()) fmt::print("never reached: {}\n", joined(missing));
    if (c.compared > 0) fmt::print("{} seeds run twice in two processes, {} of them differed\n", c.compared, s.nondeterministic);
    for (std::size_t i = 0; i < c.findings.size() && i < 20; ++i)
        fmt::print("seed={}: {}\n    again: ./run sim --seed {} --trace\n", c.findings[i].seed, c.findings[i].what, c.findings[i].seed);
    fmt::print("{} findings\n", c.findings.size());
}

}  // namespace

bool print_report(const campaign_result& c, bool json, bool needs_all_marks) {
    const auto missing = unreached(c);
    if (json) print_json(c, missing);
    else print_text(c, missing);
    std::fflush(stdout);
    return !needs_all_marks || missing.empty();
}

}  // namespace sim

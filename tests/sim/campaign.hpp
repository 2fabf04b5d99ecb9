// SPDX-License-Identifier: BSL-1.0
// Many seeds over all cores. Each worker is a process of its own: a seed that crashes it is a
// finding like any other, and addresses differ from process to process.
#pragma once

#include "scenario.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace sim {

struct seed_range {
    std::uint64_t first = 1, last = 1;
};

struct finding {
    std::uint64_t seed = 0;
    std::string what;
};

struct campaign_result {
    result sum;
    std::vector<finding> findings;
    double wall_seconds = 0;
    std::uint64_t compared = 0;  // seeds run twice, in two processes
};

// `self`: this program. `planted`: the bug switched on, or empty. Stops early after a finding if told so.
[[nodiscard]] campaign_result run_campaign(const std::string& self, seed_range seeds, const std::string& planted, bool until_first,
                                           bool progress);

// The worker's side: seeds first, first + step, ... up to last, results on standard output.
int run_worker(std::uint64_t first, std::uint64_t last, std::uint64_t step, bool hashes_only);

}  // namespace sim

// SPDX-License-Identifier: BSL-1.0
// One run of the simulator with its oracle.
#pragma once

#include "endpoint.hpp"

#include <functional>
#include <string>

namespace sim {

// What came of one seed, or of many: they add up.
struct result {
    std::uint64_t seeds = 0, violations = 0, nondeterministic = 0, trace_hash = 0;
    double simulated_seconds = 0;
    std::uint64_t events = 0, messages = 0, deliveries = 0, acknowledged = 0, unknown = 0, reconnects = 0;
    std::uint64_t too_small = 0;  // runs below the least that a run must contain
    std::array<std::uint64_t, hawser::testing::fault_count> faults{};
    marks reached{};
    std::uint64_t first_bad_seed = 0;
    std::string first_violation;

    void add(const result& other);
};

using trace_sink = std::function<void(hawser::time_point, const std::string&)>;

// Swarm of features and faults.
[[nodiscard]] result run_seed(std::uint64_t seed, const trace_sink& trace = {});

}  // namespace sim

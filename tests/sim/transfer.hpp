// SPDX-License-Identifier: BSL-1.0
// Transfers between processes that die, over connections that break: what arrives is what was sent.
#pragma once

#include "scenario.hpp"

namespace sim {

// Adds to `sum` what came of it.
void run_transfer(std::uint64_t seed, const trace_sink& trace, result& sum);

}  // namespace sim

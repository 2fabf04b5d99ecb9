// SPDX-License-Identifier: BSL-1.0
// Senders and a receiver with durable stores, whose processes die all the time: one effect for ever.
#pragma once

#include "scenario.hpp"

namespace sim {

// Adds to `sum` what came of it.
void run_durable(std::uint64_t seed, const trace_sink& trace, result& sum);

}  // namespace sim

// SPDX-License-Identifier: BSL-1.0
// Simulations of many clients: a day of faults, and what a restart of the server looks like.
#pragma once

#include <cstdint>

namespace sim {

// 24 simulated hours, 1,000 clients, a message per client each 10 s, a fault per client-hour.
int run_day(std::uint64_t seed, bool json);
// 10,000 clients lose their server, which comes back and admits 1,000 handshakes a second.
int run_storm(std::uint64_t seed, bool json);

}  // namespace sim

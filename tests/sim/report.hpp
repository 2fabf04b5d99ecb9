// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "campaign.hpp"

namespace sim {

// Prints what a campaign found. With `needs_all_marks` it is also wrong if something was never reached;
// returns whether everything was.
[[nodiscard]] bool print_report(const campaign_result& c, bool json, bool needs_all_marks);

}  // namespace sim

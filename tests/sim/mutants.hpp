// SPDX-License-Identifier: BSL-1.0
// Planted bugs, and the seeds that once found a real one.
#pragma once

#include <string>
#include <string_view>

namespace sim {

// Switches one planted bug on; false where there is none of this name.
[[nodiscard]] bool plant(std::string_view name);
// Each planted bug of the list must be found within its number of seeds.
int run_mutants(const std::string& self);
// The corpus: nothing of it may be found again.
int run_corpus(const std::string& self, bool json);

}  // namespace sim

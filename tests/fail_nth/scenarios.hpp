// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "fail_nth/stage.hpp"

#include <span>

namespace fail_nth {

struct scenario {
    const char* name;
    report (*play)(bool explain);
};
[[nodiscard]] std::span<const scenario> scenarios();

// In durable.cpp.
[[nodiscard]] report durable_restarts(bool explain);
[[nodiscard]] report durable_ends(bool explain);

}  // namespace fail_nth

// SPDX-License-Identifier: BSL-1.0
// Seeds that found a bug of the library, with what it was. They are always run.
#pragma once

#include <cstdint>

namespace sim {

struct old_finding {
    std::uint64_t seed;
    const char* what;
};
inline constexpr old_finding corpus[] = {
    {2, "a message handed over by a handle() went into the queue beyond its limit"},
    {3, "the same"},
    {7085, "a part of a large message took the turn of a class that waited for credit, and the class starved"},
};

}  // namespace sim

// SPDX-License-Identifier: BSL-1.0
// What allocations_test.cpp counts and lets fail, in place of `operator new`. One thread.
#pragma once

#include <cstddef>

namespace allocated {

inline std::size_t ever = 0;  // allocations since the start
inline std::size_t fails_in = 0;  // the how manyth from now fails; 0: none

// Of blocks made while `watching`, those not freed yet.
inline bool watching = false;
inline std::size_t blocks = 0;
inline std::size_t bytes = 0;  // as asked for

}  // namespace allocated

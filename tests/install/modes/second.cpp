// SPDX-License-Identifier: BSL-1.0
#include <hawser/core/mode.hpp>

#include <cstddef>

std::size_t second();
std::size_t second() { return 2; }

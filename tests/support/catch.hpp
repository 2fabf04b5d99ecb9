// SPDX-License-Identifier: BSL-1.0
// Catch2 2.13 and 3 under one name; what differs is spelled as in Catch2 3.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)

#include <catch2/catch_all.hpp>

#else

#include <catch2/catch.hpp>

#include <string>

namespace Catch {
using Detail::Approx;

namespace Matchers {
inline auto ContainsSubstring(const std::string& text, CaseSensitive::Choice choice = CaseSensitive::Yes) {
    return Contains(text, choice);
}
}  // namespace Matchers
}  // namespace Catch

#endif

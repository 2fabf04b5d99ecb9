// SPDX-License-Identifier: BSL-1.0
/// \file
/// Sixteen bytes at a time, as one vector register where the compiler has vectors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace hawser::inline v0 {
namespace ws::detail {

#if defined(__GNUC__) || defined(__clang__)
using lane = std::uint64_t __attribute__((vector_size(16)));

[[nodiscard]] inline lane fill_lane(std::uint64_t value) noexcept { return lane{value, value}; }
[[nodiscard]] inline std::uint64_t fold_lane(const lane& value) noexcept { return value[0] | value[1]; }
#else
struct lane {
    std::uint64_t low;
    std::uint64_t high;
    friend lane operator^(const lane& a, const lane& b) noexcept { return {a.low ^ b.low, a.high ^ b.high}; }
    friend lane operator|(const lane& a, const lane& b) noexcept { return {a.low | b.low, a.high | b.high}; }
};

[[nodiscard]] inline lane fill_lane(std::uint64_t value) noexcept { return {value, value}; }
[[nodiscard]] inline std::uint64_t fold_lane(const lane& value) noexcept { return value.low | value.high; }
#endif

[[nodiscard]] inline lane load_lane(const std::byte* from) noexcept {
    lane value;
    std::memcpy(&value, from, sizeof value);
    return value;
}
inline void store_lane(std::byte* to, const lane& value) noexcept { std::memcpy(to, &value, sizeof value); }

// Fewer instructions than the general memcpy() for a few dozen bytes. They do not overlap with `to`.
inline void copy_short(std::byte* to, std::span<const std::byte> from) noexcept {
    constexpr std::size_t step = sizeof(lane);
    if (from.size() < step || from.size() > 4 * step) {
        std::memcpy(to, from.data(), from.size());
        return;
    }
    for (std::size_t at = 0; at + step < from.size(); at += step) store_lane(to + at, load_lane(from.data() + at));
    store_lane(to + (from.size() - step), load_lane(from.data() + (from.size() - step)));
}

}  // namespace ws::detail
}  // namespace hawser::inline v0

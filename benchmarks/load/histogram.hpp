// SPDX-License-Identifier: BSL-1.0
// Counts durations in buckets that are at most 1/32 of their value wide.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace load {

class histogram {
public:
    void add(std::uint64_t ns) noexcept {
        ++buckets_[index(ns)];
        ++total_;
    }
    void clear() noexcept { *this = {}; }
    [[nodiscard]] std::uint64_t total() const noexcept { return total_; }
    /// The value below which the share `part` of all values lies, 0 to 1; 0 without values.
    [[nodiscard]] std::uint64_t quantile(double part) const noexcept {
        const auto wanted = static_cast<std::uint64_t>(part * static_cast<double>(total_));
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < buckets_.size(); ++i)
            if ((seen += buckets_[i]) > wanted) return middle(i);
        return 0;
    }

private:
    static constexpr unsigned bits = 5;
    static constexpr std::uint64_t linear = std::uint64_t{1} << (bits + 1);

    [[nodiscard]] static std::size_t index(std::uint64_t v) noexcept {
        if (v < linear) return static_cast<std::size_t>(v);
        const unsigned shift = static_cast<unsigned>(std::bit_width(v)) - bits - 1;
        return (std::size_t{shift} << bits) + static_cast<std::size_t>(v >> shift);
    }
    [[nodiscard]] static std::uint64_t middle(std::size_t i) noexcept {
        if (i < linear) return i;
        const std::size_t shift = (i >> bits) - 1;
        const std::uint64_t low = (i & (linear / 2 - 1)) + linear / 2;
        return (low << shift) + (std::uint64_t{1} << shift) / 2;
    }

    std::array<std::uint64_t, 60 * (linear / 2) + linear> buckets_{};
    std::uint64_t total_ = 0;
};

}  // namespace load

// SPDX-License-Identifier: BSL-1.0
// What the fuzz targets share. A target is one source file: `fuzz::run` judges an input, and
// `fuzz::planted` is the bug that it is to find where the environment has HAWSER_FUZZ_PLANTED.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/core/planted.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace fuzz {

using hawser::byte_vector;
using hawser::byte_view;
using hawser::detail::bug;

extern const bug planted;
void run(byte_view data);

/// A rule that holds for every input.
inline void require(bool holds, const char* rule) {
    if (holds) return;
    std::fprintf(stderr, "FUZZ: broken: %s\n", rule);
    std::abort();
}

/// Takes an input apart: numbers from its beginning, then the rest. Behind its end all is 0.
class input {
public:
    explicit input(byte_view data) noexcept : rest_(data) {}

    [[nodiscard]] bool empty() const noexcept { return rest_.empty(); }
    [[nodiscard]] unsigned number() noexcept {
        if (rest_.empty()) return 0;
        const auto value = std::to_integer<unsigned>(rest_[0]);
        rest_ = rest_.subspan(1);
        return value;
    }
    [[nodiscard]] unsigned below(unsigned bound) noexcept { return number() % bound; }
    [[nodiscard]] bool flag() noexcept { return (number() & 1u) != 0; }
    [[nodiscard]] byte_view take(std::size_t most) noexcept {
        const byte_view taken = rest_.first(std::min(most, rest_.size()));
        rest_ = rest_.subspan(taken.size());
        return taken;
    }
    [[nodiscard]] byte_view rest() noexcept { return take(rest_.size()); }
    [[nodiscard]] std::string_view text() noexcept { return hawser::as_text(rest()); }

private:
    byte_view rest_;
};

/// Places to cut `size` bytes, ascending, as `seed` says; 0 gives none.
inline std::vector<std::size_t> cuts(unsigned seed, std::size_t size) {
    std::vector<std::size_t> out;
    if (seed == 0) return out;
    std::uint32_t state = seed * 2654435761u;
    for (std::size_t at = 0;;) {
        state = state * 1664525u + 1013904223u;
        at += 1 + (state >> 16) % ((seed & 1u) != 0 ? 5u : 40u);
        if (at >= size) return out;
        out.push_back(at);
    }
}

/// Calls `piece` with each part of `data` in memory of its own, nothing of which lies behind it; while it is true.
template <class Piece>
void in_pieces(byte_view data, unsigned seed, Piece piece) {
    std::size_t begin = 0;
    auto ends = cuts(seed, data.size());
    ends.push_back(data.size());
    for (const std::size_t end : ends) {
        byte_vector part(data.begin() + static_cast<std::ptrdiff_t>(begin),
                         data.begin() + static_cast<std::ptrdiff_t>(end));
        if (!piece(part)) return;
        begin = end;
    }
}

}  // namespace fuzz

extern "C" int LLVMFuzzerInitialize(int*, char***) {
    if (std::getenv("HAWSER_FUZZ_PLANTED") != nullptr) hawser::detail::active_bug = fuzz::planted;
    return 0;
}
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::run({reinterpret_cast<const std::byte*>(data), size});
    return 0;
}

// SPDX-License-Identifier: BSL-1.0
/// \file
/// UTF-8 that arrives in pieces, perhaps masked: vectors inside a piece, the automaton at its borders.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/core/planted.hpp>
#include <hawser/protocol/ws/detail/mask_blocks.hpp>
#include <hawser/protocol/ws/detail/utf8_automaton.hpp>
#include <hawser/protocol/ws/detail/utf8_blocks.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace hawser::inline v0 {
namespace ws::detail {

inline constexpr std::size_t utf8_short = 128;  // bytes

template <typename Word>
[[nodiscard]] inline std::uint64_t load_unmasked(const std::byte* text, std::size_t at, std::uint64_t key) noexcept {
    Word word;
    std::memcpy(&word, text + at, sizeof word);
    key = mask_skip(key, at);
    Word part;
    std::memcpy(&part, &key, sizeof part);
    return word ^ part;
}
// At most `utf8_short` bytes, masked with `key` if that is not 0. They are not written first, because to
// read across what was just written in parts stalls; bytes in the middle are looked at twice.
[[nodiscard]] inline bool is_short_ascii(const std::byte* text, std::size_t size, std::uint64_t key) noexcept {
    constexpr std::size_t block = sizeof(lane);
    std::uint64_t all = 0;
    if (size >= block) {
        lane blocks = load_lane(text + (size - block)) ^ fill_lane(mask_skip(key, size - block));
        for (std::size_t at = 0; at + block < size; at += block)
            blocks = blocks | (load_lane(text + at) ^ fill_lane(key));
        all = fold_lane(blocks);
    } else if (size >= 8) {
        all = load_unmasked<std::uint64_t>(text, 0, key) | load_unmasked<std::uint64_t>(text, size - 8, key);
    } else if (size >= 4) {
        all = load_unmasked<std::uint32_t>(text, 0, key) | load_unmasked<std::uint32_t>(text, size - 4, key);
    } else {
        for (std::size_t at = 0; at < size; ++at)
            all |= load_unmasked<std::uint8_t>(text, at, key);
    }
    return (all & 0x8080808080808080u) == 0;
}

// How far before `at` the last sequence begins whose end the vectors did not see: 0 to 3.
[[nodiscard]] inline std::size_t utf8_unfinished(const std::byte* text, std::size_t at) noexcept {
    const std::size_t most = hawser::detail::planted(hawser::detail::bug::utf8_seam_missed) ? 2 : 3;
    for (std::size_t back = 1; back <= most && back <= at; ++back)
        if (text[at - back] >= std::byte{0xc0}) return back;
    return 0;
}

// Takes the next `size` bytes of a text, in `state`, and returns how many there are before the first
// wrong one: `size` if all is right so far. With `Unmask` they are masked, see `utf8_blocks`.
template <bool Unmask>
[[nodiscard]] HAWSER_OUT_OF_LINE inline std::size_t utf8_scan(simd with, std::uint8_t& state, std::byte* to,
                                                                 const std::byte* from, std::size_t size,
                                                                 std::uint64_t key) noexcept {
    const std::byte* const text = Unmask ? to : from;
    std::size_t at = 0;
    for (; at < size && state != utf8_accept; ++at) {
        if constexpr (Unmask) mask_short(to + at, from + at, 1, mask_skip(key, at));
        state = utf8_step(state, text[at]);
        if (state == utf8_reject) return at;
    }
    at += utf8_blocks<Unmask>(with, Unmask ? to + at : to, from + at, size - at, mask_skip(key, at));
    at -= utf8_unfinished(text, at);
    return at + utf8_run(state, {text + at, size - at});
}

// As above, with the best vectors. What is short is mostly ASCII, and found to be that in a few steps.
template <bool Unmask>
[[nodiscard]] inline std::size_t utf8_scan(std::uint8_t& state, std::byte* to, const std::byte* from, std::size_t size,
                                           std::uint64_t key) noexcept {
    const bool ascii = size <= utf8_short && state == utf8_accept && is_short_ascii(from, size, Unmask ? key : 0);
    if (!ascii && size >= utf8_vectors_from) return utf8_scan<Unmask>(best_simd(), state, to, from, size, key);
    if constexpr (Unmask) mask_lanes(to, from, size, key);
    return ascii ? size : utf8_run(state, {Unmask ? to : from, size});
}

}  // namespace ws::detail
}  // namespace hawser::inline v0

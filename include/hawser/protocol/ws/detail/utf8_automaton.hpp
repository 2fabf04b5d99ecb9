// SPDX-License-Identifier: BSL-1.0
/// \file
/// The automaton of UTF-8 (RFC 3629): a byte at a time, and text in ASCII faster.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/protocol/ws/detail/lane.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace hawser::inline v0 {
namespace ws::detail {

// A state of the automaton is a shift count. A byte's row holds, at each state's shift, the
// next state, so that a step is one load, which does not wait for the step before, and one shift.
enum utf8_state : std::uint8_t {
    utf8_reject = 0,
    utf8_accept = 6,
    utf8_need_1 = 12,  // one continuation byte
    utf8_need_2 = 18,
    utf8_after_e0 = 24,  // 80-9F would be overlong
    utf8_after_ed = 30,  // A0-BF would be a surrogate
    utf8_after_f0 = 36,  // 80-8F would be overlong
    utf8_need_3 = 42,
    utf8_after_f4 = 48,  // 90-BF would be over U+10FFFF
};

[[nodiscard]] constexpr std::array<std::uint64_t, 256> make_utf8_rows() noexcept {
    std::array<std::uint64_t, 256> rows{};
    const auto add = [&rows](utf8_state from, unsigned first, unsigned last, utf8_state to) {
        for (unsigned byte = first; byte <= last; ++byte)
            rows[byte] |= std::uint64_t{to} << from;
    };
    add(utf8_accept, 0x00, 0x7f, utf8_accept);
    add(utf8_accept, 0xc2, 0xdf, utf8_need_1);
    add(utf8_accept, 0xe0, 0xe0, utf8_after_e0);
    add(utf8_accept, 0xe1, 0xec, utf8_need_2);
    add(utf8_accept, 0xed, 0xed, utf8_after_ed);
    add(utf8_accept, 0xee, 0xef, utf8_need_2);
    add(utf8_accept, 0xf0, 0xf0, utf8_after_f0);
    add(utf8_accept, 0xf1, 0xf3, utf8_need_3);
    add(utf8_accept, 0xf4, 0xf4, utf8_after_f4);
    add(utf8_need_1, 0x80, 0xbf, utf8_accept);
    add(utf8_need_2, 0x80, 0xbf, utf8_need_1);
    add(utf8_need_3, 0x80, 0xbf, utf8_need_2);
    add(utf8_after_e0, 0xa0, 0xbf, utf8_need_1);
    add(utf8_after_ed, 0x80, 0x9f, utf8_need_1);
    add(utf8_after_f0, 0x90, 0xbf, utf8_need_2);
    add(utf8_after_f4, 0x80, 0x8f, utf8_need_2);
    return rows;
}

inline constexpr std::array<std::uint64_t, 256> utf8_rows = make_utf8_rows();

[[nodiscard]] constexpr std::uint8_t utf8_step(std::uint8_t state, std::byte byte) noexcept {
    return static_cast<std::uint8_t>((utf8_rows[std::to_integer<std::size_t>(byte)] >> state) & 63u);
}

template <std::size_t Lanes>
[[nodiscard]] inline bool is_ascii(const std::byte* p) noexcept {
    lane all = load_lane(p);
    for (std::size_t i = 1; i < Lanes; ++i)
        all = all | load_lane(p + i * sizeof(lane));
    return (fold_lane(all) & 0x8080808080808080u) == 0;
}

template <std::size_t Lanes>
[[nodiscard]] inline std::size_t skip_ascii(const std::byte* text, std::size_t at, std::size_t size) noexcept {
    constexpr std::size_t step = Lanes * sizeof(lane);
    while (size - at >= step && is_ascii<Lanes>(text + at))
        at += step;
    return at;
}

// Runs the automaton over `bytes` until it rejects one; returns how many were right.
[[nodiscard]] inline std::size_t utf8_run(std::uint8_t& state, byte_view bytes) noexcept {
    constexpr std::size_t block = sizeof(lane);
    const std::byte* const text = bytes.data();
    const std::size_t size = bytes.size();
    std::uint8_t next = state;  // not in memory, which each byte read might be
    std::size_t at = 0;
    for (; size - at >= block; at += block) {
        if (next == utf8_accept) {
            at = skip_ascii<1>(text, skip_ascii<4>(text, at, size), size);
            if (size - at < block) break;
        }
        state = next;
#pragma GCC unroll 16
        for (std::size_t i = 0; i < block; ++i)
            next = utf8_step(next, text[at + i]);
        if (next == utf8_reject) break;
    }
    if (next != utf8_reject) {
        state = next;
        for (std::size_t i = at; i < size; ++i)
            next = utf8_step(next, text[i]);
    }
    if (next != utf8_reject) {
        state = next;
        return size;
    }
    while (at < size && (state = utf8_step(state, text[at])) != utf8_reject)
        ++at;
    return at;
}

}  // namespace ws::detail
}  // namespace hawser::inline v0

// SPDX-License-Identifier: BSL-1.0
/// \file
/// Which two bytes must not follow each other in UTF-8, as tables of the halves of bytes.
#pragma once

#include <array>
#include <cstdint>

namespace hawser::inline v0 {
namespace ws::detail {

// A rule is a bit and forbids pairs. It is set in the entry of a half byte when that half occurs in a
// pair of the rule, so that the entries of a pair, taken together by AND, name the rules that it breaks.
// (J. Keiser, D. Lemire: Validating UTF-8 in less than one instruction per byte, 2021.)
// The 16 entries stand there twice, because a vector of 32 bytes looks up in each half of its own.
struct utf8_pair_tables {
    using table = std::array<std::uint8_t, 32>;
    table first_high{};
    table first_low{};
    table second_high{};
};

struct utf8_half_range {
    unsigned from;
    unsigned to;
};

[[nodiscard]] constexpr utf8_pair_tables make_utf8_pair_tables() noexcept {
    utf8_pair_tables tables;
    const auto set = [](utf8_pair_tables::table& table, unsigned rule, utf8_half_range range) {
        for (unsigned i = range.from; i <= range.to; ++i) {
            table[i] = static_cast<std::uint8_t>(table[i] | 1u << rule);
            table[i + 16] = table[i];
        }
    };
    const auto forbid = [&](unsigned rule, utf8_half_range high, utf8_half_range low, utf8_half_range second) {
        set(tables.first_high, rule, high);
        set(tables.first_low, rule, low);
        set(tables.second_high, rule, second);
    };
    constexpr utf8_half_range all{0x0, 0xf};
    constexpr utf8_half_range continuation{0x8, 0xb};
    forbid(0, {0xc, 0xf}, all, {0x0, 0x7});           // a sequence is cut off by ASCII,
    forbid(0, {0xc, 0xf}, all, {0xc, 0xf});           // or by the next one
    forbid(1, {0x0, 0x7}, all, continuation);         // a continuation of nothing
    forbid(2, {0xc, 0xc}, {0x0, 0x1}, continuation);  // C0, C1: overlong
    forbid(3, {0xe, 0xe}, {0x0, 0x0}, {0x8, 0x9});    // E0 80-9F: overlong
    forbid(4, {0xe, 0xe}, {0xd, 0xd}, {0xa, 0xb});    // ED A0-BF: a surrogate
    forbid(5, {0xf, 0xf}, {0x0, 0x0}, {0x8, 0x8});    // F0 80-8F: overlong
    forbid(5, {0xf, 0xf}, {0x5, 0xf}, {0x8, 0x8});    // F5-FF: over U+10FFFF,
    forbid(6, {0xf, 0xf}, {0x4, 0xf}, {0x9, 0xb});    // as is F4 90-BF
    forbid(7, {0x8, 0xb}, all, continuation);         // right only as the end of three or four bytes
    return tables;
}

inline constexpr utf8_pair_tables utf8_pairs = make_utf8_pair_tables();

}  // namespace ws::detail
}  // namespace hawser::inline v0

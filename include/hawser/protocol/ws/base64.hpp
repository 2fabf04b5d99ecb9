// SPDX-License-Identifier: BSL-1.0
/// \file
/// Base64 with padding (RFC 4648 section 4); decoding is strict.
#pragma once

#include <hawser/core/bytes.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace hawser::inline v0::ws {

namespace detail {

inline constexpr char base64_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The value of one digit, or 64 where `c` is none.
[[nodiscard]] constexpr std::uint32_t base64_value(char c) noexcept {
    if (c >= 'A' && c <= 'Z') return static_cast<std::uint32_t>(c - 'A');
    if (c >= 'a' && c <= 'z') return static_cast<std::uint32_t>(c - 'a' + 26);
    if (c >= '0' && c <= '9') return static_cast<std::uint32_t>(c - '0' + 52);
    return c == '+' ? 62u : c == '/' ? 63u : 64u;
}

}  // namespace detail

/// Base64 of `data`: four characters for each three bytes or part of them.
[[nodiscard]] inline std::string base64_encode(byte_view data) {
    std::string out;
    out.reserve((data.size() + 2) / 3 * 4);
    for (; !data.empty(); data = data.subspan(data.size() < 3 ? data.size() : 3)) {
        std::uint32_t group = 0;
        for (std::size_t i = 0; i < 3; ++i)
            group = group << 8 | (i < data.size() ? std::to_integer<std::uint32_t>(data[i]) : 0u);
        for (std::size_t i = 0; i < 4; ++i)
            out += i <= data.size() ? detail::base64_alphabet[group >> (18 - 6 * i) & 63] : '=';
    }
    return out;
}

/// Decodes `text` into `out` (replaced). Returns false, with `out` unspecified, when the length is
/// not a multiple of 4, a character is foreign (white space too), padding is missing or misplaced,
/// or the unused bits of the last digit are not zero: one value has one spelling.
[[nodiscard]] inline bool base64_decode(std::string_view text, byte_vector& out) {
    out.clear();
    if (text.size() % 4 != 0) return false;
    out.reserve(text.size() / 4 * 3);
    for (; !text.empty(); text.remove_prefix(4)) {
        std::size_t digits = 4;
        if (text.size() == 4 && text[3] == '=') digits = text[2] == '=' ? 2 : 3;
        std::uint32_t group = 0;
        for (std::size_t i = 0; i < 4; ++i) {
            const auto value = i < digits ? detail::base64_value(text[i]) : 0u;
            if (value > 63) return false;
            group = group << 6 | value;
        }
        if (digits < 4 && (group & (digits == 3 ? 0xffu : 0xffffu)) != 0) return false;
        for (std::size_t i = 0; i + 1 < digits; ++i)
            out.push_back(static_cast<std::byte>(group >> (16 - 8 * i) & 0xff));
    }
    return true;
}

}  // namespace hawser::inline v0::ws

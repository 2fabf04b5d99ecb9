// SPDX-License-Identifier: BSL-1.0
/// \file
/// Incremental validation of UTF-8 (RFC 3629) for text messages and close reasons.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/protocol/ws/detail/lane.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace hawser::inline v0 {
namespace ws {

namespace detail {

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

// Runs the automaton over `bytes` and returns its state. Vector code for text that is not
// ASCII belongs here: it may take any part that begins and ends in `utf8_accept`.
[[nodiscard]] inline std::uint8_t utf8_run(std::uint8_t state, byte_view bytes) noexcept {
    constexpr std::size_t block = sizeof(lane);
    constexpr std::size_t stride = 4 * block;
    const std::byte* p = bytes.data();
    std::size_t left = bytes.size();
    while (left >= block) {
        if (state == utf8_accept) {
            for (; left >= stride && is_ascii<4>(p); left -= stride)
                p += stride;
            for (; left >= block && is_ascii<1>(p); left -= block)
                p += block;
            if (left < block) break;
        }
#pragma GCC unroll 16
        for (std::size_t i = 0; i < block; ++i)
            state = utf8_step(state, p[i]);
        if (state == utf8_reject) return state;
        p += block;
        left -= block;
    }
    for (; left != 0; --left, ++p)
        state = utf8_step(state, *p);
    return state;
}

}  // namespace detail

/// Validates UTF-8 that arrives in pieces. Overlong forms, surrogates and code points over
/// U+10FFFF are refused at the byte that makes them certain, which is the second one.
class utf8_validator {
public:
    /// Takes the next piece. Returns false when the text so far cannot be the beginning of
    /// valid UTF-8; from then on every call returns false until `reset`.
    [[nodiscard]] bool feed(byte_view bytes) noexcept {
        state_ = detail::utf8_run(state_, bytes);
        return state_ != detail::utf8_reject;
    }
    /// Whether the text may end here: nothing was wrong, and no sequence is unfinished.
    [[nodiscard]] bool complete() const noexcept { return state_ == detail::utf8_accept; }
    void reset() noexcept { state_ = detail::utf8_accept; }

private:
    std::uint8_t state_ = detail::utf8_accept;
};

/// Whether `text` is valid UTF-8.
[[nodiscard]] inline bool is_utf8(byte_view text) noexcept {
    return detail::utf8_run(detail::utf8_accept, text) == detail::utf8_accept;
}

/// The longest beginning of `text` that is valid UTF-8 and has at most `max_bytes` bytes.
[[nodiscard]] inline std::string_view utf8_prefix(std::string_view text, std::size_t max_bytes) noexcept {
    std::uint8_t state = detail::utf8_accept;
    std::size_t valid = 0;
    for (std::size_t i = 0; i < text.size() && i < max_bytes; ++i) {
        state = detail::utf8_step(state, static_cast<std::byte>(text[i]));
        if (state == detail::utf8_reject) break;
        if (state == detail::utf8_accept) valid = i + 1;
    }
    return text.substr(0, valid);
}

}  // namespace ws
}  // namespace hawser::inline v0

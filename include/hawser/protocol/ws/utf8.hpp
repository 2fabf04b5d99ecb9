// SPDX-License-Identifier: BSL-1.0
/// \file
/// Incremental validation of UTF-8 (RFC 3629) for text messages and close reasons.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/protocol/ws/detail/utf8_scan.hpp>
#include <hawser/protocol/ws/mask.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace hawser::inline v0 {
namespace ws {

/// Validates UTF-8 that arrives in pieces. Overlong forms, surrogates and code points over
/// U+10FFFF are refused at the byte that makes them certain, which is the second one.
class utf8_validator {
public:
    /// Takes the next piece. Returns false when the text so far cannot be the beginning of
    /// valid UTF-8; from then on every call returns false until `reset`.
    [[nodiscard]] bool feed(byte_view bytes) noexcept {
        return detail::utf8_scan<false>(state_, nullptr, bytes.data(), bytes.size(), 0) == bytes.size() &&
               state_ != detail::utf8_reject;
    }
    /// As `feed`, of a piece that is masked and lies at the offset `phase` of its payload: writes it,
    /// unmasked, to `to` in the same pass. `to` has room for it and does not overlap with it unless it
    /// begins at the same address. After false, what `to` holds is unspecified.
    [[nodiscard]] bool feed_masked(std::byte* to, byte_view masked, mask_key key, std::size_t phase = 0) noexcept {
        return detail::utf8_scan<true>(state_, to, masked.data(), masked.size(), detail::mask_word(key, phase)) ==
                   masked.size() &&
               state_ != detail::utf8_reject;
    }
    /// Whether the text may end here: nothing was wrong, and no sequence is unfinished.
    [[nodiscard]] bool complete() const noexcept { return state_ == detail::utf8_accept; }
    void reset() noexcept { state_ = detail::utf8_accept; }

private:
    std::uint8_t state_ = detail::utf8_accept;
};

/// Whether `text` is valid UTF-8.
[[nodiscard]] inline bool is_utf8(byte_view text) noexcept {
    utf8_validator validator;
    return validator.feed(text) && validator.complete();
}

/// Unmasks `data` in place, from the beginning of its payload on, and returns whether it is valid UTF-8.
/// After false, what `data` holds is unspecified.
[[nodiscard]] inline bool unmask_utf8(byte_span data, mask_key key) noexcept {
    utf8_validator validator;
    return validator.feed_masked(data.data(), data, key) && validator.complete();
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

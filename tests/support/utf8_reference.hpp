// SPDX-License-Identifier: BSL-1.0
// UTF-8 judged by the table of RFC 3629 section 4, byte by byte, and the library's scan with its vectors
// chosen by the test, over pieces that lie in memory of exactly their size.
#pragma once

#include <hawser/protocol/ws/utf8.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace utf8_test {

namespace ws = hawser::ws;
using ws::detail::simd;

/// What is right at the beginning of a text, and whether the text is right as a whole.
struct verdict {
    std::size_t right = 0;  ///< bytes before the first wrong one
    bool whole = false;     ///< no byte is wrong, and no character is unfinished
    friend bool operator==(const verdict&, const verdict&) = default;
};

inline verdict judge_plainly(std::string_view text) {
    const auto in = [](char c, unsigned first, unsigned last) {
        const unsigned byte = static_cast<unsigned char>(c);
        return byte >= first && byte <= last;
    };
    for (std::size_t at = 0; at < text.size();) {
        const char lead = text[at];
        unsigned tails = 0;
        unsigned first = 0x80;
        unsigned last = 0xbf;
        if (in(lead, 0xc2, 0xdf)) tails = 1;
        if (in(lead, 0xe0, 0xef)) tails = 2;
        if (in(lead, 0xf0, 0xf4)) tails = 3;
        if (tails == 0 && !in(lead, 0x00, 0x7f)) return {at, false};
        if (lead == '\xe0') first = 0xa0;
        if (lead == '\xed') last = 0x9f;
        if (lead == '\xf0') first = 0x90;
        if (lead == '\xf4') last = 0x8f;
        for (++at; tails != 0; --tails, ++at, first = 0x80, last = 0xbf) {
            if (at == text.size()) return {at, false};
            if (!in(text[at], first, last)) return {at, false};
        }
    }
    return {text.size(), true};
}

/// The kernels that this processor can run.
inline std::vector<simd> kernels() {
    std::vector<simd> out{simd::portable};
    if (ws::detail::best_simd() >= simd::ssse3) out.push_back(simd::ssse3);
    if (ws::detail::best_simd() >= simd::avx2) out.push_back(simd::avx2);
    return out;
}

/// How a piece is given to the scan.
struct manner {
    simd with = simd::portable;
    enum { plain, in_place, copied } how = plain;  ///< the last two are masked
    std::size_t offset = 0;                        ///< of the bytes in their memory
};

/// Takes pieces one after the other, and keeps what it unmasked.
class scanner {
public:
    explicit scanner(manner m) : manner_(m) {}

    /// False once a byte was wrong.
    bool feed(std::string_view piece) {
        // Nothing lies behind the piece, so that a sanitizer sees each access beyond it.
        const auto memory = std::make_unique<std::byte[]>(manner_.offset + piece.size());
        const auto other = std::make_unique<std::byte[]>(piece.size());
        std::byte* const from = memory.get() + manner_.offset;
        for (std::size_t i = 0; i < piece.size(); ++i) {
            from[i] = static_cast<std::byte>(piece[i]);
            if (manner_.how != manner::plain) from[i] ^= key[(phase_ + i) % 4];
        }
        const std::uint64_t word = ws::detail::mask_word(key, phase_);
        std::byte* const to = manner_.how == manner::copied ? other.get() : from;
        const std::size_t right =
            manner_.how == manner::plain
                ? ws::detail::utf8_scan<false>(manner_.with, state_, nullptr, from, piece.size(), 0)
                : ws::detail::utf8_scan<true>(manner_.with, state_, to, from, piece.size(), word);
        for (std::size_t i = 0; i < right; ++i)
            unmasked += static_cast<char>(to[i]);
        phase_ += piece.size();
        return right == piece.size();
    }
    [[nodiscard]] verdict result() const { return {unmasked.size(), state_ == ws::detail::utf8_accept}; }

    std::string unmasked;  ///< up to the first wrong byte

private:
    static constexpr ws::mask_key key{std::byte{0x81}, std::byte{0x7e}, std::byte{0x5a}, std::byte{0xc3}};
    manner manner_;
    std::uint8_t state_ = ws::detail::utf8_accept;
    std::size_t phase_ = 0;
};

/// The verdict on `text`, cut at `splits`, which ascend; what was unmasked is compared as well.
inline verdict scan(manner m, std::string_view text, const std::vector<std::size_t>& splits = {}) {
    scanner s(m);
    std::size_t begin = 0;
    bool right = true;
    for (std::size_t i = 0; right && i <= splits.size(); ++i) {
        const std::size_t end = i < splits.size() ? splits[i] : text.size();
        right = s.feed(text.substr(begin, end - begin));
        begin = end;
    }
    return s.unmasked == text.substr(0, s.unmasked.size()) ? s.result() : verdict{std::string_view::npos, false};
}

}  // namespace utf8_test

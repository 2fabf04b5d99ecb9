// SPDX-License-Identifier: BSL-1.0
/// \file
/// Variable-length unsigned integers: seven bits a byte, least significant first (LEB128),
/// at most ten bytes, only the shortest form is valid.
#pragma once

#include <hawser/core/bytes.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace hawser::inline v0 {
namespace session {

inline constexpr std::size_t max_varint_size = 10;

inline void put_varint(byte_vector& out, std::uint64_t value) {
    std::byte buffer[max_varint_size];
    std::size_t n = 0;
    do {
        const auto low = static_cast<std::uint8_t>(value & 0x7f);
        value >>= 7;
        buffer[n++] = static_cast<std::byte>(value != 0 ? low | 0x80U : low);
    } while (value != 0);
    append(out, {buffer, n});
}

/// Bytes that `put_varint` writes.
[[nodiscard]] constexpr std::size_t varint_size(std::uint64_t value) noexcept {
    std::size_t n = 1;
    for (; value >= 128; value >>= 7) ++n;
    return n;
}

/// Signed to unsigned so that small magnitudes stay short: 0, -1, 1, -2 become 0, 1, 2, 3.
[[nodiscard]] constexpr std::uint64_t zigzag(std::int64_t v) noexcept {
    return (static_cast<std::uint64_t>(v) << 1) ^ (v < 0 ? ~std::uint64_t{0} : 0);
}
[[nodiscard]] constexpr std::int64_t unzigzag(std::uint64_t v) noexcept {
    return static_cast<std::int64_t>((v >> 1) ^ (~(v & 1) + 1));
}

/// Takes integers and bytes from the front of a view. After the first failure everything
/// fails, so that a caller may check once at the end.
class cursor {
public:
    explicit cursor(byte_view bytes) noexcept : rest_(bytes) {}

    [[nodiscard]] bool ok() const noexcept { return ok_; }
    [[nodiscard]] bool at_end() const noexcept { return rest_.empty(); }
    [[nodiscard]] byte_view rest() const noexcept { return rest_; }

    [[nodiscard]] byte_view take(std::uint64_t n) noexcept {
        if (!ok_ || n > rest_.size()) {
            ok_ = false;
            return {};
        }
        const byte_view taken = rest_.first(static_cast<std::size_t>(n));
        rest_ = rest_.subspan(static_cast<std::size_t>(n));
        return taken;
    }
    [[nodiscard]] std::uint8_t u8() noexcept {
        const byte_view b = take(1);
        return b.empty() ? std::uint8_t{0} : static_cast<std::uint8_t>(b[0]);
    }
    [[nodiscard]] std::uint64_t varint() noexcept {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            const std::uint8_t b = u8();
            if (!ok_) return 0;
            const std::uint64_t low = b & 0x7fU;
            // The tenth byte holds one bit; a last byte of zero would not be the shortest form.
            if ((shift == 63 && low > 1) || (b == 0 && shift != 0)) break;
            value |= low << shift;
            if ((b & 0x80U) == 0) return value;
        }
        ok_ = false;
        return 0;
    }
    template <std::size_t N>
    void copy(std::array<std::byte, N>& out) noexcept {
        const byte_view b = take(N);
        if (ok_) std::memcpy(out.data(), b.data(), N);
    }

private:
    byte_view rest_;
    bool ok_ = true;
};

}  // namespace session
}  // namespace hawser::inline v0

// SPDX-License-Identifier: BSL-1.0
/// \file
/// Variable-length unsigned integers: seven bits a byte, least significant first (LEB128),
/// at most ten bytes, only the shortest form is valid.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/core/config.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace hawser::inline v0 {
namespace session {

inline constexpr std::size_t max_varint_size = 10;

/// Writes at `to`, which has room for `max_varint_size` bytes, and returns where it ended.
[[nodiscard]] inline std::byte* put_varint(std::byte* to, std::uint64_t value) noexcept {
    for (; value >= 0x80; value >>= 7) *to++ = static_cast<std::byte>((value & 0x7f) | 0x80);
    *to++ = static_cast<std::byte>(value);
    return to;
}
inline void put_varint(byte_vector& out, std::uint64_t value) {
    std::byte buffer[max_varint_size];
    append(out, {buffer, put_varint(buffer, value)});
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
    explicit cursor(byte_view bytes) noexcept : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

    [[nodiscard]] bool ok() const noexcept { return ok_; }
    [[nodiscard]] bool at_end() const noexcept { return at_ == end_; }
    /// What was not taken; empty after a failure.
    [[nodiscard]] byte_view rest() const noexcept { return {at_, end_}; }

    [[nodiscard]] byte_view take(std::uint64_t n) noexcept {
        if (n > static_cast<std::size_t>(end_ - at_)) {
            fail();
            return {};
        }
        const byte_view taken(at_, static_cast<std::size_t>(n));
        at_ += taken.size();
        return taken;
    }
    [[nodiscard]] std::uint8_t u8() noexcept {
        if (at_ != end_) return static_cast<std::uint8_t>(*at_++);
        fail();
        return 0;
    }
    [[nodiscard]] HAWSER_IN_LINE std::uint64_t varint() noexcept {
        // Most have one byte, and most others are numbers of messages.
        if (at_ != end_ && *at_ < std::byte{0x80}) return static_cast<std::uint8_t>(*at_++);
        return long_varint();
    }
    template <std::size_t N>
    void copy(std::array<std::byte, N>& out) noexcept {
        const byte_view b = take(N);
        if (ok_) std::memcpy(out.data(), b.data(), N);
    }

private:
    std::uint64_t long_varint() noexcept {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64 && at_ != end_; shift += 7) {
            const auto b = static_cast<std::uint8_t>(*at_++);
            if (b >= 0x80) {
                value |= std::uint64_t{b & 0x7fU} << shift;
                continue;
            }
            // The tenth byte holds one bit; a last byte of zero would not be the shortest form.
            if (b == 0 || (shift == 63 && b > 1)) break;
            return value | std::uint64_t{b} << shift;
        }
        fail();
        return 0;
    }
    void fail() noexcept {
        at_ = end_;
        ok_ = false;
    }

    const std::byte* at_;
    const std::byte* end_;
    bool ok_ = true;
};

}  // namespace session
}  // namespace hawser::inline v0

// SPDX-License-Identifier: BSL-1.0
/// \file
/// Spans of bytes, and the integers of the wire in big and little endian.
#pragma once

#include <hawser/core/config.hpp>

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace hawser::inline v0 {

using byte_view = std::span<const std::byte>;  ///< bytes of somebody else, to read
using byte_span = std::span<std::byte>;        ///< bytes of somebody else, to change
using byte_vector = std::vector<std::byte>;    ///< bytes of one's own

/// The same memory, seen as bytes.
[[nodiscard]] inline byte_view as_bytes(std::string_view text) noexcept {
    return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
/// The same memory, seen as characters; nothing is checked.
[[nodiscard]] inline std::string_view as_text(byte_view bytes) noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
/// Adds `bytes` at the end. They must not lie in `out`. Throws std::bad_alloc.
inline void append(byte_vector& out, byte_view bytes) {
    // Not `insert`: GCC 12 finds an overflow in it that is not there.
    if (bytes.empty()) return;
    const std::size_t at = out.size();
    out.resize(at + bytes.size());
    std::memcpy(out.data() + at, bytes.data(), bytes.size());
}

/// The bytes of `value` in reverse order.
template <std::unsigned_integral T>
[[nodiscard]] constexpr T swap_bytes(T value) noexcept {
    T result = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        result = static_cast<T>(static_cast<T>(result << (sizeof(T) > 1 ? 8 : 0)) | static_cast<T>(value & 0xff));
        value = static_cast<T>(value >> (sizeof(T) > 1 ? 8 : 0));
    }
    return result;
}
/// Reads `sizeof(T)` bytes in big-endian order, at any alignment.
template <std::unsigned_integral T>
[[nodiscard]] T load_be(const std::byte* p) noexcept {
    T value;
    std::memcpy(&value, p, sizeof value);
    return std::endian::native == std::endian::little ? swap_bytes(value) : value;
}
/// Reads `sizeof(T)` bytes in little-endian order, at any alignment.
template <std::unsigned_integral T>
[[nodiscard]] T load_le(const std::byte* p) noexcept {
    T value;
    std::memcpy(&value, p, sizeof value);
    return std::endian::native == std::endian::big ? swap_bytes(value) : value;
}
/// Writes `sizeof(T)` bytes in big-endian order, at any alignment.
template <std::unsigned_integral T>
void store_be(std::byte* p, T value) noexcept {
    if constexpr (std::endian::native == std::endian::little) value = swap_bytes(value);
    std::memcpy(p, &value, sizeof value);
}
/// Writes `sizeof(T)` bytes in little-endian order, at any alignment.
template <std::unsigned_integral T>
void store_le(std::byte* p, T value) noexcept {
    if constexpr (std::endian::native == std::endian::big) value = swap_bytes(value);
    std::memcpy(p, &value, sizeof value);
}

}  // namespace hawser::inline v0

// SPDX-License-Identifier: BSL-1.0
/// \file
/// The header of a frame (RFC 6455 section 5.2), decoded from bytes and encoded to them.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/core/errc.hpp>
#include <hawser/core/planted.hpp>
#include <hawser/protocol/ws/mask.hpp>
#include <hawser/protocol/ws/opcode.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace hawser::inline v0 {
namespace ws {

/// The largest header: two bytes, a 64-bit length, a masking key.
inline constexpr std::size_t max_header_size = 14;
/// The largest payload of a control frame, in bytes.
inline constexpr std::size_t max_control_size = 125;

struct frame_header {
    bool fin = true;
    std::uint8_t rsv = 0;  ///< RSV1 is 4, RSV2 is 2, RSV3 is 1
    opcode op = opcode::binary;
    bool masked = false;
    std::uint64_t length = 0;  ///< of the payload, in bytes
    mask_key key{};            ///< all zero where `masked` is false
};

/// What `decode` made of the bytes.
struct decode_result {
    enum class status : std::uint8_t { done, need_more, error };
    status what;
    std::size_t size = 0;  ///< done: bytes of the header; need_more: at least so many are missing
    hawser::errc error{};  ///< error: `bad_length` or `non_minimal_length`
};

/// Decodes the header that `in` begins with. It judges only the form of the length; opcode,
/// reserved bits and masking are for the reader, which knows the role. From two bytes on, `fin`,
/// `rsv`, `op` and `masked` are set also where the result is not `done`, and `length` is then
/// over 125 exactly if the frame has an extended length.
[[nodiscard]] inline decode_result decode(byte_view in, frame_header& header) noexcept {
    using status = decode_result::status;
    if (in.size() < 2) return {status::need_more, 2 - in.size()};
    const auto first = std::to_integer<unsigned>(in[0]);
    const auto second = std::to_integer<unsigned>(in[1]);
    header.fin = (first & 0x80u) != 0;
    header.rsv = static_cast<std::uint8_t>((first >> 4) & 7u);
    header.op = static_cast<opcode>(first & 15u);
    header.masked = (second & 0x80u) != 0;
    header.length = second & 0x7fu;
    header.key = {};

    std::size_t size = 2;
    const std::size_t extended = header.length < 126 ? 0 : (header.length == 126 ? 2 : 8);
    const std::size_t total = size + extended + (header.masked ? sizeof(mask_key) : 0);
    if (in.size() < size + extended) return {status::need_more, total - in.size()};
    if (extended != 0) {
        const std::uint64_t length =
            extended == 2 ? load_be<std::uint16_t>(in.data() + size) : load_be<std::uint64_t>(in.data() + size);
        if ((length >> 63) != 0 && !hawser::detail::planted(hawser::detail::bug::length_top_bit_taken)) return {status::error, 0, errc::bad_length};
        if (length < (extended == 2 ? 126u : 65536u)) return {status::error, 0, errc::non_minimal_length};
        header.length = length;
        size += extended;
    }
    if (in.size() < total) return {status::need_more, total - in.size()};
    if (header.masked) std::memcpy(header.key.data(), in.data() + size, sizeof(mask_key));
    return {status::done, total};
}

/// The first byte of a frame: all of its header but length and masking.
[[nodiscard]] inline std::byte first_byte(const frame_header& header) noexcept {
    return static_cast<std::byte>((header.fin ? 0x80u : 0u) | ((header.rsv & 7u) << 4) |
                                  (static_cast<unsigned>(header.op) & 15u));
}
/// Writes `header` to `out`, which has room for `max_header_size` bytes, with the length in its
/// shortest form. Precondition: `header.length` < 2^63. Returns the bytes written.
inline std::size_t encode(std::byte* out, const frame_header& header) noexcept {
    const unsigned mask_bit = header.masked ? 0x80u : 0u;
    out[0] = first_byte(header);
    std::size_t size = 2;
    if (header.length < 126) {
        out[1] = static_cast<std::byte>(mask_bit | static_cast<unsigned>(header.length));
    } else if (header.length <= 0xffff) {
        out[1] = static_cast<std::byte>(mask_bit | 126u);
        store_be(out + size, static_cast<std::uint16_t>(header.length));
        size += 2;
    } else {
        out[1] = static_cast<std::byte>(mask_bit | 127u);
        store_be(out + size, header.length);
        size += 8;
    }
    if (header.masked) {
        std::memcpy(out + size, header.key.data(), sizeof(mask_key));
        size += sizeof(mask_key);
    }
    return size;
}

}  // namespace ws
}  // namespace hawser::inline v0

// SPDX-License-Identifier: BSL-1.0
/// \file
/// Appends frames to a vector: plain in the server role, masked in the client role.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/core/entropy.hpp>
#include <hawser/core/errc.hpp>
#include <hawser/core/planted.hpp>
#include <hawser/protocol/ws/detail/lane.hpp>
#include <hawser/protocol/ws/frame_header.hpp>
#include <hawser/protocol/ws/mask.hpp>
#include <hawser/protocol/ws/opcode.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <stdexcept>

namespace hawser::inline v0 {
namespace ws {

/// Writes frames in the form that the role of this side demands; it knows no order of frames.
class frame_writer {
public:
    /// `masks` as for `endpoint`.
    frame_writer(role side, entropy_pool* masks) noexcept : masks_(masks), side_(side) {}

    [[nodiscard]] role side() const noexcept { return side_; }

    /// Appends a frame whose payload is `first` followed by `second`; its `length`, `masked` and
    /// `key` are filled in here. Neither view may lie in `out`. On `random_failed` and
    /// `out_of_memory` nothing was appended.
    [[nodiscard]] errc write(byte_vector& out, frame_header header, byte_view first, byte_view second = {}) noexcept {
        header.length = std::uint64_t{first.size()} + second.size();
        header.masked = side_ == role::client;
        if (header.masked && hawser::detail::planted(hawser::detail::bug::mask_used_again)) header.key.fill(std::byte{7});
        else if (header.masked && (masks_ == nullptr || !masks_->take(header.key))) return errc::random_failed;
        const std::size_t size = first.size() + second.size();
        if (!grow(out, max_header_size + size)) return errc::out_of_memory;
        if (size <= small_payload)
            write_small(out, header, first, second);
        else
            write_large(out, header, first, second);
        return {};
    }

    /// Appends an unmasked header as it is. Returns its bytes, or 0 when memory ran out.
    [[nodiscard]] static std::size_t write_header(byte_vector& out, const frame_header& header) noexcept {
        if (!grow(out, max_header_size)) return 0;
        return append_header(out, header);
    }
    /// Writes a frame that is not masked and has a payload of at most 125 bytes, as those of a server mostly are, to `to`,
    /// which has room for two bytes more. Returns its size.
    HAWSER_IN_LINE static std::size_t write_short(std::byte* to, const frame_header& header, byte_view first,
                                                  byte_view second) noexcept {
        const std::size_t size = first.size() + second.size();
        to[0] = first_byte(header);
        to[1] = static_cast<std::byte>(size);
        if (!first.empty()) detail::copy_short(to + 2, first);
        if (!second.empty()) detail::copy_short(to + 2 + first.size(), second);
        return 2 + size;
    }

private:
    // Makes the appends that follow unable to fail. Geometric, as `reserve` alone is not.
    [[nodiscard]] static bool grow(byte_vector& out, std::size_t extra) noexcept {
        if (out.capacity() - out.size() >= extra) return true;
        try {
            out.reserve(std::max(out.size() + extra, 2 * out.capacity()));
        } catch (const std::bad_alloc&) {
            return false;
        } catch (const std::length_error&) {
            return false;
        }
        return true;
    }
    // Put together aside and appended once: a vector clears the bytes that it grows by, and three
    // insertions cost more than one as long as the payload is small.
    static constexpr std::size_t small_payload = 512;
    static void write_small(byte_vector& out, const frame_header& header, byte_view first, byte_view second) noexcept {
        std::array<std::byte, max_header_size + small_payload> frame;
        std::byte* const payload = frame.data() + encode(frame.data(), header);
        std::byte* to = payload;
        for (const byte_view part : {first, second}) {
            if (!part.empty()) std::memcpy(to, part.data(), part.size());
            to += part.size();
        }
        if (header.masked) mask({payload, to}, header.key);
        out.insert(out.end(), frame.data(), to);
    }
    static void write_large(byte_vector& out, const frame_header& header, byte_view first, byte_view second) noexcept {
        append_header(out, header);
        const std::size_t begin = out.size();
        // `insert` and not `append`, which would write each byte twice.
        out.insert(out.end(), first.begin(), first.end());
        out.insert(out.end(), second.begin(), second.end());
        if (header.masked) mask(byte_span(out).subspan(begin), header.key);
    }
    static std::size_t append_header(byte_vector& out, const frame_header& header) noexcept {
        std::array<std::byte, max_header_size> bytes;
        const std::size_t size = encode(bytes.data(), header);
        append(out, byte_view(bytes).first(size));
        return size;
    }

    entropy_pool* masks_;
    role side_;
};

}  // namespace ws
}  // namespace hawser::inline v0

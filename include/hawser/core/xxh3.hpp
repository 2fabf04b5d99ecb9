// SPDX-License-Identifier: BSL-1.0
/// \file
/// XXH3-64 and XXH3-128, the one place that includes <xxhash.h>.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/core/detail/simd.hpp>
#include <hawser/core/detail/xxh3_avx2.hpp>

// The functions of xxHash are compiled into the caller (a hash of 24 bytes is worth less than
// the call), under names of their own (`XXH_INLINE_...`), so that nothing has to be linked and a
// program that links libxxhash meets no second definition. The switch itself is taken back, so
// it does not change what a later include of <xxhash.h> in the user's file means to read; that
// file sees the same functions, inlined.
#if defined(XXH_INLINE_ALL)
#include <xxhash.h>
#else
#define XXH_INLINE_ALL
#include <xxhash.h>
#undef XXH_INLINE_ALL
#endif

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

static_assert(XXH_VERSION_NUMBER >= 801, "hawser needs xxHash 0.8.1 or newer (XXH3's output is stable since 0.8.0)");

namespace hawser::inline v0 {

/// XXH3-64 of `bytes`, the same value on every platform. A checksum and an index; not a
/// message authentication code, and a peer can make collisions on purpose.
[[nodiscard]] inline std::uint64_t xxh3_64(byte_view bytes) noexcept {
#if HAWSER_X86_KERNELS
    if (bytes.size() >= detail::xxh3_avx2::min_size && detail::best_simd() == detail::simd::avx2) return detail::xxh3_avx2::hash(bytes);
#endif
    return XXH3_64bits(bytes.data(), bytes.size());
}
/// The same with a seed.
[[nodiscard]] inline std::uint64_t xxh3_64(byte_view bytes, std::uint64_t seed) noexcept {
    return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}
/// XXH3-128, in its canonical order of bytes; the same remarks.
[[nodiscard]] inline std::array<std::byte, 16> xxh3_128(byte_view bytes, std::uint64_t seed = 0) noexcept {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_withSeed(bytes.data(), bytes.size(), seed));
    std::array<std::byte, 16> result;
    std::memcpy(result.data(), canonical.digest, result.size());
    return result;
}

/// A value of XXH3-128 in its canonical form, which is big endian.
using digest128 = std::array<std::byte, 16>;

/// XXH3-128 of bytes that come in pieces. It finds damage, not malice.
class xxh3_128_stream {
public:
    xxh3_128_stream() noexcept { reset(); }
    /// As new.
    void reset() noexcept { (void)XXH3_128bits_reset(&state_); }
    /// The next piece.
    void update(byte_view bytes) noexcept { (void)XXH3_128bits_update(&state_, bytes.data(), bytes.size()); }
    /// Of all pieces so far; more may follow.
    [[nodiscard]] digest128 digest() const noexcept {
        XXH128_canonical_t canonical;
        XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&state_));
        digest128 out;
        static_assert(sizeof canonical == sizeof out);
        std::memcpy(out.data(), &canonical, sizeof out);
        return out;
    }

private:
    XXH3_state_t state_;
};

}  // namespace hawser::inline v0

// SPDX-License-Identifier: BSL-1.0
// XXH3 by our own vectors against xxHash itself.
#include "support/catch.hpp"

#include <hawser/core/xxh3.hpp>
#include <hawser/policy/random.hpp>

#include <vector>

namespace {
std::vector<std::byte> noise(std::size_t size) {
    hawser::xoshiro256 rng(7);
    std::vector<std::byte> bytes(size);
    for (auto& b : bytes) b = static_cast<std::byte>(rng());
    return bytes;
}
}  // namespace

TEST_CASE("XXH3-64 is that of xxHash for every size, at every alignment") {
    // Stripes are of 64 bytes, blocks of 1,024; long inputs begin at 241.
    const auto bytes = noise(3 * 1024 + 130 + 8);
    for (std::size_t shift = 0; shift < 8; ++shift)
        for (std::size_t size = 0; size <= bytes.size() - 8; ++size) {
            const hawser::byte_view part(bytes.data() + shift, size);
            if (hawser::xxh3_64(part) != XXH3_64bits(part.data(), part.size())) FAIL("size " << size << ", shift " << shift);
        }
}

TEST_CASE("XXH3-64 is that of xxHash for inputs of many blocks") {
    const auto bytes = noise(1'000'001);
    for (std::size_t size = 1; size <= bytes.size(); size += size / 7 + 1) {
        const hawser::byte_view part(bytes.data(), size);
        CHECK(hawser::xxh3_64(part) == XXH3_64bits(part.data(), part.size()));
    }
}

#if HAWSER_X86_KERNELS
TEST_CASE("XXH3-64 takes every byte into account") {
    if (hawser::detail::best_simd() != hawser::detail::simd::avx2) return;
    auto bytes = noise(2500);
    const auto before = hawser::detail::xxh3_avx2::hash(bytes);
    for (auto& b : bytes) {
        b ^= std::byte{1};
        if (hawser::detail::xxh3_avx2::hash(bytes) == before) FAIL("byte " << &b - bytes.data());
        b ^= std::byte{1};
    }
    CHECK(hawser::detail::xxh3_avx2::hash(bytes) == before);
}
#endif

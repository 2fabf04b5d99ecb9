// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <hawser/protocol/ws/mask.hpp>

#include <algorithm>
#include <vector>

using namespace hawser;

namespace {

void mask_plainly(byte_span data, ws::mask_key key, std::size_t phase) {
    for (std::size_t i = 0; i < data.size(); ++i)
        data[i] ^= key[(phase + i) % 4];
}

byte_vector pattern(std::size_t size) {
    byte_vector out(size);
    for (std::size_t i = 0; i < size; ++i)
        out[i] = static_cast<std::byte>((i * 131 + 7) & 0xff);
    return out;
}

constexpr ws::mask_key key{std::byte{0x01}, std::byte{0xfe}, std::byte{0x5a}, std::byte{0xc3}};

}  // namespace

TEST_CASE("mask: equals the plain loop at all alignments, phases and lengths", "[ws][mask]") {
    const byte_vector source = pattern(1200);
    std::vector<std::size_t> sizes;
    for (std::size_t size = 0; size <= 200; ++size)
        sizes.push_back(size);
    for (std::size_t size : {511u, 512u, 513u, 527u, 528u, 600u, 1023u, 1024u, 1025u})
        sizes.push_back(size);
    for (const std::size_t size : sizes)
        for (std::size_t offset = 0; offset < 32; ++offset)
            for (std::size_t phase = 0; phase < 5; ++phase) {
                // One byte more on each side shows a write outside of the range.
                byte_vector expected = source, in_place = source, copied = source;
                mask_plainly(byte_span(expected).subspan(offset + 1, size), key, phase);
                ws::mask(byte_span(in_place).subspan(offset + 1, size), key, phase);
                ws::mask_copy(copied.data() + offset + 1, byte_view(source).subspan(offset + 1, size), key, phase);
                if (in_place != expected || copied != expected) {
                    INFO("size " << size << " offset " << offset << " phase " << phase);
                    CHECK(in_place == expected);
                    CHECK(copied == expected);
                }
            }
    SUCCEED("all combinations agree");
}

TEST_CASE("mask: the copy does not depend on how source and target are aligned", "[ws][mask]") {
    const byte_vector source = pattern(800);
    for (std::size_t from = 0; from < 17; ++from)
        for (std::size_t to = 0; to < 17; ++to)
            for (const std::size_t size : {std::size_t{33}, std::size_t{700}}) {
                byte_vector expected(source.begin() + static_cast<std::ptrdiff_t>(from),
                                     source.begin() + static_cast<std::ptrdiff_t>(from + size));
                mask_plainly(expected, key, 3);
                byte_vector target(800);
                ws::mask_copy(target.data() + to, byte_view(source).subspan(from, size), key, 3);
                CHECK(std::equal(expected.begin(), expected.end(), target.begin() + static_cast<std::ptrdiff_t>(to)));
            }
}

TEST_CASE("mask: masking twice, also in pieces with their phase, gives the original", "[ws][mask]") {
    const byte_vector source = pattern(300);
    for (std::size_t cut = 0; cut <= source.size(); ++cut) {
        byte_vector data = source;
        ws::mask(data, key);
        ws::mask(byte_span(data).first(cut), key);
        ws::mask(byte_span(data).subspan(cut), key, cut);
        CHECK(data == source);
    }
}

TEST_CASE("mask: with and without wide vectors, at all lengths and alignments", "[ws][mask]") {
    std::vector<ws::detail::simd> kernels{ws::detail::simd::portable};
    if (ws::detail::best_simd() == ws::detail::simd::avx2) kernels.push_back(ws::detail::simd::avx2);
    const byte_vector source = pattern(700);
    int wrong = 0;
    for (const ws::detail::simd with : kernels)
        for (std::size_t size = 0; size <= 600; size += size < 300 ? 1 : 13)
            for (std::size_t offset = 0; offset < 33; offset += 1 + size / 100) {
                const std::size_t phase = size + offset;
                byte_vector expected = source, in_place = source, copied = source;
                mask_plainly(byte_span(expected).subspan(offset + 1, size), key, phase);
                const std::uint64_t word = ws::detail::mask_word(key, phase);
                std::byte* const at = in_place.data() + offset + 1;
                ws::detail::mask_blocks(with, at, at, size, word);
                ws::detail::mask_blocks(with, copied.data() + offset + 1, source.data() + offset + 1, size, word);
                wrong += in_place == expected && copied == expected ? 0 : 1;
            }
    CHECK(wrong == 0);
}

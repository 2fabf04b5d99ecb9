// SPDX-License-Identifier: BSL-1.0
/// \file
/// UTF-8 by vectors. utf8_blocks.hpp includes this file once for each instruction set, because a
/// function's instructions must be permitted where it is written, with
///   HAWSER_WS_KERNEL         the namespace, which has `look_up`, `minus_saturated` and `high_bits`
///   HAWSER_WS_KERNEL_TARGET  the attribute that permits the instructions
/// Included by anyone else it is empty.
#if defined(HAWSER_WS_KERNEL)

namespace hawser::inline v0 {
namespace ws::detail::HAWSER_WS_KERNEL {

#define HAWSER_WS_KERNEL_PART HAWSER_WS_KERNEL_TARGET __attribute__((always_inline)) inline

// `key` is 0 for what is not masked.
HAWSER_WS_KERNEL_PART vec load(const void* from, std::uint64_t key = 0) noexcept {
    using words = std::uint64_t __attribute__((vector_size(width)));
    words value;
    std::memcpy(&value, from, sizeof value);
    return (vec)(value ^ key);
}
HAWSER_WS_KERNEL_PART void store(std::byte* to, const vec& value) noexcept { std::memcpy(to, &value, sizeof value); }
HAWSER_WS_KERNEL_PART bool any(const vec& value) noexcept { return high_bits((vec)(value == 0)) != high_bits(~vec{}); }

// The bytes that lie N before those of `in`, the first of them in `before`.
template <std::size_t N, std::size_t... I>
HAWSER_WS_KERNEL_PART vec preceding(const vec& in, const vec& before, std::index_sequence<I...>) noexcept {
    return __builtin_shufflevector(before, in, (I + width - N)...);
}

// Not 0 at each byte of `in` that must not follow the three before it.
HAWSER_WS_KERNEL_PART vec wrong(const vec& in, const vec& before) noexcept {
    constexpr std::make_index_sequence<width> all;
    const vec first = preceding<1>(in, before, all);
    const vec broken = look_up(load(&utf8_pairs.first_high), first >> 4) &
                       look_up(load(&utf8_pairs.first_low), first & 15) &
                       look_up(load(&utf8_pairs.second_high), in >> 4);
    // The rule of bit 7, two continuation bytes, must be broken where a lead wants it, and nowhere else.
    const vec third = minus_saturated(preceding<2>(in, before, all), vec{} + (0xe0 - 0x80));
    const vec fourth = minus_saturated(preceding<3>(in, before, all), vec{} + (0xf0 - 0x80));
    return broken ^ ((third | fourth) & 0x80);
}

// See `utf8_blocks` below all kernels. `size` is at least `width`.
template <bool Unmask>
HAWSER_WS_KERNEL_TARGET inline std::size_t utf8_blocks(std::byte* to, const std::byte* from, std::size_t size,
                                                       std::uint64_t key) noexcept {
    constexpr std::size_t vectors = utf8_stride / width;
    if constexpr (!Unmask) key = 0;
    // Taken now, since in place its beginning will be unmasked when its turn comes.
    const vec end = load(from + (size - width), mask_skip(key, size - width));
    vec before{};
    bool only_ascii = true;  // in the stride before
    std::size_t done = 0;
    for (; size - done >= utf8_stride; done += utf8_stride) {
        vec in[vectors];
        vec all{};
#pragma GCC unroll 4
        for (std::size_t i = 0; i < vectors; ++i) {
            in[i] = load(from + done + i * width, key);
            if constexpr (Unmask) store(to + done + i * width, in[i]);
            all |= in[i];
        }
        const bool ascii = high_bits(all) == 0;
        if (!ascii || !only_ascii) {
            vec bad = wrong(in[0], before);
#pragma GCC unroll 4
            for (std::size_t i = 1; i < vectors; ++i)
                bad |= wrong(in[i], in[i - 1]);
            if (any(bad)) return done;
        }
        before = in[vectors - 1];
        only_ascii = ascii;
    }
    for (; size - done >= width; done += width) {
        const vec in = load(from + done, key);
        if constexpr (Unmask) store(to + done, in);
        if (any(wrong(in, before))) return done;
        before = in;
    }
    if (done == size) return size;
    if constexpr (Unmask) store(to + (size - width), end);
    // Nothing is known here of the bytes before `end`, so the first three cannot be judged.
    const bool judged = size - done <= width - 3;
    return judged && !any(wrong(end, vec{}) & load(&after_three)) ? size : done;
}

#undef HAWSER_WS_KERNEL_PART

}  // namespace ws::detail::HAWSER_WS_KERNEL
}  // namespace hawser::inline v0

#endif

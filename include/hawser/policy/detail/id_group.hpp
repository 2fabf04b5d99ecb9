// SPDX-License-Identifier: BSL-1.0
/// \file
/// Twelve slots of an `id_index` in one cache line: a byte of the hash and a place each.
#pragma once

#include <hawser/core/config.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace hawser::inline v0::detail {

/// A word of eight bytes, compared at once. Byte i is bits 8i to 8i+7, on every platform.
struct byte_word {
    static constexpr std::uint64_t ones = 0x0101010101010101u;
    static constexpr std::uint64_t low7 = 0x7f7f7f7f7f7f7f7fu;

    /// Bit 7 of each byte that equals `byte`, exactly.
    [[nodiscard]] static constexpr std::uint64_t equal(std::uint64_t word, std::uint64_t byte) noexcept {
        const std::uint64_t x = word ^ (byte * ones);
        return ~(((x & low7) + low7) | x | low7);
    }
};

class alignas(64) id_group {
public:
    static constexpr std::size_t size = 12;

    /// The byte of the hash that a slot keeps; 0 is a free slot. The first bits of the hash choose the
    /// segment, the last ones the group.
    [[nodiscard]] static constexpr std::uint8_t tag_of(std::uint64_t hash) noexcept {
        const auto byte = static_cast<std::uint8_t>(hash >> 16);
        return byte != 0 ? byte : std::uint8_t{0xff};
    }

    /// The slot with `tag` for whose place `same(ref)` is true, or `size`.
    template <class Same>
    [[nodiscard]] std::size_t find(std::uint8_t tag, Same same) const {
        for (std::uint64_t hits = byte_word::equal(first_eight_, tag); hits != 0; hits &= hits - 1)
            if (const std::size_t slot = position(hits); same(refs_[slot])) return slot;
        for (std::uint64_t hits = byte_word::equal(last_four_, tag) & four; hits != 0; hits &= hits - 1)
            if (const std::size_t slot = 8 + position(hits); same(refs_[slot])) return slot;
        return size;
    }
    /// Takes a free slot; false if there is none.
    [[nodiscard]] bool place(std::uint8_t tag, std::uint32_t ref) noexcept {
        if (const std::uint64_t free = byte_word::equal(first_eight_, 0); free != 0) put(position(free), tag, ref);
        else if (const std::uint64_t rest = byte_word::equal(last_four_, 0) & four; rest != 0) put(8 + position(rest), tag, ref);
        else return false;
        return true;
    }
    /// Precondition: the slot is free.
    void put(std::size_t slot, std::uint8_t tag, std::uint32_t ref) noexcept {
        if (slot < 8) first_eight_ |= std::uint64_t{tag} << slot * 8;
        else last_four_ |= std::uint32_t{tag} << (slot - 8) * 8;
        refs_[slot] = ref;
    }
    [[nodiscard]] std::uint8_t tag(std::size_t slot) const noexcept {
        return slot < 8 ? static_cast<std::uint8_t>(first_eight_ >> slot * 8) : static_cast<std::uint8_t>(last_four_ >> (slot - 8) * 8);
    }
    [[nodiscard]] std::uint32_t ref(std::size_t slot) const noexcept { return refs_[slot]; }
    void clear_slot(std::size_t slot) noexcept {
        if (slot < 8) first_eight_ &= ~(std::uint64_t{0xff} << slot * 8);
        else last_four_ &= ~(std::uint32_t{0xff} << (slot - 8) * 8);
    }

    /// How many ids that belong here are in their second group; 255 = many, for ever.
    [[nodiscard]] bool has_displaced() const noexcept { return displaced_ != 0; }
    void add_displaced() noexcept {
        if (displaced_ != 255) ++displaced_;
    }
    void remove_displaced() noexcept {
        if (displaced_ != 255) --displaced_;
    }

    /// Of the segment that this group begins: how many first bits all hashes in it have in common.
    [[nodiscard]] unsigned depth() const noexcept { return depth_; }
    void set_depth(unsigned depth) noexcept { depth_ = static_cast<std::uint8_t>(depth); }

private:
    static constexpr std::uint64_t four = 0xffffffffu;

    static std::size_t position(std::uint64_t mask) noexcept { return static_cast<std::size_t>(std::countr_zero(mask)) / 8; }
    std::uint64_t first_eight_ = 0;
    std::uint32_t last_four_ = 0;
    std::uint8_t displaced_ = 0;
    std::uint8_t depth_ = 0;
    std::array<std::uint32_t, size> refs_{};
};
static_assert(sizeof(id_group) == 64);

}  // namespace hawser::inline v0::detail

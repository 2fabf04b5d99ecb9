// SPDX-License-Identifier: BSL-1.0
/// \file
/// From a message id to its place in an `id_ring`: an extendible hash table.
///
/// A directory, addressed by the first bits of the hash, points to segments of 512 slots, each a
/// small open-addressed table with linear probing. A full segment is split in two; nothing else moves, so
/// growing at a million entries costs what it costs at a thousand. A slot is 8 bytes: 32 bits
/// of hash and 32 bits of place, so that looking for an id that is not there seldom leaves the segment.
///
/// Ids that collide on purpose (or by a bad hash) cannot make it slow: no probe is longer than 128
/// slots, no directory larger than the number of ids justifies, and what finds no slot within these limits
/// goes to an ordered tree.
///
/// Source: R. Fagin et al., "Extendible Hashing" (1979).
#pragma once

#include <hawser/core/message_id.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <vector>

namespace hawser::inline v0::detail {

class id_index {
public:
    /// The part of a hash that is kept. Odd, so that no slot in use is 0.
    using tag = std::uint32_t;
    [[nodiscard]] static constexpr tag tag_of(std::uint64_t hash) noexcept { return static_cast<tag>(hash >> 32) | 1u; }

    id_index() = default;
    id_index(const id_index&) = delete;
    id_index& operator=(const id_index&) = delete;
    ~id_index() { clear(); }

    /// The place of `id`. `id_at(ref)` is the full id at a place: equality is always on that.
    template <class IdAt>
    [[nodiscard]] std::optional<std::uint32_t> find(tag t, const message_id& id, IdAt id_at) const {
        if (directory_.empty()) return std::nullopt;
        const slot* const slots = segment_of(t)->slots();
        std::size_t at = home(t);
        for (std::size_t i = 0; i < longest_probe && slots[at] != 0; ++i, at = (at + 1) & slot_mask_)
            if (tag_in(slots[at]) == t && id_at(ref_in(slots[at])) == id) return ref_in(slots[at]);
        if (!overflow_.empty())
            if (const auto found = overflow_.find(id); found != overflow_.end()) return found->second;
        return std::nullopt;
    }

    /// Precondition: `id` is not there. May throw std::bad_alloc.
    template <class IdAt>
    void insert(tag t, const message_id& id, std::uint32_t ref, IdAt id_at) {
        if (directory_.empty()) start();
        while (!place(*segment_of(t), t, ref)) {
            if (grow(t, id_at)) continue;
            overflow_.emplace(id, ref);
            break;
        }
        ++count_;
    }

    /// Forgets `id`, which is at `ref`.
    void erase(tag t, const message_id& id, std::uint32_t ref) noexcept {
        if (directory_.empty()) return;
        segment& s = *segment_of(t);
        const slot wanted = make_slot(t, ref);
        std::size_t at = home(t);
        for (std::size_t i = 0; i < longest_probe && s.slots()[at] != 0; ++i, at = (at + 1) & slot_mask_) {
            if (s.slots()[at] != wanted) continue;
            close_gap(s, at);
            --s.used;
            return on_erased();
        }
        if (overflow_.erase(id) != 0) on_erased();
    }

    /// Frees one segment of a table that became empty, so that emptying is no pause either.
    void tidy() noexcept {
        if (retired_.empty()) return;
        segment* const s = retired_.back();
        while (!retired_.empty() && retired_.back() == s) retired_.pop_back();
        free_segment(s);
        if (retired_.empty()) retired_ = {};
    }

    /// Frees everything; O(segments).
    void clear() noexcept {
        retire();
        while (!retired_.empty()) tidy();
        retire();
        while (!retired_.empty()) tidy();
        overflow_.clear();
        count_ = 0;
    }

    [[nodiscard]] std::size_t memory_bytes() const noexcept {
        constexpr std::size_t tree_node = sizeof(message_id) + 8 + 4 * sizeof(void*) + 16;
        return bytes_ + (directory_.capacity() + retired_.capacity()) * sizeof(segment*) + overflow_.size() * tree_node;
    }

private:
    using slot = std::uint64_t;

    // The slots follow it in the same allocation.
    struct segment {
        std::uint32_t depth;  // how many first bits all its tags have in common
        std::uint32_t used;
        [[nodiscard]] slot* slots() noexcept { return reinterpret_cast<slot*>(this + 1); }
    };
    static_assert(sizeof(segment) == sizeof(slot));

    struct by_content {
        bool operator()(const message_id& a, const message_id& b) const noexcept { return std::memcmp(&a, &b, sizeof a) < 0; }
    };

    static constexpr std::size_t first_slots = 16;
    static constexpr std::size_t full_slots = 512;
    static constexpr std::size_t longest_probe = 128;

    static constexpr slot make_slot(tag t, std::uint32_t ref) noexcept { return (slot{t} << 32) | ref; }
    static constexpr tag tag_in(slot s) noexcept { return static_cast<tag>(s >> 32); }
    static constexpr std::uint32_t ref_in(slot s) noexcept { return static_cast<std::uint32_t>(s); }

    // The directory uses the first bits of the tag, the place in the segment the last ones.
    [[nodiscard]] std::size_t directory_index(tag t) const noexcept { return static_cast<std::size_t>(std::uint64_t{t} >> (32 - depth_)); }
    [[nodiscard]] segment* segment_of(tag t) const noexcept { return directory_[directory_index(t)]; }
    [[nodiscard]] std::size_t home(tag t) const noexcept { return (t >> 1) & slot_mask_; }

    segment* make_segment(std::size_t slots, std::uint32_t depth) {
        auto* const raw = new slot[1 + slots]{};
        bytes_ += (1 + slots) * sizeof(slot);
        return new (raw) segment{depth, 0};
    }
    void free_segment(segment* s) noexcept {
        // Segments of a table that was small once are all of the size it ended with.
        bytes_ -= (1 + (s->depth == 0 ? slots_when_single_ : full_slots)) * sizeof(slot);
        delete[] reinterpret_cast<slot*>(s);
    }
    void start() {
        directory_.reserve(1);
        slot_mask_ = first_slots - 1;
        depth_ = 0;
        directory_.push_back(make_segment(first_slots, 0));
    }

    [[nodiscard]] bool place(segment& s, tag t, std::uint32_t ref) const noexcept {
        if (s.used >= (slot_mask_ + 1) / 4 * 3) return false;
        std::size_t at = home(t);
        for (std::size_t i = 0; i < longest_probe; ++i, at = (at + 1) & slot_mask_) {
            if (s.slots()[at] != 0) continue;
            s.slots()[at] = make_slot(t, ref);
            ++s.used;
            return true;
        }
        return false;
    }
};

}  // namespace hawser::inline v0::detail

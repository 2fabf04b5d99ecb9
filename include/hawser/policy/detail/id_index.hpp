// SPDX-License-Identifier: BSL-1.0
/// \file
/// From a message id to its place in an `id_ring`: an extendible hash table.
///
/// A directory, addressed by the first bits of the hash, points to segments of 32 groups (2 KiB), and
/// a group is a cache line with 12 slots. An id goes to its first group or, if that is full, to
/// its second, and the first one counts those: looking up an id that is not there mostly reads one cache
/// line. Nothing else is ever moved, except that a segment with both groups full is split in
/// two: growing at a million entries costs what it costs at a thousand.
///
/// Ids that collide on purpose (or by a bad hash) cannot make it slow: there are 24 slots to look
/// at and no more, the directory is never larger than the number of ids justifies, and what finds no
/// slot within these limits goes to an ordered tree.
///
/// Sources: R. Fagin et al., "Extendible Hashing" (1979); N. Bronson, X. Shi, Folly F14 (counted
/// overflow, slots and bytes of hash in one cache line).
#pragma once

#include <hawser/core/message_id.hpp>
#include <hawser/core/planted.hpp>
#include <hawser/policy/detail/id_group.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace hawser::inline v0::detail {

/// `id_at(ref)` in what follows is the id at a place, `hash_of(id)` its hash.
/// Thread safety: none.
class id_index {
public:
    id_index() = default;
    id_index(const id_index&) = delete;
    id_index& operator=(const id_index&) = delete;
    ~id_index() { clear(); }

    /// The place of `id`; equality is always that of the whole id.
    template <class IdAt>
    [[nodiscard]] std::optional<std::uint32_t> find(std::uint64_t hash, const message_id& id, IdAt id_at) const {
        if (directory_.empty()) return std::nullopt;
        const spot found = search(hash, [&](std::uint32_t ref) { return planted(bug::dedup_by_hash) || id_at(ref) == id; });
        if (found.group != nullptr) return found.group->ref(found.slot);
        if (overflow_)
            if (const auto it = overflow_->find(id); it != overflow_->end()) return it->second;
        return std::nullopt;
    }

    /// Precondition: `id` is not there. May throw std::bad_alloc, without effect.
    template <class IdAt, class HashOf>
    void insert(std::uint64_t hash, const message_id& id, std::uint32_t ref, IdAt id_at, HashOf hash_of) {
        if (directory_.empty()) start();
        while (!place(segment_of(hash), group_mask_, hash, ref)) {
            if (grow(hash, [&](std::uint32_t r) { return hash_of(id_at(r)); })) continue;
            if (!overflow_) overflow_ = std::make_unique<tree>();
            overflow_->emplace(id, ref);
            break;
        }
        ++count_;
    }

    /// Forgets `id`, which is at `ref`.
    void erase(std::uint64_t hash, const message_id& id, std::uint32_t ref) noexcept {
        if (directory_.empty()) return;
        if (const spot found = search(hash, [ref](std::uint32_t other) { return other == ref; }); found.group != nullptr) {
            found.group->clear_slot(found.slot);
            id_group& first = segment_of(hash)[first_group(hash, group_mask_)];
            if (found.group != &first) first.remove_displaced();
        } else if (!overflow_ || overflow_->erase(id) == 0) {
            return;
        }
        if (--count_ == 0 && retired_.empty()) retire();
    }

    /// Frees one segment of a table that became empty, so that emptying is no pause either.
    void tidy() noexcept {
        if (retired_.empty()) return;
        id_group* const segment = retired_.back();
        while (!retired_.empty() && retired_.back() == segment) retired_.pop_back();
        groups_ -= retired_groups_;
        delete[] segment;
        if (retired_.empty()) retired_ = std::vector<id_group*>{};  // `{}` alone would keep its memory
    }

    /// Frees everything; O(segments).
    void clear() noexcept {
        while (!retired_.empty()) tidy();
        retire();
        while (!retired_.empty()) tidy();
        overflow_.reset();
        count_ = 0;
    }

    [[nodiscard]] std::size_t memory_bytes() const noexcept {
        constexpr std::size_t tree_node = sizeof(message_id) + 8 + 4 * sizeof(void*) + 16;  // the usual layout, and malloc's part
        return groups_ * sizeof(id_group) + (directory_.capacity() + retired_.capacity()) * sizeof(id_group*) +
               (overflow_ ? overflow_->size() * tree_node : 0);
    }

private:
    struct spot {
        id_group* group = nullptr;
        std::size_t slot = 0;
    };
    struct by_content {
        bool operator()(const message_id& a, const message_id& b) const noexcept { return std::memcmp(&a, &b, sizeof a) < 0; }
    };

    static constexpr std::size_t full_mask = 32 - 1;

    static std::size_t first_group(std::uint64_t hash, std::size_t mask) noexcept { return static_cast<std::size_t>(hash) & mask; }
    static std::size_t second_group(std::uint64_t hash, std::size_t mask) noexcept { return static_cast<std::size_t>(hash ^ (hash >> 5 | 1)) & mask; }

    // Two shifts, since one by 64 is undefined.
    [[nodiscard]] std::size_t directory_index(std::uint64_t hash) const noexcept { return static_cast<std::size_t>(hash >> 1 >> (63 - depth_)); }
    [[nodiscard]] id_group* segment_of(std::uint64_t hash) const noexcept { return directory_[directory_index(hash)]; }

    void retire() noexcept {
        retired_.swap(directory_);
        retired_groups_ = group_mask_ + 1;
    }

    template <class Same>
    [[nodiscard]] spot search(std::uint64_t hash, Same same) const {
        id_group* const segment = segment_of(hash);
        const std::uint8_t tag = id_group::tag_of(hash);
        id_group& first = segment[first_group(hash, group_mask_)];
        if (const std::size_t slot = first.find(tag, same); slot != id_group::size) return {&first, slot};
        if (!first.has_displaced()) return {};
        id_group& second = segment[second_group(hash, group_mask_)];
        if (const std::size_t slot = second.find(tag, same); slot != id_group::size) return {&second, slot};
        return {};
    }
    [[nodiscard]] static bool place(id_group* segment, std::size_t mask, std::uint64_t hash, std::uint32_t ref) noexcept {
        id_group& first = segment[first_group(hash, mask)];
        const std::uint8_t tag = id_group::tag_of(hash);
        if (first.place(tag, ref)) return true;
        if (!segment[second_group(hash, mask)].place(tag, ref)) return false;
        first.add_displaced();
        return true;
    }

    void start() {
        auto segment = std::make_unique<id_group[]>(1);
        directory_.push_back(segment.get());
        segment.release();
        groups_ += 1;
        group_mask_ = 0;
        depth_ = 0;
    }

    // Makes room for `hash`; false if that would be out of proportion.
    template <class HashAt>
    [[nodiscard]] bool grow(std::uint64_t hash, HashAt hash_at) {
        if (group_mask_ != full_mask) return widen_single(hash_at);
        id_group* const old = segment_of(hash);
        if (old->depth() == depth_) {
            // An honest hash needs an entry per 150 to 300 ids; this allows for one per 32.
            if (depth_ >= 28 || directory_.size() * 2 > 2 + count_ / 32) return false;
            widen_directory();
        }
        split(hash, old, hash_at);
        return true;
    }

    // A small table is one segment, which doubles up to 32 groups.
    template <class HashAt>
    [[nodiscard]] bool widen_single(HashAt hash_at) {
        const std::size_t groups = std::size_t{group_mask_} + 1;
        id_group* const old = directory_[0];
        auto wide = std::make_unique<id_group[]>(groups * 2);
        for (std::size_t g = 0; g < groups; ++g)
            for (std::size_t slot = 0; slot < id_group::size; ++slot)
                if (const std::uint32_t ref = old[g].ref(slot); old[g].tag(slot) != 0 && !place(wide.get(), groups * 2 - 1, hash_at(ref), ref))
                    return false;  // a hash so bad that more slots do not help
        directory_[0] = wide.release();
        delete[] old;
        groups_ += groups;
        group_mask_ = static_cast<std::uint32_t>(groups * 2 - 1);
        return true;
    }
    void widen_directory() {
        std::vector<id_group*> wide(directory_.size() * 2);
        for (std::size_t i = 0; i < wide.size(); ++i) wide[i] = directory_[i / 2];
        directory_ = std::move(wide);
        ++depth_;
    }
    // Each id whose next bit is set moves to the new segment, to the group and slot it had.
    template <class HashAt>
    void split(std::uint64_t hash, id_group* old, HashAt hash_at) {
        id_group* const fresh = new id_group[full_mask + 1];
        groups_ += full_mask + 1;
        const unsigned depth = old->depth();
        old->set_depth(depth + 1);
        fresh->set_depth(depth + 1);
        // All that share the first `depth` bits pointed to `old`; the second half is for `fresh`.
        const std::size_t half = (std::size_t{1} << (depth_ - depth)) / 2;
        const std::size_t first = directory_index(hash) & ~(half * 2 - 1);
        for (std::size_t i = 0; i < half; ++i) directory_[first + half + i] = fresh;
        for (std::size_t g = 0; g <= full_mask; ++g)
            for (std::size_t slot = 0; slot < id_group::size; ++slot) {
                if (old[g].tag(slot) == 0) continue;
                const std::uint64_t moved = hash_at(old[g].ref(slot));
                if ((moved >> (63 - depth) & 1) == 0) continue;
                fresh[g].put(slot, old[g].tag(slot), old[g].ref(slot));
                old[g].clear_slot(slot);
                const std::size_t home = first_group(moved, full_mask);
                if (home == g) continue;
                old[home].remove_displaced();
                fresh[home].add_displaced();
            }
    }

    std::vector<id_group*> directory_;  // 2^depth_ segments; one of less depth is there several times in a row
    std::vector<id_group*> retired_;    // a directory that became empty, being freed
    using tree = std::map<message_id, std::uint32_t, by_content>;
    std::unique_ptr<tree> overflow_;    // what found no slot, with a bad hash
    std::size_t groups_ = 0;            // allocated, in all
    std::size_t count_ = 0;
    std::uint32_t group_mask_ = 0;      // groups in a segment - 1
    std::uint32_t retired_groups_ = 0;
    unsigned depth_ = 0;
};

}  // namespace hawser::inline v0::detail

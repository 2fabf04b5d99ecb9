// SPDX-License-Identifier: BSL-1.0
/// \file
/// Which messages were here already: a bounded table of message ids.
///
/// | state of the id | event | effect |
/// |---|---|---|
/// | unknown | `insert` | `inserted`; if the table is full, the oldest id is forgotten first |
/// | held | `insert`, `contains` | `duplicate`, true; its age stays what it was |
/// | held for `dedup_ttl` | any | unknown again |
/// | held | `erase` | unknown; its place is free once it would have been the oldest, at the latest |
///
/// The ids of a session rise, and as long as those of the first origin do they are kept as runs: a comparison
/// instead of a hash, and 1 to 32 bytes each (see `detail/id_runs.hpp`). All others go into a table.
/// There the hash only finds the place; equality is always that of the whole id. No operation pauses:
/// each removes at most two expired ids, growing splits at most one segment of 384 slots, and
/// ids that collide on purpose cost a logarithm (see `detail/id_index.hpp`). An empty cache
/// has allocated nothing; an id in the table costs about 40 bytes. Ids of a peer are its own choice, so a
/// table that several peers share should have a seeded hash.
///
/// Sources: rule 21 of hawser.v1; S9 (a flood stays bounded).
#pragma once

#include <hawser/core/config.hpp>
#include <hawser/core/message_id.hpp>
#include <hawser/core/planted.hpp>
#include <hawser/core/time.hpp>
#include <hawser/core/xxh3.hpp>
#include <hawser/policy/check.hpp>
#include <hawser/policy/detail/id_index.hpp>
#include <hawser/policy/detail/id_ring.hpp>
#include <hawser/policy/detail/id_runs.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace hawser::inline v0 {

/// How many ids are remembered, and how long.
struct dedup_options {
    std::size_t max_entries = 65'536;  ///< ids held at once; 1 to 2^30
    milliseconds dedup_ttl{300'000};   ///< how long each is held; 1 ms to a year

    /// Of the hash. Peers choose their ids; sockets take a random seed where this is 0, so that
    /// nobody can make them collide on purpose.
    std::uint64_t hash_seed = 0;

    /// Adds one sentence per wrong option, which is named with `prefix` before it.
    void check(std::vector<std::string>& problems, std::string_view prefix) const {
        detail::check_range(problems, prefix, "max_entries", max_entries, std::size_t{1}, std::size_t{1} << 30);
        detail::check_range(problems, prefix, "dedup_ttl", dedup_ttl, milliseconds{1}, detail::longest_option);
    }
};

/// What an insertion found.
enum class dedup_result : std::uint8_t {
    inserted,   ///< the id is new
    duplicate,  ///< it is held already
};

template <class T>
concept has_dedup_insert = requires(T& t, const message_id& id, time_point now) {
    { t.insert(id, now) } -> std::same_as<dedup_result>;
};
template <class T>
concept has_dedup_contains = requires(const T& t, const message_id& id, time_point now) {
    { t.contains(id, now) } -> std::same_as<bool>;
};
template <class T>
concept has_dedup_upkeep = requires(T& t, const T& c, const message_id& id, time_point now) {
    { t.erase(id) } -> std::same_as<bool>;
    { t.expire(now) } -> std::same_as<std::size_t>;
    t.clear();
    { c.size() } -> std::same_as<std::size_t>;
    { c.memory_bytes() } -> std::same_as<std::size_t>;
};
/// Thread safety: none needed, each lives on one strand.
template <class T>
concept dedup_policy = std::constructible_from<T, const dedup_options&> && has_dedup_insert<T> && has_dedup_contains<T> && has_dedup_upkeep<T>;

template <class T>
concept message_id_hash = std::copyable<T> && requires(const T& hash, const message_id& id) {
    { hash(id) } noexcept -> std::same_as<std::uint64_t>;
};

/// XXH3 over the 24 bytes of the id.
struct xxh3_hash {
    std::uint64_t seed = 0;  ///< chosen at random by each socket, where `dedup_options::hash_seed` is 0

    /// The hash.
    [[nodiscard]] std::uint64_t operator()(const message_id& id) const noexcept {
        return xxh3_64({reinterpret_cast<const std::byte*>(&id), sizeof id}, seed);
    }
};

/// Remembers nothing: every message is new. The null model; empty.
struct no_dedup {
    no_dedup() = default;
    ///@{
    /// Nothing is held, so every id is new.
    explicit no_dedup(const dedup_options&) noexcept {}
    static dedup_result insert(const message_id&, time_point) noexcept { return dedup_result::inserted; }
    [[nodiscard]] static bool contains(const message_id&, time_point) noexcept { return false; }
    static bool erase(const message_id&) noexcept { return false; }
    static std::size_t expire(time_point) noexcept { return 0; }
    static void clear() noexcept {}
    [[nodiscard]] static std::size_t size() noexcept { return 0; }
    [[nodiscard]] static std::size_t memory_bytes() noexcept { return 0; }
    ///@}
};

/// Precondition: `options.check` found nothing. Thread safety: none.
template <message_id_hash Hash = xxh3_hash>
class xxhash_dedup_cache {
public:
    /// With a hash seeded from the options. Allocates nothing yet.
    explicit xxhash_dedup_cache(const dedup_options& options = {}) noexcept
        : xxhash_dedup_cache(options, seeded(options.hash_seed)) {}
    /// With a hash of yours.
    xxhash_dedup_cache(const dedup_options& options, Hash hash) noexcept
        : max_entries_(options.max_entries), ttl_(options.dedup_ttl), hash_(std::move(hash)) {}

    /// Whether `id` is new; it is held from now on. O(1), amortised over growth.
    /// May throw std::bad_alloc; `id` is unknown then.
    dedup_result insert(const message_id& id, time_point now) {
        // The next one of a batch.
        if (now == last_now_ && !more_expired_ && size_ < max_entries_ && runs_.extend(id, now, passed_)) {
            ++size_;
            return dedup_result::inserted;
        }
        return insert_any(id, now);
    }

    /// Whether `id` is held and not expired. O(1); O(log n) for one that was in a run.
    [[nodiscard]] bool contains(const message_id& id, time_point now) const noexcept {
        if (const auto* run = runs_.find(id)) return run->expires > now && !planted(detail::bug::dedup_forgets);
        if (ring_.size() == 0 || (runs_.is_of(id) && runs_.is_above(id))) return false;
        const auto ref = index_.find(hash_(id), id, id_at());
        return ref && ring_[*ref].expires > now && !planted(detail::bug::dedup_forgets);
    }

    /// Forgets `id`; returns whether it was held.
    bool erase(const message_id& id) noexcept {
        if (const auto* run = runs_.find(id)) {
            forget(*run, id);
            remove_expired(2);
            return true;
        }
        const std::uint64_t hash = hash_(id);
        const auto ref = index_.find(hash, id, id_at());
        if (!ref) return false;
        forget(hash, *ref);
        remove_expired(2);
        index_.tidy();
        return true;
    }

    /// Frees the memory of at most 64 expired ids, for times without messages (a heartbeat, say);
    /// returns how many: 64 = there may be more.
    std::size_t expire(time_point now) noexcept {
        if (now > last_now_) {
            last_now_ = now;
            more_expired_ = true;
        }
        const std::size_t removed = remove_expired(64);
        for (int i = 0; i < 16; ++i) index_.tidy();
        return removed;
    }

    /// Forgets all and frees the memory; O(n / 256).
    void clear() noexcept {
        index_.clear();
        ring_.clear();
        runs_.clear();
        size_ = 0;
    }

    /// Ids held, expired ones that were not removed yet included.
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    /// Ids forgotten before their time because the table was full; each could be a duplicate missed.
    [[nodiscard]] std::uint64_t evicted() const noexcept { return evicted_; }
    /// What is allocated.
    [[nodiscard]] std::size_t memory_bytes() const noexcept { return ring_.memory_bytes() + index_.memory_bytes() + runs_.memory_bytes(); }

private:
    HAWSER_OUT_OF_LINE dedup_result insert_any(const message_id& id, time_point now) {
        // A ring is in order of age only if time never goes back.
        if (now > last_now_ || more_expired_) {
            last_now_ = std::max(last_now_, now);
            more_expired_ = remove_expired(2) == 2;
            index_.tidy();
        }
        const time_point expires = add_saturated(last_now_, ttl_);
        if (runs_.is_of(id) ? runs_.is_above(id) : may_begin_runs(id)) {
            while (size_ >= max_entries_ || (places() >= max_entries_ && !runs_.extends(id, last_now_, passed_))) evict();
            if (!runs_.extend(id, last_now_, passed_)) runs_.push_back(id, last_now_, expires, passed_);
            ++size_;
            return dedup_result::inserted;
        }
        if (const auto* run = runs_.find(id)) {
            if (run->expires > last_now_) return dedup_result::duplicate;
            forget(*run, id);
        }
        const std::uint64_t hash = hash_(id);
        if (const auto ref = index_.find(hash, id, id_at())) {
            if (ring_[*ref].expires > last_now_) return dedup_result::duplicate;
            forget(hash, *ref);
        }
        while (size_ >= max_entries_ || places() >= max_entries_) evict();
        const std::uint32_t ref = ring_.push_back({id, expires});
        try {
            index_.insert(hash, id, ref, id_at(), hash_);
        } catch (...) {
            ring_.pop_back();
            throw;
        }
        highest_ = ring_.size() == 1 ? id.counter : std::max(highest_, id.counter);
        ++passed_;
        ++size_;
        return dedup_result::inserted;
    }
    [[nodiscard]] static Hash seeded(std::uint64_t seed) noexcept {
        if constexpr (std::constructible_from<Hash, std::uint64_t>) return Hash(seed);
        else return Hash{};
    }
    [[nodiscard]] auto id_at() const noexcept {
        return [this](std::uint32_t ref) -> const message_id& { return ring_[ref].id; };
    }
    void forget(std::uint64_t hash, std::uint32_t ref) noexcept {
        index_.erase(hash, ring_[ref].id, ref);
        ring_[ref].expires = time_point::min();
        --size_;
    }
    void forget(const detail::id_run& run, const message_id& id) noexcept {
        runs_.erase(run, id);
        --size_;
    }
    // Of another origin, or of this one after a pause: no id of the table may be above it.
    [[nodiscard]] bool may_begin_runs(const message_id& id) const noexcept {
        return runs_.empty() && (ring_.size() == 0 || id.counter > highest_) && !planted(detail::bug::dedup_by_hash);
    }
    // What is bounded besides the ids: places of erased ones are in it.
    [[nodiscard]] std::size_t places() const noexcept { return ring_.size() + runs_.size(); }
    [[nodiscard]] bool oldest_is_in_run() const noexcept {
        return !runs_.empty() && (ring_.size() == 0 || runs_.front().place <= passed_ - ring_.size());
    }
    [[nodiscard]] time_point oldest_expires() const noexcept {
        return oldest_is_in_run() ? runs_.front().expires : ring_[ring_.front_ref()].expires;
    }
    void evict() noexcept {
        if (oldest_expires() > last_now_) ++evicted_;
        pop_oldest();
    }
    void pop_oldest() noexcept {
        if (oldest_is_in_run()) {
            runs_.pop_front();
            --size_;
            return;
        }
        const id_entry& oldest = ring_[ring_.front_ref()];
        if (oldest.expires != time_point::min()) forget(hash_(oldest.id), ring_.front_ref());
        ring_.pop_front();
    }
    std::size_t remove_expired(std::size_t most) noexcept {
        std::size_t removed = 0;
        for (; removed < most && places() != 0 && oldest_expires() <= last_now_; ++removed) pop_oldest();
        return removed;
    }

    using id_entry = detail::id_entry;

    std::size_t max_entries_;
    duration ttl_;
    time_point last_now_ = time_point::min();
    bool more_expired_ = true;  // perhaps, at `last_now_`
    std::size_t size_ = 0;
    std::uint64_t evicted_ = 0;
    std::uint64_t passed_ = 0;   // ids that went into the table, ever
    std::uint64_t highest_ = 0;  // counter in the table, since it was empty
    detail::id_runs runs_;
    detail::id_ring ring_;
    detail::id_index index_;
    [[no_unique_address]] Hash hash_;
};

static_assert(dedup_policy<no_dedup> && dedup_policy<xxhash_dedup_cache<>>);

}  // namespace hawser::inline v0

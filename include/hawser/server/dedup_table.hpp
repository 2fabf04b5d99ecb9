// SPDX-License-Identifier: BSL-1.0
/// \file
/// What the origins of a listener have delivered: one dedup state each, bounded in number, in bytes and in time.
///
/// | state of the origin | event | effect |
/// |---|---|---|
/// | unknown | `find` | made, unused |
/// | unused | `join` | in use |
/// | in use | the last `leave` | unused, the newest of those |
/// | unused for `dedup_ttl` | `sweep` | unknown |
/// | unused, the oldest | one origin or one byte too many | unknown |
/// | in use | one origin or one byte too many | stays |
///
/// A state is in use while a link has it, so as long as its session is attached or detached. Of such a session no id is
/// forgotten to make room: a copy would be handed over twice. So where nothing else is left the limits are exceeded; how far, the
/// listener bounds by `max_sessions` and `dedup_options::max_entries`.
#pragma once

#include <hawser/link/dedup_state.hpp>
#include <hawser/protocol/session/frame.hpp>

#include <algorithm>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

namespace hawser::inline v0::detail {

/// A state may outlive the table, with the link that has it. Thread safety: none.
template <class P>
class dedup_table {
public:
    /// `max_bytes`: what the ids and their origins take together.
    dedup_table(const dedup_options& o, std::size_t max_origins, std::size_t max_bytes)
        : options_(o), max_origins_(max_origins), max_bytes_(max_bytes) {}
    ~dedup_table() { abandon(); }
    dedup_table(const dedup_table&) = delete;
    dedup_table& operator=(const dedup_table&) = delete;

    /// The state of an origin and principal; the next is `join`. `seed()`: for the hash of a new one. Throws
    /// std::bad_alloc, and nothing changed.
    template <class Seed>
    [[nodiscard]] std::shared_ptr<dedup_state<P>> find(const session::origin_id& origin, const std::string& principal, Seed seed) {
        const auto [at, is_new] = entries_.try_emplace({origin, principal});
        if (is_new) {
            try {
                at->second = std::make_shared<entry>(*this, at, seed());
            } catch (...) {
                entries_.erase(at);
                throw;
            }
            add_newest(*at->second);
            used_ += overhead(at->first);
        }
        return {at->second, &at->second->state};
    }
    /// Forgets those that nobody has used for the time to live of an id. What became unused counts from the next sweep
    /// on, so that none goes early.
    void sweep(time_point now) noexcept {
        for (entry* e = newest_; e && e->unused_since == never; e = e->older) e->unused_since = now;
        while (oldest_ && now - oldest_->unused_since >= duration{options_.dedup_ttl}) forget(*oldest_);
    }
    /// All are forgotten here; who has one keeps it, and may let go of it on any thread.
    void abandon() noexcept {
        for (auto& item : entries_) item.second->state.set_meter(nullptr);
        entries_.clear();
        oldest_ = newest_ = nullptr;
        used_ = 0;
    }
    [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
    /// Of all. Ids of a state in use are counted at the 1st, 2nd, 4th ... and then at every 64th.
    [[nodiscard]] std::size_t memory_bytes() const noexcept { return used_; }

private:
    struct entry;
    struct key {
        session::origin_id origin{};
        std::string principal;
        friend auto operator<=>(const key&, const key&) = default;
    };
    using entry_map = std::map<key, std::shared_ptr<entry>>;
    struct entry final : dedup_meter {
        entry(dedup_table& t, typename entry_map::iterator where, std::uint64_t seed) : table(t), at(where), state(t.options_, seed) {
            state.set_meter(this);
        }
        // The error is in proportion, and a message costs a counter.
        void measure() noexcept override {
            until_next = step = static_cast<std::uint16_t>(std::min(step * 2, 64));
            table.count(*this);
            table.make_room();
        }
        void joined() noexcept override {
            if (users++ == 0) table.remove(*this);
            table.make_room();
        }
        void left() noexcept override {
            if (--users != 0) return;
            table.add_newest(*this);
            table.count(*this);
            table.make_room();
        }
        // Each session has one: small things first, where the base leaves room.
        std::uint16_t step = 1;
        std::uint32_t users = 0;
        dedup_table& table;
        typename entry_map::iterator at;
        entry* older = nullptr;  // of the unused ones
        entry* newer = nullptr;
        time_point unused_since = never;  // to be set by the next sweep
        std::size_t counted = 0;  // bytes of its ids, in `used_`
        dedup_state<P> state;
    };
    // Besides the ids: the entry, its place in the map, and the name.
    [[nodiscard]] static std::size_t overhead(const key& k) noexcept {
        return sizeof(entry) + sizeof(typename entry_map::value_type) + 6 * sizeof(void*) + k.principal.size();
    }
    void count(entry& e) noexcept {
        used_ -= e.counted;
        used_ += e.counted = e.state.memory_bytes();
    }
    void make_room() noexcept {
        while (oldest_ && (used_ > max_bytes_ || entries_.size() > max_origins_)) forget(*oldest_);
    }
    // Nobody has it.
    void forget(entry& e) noexcept {
        remove(e);
        used_ -= e.counted + overhead(e.at->first);
        e.state.set_meter(nullptr);
        entries_.erase(e.at);
    }
    void add_newest(entry& e) noexcept {
        e.unused_since = never;
        e.older = std::exchange(newest_, &e);
        (e.older ? e.older->newer : oldest_) = &e;
    }
    void remove(entry& e) noexcept {
        (e.older ? e.older->newer : oldest_) = e.newer;
        (e.newer ? e.newer->older : newest_) = e.older;
        e.older = e.newer = nullptr;
    }

    dedup_options options_;
    std::size_t max_origins_;
    std::size_t max_bytes_;
    std::size_t used_ = 0;
    entry_map entries_;
    entry* oldest_ = nullptr;  // of those that nobody uses, by the time of their last leave
    entry* newest_ = nullptr;
};

}  // namespace hawser::inline v0::detail

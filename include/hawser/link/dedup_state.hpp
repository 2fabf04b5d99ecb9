// SPDX-License-Identifier: BSL-1.0
/// \file
/// What one origin has delivered, across its sessions.
#pragma once

#include <hawser/core/message_id.hpp>
#include <hawser/core/time.hpp>
#include <hawser/core/planted.hpp>
#include <hawser/policy/dedup_cache.hpp>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <iterator>
#include <new>
#include <utility>
#include <vector>

namespace hawser::inline v0::detail {

/// Is told, where many states share a limit, who uses one of them and when to look at what it takes.
class dedup_meter {
public:
    std::uint16_t until_next = 1;  ///< ids until the next `measure`
    virtual void measure() noexcept = 0;
    virtual void joined() noexcept = 0;
    virtual void left() noexcept = 0;

protected:
    ~dedup_meter() = default;
};

/// Ids that were processed (the dedup cache) and ids in processing. A copy of a message still
/// in processing waits for the first copy and is accepted with it. Thread safety: none.
template <class P>
class dedup_state {
public:
    /// `seed`: for the hash, where the options have none.
    dedup_state(const dedup_options& o, std::uint64_t seed) : cache_(with_seed(o, seed)), max_processing_(o.max_entries) {}

    enum class verdict : std::uint8_t { fresh, duplicate, in_processing };

    /// A message is about to be handed to the application.
    [[nodiscard]] verdict check(const message_id& id, time_point now) {
        if (planted(bug::copies_delivered)) return verdict::fresh;
        if (cache_.contains(id, now)) return verdict::duplicate;
        return processing_.empty() || find(id) == processing_.end() ? verdict::fresh : verdict::in_processing;
    }
    /// It was handed over and is finished at once.
    void processed(const message_id& id, time_point now) {
        (void)cache_.insert(id, now);
        if (meter_ && --meter_->until_next == 0) meter_->measure();
    }
    /// `owner` handed it over; `finish` comes later. Beyond the bound the id is not tracked.
    void begin(const message_id& id, const void* owner) {
        if (processing_.size() < max_processing_) processing_.push_back({id, owner, {}});
    }
    /// A copy came in meanwhile; `done` is called when the first is finished (true), or never
    /// will be (false).
    void wait_for(const message_id& id, std::function<void(bool finished)> done) {
        if (auto it = find(id); it != processing_.end()) it->copies.push_back(std::move(done));
    }
    /// Without the memory to remember it: a copy in a later session is handed over again.
    void finish(const message_id& id, time_point now) {
        const auto it = find(id);
        if (it == processing_.end()) return;
        try {
            processed(id, now);
        } catch (const std::bad_alloc&) {
            // It is finished all the same.
        }
        auto copies = std::move(it->copies);
        processing_.erase(it);
        for (auto& done : copies) done(true);
    }
    /// The application refused it: not remembered, so that a copy is judged anew.
    void reject(const message_id& id) {
        const auto it = find(id);
        if (it == processing_.end()) return;
        auto copies = std::move(it->copies);
        processing_.erase(it);
        for (auto& done : copies) done(false);
    }
    /// `owner` is gone: what it has in processing counts as never handed over.
    void abandon(const void* owner) {
        std::vector<std::function<void(bool)>> copies;
        std::erase_if(processing_, [&](entry& e) {
            if (e.owner != owner) return false;
            std::move(e.copies.begin(), e.copies.end(), std::back_inserter(copies));
            return true;
        });
        for (auto& done : copies) done(false);
    }
    /// The same for one id.
    void abandon(const message_id& id) {
        const auto it = find(id);
        if (it == processing_.end()) return;
        auto copies = std::move(it->copies);
        processing_.erase(it);
        for (auto& done : copies) done(false);
    }
    /// In times without messages: frees the memory of ids whose time is over, of some thousand at most, so that this is no
    /// pause for others.
    void expire(time_point now) {
        constexpr std::size_t step = 64;  // of one call
        for (int i = 0; i < 32 && cache_.expire(now) == step; ++i) {}
        if (meter_) meter_->measure();
    }
    ///@{
    /// A link uses it from now on, or does no more.
    void join() noexcept {
        if (meter_) meter_->joined();
    }
    void leave() noexcept {
        if (meter_) meter_->left();
    }
    ///@}
    /// Which must outlive its use here; null: nobody measures.
    void set_meter(dedup_meter* meter) noexcept { meter_ = meter; }
    /// What the ids take.
    [[nodiscard]] std::size_t memory_bytes() const { return cache_.memory_bytes(); }
    [[nodiscard]] std::size_t in_processing() const noexcept { return processing_.size(); }

private:
    [[nodiscard]] static dedup_options with_seed(dedup_options o, std::uint64_t seed) noexcept {
        if (o.hash_seed == 0) o.hash_seed = seed;
        return o;
    }
    struct entry {
        message_id id;
        const void* owner;
        std::vector<std::function<void(bool)>> copies;
    };
    auto find(const message_id& id) {
        return std::find_if(processing_.begin(), processing_.end(), [&](const entry& e) { return e.id == id; });
    }

    dedup_meter* meter_ = nullptr;
    typename P::dedup cache_;
    std::size_t max_processing_;
    std::vector<entry> processing_;  // at most a receive window, so a scan will do
};

}  // namespace hawser::inline v0::detail

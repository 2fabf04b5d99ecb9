// SPDX-License-Identifier: BSL-1.0
/// \file
/// Ids of one origin whose counters rise, as a session brings them: up to 64 of one moment in one entry.
#pragma once

#include <hawser/core/message_id.hpp>
#include <hawser/core/time.hpp>
#include <hawser/policy/detail/id_ring.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace hawser::inline v0::detail {

/// Neighbours that came at the same moment, so that each keeps its exact time.
struct id_run {
    std::uint64_t first = 0;    ///< counter
    std::uint64_t present = 0;  ///< bit i: `first + i` is held
    time_point expires{};       ///< of all of them
    std::uint64_t place = 0;    ///< how many ids had gone elsewhere before: it tells what is older
};

/// Sorted by counter and by age at once, so that a new id costs a comparison and the oldest is in front. Thread
/// safety: none.
class id_runs {
public:
    [[nodiscard]] bool empty() const noexcept { return runs_.size() == 0; }
    [[nodiscard]] std::size_t size() const noexcept { return runs_.size(); }
    /// Whether ids of this origin are kept here.
    [[nodiscard]] bool is_of(const message_id& id) const noexcept { return !empty() && std::memcmp(id.origin.data(), origin_.data(), origin_.size()) == 0; }
    /// Above all that were ever kept here since it was empty. Precondition: `is_of(id)`.
    [[nodiscard]] bool is_above(const message_id& id) const noexcept { return id.counter > top_; }
    /// Whether `id`, which came at `now` after `place` others that went elsewhere, goes into the newest run.
    [[nodiscard]] bool extends(const message_id& id, time_point now, std::uint64_t place) const noexcept {
        if (!is_of(id) || !is_above(id)) return false;
        return id.counter - newest_->first < 64 && newest_at_ == now && newest_->place == place;
    }
    /// Puts it there, if it does.
    bool extend(const message_id& id, time_point now, std::uint64_t place) noexcept {
        if (!extends(id, now, place)) return false;
        newest_->present |= std::uint64_t{1} << (id.counter - newest_->first);
        top_ = id.counter;
        return true;
    }
    /// Begins a run. Precondition: it is empty, or `is_of(id)` and `is_above(id)`. Throws std::bad_alloc, and nothing
    /// changed.
    void push_back(const message_id& id, time_point now, time_point expires, std::uint64_t place) {
        newest_ = &runs_[runs_.push_back({id.counter, 1, expires, place})];
        newest_at_ = now;
        origin_ = id.origin;
        top_ = id.counter;
    }
    /// The run that holds `id`, or null.
    [[nodiscard]] const id_run* find(const message_id& id) const noexcept {
        if (!is_of(id) || is_above(id)) return nullptr;
        std::uint32_t low = 0, high = static_cast<std::uint32_t>(runs_.size());
        while (high - low > 1) {
            const std::uint32_t middle = low + (high - low) / 2;
            (at(middle).first <= id.counter ? low : high) = middle;
        }
        const std::uint64_t offset = id.counter - at(low).first;
        return offset < 64 && (at(low).present >> offset & 1) != 0 ? &at(low) : nullptr;
    }
    /// Forgets `id`, which `find` gave `run` for.
    void erase(const id_run& run, const message_id& id) noexcept {
        const_cast<id_run&>(run).present &= ~(std::uint64_t{1} << (id.counter - run.first));
        while (!empty() && newest_->present == 0) {
            runs_.pop_back();
            if (!empty()) newest_ = &runs_[runs_.front_ref() + static_cast<std::uint32_t>(runs_.size()) - 1];
            newest_at_ = time_point::min();  // it is not gone on with
        }
        drop_empty_front();
    }
    /// The run with the oldest id. Precondition: not empty.
    [[nodiscard]] const id_run& front() const noexcept { return at(0); }
    /// Forgets the oldest id. Precondition: not empty.
    void pop_front() noexcept {
        id_run& oldest = runs_[runs_.front_ref()];
        oldest.present &= oldest.present - 1;
        drop_empty_front();
    }
    void clear() noexcept { runs_.clear(); }
    [[nodiscard]] std::size_t memory_bytes() const noexcept { return runs_.memory_bytes(); }

private:
    [[nodiscard]] const id_run& at(std::uint32_t i) const noexcept { return runs_[runs_.front_ref() + i]; }
    void drop_empty_front() noexcept {
        while (!empty() && front().present == 0) runs_.pop_front();
    }

    entry_ring<id_run> runs_;
    id_run* newest_ = nullptr;  // of them, where there are any
    time_point newest_at_{};    // when it was begun
    std::array<std::byte, 16> origin_{};
    std::uint64_t top_ = 0;
};

}  // namespace hawser::inline v0::detail

// SPDX-License-Identifier: BSL-1.0
/// \file
/// Finds a message that had a number by its counter, where the order is not that of the counters.
#pragma once

#include <hawser/protocol/session/message_lane.hpp>

#include <cstdint>
#include <memory>
#include <unordered_map>

namespace hawser::inline v0 {
namespace session {

/// The window, and behind it what returned, have a common `order`. As long as counters rise along them too, which
/// is always so without priorities and coalescing, there is nothing here; from the first message on that breaks
/// that, each has a row, until the last is gone. Thread safety: none.
class flight_index {
public:
    /// `m` gets its first number and will be the last of the window; nothing has returned. Throws std::bad_alloc,
    /// and nothing changed.
    void add(ring<outgoing_message>& window, const outgoing_message& m, std::uint64_t order) {
        if (!rows_) {
            if (window.empty() || window.back().counter < m.counter) return;
            auto rows = std::make_unique<table>();
            for (std::size_t i = 0; i < window.size(); ++i) rows->emplace(window[i].counter, window[i].order);
            rows->emplace(m.counter, order);
            rows_ = std::move(rows);
            return;
        }
        rows_->emplace(m.counter, order);
    }
    void remove(std::uint64_t counter) noexcept {
        if (!rows_) return;
        rows_->erase(counter);
        if (rows_->empty()) rows_.reset();
    }
    [[nodiscard]] outgoing_message* find(ring<outgoing_message>& window, message_lane* returned, std::uint64_t counter) noexcept {
        if (!rows_) {
            const std::size_t i = lower_bound_counter(window, counter);
            if (i < window.size()) return window[i].counter == counter ? &window[i] : nullptr;
            return returned ? returned->at_counter(counter) : nullptr;
        }
        const auto row = rows_->find(counter);
        if (row == rows_->end()) return nullptr;
        const std::size_t i = lower_bound_order(window, row->second);
        if (i < window.size()) return &window[i];
        return returned ? returned->at_place(row->second) : nullptr;
    }

private:
    using table = std::unordered_map<std::uint64_t, std::uint64_t>;
    std::unique_ptr<table> rows_;
};

}  // namespace session
}  // namespace hawser::inline v0

// SPDX-License-Identifier: BSL-1.0
/// \file
/// What a waiting queue has beside its lane of normal messages, from the first message on that asks for it.
#pragma once

#include <hawser/protocol/session/message_lane.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace hawser::inline v0 {
namespace session {

/// The slots of a round, 1 to 15, belong to classes by how often 2 divides them: 8 urgent, 4 high, 2 normal,
/// 1 low, each as evenly spread as can be.
struct class_turn {
    unsigned slot = 1;

    [[nodiscard]] constexpr std::size_t owner() const noexcept {
        std::size_t c = 0;
        while (c + 1 < priority_classes && (slot >> c & 1U) == 0) ++c;
        return c;
    }
    [[nodiscard]] constexpr class_turn next() const noexcept { return {slot == 15 ? 1 : slot + 1}; }
};

/// Lanes of the other classes, and indexes by coalescing key and by deadline.
struct message_classes {
    struct place {
        std::size_t lane = 0;
        std::uint64_t order = 0;
    };
    struct expiry {
        time_point when{};
        std::uint64_t counter = 0;
        // A heap has its greatest element first.
        friend bool operator<(const expiry& a, const expiry& b) noexcept { return b.when < a.when; }
    };

    std::array<message_lane, priority_classes> lanes;  // that of `normal` stays empty
    class_turn turn;
    // The keys lie in the extras of the messages.
    std::unordered_map<std::string_view, place> by_key;
    // Messages whose place is not that of their counter.
    std::unordered_map<std::uint64_t, place> moved;
    // May hold rows of messages that wait no more.
    std::vector<expiry> expiries;
    std::size_t with_deadline = 0;
};

}  // namespace session
}  // namespace hawser::inline v0

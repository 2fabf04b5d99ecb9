// SPDX-License-Identifier: BSL-1.0
// What the processes of a run show each other while it goes on: counters in a shared mapping of
// a file. Only for the display and for knowing when to stop; what counts in the end is what
// `verify` reads in the other files.
#pragma once

#include "cut.hpp"
#include "settings.hpp"

#include <hawser/policy/metrics.hpp>

#include <array>
#include <atomic>
#include <cstdint>

namespace demo {

using shared_count = std::atomic<std::uint64_t>;

/// Of one server or client process. Written by it alone.
struct party {
    shared_count links_up{0};  ///< sockets that are open now
    shared_count handed{0};    ///< messages handed to sockets
    shared_count decided{0};   ///< of these, those whose outcome is known
    shared_count acknowledged{0};
    shared_count unknown{0};
    shared_count received{0};
    shared_count reconnects{0};
    shared_count sessions_resumed{0};
    shared_count sessions_lost{0};
    shared_count heartbeat_timeouts{0};
    shared_count duplicates_dropped{0};
    shared_count protocol_errors{0};
    shared_count breaker_opened{0};
};

struct board {
    std::atomic<std::uint32_t> calm{0};  ///< set by the controller: no more cuts
    std::array<shared_count, cut_class_names.size()> cuts{};
    std::array<shared_count, cut_kind_names.size()> kinds{};
    shared_count stalls{0};   ///< of links that went on afterwards
    shared_count refused{0};  ///< connections for which there was no server
    party server;
    std::array<party, max_client_processes> clients{};
};
static_assert(shared_count::is_always_lock_free);

/// The mapping. Throws std::system_error.
class shared_board {
public:
    explicit shared_board(const settings& s);
    shared_board(const shared_board&) = delete;
    shared_board& operator=(const shared_board&) = delete;
    ~shared_board();
    [[nodiscard]] board& operator*() const noexcept { return *board_; }
    [[nodiscard]] board* operator->() const noexcept { return board_; }

private:
    board* board_ = nullptr;
};

/// Shows what the library counted.
void show_metrics(const hawser::counting_metrics& metrics, party& p);

}  // namespace demo

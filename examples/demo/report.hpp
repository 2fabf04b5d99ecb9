// SPDX-License-Identifier: BSL-1.0
// What a run shows: progress while it goes on, and the result.
#pragma once

#include "board.hpp"
#include "programs.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace demo {

/// Sums over all processes.
struct totals {
    std::uint64_t links_up = 0, handed = 0, decided = 0, acknowledged = 0, unknown = 0, received = 0;
    std::uint64_t reconnects = 0, resumed = 0, sessions_lost = 0, heartbeat_timeouts = 0, duplicates_dropped = 0;
    std::uint64_t protocol_errors = 0, breaker_opened = 0;
};
[[nodiscard]] totals sum(const board& b, std::uint32_t processes);

/// What `verify` found, and what was measured besides.
struct result {
    std::uint64_t sent = 0, acknowledged = 0, delivered = 0, unknown = 0;
    std::uint64_t lost = 0, duplicated = 0, out_of_order = 0, corrupted = 0;
    std::array<std::uint64_t, cut_class_names.size()> cuts{};
    std::array<std::uint64_t, cut_kind_names.size()> kinds{};
    std::uint64_t stalls = 0;
    totals all;
    double recovery_p50_ms = 0, recovery_p99_ms = 0, seconds = 0;
    std::vector<std::string> findings;  ///< of the verifier
    std::vector<std::string> failures;  ///< why this run is not all right
};

/// On a terminal a block that is drawn anew; elsewhere a line per second. On standard error.
class progress {
public:
    explicit progress(const run_options& o);
    void show(const board& b, const totals& t, const char* phase);
    /// The last state stays on the screen.
    void finish();

private:
    using clock = std::chrono::steady_clock;
    [[nodiscard]] std::vector<std::string> block(const board& b, const totals& t, const char* phase) const;

    const run_options& options_;
    bool terminal_;
    clock::time_point started_ = clock::now();
    clock::time_point next_ = started_;
    std::size_t drawn_ = 0;
};

void print_summary(const run_options& o, const result& r);
void print_json(const result& r);

}  // namespace demo

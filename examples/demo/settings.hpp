// SPDX-License-Identifier: BSL-1.0
// What a run of the demo is asked to do, and what its processes agree on.
#pragma once

#include <hawser/hawser.hpp>

#include <chrono>
#include <cstdint>
#include <string>

namespace demo {

using namespace std::chrono_literals;

inline constexpr std::uint32_t max_clients = 500;
inline constexpr std::uint32_t clients_per_process = 10;
inline constexpr std::uint32_t max_client_processes = max_clients / clients_per_process;

/// The part of the options that every process of a run is told.
struct settings {
    std::string directory;        ///< where the run's files are
    std::uint32_t clients = 20;
    std::uint32_t messages = 300;  ///< per client and direction
    std::uint32_t cut_every_ms = 250;
    std::uint64_t seed = 1;
};

/// Two directions of traffic per client; each has a sender of its own.
enum class direction : std::uint8_t { up = 0, down = 1 };  // up: client to server
[[nodiscard]] constexpr const char* to_string(direction d) noexcept { return d == direction::up ? "up" : "down"; }
[[nodiscard]] constexpr std::uint32_t sender_id(direction d, std::uint32_t client) noexcept {
    return client * 2 + static_cast<std::uint32_t>(d);
}

/// Names of the files of one direction of one client.
[[nodiscard]] inline std::string ledger_path(const settings& s, direction d, std::uint32_t client) {
    return s.directory + "/" + to_string(d) + "." + std::to_string(client) + ".ledger";
}
[[nodiscard]] inline std::string received_path(const settings& s, direction d, std::uint32_t client) {
    return s.directory + "/" + to_string(d) + "." + std::to_string(client) + ".received";
}

struct policies : hawser::default_policies {
    using metrics = hawser::counting_metrics;
};
using socket = hawser::resilient_socket<policies>;

/// A session that notices a dead link within 0.7 s and comes back within some ten milliseconds:
/// far more nervous than a real application would be, so that a run of seconds shows much.
[[nodiscard]] inline hawser::options socket_options() {
    auto o = hawser::options::reliable();
    o.connect_timeout = 2s;
    o.handshake_timeout = 2s;
    o.close_timeout = 2s;
    o.write_stall_timeout = 2s;
    o.ack_delay = 50ms;
    o.heartbeat = {.ping_interval = 300ms, .pong_timeout = 400ms};
    o.reconnect = {.base_delay = 20ms, .max_delay = 400ms, .min_connected_time_to_reset = 1s, .min_reset_interval = 100ms};
    o.breaker = {.failure_rate_threshold = 50,
                 .sliding_window_duration = 2s,
                 .minimum_number_of_calls = 10,
                 .wait_duration_in_open_state = 100ms,
                 .open_wait_multiplier = 1.5,
                 .max_wait_duration_in_open_state = 500ms,
                 .permitted_number_of_calls_in_half_open_state = 3,
                 .max_wait_duration_in_half_open_state = 2s,
                 .half_open_recheck_interval = 20ms};
    // Small, so that producers meet backpressure whenever a link is down for a while.
    o.queue = {.high_watermark = 96 * 1024, .low_watermark = 24 * 1024, .max_messages = 64};
    return o;
}

}  // namespace demo

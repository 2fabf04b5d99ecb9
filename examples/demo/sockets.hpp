// SPDX-License-Identifier: BSL-1.0
// The sockets of clients and server.
#pragma once

#include "settings.hpp"

#include <hawser/custom_policies.hpp>
#include <hawser/hawser.hpp>

namespace demo {

struct policies : hawser::default_policies {
    using metrics = hawser::counting_metrics;
};
using socket = hawser::resilient_socket<policies>;

/// A session that notices a dead link within 0.7 s and comes back within some ten milliseconds:
/// far more nervous than a real application would be, so that a run of seconds shows much.
[[nodiscard]] inline hawser::options socket_options() {
    auto o = hawser::options::reliable();
    o.connect_timeout = 1s;
    o.handshake_timeout = 1s;
    o.close_timeout = 1s;
    o.write_stall_timeout = 2s;
    o.ack_delay = 50ms;
    o.heartbeat = {.ping_interval = 300ms, .pong_timeout = 400ms};
    o.reconnect = {
        .base_delay = 20ms, .max_delay = 400ms, .min_connected_time_to_reset = 1s, .min_reset_interval = 100ms};
    o.breaker = {.failure_rate_threshold = 50,
                 .sliding_window_duration = 2s,
                 .minimum_number_of_calls = 10,
                 .wait_duration_in_open_state = 100ms,
                 .open_wait_multiplier = 1.5,
                 .max_wait_duration_in_open_state = 500ms,
                 .permitted_number_of_calls_in_half_open_state = 3,
                 .max_wait_duration_in_half_open_state = 2s,
                 .half_open_recheck_interval = 20ms};
    // Small, so that senders run out of credit whenever a link is slow.
    o.receive_window_messages = 48;
    o.receive_window_bytes = 96 * 1024;
    // Small, so that producers meet backpressure whenever a link is down for a while.
    o.queue = {.high_watermark = 96 * 1024, .low_watermark = 24 * 1024, .max_messages = 64};
    return o;
}

}  // namespace demo

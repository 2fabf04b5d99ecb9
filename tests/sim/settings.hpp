// SPDX-License-Identifier: BSL-1.0
// What one seed runs: how many clients, with which options, under which faults.
#pragma once

#include "policies.hpp"

#include <hawser/testing/world.hpp>

#include <vector>

namespace sim {

struct client_settings {
    bool reliable = true;
    hawser::options options;
    std::uint32_t messages = 100;        // in each direction, per socket
    std::uint32_t largest = 200;         // bytes
    hawser::duration mean_gap{};         // between two messages
    bool uses_classes = false;           // priorities, times to live, coalescing keys
    bool pull = false;                   // async_receive instead of on_message
    std::uint32_t throws_per_thousand = 0;
    std::uint32_t slow_per_thousand = 0;
    hawser::duration replaces_socket_every{};  // closes or destroys it, and makes another; zero: never
};

struct settings {
    std::vector<client_settings> clients;
    hawser::listener_options server;
    hawser::testing::fault_rates faults;
    jitter_kind jitter = jitter_kind::full;
    // Something of this run may lose the window of a session, so that `unknown` is a true answer.
    bool may_lose_windows = false;
};

// A random subset of features and faults.
[[nodiscard]] settings swarm(hawser::xoshiro256& rng);

}  // namespace sim

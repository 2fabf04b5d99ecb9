// SPDX-License-Identifier: BSL-1.0
// What a run of the demo is asked to do, and what its processes agree on.
#pragma once

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
    std::string directory;  ///< where the run's files are
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

}  // namespace demo

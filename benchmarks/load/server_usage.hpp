// SPDX-License-Identifier: BSL-1.0
// What the kernel accounts to a process.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace load {

/// Nanoseconds that all threads of `pid` were on a CPU, from /proc/PID/task/*/schedstat.
[[nodiscard]] inline std::uint64_t cpu_ns_of(long pid) {
    std::uint64_t sum = 0;
    std::error_code ec;
    for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", ec)) {
        std::ifstream file(task.path() / "schedstat");
        std::uint64_t ns = 0;
        if (!(file >> ns)) throw std::runtime_error("this kernel has no schedstat");
        sum += ns;
    }
    if (ec) throw std::runtime_error("no process " + std::to_string(pid));
    return sum;
}

}  // namespace load

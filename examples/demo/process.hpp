// SPDX-License-Identifier: BSL-1.0
// Child processes: this same program with another command.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace demo {

/// A running child. It dies with its parent, whatever becomes of that; destroying this kills it.
class process {
public:
    /// Starts it; its output goes to DIRECTORY/NAME.out and NAME.log, appended.
    process(std::string name, const std::string& directory, const std::vector<std::string>& arguments);
    process(process&& other) noexcept;
    process& operator=(process&& other) noexcept;
    ~process();

    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    /// Empty while it runs; then its exit status, or 128 + the signal that ended it.
    [[nodiscard]] std::optional<int> status();
    void signal(int number) const;
    /// Waits; empty if it still runs afterwards.
    [[nodiscard]] std::optional<int> wait(std::chrono::milliseconds limit);

private:
    std::string name_;
    pid_t pid_ = -1;
    std::optional<int> status_;
};

}  // namespace demo

// SPDX-License-Identifier: BSL-1.0
// The programs inside hawser_demo. Each returns its exit status and may throw.
#pragma once

#include "settings.hpp"

namespace demo {

struct run_options {
    settings common;
    std::string input;  ///< a file or a folder
    bool server_restart = false;
    bool json = false;
};

int run_controller(const run_options& o);
int run_server(const settings& s);
int run_clients(const settings& s, std::uint32_t process);
int run_proxy(const settings& s);
int run_verify(const settings& s);

/// A process that listens tells the others where.
void publish_port(const settings& s, const std::string& who, unsigned port);
/// 0: nobody has told yet.
[[nodiscard]] std::uint16_t published_port(const settings& s, const std::string& who);

}  // namespace demo

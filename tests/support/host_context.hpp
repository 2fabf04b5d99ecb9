// SPDX-License-Identifier: BSL-1.0
// The io_context of tests on real sockets: with HAWSER_TEST_DRIVER=asio in the environment it has the portable
// driver, otherwise the platform's own. CTest runs them with each.
#pragma once

#include <hawser/driver/asio_driver.hpp>
#include <hawser/driver/driver_service.hpp>

#include <cstdlib>
#include <string_view>

namespace support {

class host_context : public asio::io_context {
public:
    host_context() { choose_driver(); }
    explicit host_context(int concurrency_hint) : asio::io_context(concurrency_hint) { choose_driver(); }

private:
    void choose_driver() {
        const char* const name = std::getenv("HAWSER_TEST_DRIVER");
        if (name && std::string_view(name) == "asio") hawser::install_driver<hawser::asio_driver>(*this);
    }
};

}  // namespace support

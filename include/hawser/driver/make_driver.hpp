// SPDX-License-Identifier: BSL-1.0
/// \file
/// Which driver an io_context gets when it has none yet.
#pragma once

#include <hawser/driver/asio_driver.hpp>
#include <hawser/driver/driver_service.hpp>
#include <hawser/driver/epoll_driver.hpp>

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

#include <memory>
#include <mutex>
#include <system_error>

namespace hawser::inline v0 {

namespace detail {

[[nodiscard]] inline std::unique_ptr<driver> make_default_driver(asio::io_context& context) {
#if defined(__linux__)
    try {
        return std::make_unique<epoll_driver>(context);
    } catch (const std::system_error&) {
        // No descriptor is left for a set of its own.
    }
#endif
    return std::make_unique<asio_driver>(context);
}

[[nodiscard]] inline driver& find_or_make_driver(asio::io_context& context) {
    // Asio's reactor has to be older than our service: in a forked child it must have its own epoll set
    // before descriptors are closed, or those of the parent are taken out of the parent's.
    if (!asio::has_service<driver_service>(context)) const asio::steady_timer makes_reactor(context);
    auto& service = asio::use_service<driver_service>(context);
    const std::lock_guard lock(service.making_);
    if (!service.driver_) service.driver_ = make_default_driver(context);
    return *service.driver_;
}

}  // namespace detail

}  // namespace hawser::inline v0

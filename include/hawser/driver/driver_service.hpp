// SPDX-License-Identifier: BSL-1.0
/// \file
/// The driver as a service of its io_context.
#pragma once

#include <hawser/driver/driver.hpp>

#include <asio/execution_context.hpp>
#include <asio/io_context.hpp>
#include <asio/strand.hpp>

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace hawser::inline v0 {

namespace detail {

/// Holds the driver of an io_context as one of its services.
class driver_service final : public asio::execution_context::service {
public:
    using key_type = driver_service;
    static inline asio::execution_context::id id;

    // Services are destroyed in the reverse order of their making, so the strands' comes first.
    explicit driver_service(asio::execution_context& context) : service(context) {
        (void)asio::make_strand(static_cast<asio::io_context&>(context).get_executor());
    }
    void shutdown() override {
        if (driver_) driver_->shut_down();
    }
    std::mutex making_;
    std::unique_ptr<driver> driver_;

private:
    // The connections stay the parent's: the child lets go of its copies as if the io_context were
    // destroyed, which closes descriptors and nothing else. What it makes from now on gets a new driver.
    void notify_fork(asio::execution_context::fork_event event) override {
        if (event != asio::execution_context::fork_child || !driver_) return;
        driver_->shut_down();
        former_.push_back(std::move(driver_));
    }
    std::vector<std::unique_ptr<driver>> former_;  // sockets still refer to them
};

}  // namespace detail

/// Installs a driver of your own, for instance a simulated one. Precondition: nothing of
/// hawser was used with `context` before.
template <class Driver, class... Args>
Driver& install_driver(asio::io_context& context, Args&&... args) {
    auto owned = std::make_unique<Driver>(context, std::forward<Args>(args)...);
    Driver& result = *owned;
    asio::use_service<detail::driver_service>(context).driver_ = std::move(owned);
    return result;
}

}  // namespace hawser::inline v0

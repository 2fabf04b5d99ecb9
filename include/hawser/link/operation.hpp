// SPDX-License-Identifier: BSL-1.0
/// \file
/// An asynchronous operation of the application, before it is on its way to where it waits.
#pragma once

#include <hawser/core/message.hpp>
#include <hawser/core/outcome.hpp>
#include <hawser/core/send_options.hpp>
#include <hawser/core/store_transaction.hpp>
#include <hawser/driver/driver.hpp>
#include <hawser/link/completion.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <system_error>
#include <utility>

namespace hawser::inline v0::detail {

/// `on_message_transaction`, for any store.
using transaction_handler = std::function<std::error_code(store_transaction&, const message_view&)>;

using piece_handler = std::function<void(const message_piece&)>;

using send_completion = completion<std::error_code, outcome>;
using enqueue_completion = completion<std::error_code, ticket>;
using batch_completion = completion<std::error_code, ticket_range>;
using receive_completion = completion<std::error_code, message>;
using plain_completion = completion<std::error_code>;

/// A handler, and the number by which its operation is cancelled.
template <class Completion>
struct operation {
    std::uint64_t serial;
    Completion done;
};

/// What an operation needs of its target, a link or a listener, which need not be a complete type where it is begun: a
/// user's file is compiled without them. Defined in initiate.hpp.
template <class Target>
struct operation_target {
    [[nodiscard]] static driver& runtime(Target& target) noexcept;
    [[nodiscard]] static std::uint64_t next_serial(Target& target) noexcept;
    static void cancel(std::shared_ptr<Target> target, std::uint64_t serial, asio::cancellation_type how);
    template <class Result>
    static void cancel_taking(std::shared_ptr<Target> target, std::uint64_t serial, asio::cancellation_type how,
                              std::shared_ptr<parcel<Result>> box);
};

/// Wraps the handler and arranges its cancellation.
template <class Completion, class Target, class Handler>
[[nodiscard]] operation<Completion> make_operation(const std::shared_ptr<Target>& target, Handler&& handler) {
    const std::uint64_t serial = operation_target<Target>::next_serial(*target);
    if (auto slot = asio::get_associated_cancellation_slot(handler); slot.is_connected()) {
        slot.assign([weak = std::weak_ptr<Target>(target), serial](asio::cancellation_type how) {
            if (auto alive = weak.lock()) operation_target<Target>::cancel(std::move(alive), serial, how);
        });
    }
    return {serial, Completion(std::forward<Handler>(handler), operation_target<Target>::runtime(*target))};
}

/// The same for an operation whose result is taken from somewhere and must not get lost: when it is
/// cancelled before its handler was called, `target.give_back(result)` gets the result.
template <class Completion, class Result, class Target, class Handler>
[[nodiscard]] operation<Completion> make_taking(const std::shared_ptr<Target>& target, Handler&& handler) {
    const std::uint64_t serial = operation_target<Target>::next_serial(*target);
    by_parcel<Result> delivery;
    if (auto slot = asio::get_associated_cancellation_slot(handler); slot.is_connected()) {
        delivery.shared = std::make_shared<parcel<Result>>();
        // Weak: a signal may outlive the io_context, and a result must not.
        slot.assign([weak = std::weak_ptr<Target>(target), sent = std::weak_ptr(delivery.shared),
                     serial](asio::cancellation_type how) {
            auto alive = weak.lock();
            auto box = sent.lock();
            if (!alive || !box || !box->claim()) return;
            operation_target<Target>::template cancel_taking<Result>(std::move(alive), serial, how, std::move(box));
        });
    }
    return {serial, Completion(std::forward<Handler>(handler), operation_target<Target>::runtime(*target), std::move(delivery))};
}

}  // namespace hawser::inline v0::detail

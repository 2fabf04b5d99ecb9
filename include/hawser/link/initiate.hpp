// SPDX-License-Identifier: BSL-1.0
/// \file
/// How an asynchronous operation of the application reaches its link.
#pragma once

#include <hawser/link/link.hpp>
#include <hawser/link/link_dial.hpp>
#include <hawser/link/link_receive.hpp>
#include <hawser/link/link_send.hpp>
#include <hawser/link/link_session.hpp>

#include <asio/async_result.hpp>

namespace hawser::inline v0::detail {

/// Calls `f(link)` on the strand: at once if the caller is on it or if it is free and this
/// thread runs the io_context, else soon.
template <class P, class F>
void on_strand(const std::shared_ptr<link<P>>& l, F f) {
    if (l->runtime().executor().running_in_this_thread()) return f(*l);
    dispatch(l->runtime(), [l, f = std::move(f)]() mutable {
        if (l->runtime().alive()) f(*l);
    });
}

/// Starts one operation: wraps the handler, arranges its cancellation, and calls
/// `start(link, serial, completion)` on the strand.
template <class Completion, class P, class Handler, class Start>
void begin_operation(const std::shared_ptr<link<P>>& l, Handler&& handler, Start start) {
    const std::uint64_t serial = l->next_serial();
    if (auto slot = asio::get_associated_cancellation_slot(handler); slot.is_connected()) {
        slot.assign([weak = std::weak_ptr<link<P>>(l), serial](asio::cancellation_type) {
            auto alive = weak.lock();
            if (!alive) return;
            // Moved: the last owner of a link lets go of it on the strand and nowhere else.
            driver& d = alive->runtime();
            if (d.alive()) dispatch(d, [serial, alive = std::move(alive)] { alive->cancel_operation(serial); });
        });
    }
    Completion done(std::forward<Handler>(handler), l->runtime().executor());
    on_strand(l, [serial, start = std::move(start), done = std::move(done)](link<P>& target) mutable {
        start(target, serial, std::move(done));
    });
}

}  // namespace hawser::inline v0::detail

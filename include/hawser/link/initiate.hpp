// SPDX-License-Identifier: BSL-1.0
/// \file
/// How an asynchronous operation of the application reaches its link or listener, and its cancellation, on the strand.
#pragma once

#include <hawser/link/operation.hpp>

#include <asio/post.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

namespace hawser::inline v0::detail {

/// Calls `f(target)` on the strand: at once if the caller is on it or if it is free and this
/// thread runs the io_context, else soon.
template <class Target, class F>
void on_strand(const std::shared_ptr<Target>& target, F f) {
    if (!target->runtime().alive()) return;  // in a forked child
    if (target->runtime().executor().running_in_this_thread()) return f(*target);
    dispatch(target->runtime(), [target, f = std::move(f)]() mutable {
        if (target->runtime().alive()) f(*target);
    });
}

/// Cancels on the strand, by a call that returns false where there is no such operation. When this
/// is on the strand already, the operation may still be on its way there: then once more, after it.
template <class Target, class F>
void cancel_on_strand(std::shared_ptr<Target> target, F cancel) {
    // Moved: the last owner of a link lets go of it on the strand and nowhere else.
    driver& d = target->runtime();
    const bool here = d.executor().running_in_this_thread();
    if (!d.alive() || (here && cancel(*target))) return;
    auto later = [target = std::move(target), cancel = std::move(cancel)] {
        if (target->runtime().alive()) (void)cancel(*target);
    };
    if (here) asio::post(d.executor(), std::function<void()>(std::move(later)));
    else dispatch(d, std::move(later));
}

template <class Target>
driver& operation_target<Target>::runtime(Target& target) noexcept {
    return target.runtime();
}
template <class Target>
std::uint64_t operation_target<Target>::next_serial(Target& target) noexcept {
    return target.next_serial();
}
template <class Target>
void operation_target<Target>::cancel(std::shared_ptr<Target> target, std::uint64_t serial, asio::cancellation_type how) {
    cancel_on_strand(std::move(target), [serial, how](Target& t) { return t.cancel_operation(serial, how); });
}
template <class Target>
template <class Result>
void operation_target<Target>::cancel_taking(std::shared_ptr<Target> target, std::uint64_t serial, asio::cancellation_type how,
                                             std::shared_ptr<parcel<Result>> box) {
    cancel_on_strand(std::move(target), [serial, how, box = std::move(box)](Target& t) {
        if (t.cancel_operation(serial, how)) return true;
        if (!box->content) return false;
        t.give_back(*std::exchange(box->content, std::nullopt));
        return true;
    });
}

/// Calls `start(target, serial, completion)` on the strand. An exception there becomes the operation's result: nobody could
/// catch it.
template <class Target, class Completion, class Start>
void start_on_strand(const std::shared_ptr<Target>& target, operation<Completion> op, Start start) {
    on_strand(target, [op = std::move(op), start = std::move(start)](Target& t) mutable {
        op.done.start_with([&](Completion&& done) { start(t, op.serial, std::move(done)); });
    });
}

/// Starts one operation whose target is known here.
template <class Completion, class Target, class Handler, class Start>
void begin_operation(const std::shared_ptr<Target>& target, Handler&& handler, Start start) {
    start_on_strand(target, make_operation<Completion>(target, std::forward<Handler>(handler)), std::move(start));
}

}  // namespace hawser::inline v0::detail

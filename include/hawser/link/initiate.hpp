// SPDX-License-Identifier: BSL-1.0
/// \file
/// How an asynchronous operation of the application reaches its link or listener, and its cancellation.
#pragma once

#include <hawser/core/url.hpp>
#include <hawser/link/guarded_handler.hpp>
#include <hawser/link/link.hpp>
#include <hawser/link/link_cancel.hpp>
#include <hawser/link/link_dial.hpp>
#include <hawser/link/link_end.hpp>
#include <hawser/link/link_feed.hpp>
#include <hawser/link/link_pieces.hpp>
#include <hawser/link/link_leave.hpp>
#include <hawser/link/link_receive.hpp>
#include <hawser/link/link_send.hpp>
#include <hawser/link/link_session.hpp>
#include <hawser/link/link_store.hpp>

#include <asio/async_result.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace hawser::inline v0::detail {

/// Whether a link may dial `where`; `why` gets a sentence if not. The first call decides.
template <class P>
[[nodiscard]] std::error_code begin_connect(link<P>& l, std::string_view where, url& parsed, std::string& why) {
    if (const auto ec = parse_url(where, parsed, &why)) return ec;
    if constexpr (requires { P::transport::check(parsed, l.settings()); })
        if (const std::error_code ec = P::transport::check(parsed, l.settings())) {
            why = ec.message();
            return ec;
        }
    if (!l.connecting.exchange(true)) return {};
    why = "connect was called before";
    return errc::already_connecting;
}

/// Takes `connecting` back unless it is done: the call threw, and may be made again.
class connect_claim {
public:
    explicit connect_claim(std::atomic<bool>& flag) noexcept : flag_(&flag) {}
    connect_claim(const connect_claim&) = delete;
    connect_claim& operator=(const connect_claim&) = delete;
    ~connect_claim() {
        if (flag_) *flag_ = false;
    }
    void done() noexcept { flag_ = nullptr; }

private:
    std::atomic<bool>* flag_;
};

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

/// An exception on the strand becomes the operation's result: nobody could catch it there.
template <class Target, class Start, class Completion>
void start_on_strand(const std::shared_ptr<Target>& target, std::uint64_t serial, Start start, Completion done) {
    on_strand(target, [serial, start = std::move(start), done = std::move(done)](Target& t) mutable {
        done.start_with([&](Completion&& operation) { start(t, serial, std::move(operation)); });
    });
}

/// Starts one operation: wraps the handler, arranges its cancellation, and calls
/// `start(target, serial, completion)` on the strand.
template <class Completion, class Target, class Handler, class Start>
void begin_operation(const std::shared_ptr<Target>& target, Handler&& handler, Start start) {
    const std::uint64_t serial = target->next_serial();
    if (auto slot = asio::get_associated_cancellation_slot(handler); slot.is_connected()) {
        slot.assign([weak = std::weak_ptr<Target>(target), serial](asio::cancellation_type type) {
            auto alive = weak.lock();
            if (!alive) return;
            cancel_on_strand(std::move(alive), [serial, type](Target& t) { return t.cancel_operation(serial, type); });
        });
    }
    Completion done(std::forward<Handler>(handler), target->runtime());
    start_on_strand(target, serial, std::move(start), std::move(done));
}

/// The same for an operation whose result is taken from somewhere and must not get lost: when it is
/// cancelled before its handler was called, `target.give_back(result)` gets the result.
template <class Completion, class Result, class Target, class Handler, class Start>
void begin_taking(const std::shared_ptr<Target>& target, Handler&& handler, Start start) {
    const std::uint64_t serial = target->next_serial();
    by_parcel<Result> delivery;
    if (auto slot = asio::get_associated_cancellation_slot(handler); slot.is_connected()) {
        delivery.shared = std::make_shared<parcel<Result>>();
        // Weak: a signal may outlive the io_context, and a result must not.
        slot.assign([weak = std::weak_ptr<Target>(target), sent = std::weak_ptr(delivery.shared),
                     serial](asio::cancellation_type type) {
            auto alive = weak.lock();
            auto box = sent.lock();
            if (!alive || !box || !box->claim()) return;
            cancel_on_strand(std::move(alive), [serial, type, box = std::move(box)](Target& t) {
                if (t.cancel_operation(serial, type)) return true;
                if (!box->content) return false;
                t.give_back(*std::exchange(box->content, std::nullopt));
                return true;
            });
        });
    }
    Completion done(std::forward<Handler>(handler), target->runtime(), std::move(delivery));
    start_on_strand(target, serial, std::move(start), std::move(done));
}

}  // namespace hawser::inline v0::detail

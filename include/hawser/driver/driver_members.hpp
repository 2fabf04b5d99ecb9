// SPDX-License-Identifier: BSL-1.0
/// \file
/// The members of `driver` that post to its strand: Asio's part of that takes a compiler long, and is compiled once in the library.
#pragma once

#include <hawser/driver/driver.hpp>

#include <asio/dispatch.hpp>
#include <asio/execution/context.hpp>
#include <asio/post.hpp>
#include <asio/query.hpp>

#include <exception>
#include <memory>
#include <new>
#include <utility>

namespace hawser::inline v0 {

HAWSER_COMPILED_ONCE void driver::postpone(pending_call& c) noexcept {
    unposted_.push(c);
    retry_later();
}
HAWSER_COMPILED_ONCE void driver::post_due() noexcept {
    if (due_posted_) return;
    try {
        asio::post(executor_, detail::with_memory(due_memory_, [this] { call_due(); }));
        due_posted_ = true;
    } catch (const std::bad_alloc&) {
        retry_later();
    }
}
// What a handler throws leaves the host's `run()`, and what a handler stops stays stopped: the others wait.
HAWSER_COMPILED_ONCE void driver::call_due() {
    struct rest {
        driver& d;
        ~rest() {
            if (d.due_.size() > 0 && d.alive_) d.post_due();
        }
    };
    due_posted_ = false;
    const rest later{*this};
    for (std::size_t n = due_.size(); n > 0 && due_.size() > 0; --n) {
        due_.pop().call();
        if (n > 1 && asio::query(executor_.get_inner_executor(), asio::execution::context).stopped()) return;
    }
}
// Called by a destructor.
HAWSER_COMPILED_ONCE void driver::end_turn() noexcept {
    if (someone_leaves_.load(std::memory_order_acquire)) see_off();
    while (tasks_.next_ != &tasks_) {
        auto& task = static_cast<deferred_task&>(*tasks_.next_);
        task.withdraw();
        try {
            task.run();
        } catch (...) {
            if (!failure_) failure_ = std::current_exception();
        }
    }
    settle_wakeup();
    if (!failure_) return;
    try {
        hand_out_failure();
    } catch (...) {
        // Out of memory: the end of the next turn tries again.
    }
}
// Nobody is there to catch it: it leaves the host's `run()` in a handler of its own.
HAWSER_COMPILED_ONCE void driver::hand_out_failure() {
    asio::post(executor_, [failure = failure_] { std::rethrow_exception(failure); });
    failure_ = nullptr;
}
HAWSER_COMPILED_ONCE void driver::post_turn() {
    if (turn_posted_) return;
    asio::post(executor_, detail::with_memory(turn_memory_, [this] {
        turn_posted_ = false;
        const turn t(*this);
    }));
    turn_posted_ = true;
}
HAWSER_COMPILED_ONCE void dispatch(driver& d, std::unique_ptr<strand_task> task) {
    asio::dispatch(d.executor(), [task = std::move(task)] { task->run(); });
}

}  // namespace hawser::inline v0

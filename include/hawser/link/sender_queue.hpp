// SPDX-License-Identifier: BSL-1.0
/// \file
/// The way for messages from any thread into a socket.
#pragma once

#include <hawser/core/message.hpp>
#include <hawser/core/outcome.hpp>
#include <hawser/core/ring.hpp>
#include <hawser/core/send_options.hpp>
#include <hawser/driver/driver.hpp>
#include <hawser/policy/overflow.hpp>

#include <functional>
#include <memory>
#include <mutex>
#include <optional>

namespace hawser::inline v0::detail {

/// A message that was handed over.
struct handed_over {
    message body;
    std::unique_ptr<send_options> how{};  // absent for the usual ones
};

/// A bounded queue with many producers and one consumer, the link. Producers wake it once per
/// change from empty to not empty. Thread safety: all members at once.
class sender_queue : public std::enable_shared_from_this<sender_queue> {
public:
    sender_queue(const driver::executor_type& executor, const overflow_limits& limits, std::function<void()> wake)
        : executor_(executor), limits_(limits), wake_(std::move(wake)) {}

    [[nodiscard]] std::error_code push(message body, std::unique_ptr<send_options> how = {}) {
        const std::lock_guard lock(mutex_);
        if (closed_) return errc::closed;
        const std::size_t cost = body.footprint();
        if (!limits_.fits(bytes_, waiting_.size(), cost)) return errc::would_block;
        // First, because it may throw. Under the lock: `close` cannot come in between, so the
        // executor is still there, and the link finds the message.
        if (!awake_) asio::post(*executor_, [self = shared_from_this()] { self->wake(); });
        awake_ = true;
        (void)waiting_.push_back({std::move(body), std::move(how)});
        bytes_ += cost;
        return {};
    }
    /// The link's side: the next message if `fits(it)`, and the same again until `taken`; null when empty, and then the
    /// next push wakes it.
    template <class Fits>
    [[nodiscard]] const handed_over* next(Fits&& fits) {
        const std::lock_guard lock(mutex_);
        if (!in_hand_ && waiting_.empty()) {
            awake_ = false;
            return nullptr;
        }
        if (!fits(in_hand_ ? *in_hand_ : waiting_.front())) return nullptr;
        if (!in_hand_) {
            in_hand_ = waiting_.pop_front();
            bytes_ -= in_hand_->body.footprint();
        }
        return &*in_hand_;
    }
    /// The link's side: it has what `next` gave.
    void taken() noexcept { in_hand_.reset(); }
    /// It owns itself from now on, for the link, which so needs one word for it; until `let_go`.
    void stay() { self_ = shared_from_this(); }
    void let_go() noexcept { const auto last = std::move(self_); }
    /// The link is gone; returns how many messages were never taken.
    std::size_t close() noexcept {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        executor_.reset();  // it must not outlive its io_context, and a handle may
        const std::size_t left = waiting_.size() + (in_hand_ ? 1 : 0);
        waiting_.clear();
        in_hand_.reset();
        return left;
    }

private:
    void wake() {
        {
            const std::lock_guard lock(mutex_);
            if (closed_) return;
        }
        // On the strand, like the closing of the queue: the link is alive here.
        wake_();
    }

    std::optional<driver::executor_type> executor_;
    overflow_limits limits_;
    std::function<void()> wake_;
    std::mutex mutex_;
    ring<handed_over> waiting_;
    std::optional<handed_over> in_hand_;  // out of `waiting_`; a producer may have its place
    std::size_t bytes_ = 0;
    bool awake_ = false;
    bool closed_ = false;
    std::shared_ptr<sender_queue> self_;
};

}  // namespace hawser::inline v0::detail

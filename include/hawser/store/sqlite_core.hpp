// SPDX-License-Identifier: BSL-1.0
/// \file
/// The queue of a store: whatever waits goes in one transaction.
#pragma once

#include <hawser/store/sqlite_session.hpp>
#include <hawser/store/sqlite_thread.hpp>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace hawser::inline v0::detail {

/// Shared by all sockets of a store, on any threads.
class sqlite_core : public std::enable_shared_from_this<sqlite_core> {
public:
    explicit sqlite_core(const sqlite_options& o)
        : most_queued_(o.max_queued_bytes), most_grouped_(o.max_group_bytes), executor_(o.executor), session_(o) {
        if (!executor_) thread_ = std::make_unique<sqlite_thread>();
    }

    /// Later `done` of the job is called, elsewhere. Errors: `queue_full`, and the job is destroyed.
    /// Thread safety: from any thread.
    [[nodiscard]] std::error_code submit(std::unique_ptr<sqlite_job> job) {
        const std::lock_guard lock(mutex_);
        const std::size_t cost = job->cost();
        if (cost > 0 && queued_bytes_ + cost > most_queued_ && queued_bytes_ > 0) return errc::queue_full;
        waiting_.push_back(std::move(job));
        try {
            if (!std::exchange(awake_, true)) post();
        } catch (...) {
            awake_ = false;
            waiting_.pop_back();
            throw;
        }
        queued_bytes_ += cost;
        return {};
    }
    /// A stream has one user; false: another one. Thread safety of the three: from any thread.
    [[nodiscard]] bool claim(const std::string& stream, const void* user) {
        const std::lock_guard lock(mutex_);
        return users_.try_emplace(stream, user).first->second == user;
    }
    void let_go(const std::string& stream, const void* user) noexcept {
        const std::lock_guard lock(mutex_);
        const auto at = users_.find(stream);
        if (at != users_.end() && at->second == user) users_.erase(at);
    }
    [[nodiscard]] bool claimed(const std::string& stream) const noexcept {
        const std::lock_guard lock(mutex_);
        return users_.contains(stream);
    }
    /// The last user is gone: what waits is done first. In a forked child everything stays as it is.
    static void finish(std::shared_ptr<sqlite_core> self) noexcept {
        if (self->home_.left()) self->kept_for_ever_ = self;
        else self->thread_.reset();
    }

private:
    void post() {
        // The thread ends before this object does; an executor of the application's need not.
        if (thread_) return thread_->post([this] { work(); });
        executor_([weak = weak_from_this()] {
            if (const auto self = weak.lock()) self->work();
        });
    }
    void work() noexcept {
        for (;;) {
            sqlite_session::group jobs;
            if (!take(jobs)) return;
            session_.run(jobs);
        }
    }
    // False: nothing waits, or nothing can be taken for want of memory; then the next job wakes it.
    bool take(sqlite_session::group& jobs) noexcept {
        const std::lock_guard lock(mutex_);
        try {
            for (std::size_t bytes = 0; !waiting_.empty(); ) {
                const std::size_t cost = waiting_.front()->cost();
                if (!jobs.empty() && bytes + cost > most_grouped_) break;
                jobs.reserve(jobs.size() + 1);
                jobs.push_back(std::move(waiting_.front()));
                waiting_.pop_front();
                bytes += cost;
                queued_bytes_ -= cost;
            }
        } catch (...) {
            // Those that were taken go now.
        }
        if (jobs.empty()) awake_ = false;
        return !jobs.empty();
    }

    std::size_t most_queued_, most_grouped_;
    std::function<void(std::function<void()>)> executor_;
    mutable std::mutex mutex_;
    std::map<std::string, const void*> users_;
    std::deque<std::unique_ptr<sqlite_job>> waiting_;
    std::size_t queued_bytes_ = 0;
    bool awake_ = false;
    home_process home_;
    std::shared_ptr<sqlite_core> kept_for_ever_;
    sqlite_session session_;
    std::unique_ptr<sqlite_thread> thread_;
};

}  // namespace hawser::inline v0::detail

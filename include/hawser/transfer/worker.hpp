// SPDX-License-Identifier: BSL-1.0
/// \file
/// Where sources and sinks block, and how what they did comes back to the strand.
#pragma once

#include <hawser/driver/driver.hpp>

#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <thread>
#include <utility>

#if !defined(_WIN32)
#include <unistd.h>
#endif

namespace hawser::inline v0 {

/// Runs the reads, writes and hashing of transfers. Thread safety: all members at once.
class transfer_worker {
public:
    virtual ~transfer_worker() = default;
    /// Runs `job`, which does not throw, now or later, after those submitted before.
    virtual void submit(std::function<void()> job) = 0;
};

/// At once, on the strand, which waits for the disk. For tests in virtual time, and for sources and sinks that do not block.
class inline_worker final : public transfer_worker {
public:
    void submit(std::function<void()> job) override { job(); }
};

/// A thread of its own, from the first job on. Its destructor waits for the jobs that it was given.
class worker_thread final : public transfer_worker {
public:
    worker_thread() = default;
    worker_thread(const worker_thread&) = delete;
    worker_thread& operator=(const worker_thread&) = delete;
    ~worker_thread() override {
        if (!state_) return;
#if !defined(_WIN32)
        if (state_->process != ::getpid()) {  // the copy in a forked child has no thread
            thread_.detach();
            (void)new std::shared_ptr<state>(std::move(state_));  // its mutex may be locked for ever
            return;
        }
#endif
        {
            const std::lock_guard lock(state_->mutex);
            state_->ending = true;
        }
        state_->changed.notify_one();
        thread_.join();
    }
    void submit(std::function<void()> job) override {
        const std::lock_guard start(starting_);
        if (!state_) {
            auto made = std::make_shared<state>();
            thread_ = std::thread([made] { made->run(); });
            state_ = std::move(made);
        }
        {
            const std::lock_guard lock(state_->mutex);
            state_->jobs.push_back(std::move(job));
        }
        state_->changed.notify_one();
    }

private:
    struct state {
        void run() {
            std::unique_lock lock(mutex);
            for (;;) {
                changed.wait(lock, [this] { return ending || !jobs.empty(); });
                if (jobs.empty()) return;
                auto job = std::move(jobs.front());
                jobs.pop_front();
                lock.unlock();
                job();
                job = nullptr;
                lock.lock();
            }
        }
        std::mutex mutex;
        std::condition_variable changed;
        std::deque<std::function<void()>> jobs;
        bool ending = false;
#if !defined(_WIN32)
        ::pid_t process = ::getpid();
#endif
    };
    std::mutex starting_;
    std::shared_ptr<state> state_;
    std::thread thread_;
};

namespace detail {

/// The way from a worker to the strand, as long as there is one. Thread safety: all members at once.
class strand_gate {
public:
    explicit strand_gate(const driver::executor_type& executor) : executor_(executor) {}
    /// Runs `f` on the strand, later; never once it is closed.
    void post(std::function<void()> f) {
        while (!try_post(f)) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    /// While on, the io_context has work.
    void hold(bool on) {
        const std::lock_guard lock(mutex_);
        if (!on) work_.reset();
        else if (executor_ && !work_) work_.emplace(*executor_);
    }
    void close() noexcept {
        const std::lock_guard lock(mutex_);
        work_.reset();
        executor_.reset();
    }

private:
    // False without the memory for it; then a worker has nothing better to do than to wait.
    [[nodiscard]] bool try_post(const std::function<void()>& f) {
        // Under the lock: `close` waits for it, so the io_context is there.
        const std::lock_guard lock(mutex_);
        try {
            if (executor_) asio::post(*executor_, f);
            return true;
        } catch (const std::bad_alloc&) {
            return false;
        }
    }

    std::mutex mutex_;
    std::optional<driver::executor_type> executor_;
    std::optional<asio::executor_work_guard<driver::executor_type>> work_;
};

}  // namespace detail
}  // namespace hawser::inline v0

// SPDX-License-Identifier: BSL-1.0
/// \file
/// The thread of a store.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

#if defined(__unix__) || defined(__APPLE__)
#include <csignal>
#include <pthread.h>
#include <unistd.h>
#define HAWSER_STORE_POSIX
#endif

namespace hawser::inline v0::detail {

/// Runs functions in order. Its end waits for all that was posted.
class sqlite_thread {
public:
    sqlite_thread() {
#if defined(HAWSER_STORE_POSIX)
        // Signals are the host's: they go to its own threads.
        struct blocked {
            blocked() {
                sigset_t all;
                sigfillset(&all);
                pthread_sigmask(SIG_SETMASK, &all, &before);
            }
            ~blocked() { pthread_sigmask(SIG_SETMASK, &before, nullptr); }
            sigset_t before;
        };
        const blocked signals;
#endif
        thread_ = std::thread([this] { run(); });
    }
    sqlite_thread(const sqlite_thread&) = delete;
    sqlite_thread& operator=(const sqlite_thread&) = delete;
    ~sqlite_thread() {
        {
            const std::lock_guard lock(mutex_);
            ended_ = true;
        }
        wake_.notify_one();
        thread_.join();
    }
    void post(std::function<void()> f) {
        {
            const std::lock_guard lock(mutex_);
            waiting_.push_back(std::move(f));
        }
        wake_.notify_one();
    }

private:
    void run() {
        std::unique_lock lock(mutex_);
        for (;;) {
            wake_.wait(lock, [this] { return ended_ || !waiting_.empty(); });
            if (waiting_.empty()) return;
            const auto f = std::move(waiting_.front());
            waiting_.pop_front();
            lock.unlock();
            f();
            lock.lock();
        }
    }
    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<std::function<void()>> waiting_;
    bool ended_ = false;
    std::thread thread_;
};

/// Where an object was made: a forked child must not touch what is SQLite's, nor wait for a thread that it has not.
class home_process {
public:
    [[nodiscard]] bool left() const noexcept {
#if defined(HAWSER_STORE_POSIX)
        return getpid() != owner_;
#else
        return false;
#endif
    }

private:
#if defined(HAWSER_STORE_POSIX)
    pid_t owner_ = getpid();
#endif
};
#undef HAWSER_STORE_POSIX

}  // namespace hawser::inline v0::detail

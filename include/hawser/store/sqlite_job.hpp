// SPDX-License-Identifier: BSL-1.0
/// \file
/// What a store's thread is asked to do, and the way back to the strand.
#pragma once

#include <hawser/driver/driver.hpp>

#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

namespace hawser::inline v0::detail {

class sqlite_session;

/// What a caught exception means to a store.
[[nodiscard]] inline std::error_code store_error_of_exception() noexcept {
    try {
        throw;
    } catch (const std::system_error& e) {
        return e.code();
    } catch (const std::bad_alloc&) {
        return errc::out_of_memory;
    } catch (...) {
        return errc::handler_failed;
    }
}

/// Thrown by a job: it alone fails and is undone, not its whole transaction.
struct sqlite_refusal {
    std::error_code why;
};

/// A part of a transaction.
class sqlite_job {
public:
    virtual ~sqlite_job() = default;
    /// Bytes that it keeps from being freed.
    [[nodiscard]] virtual std::size_t cost() const noexcept { return 0; }
    /// Nobody waits for it any more, so that it is left out.
    [[nodiscard]] virtual bool withdrawn() const noexcept { return false; }
    /// `run` may throw `sqlite_refusal`.
    [[nodiscard]] virtual bool may_refuse() const noexcept { return false; }
    /// Inside a transaction; throws std::system_error.
    virtual void run(sqlite_session& session) = 0;
    /// It is durable, or it failed.
    virtual void done(std::error_code ec) noexcept = 0;
};

/// Brings results from the store's thread to the strand of who asked, as long as that is there. One result at a
/// time is under way.
template <class Result>
class sqlite_mailbox : public std::enable_shared_from_this<sqlite_mailbox<Result>> {
public:
    class receiver {
    public:
        virtual void on_result(Result r) = 0;

    protected:
        ~receiver() = default;
    };
    sqlite_mailbox(driver& d, receiver& r) : driver_(&d), receiver_(&r), executor_(d.executor()) {}

    /// On the strand: a result is expected, so the io_context is not out of work.
    void expect() { work_.emplace(*executor_); }
    /// On the strand: nobody is there any more.
    void close() noexcept {
        const std::lock_guard lock(mutex_);
        executor_.reset();  // it must not outlive its io_context
        work_.reset();
        receiver_ = nullptr;
    }
    /// Thread safety: from any thread.
    [[nodiscard]] bool closed() const noexcept {
        const std::lock_guard lock(mutex_);
        return !executor_;
    }
    /// Thread safety: from any thread. Throws std::bad_alloc, and nothing is delivered then.
    void deliver(Result r) {
        const std::lock_guard lock(mutex_);
        result_ = std::move(r);
        post();
    }
    /// The same from the store's thread, which waits where there is no memory to say so: somebody waits for it.
    void deliver_at_last(Result r) noexcept {
        std::unique_lock lock(mutex_);
        result_ = std::move(r);
        while (!posted()) {
            lock.unlock();
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
            lock.lock();
        }
    }

private:
    // Under the lock the executor stays.
    void post() {
        if (executor_) asio::post(*executor_, with_memory(memory_, [self = this->shared_from_this()] { self->arrive(); }));
    }
    bool posted() noexcept {
        try {
            post();
            return true;
        } catch (...) {
            return false;
        }
    }
    void arrive() {
        work_.reset();
        if (!receiver_) return;
        const driver::turn t(*driver_);
        receiver_->on_result(std::move(result_));  // which may destroy the receiver
    }
    driver* driver_;
    receiver* receiver_;
    mutable std::mutex mutex_;
    std::optional<driver::executor_type> executor_;
    std::optional<asio::executor_work_guard<driver::executor_type>> work_;
    handler_memory memory_;
    Result result_{};
};

}  // namespace hawser::inline v0::detail

// SPDX-License-Identifier: BSL-1.0
/// \file
/// What a driver keeps in lists without owning it: work for the end of a turn, holders of handlers,
/// what could not be posted.
#pragma once

#include <atomic>

namespace hawser::inline v0 {

/// A place in a list of deferred tasks, or that list: a ring through its own head.
struct deferred_place {
    deferred_place* next_ = nullptr;
    deferred_place* prev_ = nullptr;
};

/// Work that waits for the end of the present turn. Intrusive; destroying it withdraws it.
class deferred_task : deferred_place {
public:
    deferred_task() = default;
    deferred_task(const deferred_task&) = delete;
    deferred_task& operator=(const deferred_task&) = delete;
    /// An exception does not stop the other tasks; it leaves `io_context::run()` by itself later.
    virtual void run() = 0;

protected:
    virtual ~deferred_task() { withdraw(); }
    void withdraw() noexcept {
        if (!next_) return;
        prev_->next_ = next_;
        next_->prev_ = prev_;
        next_ = prev_ = nullptr;
    }

private:
    friend class driver;
};

/// Something that holds handlers of the application and must let go of them, without calling
/// them, when the io_context is destroyed.
class abandonable {
public:
    virtual void abandon() noexcept = 0;

protected:
    virtual ~abandonable() = default;
    /// False also when `abandon` was called: the driver is not to be touched then.
    [[nodiscard]] bool is_listed() const noexcept { return place_.load(std::memory_order_relaxed) != nullptr; }

private:
    friend class driver;
    abandonable* next_ = nullptr;
    std::atomic<abandonable**> place_{nullptr};  // the pointer that points to this; others change it as they come and go
};

/// Something whose owner is gone, where there was no memory to say so on the strand. See `driver::leave`.
class departing {
public:
    virtual void depart() = 0;

protected:
    virtual ~departing() = default;

private:
    friend class driver;
    departing* next_ = nullptr;
};

/// Something that could not be posted for want of memory. See `driver::postpone`.
class unposted {
public:
    /// Once more.
    virtual void post() = 0;
    /// The io_context is being destroyed.
    virtual void abandon() noexcept = 0;

protected:
    virtual ~unposted() = default;

private:
    friend class driver;
    unposted* next_ = nullptr;
};

}  // namespace hawser::inline v0

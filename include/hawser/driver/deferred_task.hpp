// SPDX-License-Identifier: BSL-1.0
/// \file
/// What a driver keeps in lists without owning it: work for the end of a turn, holders of handlers,
/// handlers on their way to their call.
#pragma once

#include <atomic>
#include <cstddef>
#include <utility>

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

/// A handler on its way to its call. See `driver::call_soon` and `driver::postpone`.
class pending_call {
public:
    /// To its executor, once more.
    virtual void post() = 0;
    /// On the driver's strand, which is its executor, or from which it may be handed to one. May throw what the handler throws.
    virtual void call() = 0;
    /// The io_context is being destroyed.
    virtual void abandon() noexcept = 0;

protected:
    virtual ~pending_call() = default;

private:
    friend class call_list;
    pending_call* next_ = nullptr;
};

/// First in, first out. Intrusive.
class call_list {
public:
    void push(pending_call& c) noexcept {
        c.next_ = nullptr;
        *tail_ = &c;
        tail_ = &c.next_;
        ++size_;
    }
    /// Precondition: it is not empty.
    [[nodiscard]] pending_call& pop() noexcept {
        pending_call& c = *std::exchange(head_, head_->next_);
        if (!head_) tail_ = &head_;
        --size_;
        return c;
    }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

private:
    pending_call* head_ = nullptr;
    pending_call** tail_ = &head_;
    std::size_t size_ = 0;
};

}  // namespace hawser::inline v0

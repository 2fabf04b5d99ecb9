// SPDX-License-Identifier: BSL-1.0
/// \file
/// What the connections of one io_context share: clock, deadlines, randomness, streams.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/core/entropy.hpp>
#include <hawser/core/errc.hpp>
#include <hawser/core/planted.hpp>
#include <hawser/core/spare_blocks.hpp>
#include <hawser/core/time.hpp>
#include <hawser/driver/deferred_task.hpp>
#include <hawser/driver/handler_memory.hpp>
#include <hawser/driver/stream.hpp>
#include <hawser/driver/timer_node.hpp>
#include <hawser/driver/timing_wheel.hpp>

#include <asio/io_context.hpp>
#include <asio/strand.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace hawser::inline v0 {

/// The runtime below all connections of one `io_context`. The one in use is a service of the
/// context (see `use_driver`): Asio's by default, a simulated one in tests.
///
/// A *turn* is one entry from outside: a read batch, an expired deadline, a call of the
/// application. Deferred tasks run when the outermost turn ends, so that what several
/// messages of one read cause is written once.
///
/// Thread safety: everything runs on `executor()`, a strand; only `executor()` itself may be
/// used from elsewhere.
class driver {
public:
    using executor_type = asio::strand<asio::io_context::executor_type>;

    virtual ~driver() = default;
    driver(const driver&) = delete;
    driver& operator=(const driver&) = delete;

    // ---- what an implementation gives ----------------------------------------------------

    /// Monotonic time.
    [[nodiscard]] virtual time_point clock() noexcept = 0;
    /// The time in UTC, for what people and other programs read: it may jump, and nothing is timed by it. Nothing where
    /// there is no such clock, as in a simulation.
    [[nodiscard]] virtual std::optional<std::chrono::sys_seconds> date() noexcept { return std::nullopt; }
    /// Fills `out` with unpredictable bytes; false when the system's generator failed.
    [[nodiscard]] virtual bool random(byte_span out) noexcept = 0;
    /// Dials; `sink.on_connected` is called later, never inside this call.
    [[nodiscard]] virtual stream_ptr connect(const std::string& host, std::uint16_t port, stream_sink& sink) = 0;
    /// Dials a socket file, in the same way. Null, and `ec` says why, where there are none.
    [[nodiscard]] virtual stream_ptr connect_local(const std::string&, stream_sink&, std::error_code& ec) {
        ec = errc::invalid_argument;
        return nullptr;
    }
    /// Listens. Null, and `ec` says why, when it cannot.
    [[nodiscard]] virtual acceptor_ptr listen(const listen_endpoint& where, acceptor_sink& sink,
                                              std::error_code& ec) = 0;

protected:
    /// The io_context is being destroyed: objects of Asio must go now, before its services.
    virtual void release() noexcept {}
    /// Calls `on_wakeup()` at `when` or a little later; a new call replaces the old one. `never`
    /// withdraws it. It must not fail: keep the memory that it needs.
    virtual void schedule_wakeup(time_point when) noexcept = 0;

public:
    // ---- what connections use ------------------------------------------------------------

    [[nodiscard]] const executor_type& executor() const noexcept { return executor_; }
    /// The time at which the present turn began.
    [[nodiscard]] time_point now() noexcept { return depth_ > 0 ? now_ : clock(); }
    [[nodiscard]] entropy_pool& entropy() noexcept { return entropy_; }
    /// False once the io_context is being destroyed, and in a forked child.
    [[nodiscard]] bool alive() const noexcept { return alive_; }

    void arm(timer_node& timer, time_point deadline) noexcept {
        wheel_.arm(timer, deadline);
        if (deadline < wakeup_) wake_at(deadline);
    }
    /// Posts `c` again a little later, for want of memory. It belongs to the driver until then.
    void postpone(pending_call& c) noexcept;
    /// Calls `c` on the strand, soon and never inside this call; in order, all that are due in one handler of Asio's, so
    /// that none takes memory. It belongs to the driver until then.
    void call_soon(pending_call& c) noexcept {
        due_.push(c);
        post_due();
    }

    /// Runs `task` when the present turn ends; outside of a turn, soon. Repeating it is harmless.
    HAWSER_IN_LINE void defer(deferred_task& task) {
        if (!task.next_) append(task);
    }

    /// Marks a turn for its lifetime.
    class turn {
    public:
        explicit turn(driver& d) : driver_(d) {
            if (driver_.depth_++ == 0) driver_.now_ = driver_.clock();
        }
        turn(const turn&) = delete;
        turn& operator=(const turn&) = delete;
        ~turn() {
            if (driver_.depth_ == 1) driver_.end_turn();
            --driver_.depth_;
        }

    private:
        driver& driver_;
    };
    [[nodiscard]] bool in_turn() const noexcept { return depth_ > 0; }

    /// Buffers for output; they go back when all is written, so that few serve many connections. What is in them is
    /// of no use but for being cleared already.
    [[nodiscard]] byte_vector take_buffer() noexcept {
        if (spare_.empty()) return {};
        byte_vector buffer = std::move(spare_.back());
        spare_.pop_back();
        spare_bytes_ -= buffer.capacity();
        return buffer;
    }
    void give_buffer(byte_vector&& buffer) noexcept {
        if (buffer.capacity() == 0 || spare_.size() >= spare_.capacity()) return;
        if (spare_bytes_ + buffer.capacity() > max_spare_bytes) return;
        spare_bytes_ += buffer.capacity();
        spare_.push_back(std::move(buffer));
    }

    /// Memory for large messages that arrive in pieces.
    [[nodiscard]] spare_blocks& blocks() noexcept { return blocks_; }

    /// Thread safety: `enlist` and `delist` at once, as sockets are made on any thread.
    void enlist(abandonable& a) noexcept {
        const std::lock_guard lock(list_mutex_);
        a.next_ = listed_;
        if (a.next_) a.next_->place_.store(&a.next_, std::memory_order_relaxed);
        a.place_.store(&listed_, std::memory_order_relaxed);
        listed_ = &a;
    }
    void delist(abandonable& a) noexcept {
        const std::lock_guard lock(list_mutex_);
        abandonable** const place = a.place_.load(std::memory_order_relaxed);
        if (!place) return;
        *place = a.next_;
        if (a.next_) a.next_->place_.store(place, std::memory_order_relaxed);
        a.place_.store(nullptr, std::memory_order_relaxed);
    }
    /// Calls `depart` of it at the end of the next turn. It must stay until then, or until the io_context is
    /// destroyed. Thread safety: from any thread.
    void leave(departing& d) noexcept {
        const std::lock_guard lock(list_mutex_);
        d.next_ = std::exchange(leaving_, &d);
        someone_leaves_.store(true, std::memory_order_release);
    }
    /// The io_context is being destroyed, or this is the copy in a forked child: everybody lets go,
    /// and nothing is written or told to a peer.
    void shut_down() noexcept {
        alive_ = false;
        someone_leaves_ = false;
        while (listed_) {
            abandonable& a = *listed_;
            delist(a);
            a.abandon();
        }
        retry_.cancel();
        for (call_list* list : {&unposted_, &due_})
            while (list->size() > 0) list->pop().abandon();
        release();
    }

protected:
    /// `start`: the clock's present time.
    driver(asio::io_context& context, time_point start)
        : executor_(asio::make_strand(context.get_executor())), wheel_(start),
          entropy_([](void* self, byte_span out) noexcept { return static_cast<driver*>(self)->random(out); }, this) {
        spare_.reserve(max_spare_buffers);
    }
    /// An implementation calls this at the time asked for.
    void on_wakeup() {
        const turn t(*this);
        wakeup_ = never;
        wheel_.advance(now_);
        const time_point next = wheel_.next_deadline();
        if (next < wakeup_) wake_at(next);
    }

private:
    static constexpr std::size_t max_spare_buffers = 16;
    static constexpr std::size_t max_spare_bytes = 4 * 1024 * 1024;  // of all of them

    void append(deferred_task& task) {
        task.next_ = &tasks_;
        task.prev_ = tasks_.prev_;
        task.prev_->next_ = &task;
        tasks_.prev_ = &task;
        if (depth_ == 0) post_turn();
    }
    void wake_at(time_point when) noexcept {
        wakeup_ = when;
        schedule_wakeup(when);
    }
    void retry_later() noexcept {
        if (!retry_.armed()) arm(retry_, add_saturated(now(), milliseconds{10}));
    }
    void on_retry(time_point) {
        for (std::size_t n = unposted_.size(); n > 0; --n) unposted_.pop().post();
        if (due_.size() > 0) post_due();
    }
    void post_due() noexcept;
    void call_due();
    void end_turn() noexcept;
    void see_off() noexcept {
        departing* d = nullptr;
        {
            const std::lock_guard lock(list_mutex_);
            someone_leaves_.store(false, std::memory_order_relaxed);
            d = std::exchange(leaving_, nullptr);
        }
        while (d) std::exchange(d, d->next_)->depart();
    }
    void settle_wakeup() noexcept {
        // A wake-up for nothing would keep the host's `run()` from returning.
        if (wakeup_ != never && wheel_.empty()) wake_at(never);
        // A deadline's function threw.
        if (wakeup_ == never && !wheel_.empty()) wake_at(wheel_.next_deadline());
    }
    void hand_out_failure();
    void post_turn();

    executor_type executor_;
    timing_wheel wheel_;
    entropy_pool entropy_;
    time_point now_{};
    time_point wakeup_ = never;
    int depth_ = 0;
    bool turn_posted_ = false;
    bool alive_ = true;
    deferred_place tasks_{&tasks_, &tasks_};
    std::exception_ptr failure_;  // of a deferred task
    std::mutex list_mutex_;
    departing* leaving_ = nullptr;
    std::atomic<bool> someone_leaves_{false};
    abandonable* listed_ = nullptr;
    std::size_t spare_bytes_ = 0;
    std::vector<byte_vector> spare_;
    spare_blocks blocks_;
    detail::handler_memory turn_memory_;
    call_list unposted_;
    call_list due_;
    bool due_posted_ = false;
    detail::handler_memory due_memory_;
    timer_node retry_{this, on_timer<&driver::on_retry>};
};

/// Something to do on the strand, type-erased: Asio's part is instantiated once and not for each
/// operation of each socket, which compilers take seconds for.
struct strand_task {
    virtual ~strand_task() = default;
    virtual void run() = 0;
};
/// Runs the task on the strand of `d`, at once where that is possible.
HAWSER_COMPILED_ONCE void dispatch(driver& d, std::unique_ptr<strand_task> task);
/// The same with a function object, at once and without an allocation on the strand itself.
template <class F>
void dispatch(driver& d, F f) {
    if (d.executor().running_in_this_thread()) return f();
    struct holder final : strand_task {
        explicit holder(F g) : function(std::move(g)) {}
        void run() override { function(); }
        F function;
    };
    dispatch(d, std::unique_ptr<strand_task>(new holder(std::move(f))));
}

/// Seeds jitter and hashes. Without randomness they are predictable, and what needs
/// unpredictable bytes for safety reports the failure.
[[nodiscard]] inline std::uint64_t random_seed(driver& d) noexcept {
    std::uint64_t seed = 0;
    (void)d.entropy().take(std::as_writable_bytes(std::span(&seed, 1)));
    if (detail::planted(detail::bug::seed_from_address)) seed ^= reinterpret_cast<std::uintptr_t>(&d);
    return seed;
}

}  // namespace hawser::inline v0

#if !defined(HAWSER_SEPARATE_COMPILATION)
#include <hawser/driver/driver_members.hpp>
#endif

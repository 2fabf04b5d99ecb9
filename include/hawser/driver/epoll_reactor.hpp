// SPDX-License-Identifier: BSL-1.0
/// \file
/// A level-triggered epoll set for all streams of a driver, behind one descriptor that Asio waits for.
#pragma once

#if defined(__linux__)

#include <hawser/driver/driver.hpp>
#include <hawser/driver/handler_memory.hpp>

#include <asio/posix/basic_stream_descriptor.hpp>

#include <array>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <system_error>
#include <vector>

#include <sys/epoll.h>
#include <unistd.h>

namespace hawser::inline v0::detail {

/// Is told about its descriptor, and may be destroyed meanwhile.
class epoll_watcher {
public:
    /// `events` as epoll_wait(2) gives them. Returns the bytes that were read.
    virtual std::size_t on_ready(std::uint32_t events) = 0;

protected:
    ~epoll_watcher() = default;
};

/// Asio's own set is edge-triggered and costs a system call for each wait of each socket; here a descriptor is
/// registered once. Events name a slot and its generation, never an object: one that was reported and then
/// closed is not found any more. On the driver's strand.
class epoll_reactor {
public:
    /// Slot and generation of a watcher; 0 is nobody's.
    using token = std::uint64_t;

    /// What a wake-up may do before the other handlers of the host get their turn.
    static constexpr std::size_t max_events_per_wakeup = 128;
    static constexpr std::size_t max_bytes_per_wakeup = 1024 * 1024;
    /// As many are worth asking for more.
    static constexpr std::size_t many = 4;
    /// Whole messages of 64 KiB fit, so that they are not gathered in pieces. A message of 1 MiB that is passed on in pieces
    /// of this size costs 17 % less than in pieces of half of it.
    static constexpr std::size_t read_buffer_size = 256 * 1024;

    explicit epoll_reactor(driver& d) : driver_(d), buffer_(new std::byte[read_buffer_size]) {
        const int set = ::epoll_create1(EPOLL_CLOEXEC);
        if (set < 0) throw std::system_error(errno, std::system_category(), "epoll_create1");
        try {
            set_.emplace(d.executor(), set);
        } catch (...) {
            (void)::close(set);
            throw;
        }
    }
    epoll_reactor(const epoll_reactor&) = delete;
    epoll_reactor& operator=(const epoll_reactor&) = delete;

    [[nodiscard]] driver& owner() noexcept { return driver_; }
    /// One for all: what a read brings is handled before the next read of any stream.
    [[nodiscard]] byte_span buffer() noexcept { return {buffer_.get(), read_buffer_size}; }

    /// Reports `events` of a descriptor until `remove`. Throws std::bad_alloc, also where the system is out of
    /// memory or of what it allows to be watched.
    [[nodiscard]] token add(int descriptor, std::uint32_t events, epoll_watcher& w) {
        if (!set_) throw std::bad_alloc();
        if (free_ == none) {
            slots_.push_back({});
            free_ = static_cast<std::uint32_t>(slots_.size() - 1);
        }
        slot& s = slots_[free_];
        const token t = std::uint64_t{s.generation} << 32 | free_;
        if (!control(EPOLL_CTL_ADD, descriptor, events, t)) throw std::bad_alloc();
        free_ = s.next_free;
        s.watcher = &w;
        ++watched_;
        wait();
        return t;
    }
    void change(int descriptor, std::uint32_t events, token t) noexcept {
        (void)control(EPOLL_CTL_MOD, descriptor, events, t);
    }
    /// To be called before the descriptor is closed: a copy of it in a forked child would keep it in the set.
    /// In that child, and when the io_context ends, the set is left alone; it is the parent's too.
    void remove(int descriptor, token t) noexcept {
        if (driver_.alive()) (void)control(EPOLL_CTL_DEL, descriptor, 0, t);
        slot& s = slots_[index_of(t)];
        s.watcher = nullptr;
        if (++s.generation == 0) s.generation = 1;
        s.next_free = free_;
        free_ = index_of(t);
        // A wait for nobody would keep the host's `run()` from returning.
        std::error_code ignored;
        if (--watched_ == 0 && set_) set_->cancel(ignored);
    }
    /// Whether `remove` was not called for it.
    [[nodiscard]] bool holds(token t) const noexcept { return find(t) != nullptr; }
    /// The io_context is being destroyed.
    void release() noexcept {
        set_.reset();
        retry_.cancel();
    }

private:
    static constexpr std::uint32_t none = ~std::uint32_t{0};
    struct slot {
        epoll_watcher* watcher = nullptr;
        std::uint32_t generation = 1;
        std::uint32_t next_free = none;
    };
    [[nodiscard]] static std::uint32_t index_of(token t) noexcept { return static_cast<std::uint32_t>(t); }
    [[nodiscard]] epoll_watcher* find(token t) const noexcept {
        const std::uint32_t i = index_of(t);
        return i < slots_.size() && slots_[i].generation == t >> 32 ? slots_[i].watcher : nullptr;
    }
    [[nodiscard]] bool control(int how, int descriptor, std::uint32_t events, token t) noexcept {
        epoll_event e{};
        e.events = events;
        e.data.u64 = t;
        return set_ && ::epoll_ctl(set_->native_handle(), how, descriptor, &e) == 0;
    }

    void wait() noexcept {
        if (waiting_ || watched_ == 0 || !set_) return;
        try {
            set_->async_wait(asio::posix::descriptor_base::wait_read,
                             with_memory(memory_, [this](std::error_code ec) { on_wakeup(ec); }));
            waiting_ = true;
        } catch (const std::bad_alloc&) {
            driver_.arm(retry_, add_saturated(driver_.now(), milliseconds{10}));
        }
    }
    void on_wakeup(std::error_code ec) {
        waiting_ = false;
        struct again {  // also when a handler throws
            ~again() { reactor.wait(); }
            epoll_reactor& reactor;
        } const goes_on{*this};
        if (!ec && set_) handle_some();
    }
    // Events that the budget leaves are handled first by the next wake-up, so that nobody starves: the
    // system would report the same ones again. Where many were ready there are mostly more by now, and to ask costs
    // one system call, a wake-up three.
    void handle_some() {
        std::size_t bytes = 0, events = 0, ready = reported_ - next_;
        do {
            if (next_ == reported_) ready = ask();
            for (; next_ < reported_ && bytes < max_bytes_per_wakeup; ++events) {
                const epoll_event e = events_[next_++];
                if (epoll_watcher* const w = find(e.data.u64)) bytes += w->on_ready(e.events);
            }
        } while (set_ && ready >= many && next_ == reported_ && events < max_events_per_wakeup && bytes < max_bytes_per_wakeup);
    }
    [[nodiscard]] std::size_t ask() noexcept {
        const int n = ::epoll_wait(set_->native_handle(), events_.data(), static_cast<int>(events_.size()), 0);
        next_ = 0;
        return reported_ = n > 0 ? static_cast<std::size_t>(n) : 0;
    }
    void on_retry(time_point) { wait(); }

    driver& driver_;
    std::optional<asio::posix::basic_stream_descriptor<driver::executor_type>> set_;
    std::unique_ptr<std::byte[]> buffer_;
    std::vector<slot> slots_;
    std::uint32_t free_ = none;
    std::size_t watched_ = 0;
    std::array<epoll_event, max_events_per_wakeup> events_;
    std::size_t next_ = 0, reported_ = 0;
    bool waiting_ = false;
    handler_memory memory_;
    timer_node retry_{this, on_timer<&epoll_reactor::on_retry>};
};

}  // namespace hawser::inline v0::detail

#endif

// SPDX-License-Identifier: BSL-1.0
/// \file
/// Byte streams in memory, in virtual time, with faults on request.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/driver/driver.hpp>

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <string>

namespace hawser::inline v0::testing {

/// Who executes later what streams ask for.
class event_queue {
public:
    virtual void at(time_point when, std::function<void()> what) = 0;
    [[nodiscard]] virtual time_point virtual_now() const noexcept = 0;
    [[nodiscard]] virtual driver& runtime() noexcept = 0;

protected:
    ~event_queue() = default;
};

/// One end of a connection.
struct virtual_end {
    stream_sink* sink = nullptr;
    byte_vector arrived;          // delivered by the network, not read yet
    std::size_t on_the_way = 0;   // written by the other end, not delivered yet
    bool paused = false;
    bool wants_write = false;
    bool fin_arrived = false;
    bool ended = false;           // the sink was told, or the owner closed
    bool read_scheduled = false;
    bool held = false;            // bytes towards this end stop
    std::deque<byte_vector> kept; // while held
    bool kept_fin = false;
    std::size_t max_read = SIZE_MAX;  // bytes per on_bytes, for "one byte at a time"
};

/// A connection between two ends, 0 (dialled) and 1 (accepted). Tests keep it to cut it.
class virtual_connection : public std::enable_shared_from_this<virtual_connection> {
public:
    virtual_connection(event_queue& events, duration latency) : events_(events), latency_(latency) {}

    /// Bytes in flight per direction; beyond it a writer waits.
    std::size_t window = 256 * 1024;
    /// Sees (and may change) the bytes of each write; `from` is the end that wrote.
    std::function<void(int from, byte_vector& bytes)> tap;

    [[nodiscard]] bool alive() const noexcept { return !ends_[0].ended || !ends_[1].ended; }
    /// Both ends see a reset at once; what was on the way is lost.
    void cut() {
        ++generation_;
        for (int i = 0; i < 2; ++i) break_end(i, std::make_error_code(std::errc::connection_reset));
    }
    /// Only one end sees the reset; the other is half-open.
    void cut_towards(int end) { break_end(end, std::make_error_code(std::errc::connection_reset)); }
    /// Stops (and later releases) what travels towards an end.
    void hold_towards(int end, bool on) {
        ends_[end].held = on;
        if (on) return;
        while (!ends_[end].kept.empty()) {
            auto bytes = std::move(ends_[end].kept.front());
            ends_[end].kept.pop_front();
            arrive(end, std::move(bytes));
        }
        if (std::exchange(ends_[end].kept_fin, false)) arrive_fin(end);
    }
    void limit_reads_of(int end, std::size_t bytes) noexcept { ends_[end].max_read = bytes; }

    // ---- for streams -----------------------------------------------------------------------

    [[nodiscard]] virtual_end& end(int i) noexcept { return ends_[i]; }
    [[nodiscard]] write_result write(int from, std::span<const byte_view> buffers) {
        virtual_end& to = ends_[1 - from];
        if (ends_[from].ended) return {0, std::make_error_code(std::errc::broken_pipe)};
        byte_vector bytes;
        std::size_t asked = 0;
        for (const byte_view b : buffers) {
            asked += b.size();
            const std::size_t used = bytes.size() + to.on_the_way;
            const std::size_t room = used < window ? window - used : 0;
            hawser::append(bytes, b.first(std::min(room, b.size())));
        }
        const std::size_t taken = bytes.size();
        if (taken < asked) ends_[from].wants_write = true;
        if (taken == 0) return {0, {}};
        to.on_the_way += taken;
        if (tap) tap(from, bytes);
        later([this, from, taken, bytes = std::move(bytes)]() mutable {
            ends_[1 - from].on_the_way -= taken;
            if (ends_[1 - from].held) ends_[1 - from].kept.push_back(std::move(bytes));
            else arrive(1 - from, std::move(bytes));
            tell_writable(from);
        });
        return {taken, {}};
    }
    void send_fin(int from) {
        later([this, from] {
            if (ends_[1 - from].held) ends_[1 - from].kept_fin = true;
            else arrive_fin(1 - from);
        });
    }
    /// The owner of an end destroys it.
    void close(int end, bool reset) {
        ends_[end].sink = nullptr;
        if (std::exchange(ends_[end].ended, true)) return;
        if (reset) later([this, end] { break_end(1 - end, std::make_error_code(std::errc::connection_reset)); });
        else send_fin(end);
    }
    void read(int end) {
        virtual_end& e = ends_[end];
        if (e.read_scheduled || e.paused || !e.sink || e.ended || (e.arrived.empty() && !e.fin_arrived)) return;
        e.read_scheduled = true;
        events_.at(events_.virtual_now(), [self = shared_from_this(), end] { self->deliver(end); });
    }

private:
    template <class F>
    void later(F f) {
        events_.at(events_.virtual_now() + latency_,
                   [self = shared_from_this(), generation = generation_, f = std::move(f)]() mutable {
                       if (generation == self->generation_) f();
                   });
    }
    void arrive(int end, byte_vector bytes) {
        hawser::append(ends_[end].arrived, bytes);
        read(end);
    }
    void arrive_fin(int end) {
        ends_[end].fin_arrived = true;
        read(end);
    }
    void deliver(int end) {
        virtual_end& e = ends_[end];
        e.read_scheduled = false;
        if (e.paused || !e.sink || e.ended) return;
        const driver::turn t(events_.runtime());
        if (!e.arrived.empty()) {
            const std::size_t n = std::min({e.max_read, e.arrived.size(), std::size_t{64 * 1024}});
            byte_vector chunk(e.arrived.begin(), e.arrived.begin() + static_cast<std::ptrdiff_t>(n));
            e.arrived.erase(e.arrived.begin(), e.arrived.begin() + static_cast<std::ptrdiff_t>(n));
            e.sink->on_bytes(chunk);
            return read(end);
        }
        if (!e.fin_arrived) return;
        e.ended = true;
        e.sink->on_closed({});
    }
    void break_end(int end, std::error_code ec) {
        virtual_end& e = ends_[end];
        if (std::exchange(e.ended, true)) return;
        e.arrived.clear();
        events_.at(events_.virtual_now(), [self = shared_from_this(), end, ec] {
            stream_sink* sink = self->ends_[end].sink;
            if (!sink) return;
            const driver::turn t(self->events_.runtime());
            sink->on_closed(ec);
        });
    }
    void tell_writable(int end) {
        virtual_end& e = ends_[end];
        if (!e.sink || e.ended || !std::exchange(e.wants_write, false)) return;
        const driver::turn t(events_.runtime());
        e.sink->on_writable();
    }

    event_queue& events_;
    duration latency_;
    std::uint64_t generation_ = 0;
    virtual_end ends_[2];
};

class virtual_stream final : public stream {
public:
    virtual_stream(std::shared_ptr<virtual_connection> c, int end) : connection_(std::move(c)), end_(end) {}
    ~virtual_stream() override { connection_->close(end_, reset_); }

    [[nodiscard]] write_result write_some(std::span<const byte_view> buffers) override {
        return connection_->write(end_, buffers);
    }
    void pause_reading() override { connection_->end(end_).paused = true; }
    void resume_reading() override {
        connection_->end(end_).paused = false;
        connection_->read(end_);
    }
    void shutdown() override { connection_->send_fin(end_); }
    void abort() override { reset_ = true; }
    [[nodiscard]] std::string remote_address() const override { return end_ == 0 ? "10.0.0.1" : "10.0.0.2"; }
    void set_sink(stream_sink& sink) override {
        connection_->end(end_).sink = &sink;
        connection_->read(end_);
    }

private:
    std::shared_ptr<virtual_connection> connection_;
    int end_;
    bool reset_ = false;
};

}  // namespace hawser::inline v0::testing

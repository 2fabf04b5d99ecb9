// SPDX-License-Identifier: BSL-1.0
/// \file
/// A byte stream between two simulated machines, with everything that can happen to one.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/driver/driver.hpp>
#include <hawser/testing/path.hpp>

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace hawser::inline v0::testing {

/// \cond internal
/// What travels: bytes, the orderly end, or a reset.
struct segment {
    enum class type : std::uint8_t { bytes, fin, reset } kind = type::bytes;
    byte_vector bytes{};
};
/// \endcond

/// How an end of a connection goes away.
enum class farewell : std::uint8_t { fin, reset, silence };
/// How the connections of a process end, once it dies.
using fate_ptr = std::shared_ptr<std::optional<farewell>>;

/// \cond internal
/// One end. `home` and `runtime` belong to the process that holds it.
struct connection_end {
    stream_sink* sink = nullptr;
    driver* runtime = nullptr;
    scheduler::actor_id home = scheduler::nobody;
    path* out = nullptr;              // the way of what it sends
    std::string host;                 // of this end
    byte_vector arrived;              // by the network, not read yet
    std::size_t read = 0;             // of `arrived`
    std::size_t on_the_way = 0;       // towards this end
    time_point last_arrival{};        // of what this end sent: a stream keeps its order
    bool paused = false;
    bool wants_write = false;
    bool fin_arrived = false;
    bool fin_sent = false;
    bool ended = false;               // the sink was told, or the owner closed
    bool read_scheduled = false;
    bool held = false;                // what travels towards this end waits
    std::deque<segment> stuck;        // while held, or while the way is blocked
    std::size_t max_read = SIZE_MAX;  // bytes per on_bytes
    std::size_t max_write = SIZE_MAX; // bytes per write_some
    bool fail_next_write = false;     // ENOBUFS

    [[nodiscard]] std::size_t unread() const noexcept { return arrived.size() - read; }
};
/// \endcond

/// A connection between end 0 (dialled) and end 1 (accepted). Keep it to interfere with it.
class connection : public std::enable_shared_from_this<connection> {
public:
    /// Internal: the network makes them.
    explicit connection(scheduler& s, xoshiro256& rng) : scheduler_(s), rng_(rng) {}

    /// Bytes sent and not read by the other end, per direction; beyond it a writer waits.
    std::size_t window = 256 * 1024;
    /// Sees (and may change) the bytes of each write; `from` is the end that wrote.
    std::function<void(int from, byte_vector& bytes)> tap;

    /// Whether one of the ends goes on.
    [[nodiscard]] bool alive() const noexcept { return !ends_[0].ended || !ends_[1].ended; }
    /// The machine of an end.
    [[nodiscard]] const std::string& host_of(int end) const noexcept { return ends_[end].host; }
    /// \cond internal
    [[nodiscard]] connection_end& end(int i) noexcept { return ends_[i]; }
    /// \endcond

    // ---- faults --------------------------------------------------------------------------------

    /// Both ends see a reset at once; what was on the way is lost.
    void cut() {
        scheduler_.trace("cut ", ends_[0].host, " - ", ends_[1].host);
        ++generation_;
        for (int i = 0; i < 2; ++i) break_end(i);
    }
    /// Only one end sees the reset; the other is half-open.
    void cut_towards(int end) { break_end(end); }
    /// Both ends see an orderly end, behind what is on the way.
    void finish() {
        for (int i = 0; i < 2; ++i) send(i, {segment::type::fin});
    }
    /// Nothing arrives any more in either direction, and nobody is told.
    void freeze() {
        ends_[0].held = ends_[1].held = true;
    }
    /// Stops (and later releases) what travels towards an end.
    void hold_towards(int end, bool on) {
        ends_[end].held = on;
        if (!on) release_stuck(end);
    }
    /// The window is `bytes` again; who waits for room is told.
    void reopen_window(std::size_t bytes) {
        window = bytes;
        for (int i = 0; i < 2; ++i) tell_writable(i);
    }
    /// Delivers at most so many bytes at a time to an end.
    void limit_reads_of(int end, std::size_t bytes) noexcept { ends_[end].max_read = bytes; }
    /// The way towards `end` is free again.
    void release_stuck(int end) {
        auto waiting = std::exchange(ends_[end].stuck, {});
        for (auto& s : waiting) arrive(end, std::move(s));
    }

    // ---- for streams and processes -------------------------------------------------------------

    /// \cond internal
    void attach(int end, driver& runtime, scheduler::actor_id home, path& out, std::string host) {
        connection_end& e = ends_[end];
        e.runtime = &runtime;
        e.home = home;
        e.out = &out;
        e.host = std::move(host);
    }
    [[nodiscard]] write_result write(int from, std::span<const byte_view> buffers) {
        connection_end& me = ends_[from];
        connection_end& to = ends_[1 - from];
        if (me.ended || me.fin_sent) return {0, std::make_error_code(std::errc::broken_pipe)};
        if (std::exchange(me.fail_next_write, false)) return {0, std::make_error_code(std::errc::no_buffer_space)};
        const std::size_t used = to.on_the_way + to.unread();
        const std::size_t room = std::min(used < window ? window - used : 0, me.max_write);
        byte_vector bytes;
        std::size_t asked = 0;
        for (const byte_view b : buffers) {
            asked += b.size();
            hawser::append(bytes, b.first(std::min(room - bytes.size(), b.size())));
        }
        const std::size_t taken = bytes.size();
        if (taken < asked) {
            me.wants_write = true;
            // A short write although there is room: the system says at once that more may come.
            if (taken > 0 && used + taken < window) tell_writable(from);
        }
        if (taken == 0) return {0, {}};
        to.on_the_way += taken;
        if (tap) tap(from, bytes);
        scheduler_.note_bytes(bytes);
        send(from, {segment::type::bytes, std::move(bytes)});
        return {taken, {}};
    }
    void send_fin(int from) {
        if (!std::exchange(ends_[from].fin_sent, true)) send(from, {segment::type::fin});
    }
    /// The owner of an end lets it go.
    void close(int end, farewell how) {
        connection_end& e = ends_[end];
        e.sink = nullptr;
        e.runtime = nullptr;
        if (std::exchange(e.ended, true)) return;
        // Closing with something unread resets, as TCP does.
        if (how == farewell::fin && e.unread() > 0) how = farewell::reset;
        if (how == farewell::fin) send_fin(end);
        else if (how == farewell::reset) send(end, {segment::type::reset});
    }
    void read(int end) {
        connection_end& e = ends_[end];
        if (e.read_scheduled || e.paused || !e.sink || e.ended || (e.unread() == 0 && !e.fin_arrived)) return;
        e.read_scheduled = true;
        scheduler_.at(scheduler_.now(), e.home, [self = shared_from_this(), end] { self->deliver(end); });
    }
    /// \endcond

private:
    void send(int from, segment s) {
        connection_end& me = ends_[from];
        const time_point when = me.out->arrival(scheduler_.now(), s.bytes.size(), me.last_arrival, rng_);
        me.last_arrival = when;
        scheduler_.at(when, scheduler::nobody,
                      [self = shared_from_this(), generation = generation_, to = 1 - from, s = std::move(s)]() mutable {
                          if (generation == self->generation_) self->arrive(to, std::move(s));
                      });
    }
    void arrive(int end, segment s) {
        connection_end& e = ends_[end];
        path& way = *ends_[1 - end].out;
        if (e.held || way.blocked || !e.stuck.empty()) return void(e.stuck.push_back(std::move(s)));
        if (s.kind == segment::type::bytes) e.on_the_way -= s.bytes.size();
        if (e.ended) {
            // Nobody is there any more: whoever sends something learns so.
            if (s.kind == segment::type::bytes && e.out->answers) send(end, {segment::type::reset});
            return;
        }
        switch (s.kind) {
        case segment::type::reset: return break_end(end);
        case segment::type::fin: e.fin_arrived = true; break;
        case segment::type::bytes:
            way.damage(s.bytes, rng_);
            if (e.arrived.empty()) e.arrived = std::move(s.bytes);
            else hawser::append(e.arrived, s.bytes);
        }
        read(end);
    }
    void deliver(int end) {
        connection_end& e = ends_[end];
        e.read_scheduled = false;
        if (e.paused || !e.sink || e.ended) return;
        const driver::turn t(*e.runtime);
        if (e.unread() > 0) {
            const std::size_t n = std::min({e.max_read, e.unread(), std::size_t{64 * 1024}});
            const auto from = e.arrived.begin() + static_cast<std::ptrdiff_t>(e.read);
            byte_vector chunk(from, from + static_cast<std::ptrdiff_t>(n));
            e.read += n;
            if (e.unread() == 0) {
                e.arrived.clear();
                e.read = 0;
            }
            tell_writable(1 - end);
            scheduler_.note_bytes(chunk);
            const auto self = shared_from_this();  // the sink may destroy the stream
            e.sink->on_bytes(chunk);
            // As the real buffer is shared, nobody may look at it later.
            std::fill(chunk.begin(), chunk.end(), std::byte{0xdd});
            return read(end);
        }
        if (!e.fin_arrived) return;
        e.ended = true;
        e.sink->on_closed({});
    }
    void break_end(int end) {
        connection_end& e = ends_[end];
        if (std::exchange(e.ended, true)) return;
        e.arrived.clear();
        e.read = 0;
        if (!e.sink) return;
        scheduler_.at(scheduler_.now(), e.home, [self = shared_from_this(), end] {
            connection_end& broken = self->ends_[end];
            if (!broken.sink) return;
            const driver::turn t(*broken.runtime);
            broken.sink->on_closed(std::make_error_code(std::errc::connection_reset));
        });
    }
    // The other end has read: that becomes known a little later.
    void tell_writable(int end) {
        connection_end& e = ends_[end];
        if (!e.sink || e.ended || !std::exchange(e.wants_write, false)) return;
        scheduler_.at(scheduler_.now() + ends_[1 - end].out->latency, e.home, [self = shared_from_this(), end] {
            connection_end& writer = self->ends_[end];
            if (!writer.sink || writer.ended) return;
            const driver::turn t(*writer.runtime);
            writer.sink->on_writable();
        });
    }

    scheduler& scheduler_;
    xoshiro256& rng_;
    std::uint64_t generation_ = 0;
    connection_end ends_[2];
};

/// \cond internal
/// The stream of one end.
class connection_stream final : public stream {
public:
    connection_stream(std::shared_ptr<connection> c, int end, std::string peer, fate_ptr process)
        : connection_(std::move(c)), end_(end), peer_(std::move(peer)), process_(std::move(process)) {}
    ~connection_stream() override {
        connection_->close(end_, process_->value_or(reset_ ? farewell::reset : farewell::fin));
    }
    [[nodiscard]] write_result write_some(std::span<const byte_view> buffers) override {
        if (*process_) return {0, std::make_error_code(std::errc::broken_pipe)};
        return connection_->write(end_, buffers);
    }
    void pause_reading() override { connection_->end(end_).paused = true; }
    void resume_reading() override {
        connection_->end(end_).paused = false;
        connection_->read(end_);
    }
    void shutdown() override {
        if (!*process_) connection_->send_fin(end_);
    }
    void abort() override { reset_ = true; }
    [[nodiscard]] std::string remote_address() const override { return peer_; }
    void set_sink(stream_sink& sink) override {
        connection_->end(end_).sink = &sink;
        connection_->read(end_);
    }

private:
    std::shared_ptr<connection> connection_;
    int end_;
    bool reset_ = false;
    std::string peer_;
    fate_ptr process_;
};
/// \endcond

}  // namespace hawser::inline v0::testing

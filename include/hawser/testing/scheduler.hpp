// SPDX-License-Identifier: BSL-1.0
/// \file
/// Virtual time: what happens next, in an order that only the seed determines.
#pragma once

#include <hawser/core/time.hpp>
#include <hawser/core/xxh3.hpp>

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hawser::inline v0::testing {

/// Something that lives in virtual time and may die: a process.
class actor {
public:
    virtual void execute(std::function<void()> what) = 0;

protected:
    ~actor() = default;
};

/// The clock and the queue of events of a simulation. Events of the same instant happen in the
/// order in which they were made. Thread safety: none.
class scheduler {
public:
    scheduler() = default;
    scheduler(const scheduler&) = delete;
    scheduler& operator=(const scheduler&) = delete;
    ~scheduler() { clear(); }

    using actor_id = std::uint32_t;
    static constexpr actor_id nobody = 0;  ///< the simulation itself

    [[nodiscard]] time_point now() const noexcept { return now_; }
    [[nodiscard]] static constexpr time_point start() noexcept { return time_point{} + seconds{1'000'000}; }

    [[nodiscard]] actor_id enter(actor& a) {
        actors_.push_back(&a);
        return static_cast<actor_id>(actors_.size());
    }
    /// What was planned for it does not happen.
    void leave(actor_id who) noexcept { actors_[who - 1] = nullptr; }

    void at(time_point when, actor_id who, std::function<void()> what) {
        if (over_) return;
        heap_.push_back({std::max(when, now_), ++serial_, who, std::move(what)});
        std::push_heap(heap_.begin(), heap_.end());
    }
    /// Nothing happens any more.
    void clear() noexcept {
        over_ = true;
        heap_.clear();
    }
    [[nodiscard]] time_point next() const noexcept { return heap_.empty() ? never : heap_.front().when; }
    void advance(time_point to) noexcept { now_ = std::max(now_, to); }

    /// Executes the next event up to and including `until`; false when there is none.
    bool step(time_point until) {
        if (heap_.empty() || heap_.front().when > until) return false;
        std::pop_heap(heap_.begin(), heap_.end());
        event e = std::move(heap_.back());
        heap_.pop_back();
        now_ = std::max(now_, e.when);
        ++executed_;
        note(static_cast<std::uint64_t>(now_.time_since_epoch().count()), e.who);
        if (e.who == nobody) e.what();
        else if (actor* a = actors_[e.who - 1]) a->execute(std::move(e.what));
        return true;
    }
    [[nodiscard]] std::uint64_t executed() const noexcept { return executed_; }

    // ---- trace ---------------------------------------------------------------------------------

    /// Covers every event, handler and byte so far: equal for equal seeds.
    [[nodiscard]] std::uint64_t trace_hash() const noexcept { return hash_; }
    void note(std::uint64_t a, std::uint64_t b) noexcept {
        hash_ = (hash_ ^ a) * 0x9e3779b97f4a7c15u;
        hash_ = (hash_ ^ (hash_ >> 29) ^ b) * 0xbf58476d1ce4e5b9u;
    }
    void note_bytes(byte_view bytes) noexcept { note(xxh3_64(bytes), bytes.size()); }

    /// Gets a line for what happens in the network and to processes; empty: no lines are made.
    std::function<void(time_point, const std::string&)> on_trace;
    template <class... Parts>
    void trace(const Parts&... parts) {
        if (!on_trace) return;
        std::string line;
        (add(line, parts), ...);
        on_trace(now_, line);
    }

private:
    struct event {
        time_point when;
        std::uint64_t serial;
        actor_id who;
        std::function<void()> what;
        // The heap's greatest is the next.
        friend bool operator<(const event& a, const event& b) noexcept {
            return a.when != b.when ? a.when > b.when : a.serial > b.serial;
        }
    };
    static void add(std::string& line, std::string_view text) { line += text; }
    template <std::integral N>
    static void add(std::string& line, N number) { line += std::to_string(number); }

    time_point now_ = start();
    std::uint64_t serial_ = 0;
    std::uint64_t executed_ = 0;
    std::uint64_t hash_ = 0;
    bool over_ = false;
    std::vector<event> heap_;
    std::vector<actor*> actors_;
};

}  // namespace hawser::inline v0::testing

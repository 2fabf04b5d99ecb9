// SPDX-License-Identifier: BSL-1.0
/// \file
/// The simulator: your own handlers on machines that crash, in a network that breaks, in
/// virtual time, the same again for the same seed.
#pragma once

#include <hawser/testing/faults.hpp>
#include <hawser/testing/host.hpp>

#include <list>
#include <optional>
#include <string>
#include <utility>

namespace hawser::inline v0::testing {

/// A whole simulation. Sockets, listeners and policies are the real ones; clock, timers,
/// network, disk and randomness are simulated, and follow from `seed` alone.
///
/// What runs in it must not have threads of its own, must not use Asio's timers, sockets or
/// files (they live in real time: use `hawser`'s sockets, and `process::after` to wait), must
/// not look at a clock or draw random numbers elsewhere, and must not iterate over containers
/// ordered by address.
///
/// Thread safety: none; several worlds may run in several threads or processes.
class world {
public:
    /// Everything follows from `seed`.
    explicit world(std::uint64_t seed)
        : seed_(seed), seeds_(seed), rng_(seeds_()), network_(scheduler_, seeds_()), faults_(scheduler_, network_, hosts_, seeds_()) {}
    ~world() { end(); }
    world(const world&) = delete;
    world& operator=(const world&) = delete;

    /// Ends all processes, the last machine's first, and with them the simulation. Call it where
    /// objects of processes refer to what dies before the world.
    void end() {
        faults_.forget();
        for (auto h = hosts_.rbegin(); h != hosts_.rend(); ++h) h->kill(farewell::silence);
        while (!hosts_.empty()) hosts_.pop_back();
        scheduler_.clear();
    }
    /// A new machine, known to all others by its name: `ws://NAME:PORT/`.
    host& add(std::string name) { return hosts_.emplace_back(scheduler_, network_, std::move(name), seeds_()); }
    /// The network: ways and machines may be changed at any moment.
    [[nodiscard]] network& net() noexcept { return network_; }
    /// Faults by chance.
    [[nodiscard]] fault_injector& faults() noexcept { return faults_; }
    /// For decisions of the scenario.
    [[nodiscard]] xoshiro256& random() noexcept { return rng_; }
    /// The seed that it was made with.
    [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }

    // ---- time ----------------------------------------------------------------------------------

    /// Virtual time.
    [[nodiscard]] time_point now() const noexcept { return scheduler_.now(); }
    /// Since the beginning.
    [[nodiscard]] duration elapsed() const noexcept { return now() - scheduler::start(); }
    /// Does something later, outside of any process.
    void after(duration wait, std::function<void()> what) {
        scheduler_.at(now() + wait, scheduler::nobody, std::move(what));
    }
    /// Executes what happens in the next `span`, or until a check fails.
    void run_for(duration span) {
        const time_point until = now() + span;
        drain();
        while (!violation_ && scheduler_.step(until)) {}
        if (!violation_) scheduler_.advance(until);
    }
    /// Runs until `done()`; returns whether it came true within `limit`, and no check failed.
    template <class Done>
    [[nodiscard]] bool run_until(Done&& done, duration limit = seconds{600}) {
        const time_point until = now() + limit;
        drain();
        while (!violation_ && !done())
            if (!scheduler_.step(until)) break;
        return !violation_ && done();
    }

    // ---- findings ------------------------------------------------------------------------------

    /// States what must be so. The first that is not ends the run.
    void check(bool holds, std::string_view what) {
        if (!holds) fail(std::string(what));
    }
    /// States that something is wrong. The first such statement ends the run.
    void fail(std::string what) {
        if (violation_) return;
        scheduler_.trace("VIOLATION ", what);
        violation_ = std::move(what);
    }
    /// What was wrong first, if anything.
    [[nodiscard]] const std::optional<std::string>& violation() const noexcept { return violation_; }

    // ---- trace ---------------------------------------------------------------------------------

    /// Gets a readable line for what happens. Use `trace` to add your own.
    void on_trace(std::function<void(time_point, const std::string&)> f) { scheduler_.on_trace = std::move(f); }
    /// Adds a line of your own, made of texts and numbers; nothing while nobody gets lines.
    template <class... Parts>
    void trace(const Parts&... parts) { scheduler_.trace(parts...); }
    /// Covers all events, handlers and bytes so far: the same for the same seed.
    [[nodiscard]] std::uint64_t trace_hash() const noexcept { return scheduler_.trace_hash(); }
    /// Events executed so far.
    [[nodiscard]] std::uint64_t events() const noexcept { return scheduler_.executed(); }

private:
    void drain() {
        for (auto& h : hosts_) h.drain();
    }
    std::uint64_t seed_;
    splitmix64 seeds_;
    xoshiro256 rng_;
    scheduler scheduler_;
    network network_;
    std::list<host> hosts_;
    fault_injector faults_;
    std::optional<std::string> violation_;
};

/// What `explore` found: the seed repeats it.
struct finding {
    std::uint64_t seed = 0;  ///< of the world
    std::string what;        ///< the check that failed
    duration at{};  ///< virtual time since the beginning
};

/// Runs `scenario(world&)` for each seed from `first` to `last` until one fails a check.
template <class Scenario>
[[nodiscard]] std::optional<finding> explore(std::uint64_t first, std::uint64_t last, Scenario&& scenario) {
    for (std::uint64_t seed = first; seed <= last; ++seed) {
        world w(seed);
        scenario(w);
        if (w.violation()) return finding{seed, *w.violation(), w.elapsed()};
    }
    return std::nullopt;
}

}  // namespace hawser::inline v0::testing

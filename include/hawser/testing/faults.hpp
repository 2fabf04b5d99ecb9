// SPDX-License-Identifier: BSL-1.0
/// \file
/// What goes wrong in a simulation, how often, and its repair.
#pragma once

#include <hawser/testing/host.hpp>

#include <array>
#include <functional>
#include <list>
#include <string_view>
#include <utility>
#include <vector>

namespace hawser::inline v0::testing {

/// A kind of fault.
enum class fault : std::uint8_t {
    reset,            ///< RST for both ends of a connection
    reset_one_end,    ///< RST for one end; the other is half-open
    fin,              ///< orderly end
    half_open,        ///< a connection falls silent for ever
    stall,            ///< one direction of a connection stands still for a while
    clog,             ///< one way between two machines stands still for up to 5 s
    partition,        ///< both ways are blocked for a while
    one_way_partition,
    slow_way,         ///< latency and jitter rise for a while
    narrow_way,       ///< 2 to 100 KB/s for a while
    corruption,       ///< bits arrive wrong for a while
    zero_window,      ///< a connection takes no more bytes for a while
    tiny_reads,       ///< one byte per read for a while
    tiny_writes,      ///< one byte per write for a while
    write_error,      ///< ENOBUFS once
    refusal,          ///< a machine refuses connections for a while
    blackhole,        ///< a machine does not answer new connections for a while
    resolver_failure, ///< a machine cannot look up names for a while
    random_failure,   ///< a process gets no random bytes for a while
    no_descriptors,   ///< EMFILE on accept for a while
    crash,            ///< a process dies after a random number of handlers, and is started again
    power_failure,    ///< a machine goes off and comes back
    pause,            ///< a process gets no processor for a while
};
inline constexpr std::size_t fault_count = static_cast<std::size_t>(fault::pause) + 1;  ///< how many kinds there are

/// The name of the enumerator.
[[nodiscard]] constexpr std::string_view name(fault f) noexcept {
    constexpr std::string_view names[] = {
        "reset", "reset_one_end", "fin", "half_open", "stall", "clog", "partition", "one_way_partition", "slow_way",
        "narrow_way", "corruption", "zero_window", "tiny_reads", "tiny_writes", "write_error", "refusal", "blackhole",
        "resolver_failure", "random_failure", "no_descriptors", "crash", "power_failure", "pause"};
    static_assert(std::size(names) == fault_count);
    return names[static_cast<std::size_t>(f)];
}

/// The mean time between two faults of a kind, in the whole simulation; zero: never.
struct fault_rates {
    std::array<duration, fault_count> mean{};  ///< by number of `fault`
    duration longest = seconds{5};  ///< of what lasts a while
    std::vector<std::string> immortal{};  ///< machines that neither crash nor lose power

    /// The mean time of one kind.
    [[nodiscard]] duration& operator[](fault f) noexcept { return mean[static_cast<std::size_t>(f)]; }
    /// Each kind once in `every` on average.
    [[nodiscard]] static fault_rates all(duration every = seconds{20}) {
        fault_rates r;
        r.mean.fill(every);
        return r;
    }
    /// A random half of all kinds, each with a random rate: other combinations for each seed.
    [[nodiscard]] static fault_rates swarm(xoshiro256& rng) {
        fault_rates r;
        for (auto& m : r.mean)
            if (uniform(rng, 0, 1) == 0) m = seconds{1} * static_cast<int>(std::uint64_t{1} << uniform(rng, 1, 6));
        return r;
    }
};

/// Injects faults into a world until told to stop. Thread safety: none.
class fault_injector {
public:
    /// Internal: `world::faults()`.
    fault_injector(scheduler& s, network& net, std::list<host>& hosts, std::uint64_t seed)
        : scheduler_(s), network_(net), hosts_(hosts), rng_(seed) {}

    /// Injects from now on, at these rates.
    void start(fault_rates rates) {
        rates_ = std::move(rates);
        ++run_;
        for (std::size_t i = 0; i < fault_count; ++i) plan(static_cast<fault>(i));
    }
    /// No new ones, and all that last are over. Machines that are off are started.
    void stop() {
        ++run_;
        scheduler_.trace("faults end");
        while (!repairs_.empty()) {
            auto repair = std::move(repairs_.front());
            repairs_.pop_front();
            repair();
        }
        network_.heal();
        for (auto& h : hosts_)
            if (!h.running()) h.restart_in(milliseconds{1});
    }
    /// Internal: the world ends, nothing is repaired.
    void forget() noexcept { repairs_.clear(); }
    /// How many of a kind took place.
    [[nodiscard]] std::uint64_t count(fault f) const noexcept { return counts_[static_cast<std::size_t>(f)]; }
    /// How many there were.
    [[nodiscard]] std::uint64_t total() const noexcept {
        std::uint64_t sum = 0;
        for (const auto c : counts_) sum += c;
        return sum;
    }
    /// Does it now, to a random victim; false when there is none.
    bool inject(fault f) {
        const bool done = f <= fault::stall || (f >= fault::zero_window && f <= fault::write_error) ? to_connection(f)
                          : f <= fault::corruption ? to_way(f)
                                                   : to_host(f);
        if (!done) return false;
        ++counts_[static_cast<std::size_t>(f)];
        return true;
    }

private:
    void plan(fault f) {
        const duration mean = rates_[f];
        if (mean <= duration::zero()) return;
        const auto wait = duration(static_cast<duration::rep>(pick(1, 2 * static_cast<std::uint64_t>(mean.count()))));
        scheduler_.at(scheduler_.now() + wait, scheduler::nobody, [this, f, run = run_] {
            if (run != run_) return;
            (void)inject(f);
            plan(f);
        });
    }
    [[nodiscard]] std::uint64_t pick(std::uint64_t low, std::uint64_t high) { return uniform(rng_, low, high); }
    [[nodiscard]] duration a_while() {
        return duration(static_cast<duration::rep>(pick(1'000, static_cast<std::uint64_t>(rates_.longest.count()))));
    }
    // Undone after a while, at the latest when faults stop.
    void for_a_while(std::function<void()> repair) {
        repairs_.push_back(std::move(repair));
        auto mine = std::prev(repairs_.end());
        scheduler_.at(scheduler_.now() + a_while(), scheduler::nobody, [this, mine, run = run_] {
            if (run != run_) return;
            auto undo = std::move(*mine);
            repairs_.erase(mine);
            undo();
        });
    }

    bool to_connection(fault f) {
        const auto live = network_.live();
        if (live.empty()) return false;
        const auto c = live[pick(0, live.size() - 1)];
        const int end = static_cast<int>(pick(0, 1));
        scheduler_.trace("fault ", name(f), " ", c->end(0).host, " - ", c->end(1).host, " end ", end);
        switch (f) {
        case fault::reset: c->cut(); break;
        case fault::reset_one_end: c->cut_towards(end); break;
        case fault::fin: c->finish(); break;
        case fault::half_open: c->freeze(); break;
        case fault::stall:
            c->hold_towards(end, true);
            for_a_while([c, end] { c->hold_towards(end, false); });
            break;
        case fault::zero_window:
            c->window = 0;
            for_a_while([c] { c->reopen_window(256 * 1024); });
            break;
        case fault::tiny_reads:
            c->end(end).max_read = 1;
            for_a_while([c, end] { c->end(end).max_read = SIZE_MAX; });
            break;
        case fault::tiny_writes:
            c->end(end).max_write = 1;
            for_a_while([c, end] { c->end(end).max_write = SIZE_MAX; });
            break;
        default: c->end(end).fail_next_write = true; break;
        }
        return true;
    }
    bool to_way(fault f) {
        const auto live = network_.live();
        if (live.empty()) return false;
        const auto& c = *live[pick(0, live.size() - 1)];
        const int from = static_cast<int>(pick(0, 1));
        const std::string a = c.host_of(from), b = c.host_of(1 - from);
        scheduler_.trace("fault ", name(f), " ", a, " -> ", b);
        path& way = network_.way(a, b);
        switch (f) {
        case fault::clog: way.clogged_until = scheduler_.now() + a_while(); break;
        case fault::partition:
            network_.block(a, b, true);
            network_.block(b, a, true);
            for_a_while([this, a, b] {
                network_.block(a, b, false);
                network_.block(b, a, false);
            });
            break;
        case fault::one_way_partition:
            network_.block(a, b, true);
            for_a_while([this, a, b] { network_.block(a, b, false); });
            break;
        case fault::slow_way:
            way.latency = milliseconds(pick(5, 300));
            way.jitter = milliseconds(pick(0, 100));
            for_a_while([this, &way] {
                way.latency = network_.defaults.latency;
                way.jitter = network_.defaults.jitter;
            });
            break;
        case fault::narrow_way:
            way.bytes_per_second = pick(2'000, 100'000);
            for_a_while([&way] { way.bytes_per_second = 0; });
            break;
        default:
            way.corrupted_per_million = static_cast<std::uint32_t>(pick(1'000, 200'000));
            for_a_while([&way] { way.corrupted_per_million = 0; });
            break;
        }
        return true;
    }
    bool to_host(fault f) {
        std::vector<host*> candidates;
        for (auto& h : hosts_)
            if (h.running() && !((f == fault::crash || f == fault::power_failure) && is_immortal(h))) candidates.push_back(&h);
        if (candidates.empty()) return false;
        host& h = *candidates[pick(0, candidates.size() - 1)];
        machine& m = network_.at(h.name());
        scheduler_.trace("fault ", name(f), " ", h.name());
        switch (f) {
        case fault::refusal: temporarily(m.refuses); break;
        case fault::blackhole: temporarily(m.blackhole); break;
        case fault::resolver_failure: temporarily(m.resolver_fails); break;
        case fault::random_failure: in_process(h, [](node& n, bool on) { n.random_fails = on; }); break;
        case fault::no_descriptors: in_process(h, [](node& n, bool on) { n.descriptors_exhausted = on; }); break;
        case fault::crash:
            h.process().runtime().handlers_until_death = pick(1, 20);
            h.restart_in(a_while());
            break;
        case fault::power_failure:
            h.power_off();
            h.restart_in(a_while());
            break;
        default: h.pause(a_while()); break;
        }
        return true;
    }
    [[nodiscard]] bool is_immortal(const host& h) const {
        return std::find(rates_.immortal.begin(), rates_.immortal.end(), h.name()) != rates_.immortal.end();
    }
    void temporarily(bool& flag) {
        flag = true;
        for_a_while([&flag] { flag = false; });
    }
    void in_process(host& h, void (*set)(node&, bool)) {
        set(h.process().runtime(), true);
        for_a_while([&h, set, life = h.incarnation()] {
            if (h.running() && h.incarnation() == life) set(h.process().runtime(), false);
        });
    }

    scheduler& scheduler_;
    network& network_;
    std::list<host>& hosts_;
    xoshiro256 rng_;
    fault_rates rates_;
    std::uint64_t run_ = 0;
    std::array<std::uint64_t, fault_count> counts_{};
    std::list<std::function<void()>> repairs_;
};

}  // namespace hawser::inline v0::testing

// SPDX-License-Identifier: BSL-1.0
/// \file
/// Simulated machines, the ways between them, and the connections on these.
#pragma once

#include <hawser/testing/connection.hpp>

#include <asio/error.hpp>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace hawser::inline v0::testing {

/// \cond internal
/// Takes connections for a port of a machine: a listening process.
class port_owner {
public:
    /// A connection was established; `s` is its accepted end.
    virtual void incoming(std::uint16_t port, stream_ptr s) = 0;
    [[nodiscard]] virtual driver& runtime() noexcept = 0;
    [[nodiscard]] virtual scheduler::actor_id id() const noexcept = 0;
    [[nodiscard]] virtual const fate_ptr& fate() const noexcept = 0;

protected:
    ~port_owner() = default;
};
/// \endcond

/// A machine as the network sees it.
struct machine {
    std::string name;             ///< for the resolver
    std::string address;          ///< 10.x.x.x, by order of appearance
    bool powered = true;          ///< without power it answers nothing
    bool refuses = false;         ///< answers each new connection with RST
    bool blackhole = false;       ///< answers no new connection at all
    bool resolver_fails = false;  ///< for what it looks up itself
    std::map<std::uint16_t, port_owner*> ports{};  ///< those that are listened on
    std::uint16_t last_port = 40'000;              ///< given to who asked for any
};

/// All machines and connections of a simulation. References to machines and paths stay valid.
/// Thread safety: none.
class network {
public:
    /// Internal: `world::net()`.
    network(scheduler& s, std::uint64_t seed) : scheduler_(s), rng_(seed) {}
    network(const network&) = delete;
    network& operator=(const network&) = delete;

    path defaults;  ///< copied for each way that is used for the first time
    std::function<void(const std::shared_ptr<connection>&)> on_connection;  ///< sees each new one

    /// The machine of this name; it comes into being when it is first asked for.
    [[nodiscard]] machine& at(const std::string& name) {
        const auto [where, is_new] = machines_.try_emplace(name);
        if (is_new) {
            where->second.name = name;
            const std::size_t n = machines_.size();
            where->second.address = "10." + std::to_string(n >> 16) + "." + std::to_string(n >> 8 & 255) + "." + std::to_string(n & 255);
        }
        return where->second;
    }
    /// The way from one machine to another.
    [[nodiscard]] path& way(const std::string& from, const std::string& to) {
        return ways_.try_emplace(std::pair{from, to}, defaults).first->second;
    }
    /// Stops (or frees) everything that travels from one machine to another.
    void block(const std::string& from, const std::string& to, bool on) {
        scheduler_.trace(on ? "block " : "unblock ", from, " -> ", to);
        way(from, to).blocked = on;
        if (on) return;
        for (const auto& c : live())
            for (int end = 0; end < 2; ++end)
                if (c->end(end).host == to && c->end(1 - end).host == from) c->release_stuck(end);
    }
    /// A machine loses or gets power; see `host::power_off`.
    void power(const std::string& name, bool on) {
        at(name).powered = on;
        for (auto& [ends, w] : ways_)
            if (ends.first == name) w.answers = on;
    }
    /// Nothing is wrong with any way or machine any more; frozen connections stay frozen.
    void heal() {
        for (auto& [ends, w] : ways_) {
            const bool was_blocked = w.blocked;
            const bool answers = w.answers;
            w = defaults;
            w.answers = answers;
            if (was_blocked) block(ends.first, ends.second, false);
        }
        for (auto& [name, m] : machines_) m.refuses = m.blackhole = m.resolver_fails = false;
    }
    /// Connections of which an end is open, oldest first.
    [[nodiscard]] std::vector<std::shared_ptr<connection>> live() {
        std::erase_if(made_, [](const std::weak_ptr<connection>& w) {
            const auto c = w.lock();
            return !c || !c->alive();
        });
        std::vector<std::shared_ptr<connection>> result;
        for (const auto& w : made_)
            if (auto c = w.lock()) result.push_back(std::move(c));
        return result;
    }
    /// Connections made so far.
    [[nodiscard]] std::uint64_t established() const noexcept { return established_; }
    /// Attempts to connect so far.
    [[nodiscard]] std::uint64_t attempts() const noexcept { return attempts_; }

    /// A connection of which no end is attached yet.
    [[nodiscard]] std::shared_ptr<connection> make() { return std::make_shared<connection>(scheduler_, rng_); }
    /// Starts a connection whose end 0 is attached already.
    void dial(const std::shared_ptr<connection>& c, const std::string& host, std::uint16_t port) {
        ++attempts_;
        const std::string& from = c->end(0).host;
        scheduler_.trace("connect ", from, " -> ", host, ":", port);
        const auto target = machines_.find(host);
        if (at(from).resolver_fails || target == machines_.end())
            return answer(c, asio::error::make_error_code(asio::error::host_not_found));
        knock(c, target->second, port);
    }

private:
    static constexpr duration retransmission = seconds{1};

    void knock(const std::shared_ptr<connection>& c, machine& target, std::uint16_t port) {
        path& there = way(c->end(0).host, target.name);
        const time_point when = there.arrival(scheduler_.now(), 0, {}, rng_);
        scheduler_.at(when, scheduler::nobody, [this, c, &target, port, &there] {
            if (c->end(0).ended) return;
            path& back = way(target.name, c->end(0).host);
            if (there.blocked || back.blocked || target.blackhole || !target.powered)
                return scheduler_.at(scheduler_.now() + retransmission, scheduler::nobody,
                                     [this, c, &target, port] { if (!c->end(0).ended) knock(c, target, port); });
            const auto owner = target.ports.find(port);
            if (target.refuses || owner == target.ports.end())
                return answer(c, std::make_error_code(std::errc::connection_refused));
            establish(c, target, port, *owner->second);
        });
    }
    void establish(const std::shared_ptr<connection>& c, machine& target, std::uint16_t port, port_owner& owner) {
        ++established_;
        const std::string& from = c->end(0).host;
        c->attach(1, owner.runtime(), owner.id(), way(target.name, from), target.name);
        made_.push_back(c);
        if (on_connection) on_connection(c);
        owner.incoming(port, std::make_unique<connection_stream>(c, 1, at(from).address, owner.fate()));
        answer(c, {});
    }
    void answer(const std::shared_ptr<connection>& c, std::error_code ec) {
        connection_end& e = c->end(0);
        const time_point when = c->end(1).out ? c->end(1).out->arrival(scheduler_.now(), 0, c->end(1).last_arrival, rng_)
                                              : scheduler_.now() + e.out->latency;
        if (c->end(1).out) c->end(1).last_arrival = when;
        scheduler_.at(when, e.home, [c, ec] {
            connection_end& dialler = c->end(0);
            if (!dialler.sink || dialler.ended) return;
            const driver::turn t(*dialler.runtime);
            dialler.sink->on_connected(ec);
        });
    }

    scheduler& scheduler_;
    xoshiro256 rng_;
    std::map<std::string, machine> machines_;
    std::map<std::pair<std::string, std::string>, path> ways_;
    std::vector<std::weak_ptr<connection>> made_;
    std::uint64_t established_ = 0;
    std::uint64_t attempts_ = 0;
};

}  // namespace hawser::inline v0::testing

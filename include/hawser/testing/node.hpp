// SPDX-License-Identifier: BSL-1.0
/// \file
/// The driver of one simulated process.
#pragma once

#include <hawser/driver/use_driver.hpp>
#include <hawser/testing/network.hpp>

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace hawser::inline v0::testing {

/// A driver whose clock, streams and randomness are those of a simulation. The sockets and
/// handlers above it are the real ones. Thread safety: none.
class node : public driver, protected actor, protected port_owner {
public:
    /// Internal: made by a `process` or a `virtual_driver`.
    node(asio::io_context& context, scheduler& s, network& net, std::string host, std::uint64_t seed)
        : driver(context, s.now()), context_(context), scheduler_(s), network_(net), host_(std::move(host)), rng_(seed),
          id_(s.enter(*this)) {}
    ~node() override { node::release(); }

    // ---- faults --------------------------------------------------------------------------------

    bool random_fails = false;           ///< the system's generator
    bool descriptors_exhausted = false;  ///< EMFILE on accept
    std::optional<std::chrono::sys_seconds> date_at_start{};  ///< the date (UTC) when virtual time began; without one there is none
    std::uint64_t handlers_until_death = 0;  ///< it dies after so many more handlers; 0: not
    std::function<void(farewell)> on_death;  ///< told once, when it is decided

    /// The process gets no processor until `resume`; the machine still receives for it.
    void pause() noexcept { paused_ = true; }
    /// Ends `pause`: what has waited is executed now.
    void resume() {
        if (!std::exchange(paused_, false)) return;
        while (!paused_ && !waiting_.empty()) {
            auto what = std::move(waiting_.front());
            waiting_.pop_front();
            execute(std::move(what));
        }
    }
    /// Its connections end as `how` says, and nothing of what it still does is seen outside.
    void die(farewell how) {
        if (is_dying()) return;
        *fate_ = how;
        if (on_death) on_death(how);
    }
    /// Does something later, as one of its handlers; nothing once it is dead.
    void after(duration wait, std::function<void()> what) { scheduler_.at(scheduler_.now() + wait, id_, std::move(what)); }
    /// Whether its death is decided.
    [[nodiscard]] bool is_dying() const noexcept { return fate_->has_value(); }
    /// The machine that it runs on.
    [[nodiscard]] const std::string& host() const noexcept { return host_; }
    /// Handlers executed so far.
    [[nodiscard]] std::uint64_t handlers() const noexcept { return handlers_; }

    /// Executes handlers that are ready, without letting time pass.
    void drain() {
        if (paused_) return;
        context_.restart();
        while (!is_dying() && !paused_ && context_.poll_one() != 0) {
            scheduler_.note(++handlers_, id_);
            if (handlers_until_death > 0 && --handlers_until_death == 0) die(farewell::reset);
        }
    }

    /// \cond internal
    // ---- driver --------------------------------------------------------------------------------

    [[nodiscard]] time_point clock() noexcept override { return scheduler_.now(); }
    [[nodiscard]] std::optional<std::chrono::sys_seconds> date() noexcept override {
        if (!date_at_start) return std::nullopt;
        return *date_at_start + std::chrono::floor<seconds>(scheduler_.now() - scheduler::start());
    }
    [[nodiscard]] bool random(byte_span out) noexcept override {
        if (random_fails) return false;
        for (auto& b : out) b = static_cast<std::byte>(rng_() >> 56);
        return true;
    }
    [[nodiscard]] stream_ptr connect(const std::string& host, std::uint16_t port, stream_sink& sink) override {
        auto c = network_.make();
        c->attach(0, *this, id_, network_.way(host_, host), host_);
        c->end(0).sink = &sink;
        network_.dial(c, host, port);
        return std::make_unique<connection_stream>(c, 0, network_.at(host).address, fate_);
    }
    [[nodiscard]] acceptor_ptr listen(const listen_endpoint& where, acceptor_sink& sink, std::error_code& ec) override {
        machine& here = network_.at(host_);
        std::uint16_t port = where.port;
        while (where.port == 0 && (port == 0 || here.ports.contains(port))) port = ++here.last_port;
        if (!here.ports.try_emplace(port, static_cast<port_owner*>(this)).second) {
            ec = std::make_error_code(std::errc::address_in_use);
            return nullptr;
        }
        sinks_[port] = &sink;
        return std::make_unique<open_port>(*this, port);
    }

protected:
    void schedule_wakeup(time_point when) noexcept override {
        const std::uint64_t serial = ++wakeup_serial_;
        if (when == never) return;
        scheduler_.at(when, id_, [this, serial] {
            if (serial == wakeup_serial_) on_wakeup();
        });
    }
    void release() noexcept override {
        if (std::exchange(left_, true)) return;
        scheduler_.leave(id_);
        for (const auto& [port, sink] : sinks_) network_.at(host_).ports.erase(port);
        sinks_.clear();
    }
    // On the strand, as with real streams and timers: what a callback destroys goes at once.
    void execute(std::function<void()> what) override {
        if (is_dying()) return;
        if (paused_) return void(waiting_.push_back(std::move(what)));
        asio::post(executor(), std::move(what));
        drain();
    }
    [[nodiscard]] scheduler& time() noexcept { return scheduler_; }
    [[nodiscard]] network& net() noexcept { return network_; }
    /// \endcond

private:
    struct open_port final : acceptor {
        open_port(node& n, std::uint16_t p) : owner(n), number(p) {}
        ~open_port() override {
            if (owner.sinks_.erase(number) > 0) owner.network_.at(owner.host_).ports.erase(number);
        }
        [[nodiscard]] std::uint16_t port() const override { return number; }
        node& owner;
        std::uint16_t number;
    };

    void incoming(std::uint16_t port, stream_ptr s) override {
        offer(port, std::make_shared<stream_ptr>(std::move(s)), duration::zero());
    }
    void offer(std::uint16_t port, std::shared_ptr<stream_ptr> s, duration wait) {
        scheduler_.at(scheduler_.now() + wait, id_, [this, port, s] {
            const auto sink = sinks_.find(port);
            if (sink == sinks_.end()) return;
            const turn t(*this);
            if (!descriptors_exhausted) return sink->second->on_accept(std::move(*s));
            sink->second->on_accept_error(std::make_error_code(std::errc::too_many_files_open));
            offer(port, s, milliseconds{100});
        });
    }
    [[nodiscard]] driver& runtime() noexcept override { return *this; }
    [[nodiscard]] scheduler::actor_id id() const noexcept override { return id_; }
    [[nodiscard]] const fate_ptr& fate() const noexcept override { return fate_; }

    asio::io_context& context_;
    scheduler& scheduler_;
    network& network_;
    std::string host_;
    xoshiro256 rng_;
    scheduler::actor_id id_;
    bool paused_ = false;
    bool left_ = false;
    fate_ptr fate_ = std::make_shared<std::optional<farewell>>();
    std::uint64_t handlers_ = 0;
    std::uint64_t wakeup_serial_ = 0;
    std::deque<std::function<void()>> waiting_;
    std::map<std::uint16_t, acceptor_sink*> sinks_;
};

}  // namespace hawser::inline v0::testing

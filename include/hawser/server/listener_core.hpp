// SPDX-License-Identifier: BSL-1.0
/// \file
/// What a `listener` is made of: admission, the upgrade, sessions, and the links it made.
#pragma once

#include <hawser/driver/asio_driver.hpp>
#include <hawser/link/initiate.hpp>
#include <hawser/resilient_socket.hpp>
#include <hawser/protocol/session/session_table.hpp>
#include <hawser/server/listener_options.hpp>
#include <hawser/server/resume_guard.hpp>

#include <list>
#include <map>
#include <memory>
#include <string>

namespace hawser::inline v0::detail {

/// Lives on the driver's strand. Kept alive by its `listener` and, while it closes, by itself.
template <class P>
class listener_core final : public std::enable_shared_from_this<listener_core<P>>,
                            acceptor_sink, link_host, abandonable, deferred_task {
public:
    using link_ptr = std::shared_ptr<link<P>>;
    // A handler that is destroyed on its way, with its executor, takes the socket with it.
    using socket_type = resilient_socket<P>;
    using accept_completion = completion<std::error_code, socket_type>;

    listener_core(driver& d, listener_options o, policy_objects<P> objects)
        : driver_(d), options_(std::move(o)), socket_options_(std::make_shared<const options>(options_.socket)),
          objects_(std::move(objects)), table_(options_.max_sessions), guard_(options_.max_resume_failures) {
        table_.set_tombstone_ttl(socket_options_->session_ttl);
        driver_.enlist(*this);
    }
    ~listener_core() {
        driver_.delist(*this);
        for (link<P>* l = links_; l; l = l->host_next) l->set_host(nullptr, nullptr);
    }

    [[nodiscard]] std::error_code listen(const listen_endpoint& where) {
        std::error_code ec;
        acceptor_ = driver_.listen(where, *this, ec);
        return ec;
    }
    [[nodiscard]] std::uint16_t port() const { return acceptor_ ? acceptor_->port() : std::uint16_t{0}; }
    [[nodiscard]] std::size_t connections() const noexcept { return link_count_; }
    [[nodiscard]] driver& runtime() noexcept { return driver_; }
    [[nodiscard]] std::uint64_t next_serial() noexcept { return ++last_serial_; }

    void accept(std::uint64_t serial, accept_completion done) {
        if (closed_) return done(errc::closed, socket_type(nullptr));
        if (!unclaimed_.empty()) return done({}, socket_type(unclaimed_.pop_front()));
        if (waiting_.size() >= socket_options_->max_waiters) return done(errc::too_many_waiters, socket_type(nullptr));
        (void)waiting_.push_back({serial, std::move(done)});
    }
    void cancel_operation(std::uint64_t serial) {
        for (std::size_t n = waiting_.size(); n > 0; --n) {
            waiter w = waiting_.pop_front();
            if (w.serial == serial) w.done(asio::error::operation_aborted, socket_type(nullptr));
            else (void)waiting_.push_back(std::move(w));
        }
        for (std::size_t n = closers_.size(); n > 0; --n) {
            closer c = closers_.pop_front();
            if (c.serial == serial) c.done(asio::error::operation_aborted);
            else (void)closers_.push_back(std::move(c));
        }
    }
    /// Stops listening and closes all links, each within its `close_timeout`.
    void close(std::uint64_t serial, plain_completion done) {
        const driver::turn t(driver_);
        (void)closers_.push_back({serial, std::move(done)});
        if (std::exchange(closed_, true)) return driver_.defer(*this);
        closing_self_ = this->shared_from_this();
        acceptor_.reset();
        while (!waiting_.empty()) waiting_.pop_front().done(errc::closed, socket_type(nullptr));
        drop_pending();
        while (!unclaimed_.empty()) drop_unclaimed(unclaimed_.pop_front());
        std::vector<link_ptr> all;
        for (link<P>* l = links_; l; l = l->host_next) all.push_back(l->shared_from_this());
        for (auto& l : all) l->close(close_code::going_away, "server shutdown", 0, {});
        driver_.defer(*this);
    }
    /// The owner is gone: accepted sockets live on, but no session can be resumed any more. This
    /// may be inside of a callback, called from a function of this object: it stays for the turn.
    void orphan() {
        const driver::turn t(driver_);
        closing_self_ = this->shared_from_this();
        acceptor_.reset();
        orphaned_ = closed_ = true;
        const std::error_code aborted = asio::error::operation_aborted;
        while (!waiting_.empty()) waiting_.pop_front().done(aborted, socket_type(nullptr));
        while (!closers_.empty()) closers_.pop_front().done(aborted);
        drop_pending();
        while (!unclaimed_.empty()) drop_unclaimed(unclaimed_.pop_front());
        for (auto& item : std::exchange(unconfirmed_, {})) drop_unclaimed(std::move(item.second));
        std::vector<link_ptr> rest;
        for (link<P>* l = std::exchange(links_, nullptr); l; l = l->host_next) rest.push_back(l->shared_from_this());
        for (auto& l : rest) l->set_host(nullptr, nullptr);  // all before the first callback
        for (auto& l : rest) l->lose_host();
        link_count_ = 0;
        driver_.defer(*this);
    }

private:
    struct waiter {
        std::uint64_t serial = 0;
        accept_completion done;
    };
    struct closer {
        std::uint64_t serial = 0;
        plain_completion done;
    };

    /// A connection that is neither a plain link nor attached to a session yet.
    struct pending final : wire_owner {
        pending(listener_core& c, stream_ptr accepted) : core(c) {
            wire_ = std::make_unique<wire>(c.driver_, c.socket_options_, static_cast<wire_owner&>(*this), std::move(accepted));
            address = wire_->remote_address();
        }
        void on_wire_request(wire& w, const ws::upgrade_request& request) override { core.answer(*this, w, request); }
        void on_wire_open(wire& w) override {
            if (w.subprotocol() != session::subprotocol) return core.begin_plain(*this);
            core.driver_.arm(deadline, add_saturated(core.driver_.now(), core.socket_options_->handshake_timeout));
        }
        void on_wire_message(wire&, byte_view payload, bool text) override { core.first_frame(*this, payload, text); }
        void on_wire_input(wire&) noexcept override {}
        void on_wire_writable(wire&) override {}
        void on_wire_closed(wire&, const wire_end&) override { core.forget(*this); }
        void on_deadline(time_point) {
            wire_->drop(close_code::attach_timeout);
            core.forget(*this);
        }

        listener_core& core;
        std::unique_ptr<wire> wire_;
        std::string address;
        std::string principal;
        typename std::list<pending>::iterator self;
        timer_node deadline{this, on_timer<&pending::on_deadline>};
    };

    // ---- admission -------------------------------------------------------------------------

    void on_accept(stream_ptr accepted) override {
        // The handshake is bounded too: a flood of connections that say nothing is cut here.
        if (pending_.size() >= options_.max_connections) return accepted->abort();
        pending_.emplace_back(*this, std::move(accepted));
        pending_.back().self = std::prev(pending_.end());
    }
    void on_accept_error(std::error_code ec) override {
        objects_.logger.log(log_level::error, "accept_failed", {{"error", ec.message()}});
    }
    void answer(pending& p, wire& w, const ws::upgrade_request& request) {
        if (closed_ || link_count_ >= options_.max_connections || unclaimed_.size() >= options_.max_unclaimed) {
            const ws::header retry[] = {{"Retry-After", std::to_string(options_.retry_after.count())}};
            return w.reject(503, "too many connections", retry);
        }
        if (options_.authorize && !authorized(p, w, request)) return;
        if (closed_) return;  // within `authorize`
        std::string_view chosen;
        if (socket_options_->session != session_mode::off && request.offers(session::subprotocol)) {
            chosen = session::subprotocol;
        } else if (socket_options_->session == session_mode::required) {
            return w.reject(400, "the subprotocol hawser.v1 is required");
        } else {
            for (const auto& s : socket_options_->subprotocols)
                if (chosen.empty() && request.offers(s)) chosen = s;
        }
        if (w.accept(chosen)) w.reject(500, "the upgrade could not be answered");
    }
    [[nodiscard]] bool authorized(pending& p, wire& w, const ws::upgrade_request& request) {
        authorization a;
        try {
            a = options_.authorize(request);
        } catch (...) {
            objects_.metrics.add(counter::handler_failures);
            a = {.status = 500, .text = "internal error"};
        }
        p.principal = std::move(a.principal);
        if (a.status == 101) return true;
        w.reject(a.status, a.text);
        return false;
    }
    void forget(pending& p) { pending_.erase(p.self); }
    // One of them may be asking `authorize` at this moment, so they go at the end of the turn.
    void drop_pending() {
        for (auto& p : pending_) {
            p.deadline.cancel();
            p.wire_->drop(close_code::going_away);
        }
        parting_.splice(parting_.end(), pending_);
    }

    // ---- plain connections and sessions ----------------------------------------------------

    [[nodiscard]] link_ptr make_link(const std::string& principal) {
        auto l = std::make_shared<link<P>>(driver_, socket_options_, objects_);
        l->principal = principal;
        l->host_next = links_;
        if (links_) links_->host_prev = l.get();
        links_ = l.get();
        ++link_count_;
        return l;
    }
    void begin_plain(pending& p) {
        auto l = make_link(p.principal);
        l->set_host(this, nullptr);
        auto w = std::move(p.wire_);
        forget(p);
        l->adopt_plain(std::move(w));
        offer(std::move(l));
    }
    void first_frame(pending& p, byte_view payload, bool text) {
        session::envelope e;
        std::error_code ec = text ? make_error_code(errc::session_malformed) : session::decode(payload, e);
        if (!ec && !session::checksum_matches(payload, e, {})) ec = errc::session_checksum;
        session::hello h;
        session::resume r;
        if (!ec && e.type == session::frame_type::hello && session::decode(e, h)) return begin_session(p, h);
        if (!ec && e.type == session::frame_type::resume && session::decode(e, r)) return resume(p, r);
        p.wire_->drop(ec == errc::session_checksum ? close_code::bad_checksum : close_code::protocol_error);
        forget(p);
    }
    void begin_session(pending& p, const session::hello& h) {
        session::epoch_id epoch;
        session::resume_token token;
        if (!driver_.entropy().take(epoch) || !driver_.entropy().take(token)) return refuse(p, close_code::internal_error);
        if (h.version_min > session::version || h.version_max < session::version)
            return refuse(p, close_code::version_mismatch);
        auto l = make_link(p.principal);
        l->set_host(this, dedup_for(p.principal, h.origin));
        auto w = std::move(p.wire_);
        const std::string principal = std::move(p.principal);
        forget(p);
        if (const auto ec = l->adopt_session(std::move(w), h, epoch, token))
            return l->end_session(ec, std::nullopt, close_code::internal_error);
        l->record = table_.add(epoch, token, principal, &l->state_machine(), l.get());
        if (!l->record) return l->end_session(errc::table_full, std::nullopt, close_code::try_again_later);
        l->record->attached = true;
        unconfirmed_.emplace(l.get(), l);
        start_sweeping();
    }
    void resume(pending& p, const session::resume& r) {
        const time_point now = driver_.now();
        session::resume_decision d = table_.decide(r, p.principal, now);
        using kind = session::resume_decision::kind;
        if (d.what == kind::stale) return refuse(p, close_code::stale_resume);
        if (d.what == kind::resume) return attach(p, r, *d.record);
        if (d.answer.reason == session::resume_failure::unknown && !guard_.permit_failure(p.address, now))
            return refuse(p, close_code::try_again_later);
        if (d.what == kind::ended) {
            auto* owner = static_cast<link<P>*>(d.owner);
            owner->record = nullptr;
            owner->end_session(errc::resume_failed, d.own_position);
        }
        // The client says HELLO next, on the same connection.
        byte_vector frame;
        session::encode(frame, d.answer, socket_options_->checksum);
        (void)p.wire_->send(ws::opcode::binary, frame, byte_view{});
    }
    void attach(pending& p, const session::resume& r, session::session_record& record) {
        session::resume_token fresh;
        if (!driver_.entropy().take(fresh)) return refuse(p, close_code::internal_error);
        auto* owner = static_cast<link<P>*>(record.owner);
        table_.rotate(record, r.token, fresh);
        auto w = std::move(p.wire_);
        forget(p);
        owner->adopt_resumed(std::move(w), r, fresh);
    }
    void refuse(pending& p, close_code code) {
        p.wire_->drop(code);
        forget(p);
    }

    // ---- link_host -------------------------------------------------------------------------

    void on_link_confirmed(void* who, bool) override {
        auto* l = static_cast<link<P>*>(who);
        if (l->record) table_.confirm(*l->record);
        const auto it = unconfirmed_.find(l);
        if (it == unconfirmed_.end()) return;
        auto owned = std::move(it->second);
        unconfirmed_.erase(it);
        offer(std::move(owned));
    }
    void on_link_detached(void* who) override {
        auto* l = static_cast<link<P>*>(who);
        if (!l->record) return;
        const duration wait = unconfirmed_.contains(l) ? duration{socket_options_->connect_timeout}
                                                       : duration{socket_options_->session_ttl};
        table_.detach(*l->record, add_saturated(driver_.now(), wait));
        start_sweeping();
    }
    void on_link_ended(void* who, std::optional<std::uint64_t> accepted) override {
        auto* l = static_cast<link<P>*>(who);
        on_link_gone(who);
        if (auto* record = std::exchange(l->record, nullptr)) {
            if (unconfirmed_.contains(l)) table_.remove(*record);
            else table_.bury(*record, accepted, add_saturated(driver_.now(), socket_options_->session_ttl));
        }
        if (const auto it = unconfirmed_.find(l); it != unconfirmed_.end()) {
            // Still inside its own function: it goes at the end of the turn.
            ended_.push_back(std::move(it->second));
            unconfirmed_.erase(it);
        }
        driver_.defer(*this);
    }

    void on_link_gone(void* who) noexcept override {
        auto* l = static_cast<link<P>*>(who);
        (l->host_prev ? l->host_prev->host_next : links_) = l->host_next;
        if (l->host_next) l->host_next->host_prev = l->host_prev;
        l->host_next = l->host_prev = nullptr;
        --link_count_;
    }

    void offer(link_ptr l) {
        if (l->state() == connection_state::closed) return;
        if (waiting_.empty()) (void)unclaimed_.push_back(std::move(l));
        else waiting_.pop_front().done({}, socket_type(std::move(l)));
    }
    void drop_unclaimed(link_ptr l) {
        l->orphaned = true;
        link<P>& target = *l;
        target.orphan(std::move(l));
    }

    // ---- upkeep ----------------------------------------------------------------------------

    // One dedup state per origin and principal, for as long as a copy may still come.
    [[nodiscard]] std::shared_ptr<dedup_state<P>> dedup_for(const std::string& principal, const session::origin_id& origin) {
        std::string key(as_text(origin));
        key += principal;
        auto& entry = dedup_[key];
        if (!entry.state) entry.state = std::make_shared<dedup_state<P>>(socket_options_->dedup, random_seed(driver_));
        auto result = entry.state;
        entry.unused_since = driver_.now();
        if (dedup_.size() > options_.max_sessions) forget_unused_dedup(driver_.now(), duration{0});
        return result;
    }
    void forget_unused_dedup(time_point now, duration age) {
        std::erase_if(dedup_, [&](const auto& item) {
            const dedup_entry& entry = item.second;
            if (entry.state.use_count() > 1) entry.unused_since = now;
            return entry.state.use_count() == 1 && now - entry.unused_since >= age;
        });
    }
    void start_sweeping() {
        if (!sweep_.armed()) driver_.arm(sweep_, add_saturated(driver_.now(), sweep_interval()));
    }
    [[nodiscard]] duration sweep_interval() const noexcept {
        const duration ttl = std::min(socket_options_->session_ttl, socket_options_->connect_timeout);
        return std::clamp<duration>(ttl / 8, milliseconds{10}, seconds{5});
    }
    void on_sweep(time_point now) {
        table_.expire(now, [](session::session_record& record) {
            static_cast<link<P>*>(record.owner)->end_session(errc::session_expired, std::nullopt);
        });
        forget_unused_dedup(now, duration{socket_options_->dedup.dedup_ttl});
        if (table_.size() != 0 || !dedup_.empty()) start_sweeping();
    }

    // The end of a turn: what ended in it is let go.
    void run() override {
        ended_.clear();
        parting_.clear();
        if (!orphaned_ && (!closed_ || links_)) return;
        while (!closers_.empty()) closers_.pop_front().done({});
        sweep_.cancel();
        const auto last = std::move(closing_self_);
    }
    void abandon() noexcept override {
        closed_ = true;
        withdraw();
        sweep_.cancel();
        const auto acceptor = std::move(acceptor_);
        const auto self = std::move(closing_self_);
        const auto handshakes = std::move(pending_);
        const auto parting = std::move(parting_);
        const auto waiting = std::move(waiting_);
        const auto closers = std::move(closers_);
        const auto unclaimed = std::move(unclaimed_);
        const auto unconfirmed = std::move(unconfirmed_);
        const auto ended = std::move(ended_);
    }

    driver& driver_;
    listener_options options_;
    std::shared_ptr<const options> socket_options_;
    policy_objects<P> objects_;
    session::session_table table_;
    resume_guard guard_;
    acceptor_ptr acceptor_;
    std::list<pending> pending_;
    std::list<pending> parting_;  // dropped in this turn
    link<P>* links_ = nullptr;  // all that are not over
    std::size_t link_count_ = 0;
    std::map<void*, link_ptr> unconfirmed_;  // looked up, never iterated
    ring<link_ptr> unclaimed_;
    std::vector<link_ptr> ended_;
    ring<waiter> waiting_;
    ring<closer> closers_;
    std::shared_ptr<listener_core> closing_self_;
    struct dedup_entry {
        std::shared_ptr<dedup_state<P>> state;
        mutable time_point unused_since{};  // std::erase_if shows its elements as const
    };
    std::map<std::string, dedup_entry> dedup_;
    std::atomic<std::uint64_t> last_serial_{0};
    bool closed_ = false;
    bool orphaned_ = false;
    timer_node sweep_{this, on_timer<&listener_core::on_sweep>};
};

}  // namespace hawser::inline v0::detail

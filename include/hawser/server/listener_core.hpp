// SPDX-License-Identifier: BSL-1.0
/// \file
/// What a `listener` is made of: admission, the upgrade, sessions, and the links it made.
#pragma once

#include <hawser/driver/use_driver.hpp>
#include <hawser/link/initiate.hpp>
#include <hawser/link/link.hpp>
#include <hawser/policy/handshake_pacer.hpp>
#include <hawser/protocol/session/session_table.hpp>
#include <hawser/resilient_socket.hpp>
#include <hawser/server/address_count.hpp>
#include <hawser/server/dedup_table.hpp>
#include <hawser/server/drain_options.hpp>
#include <hawser/server/listener_options.hpp>
#include <hawser/server/network_of.hpp>
#include <hawser/server/resume_guard.hpp>

#include <list>
#include <map>
#include <memory>
#include <string>

namespace hawser::inline v0::detail {

template <class P>
class listener_core;
template <class P>
struct no_result<resilient_socket<P>> {
    [[nodiscard]] static resilient_socket<P> make() noexcept { return listener_core<P>::no_socket(); }
};

/// Split by concern: listener_admission.hpp, listener_drain.hpp, listener_sessions.hpp, listener_store.hpp,
/// listener_upkeep.hpp. Lives on the
/// driver's strand. Kept alive by its `listener` and, while it closes, by itself.
template <class P>
class listener_core final : public std::enable_shared_from_this<listener_core<P>>,
                            acceptor_sink, link_host, catalog_client, abandonable, departing, deferred_task {
public:
    using link_ptr = std::shared_ptr<link<P>>;
    // A handler that is destroyed on its way, with its executor, takes the socket with it.
    using socket_type = resilient_socket<P>;
    using accept_completion = completion<std::error_code, socket_type>;

    listener_core(driver& d, listener_options o, policy_objects<P> objects)
        : driver_(d), options_(std::move(o)), socket_options_(std::make_shared<const options>(options_.socket)),
          objects_(std::move(objects)), table_(options_.max_sessions), address_guard_(options_.max_resume_failures, options_.max_resume_addresses),
          principal_guard_(options_.max_resume_failures_per_principal, options_.max_resume_addresses) {
        table_.set_tombstone_ttl(socket_options_->session_ttl);
        if constexpr (P::store::durable) table_.on_removed = [this](session::session_record& r) { forget_stored(r); };
        table_.set_token_lifetime(options_.token_lifetime);
        driver_.enlist(*this);
    }
    ~listener_core() {
        if (is_listed()) driver_.delist(*this);
        for (link<P>* l = links_; l; l = l->host_next) l->set_host(nullptr, nullptr);
    }

    [[nodiscard]] static socket_type no_socket() noexcept { return socket_type(nullptr); }
    [[nodiscard]] std::error_code listen(const listen_endpoint& where) {
        std::error_code ec;
        acceptor_ = driver_.listen(where, *this, ec);
        if (!ec) list_stored();
        return ec;
    }
    [[nodiscard]] std::uint16_t port() const { return acceptor_ ? acceptor_->port() : std::uint16_t{0}; }
    [[nodiscard]] std::size_t connections() const noexcept { return link_count_; }
    [[nodiscard]] driver& runtime() noexcept { return driver_; }
    [[nodiscard]] std::uint64_t next_serial() noexcept { return ++last_serial_; }

    void accept(std::uint64_t serial, accept_completion done) {
        if (closed_) return done(orphaned_ ? asio::error::operation_aborted : why_closed_, socket_type(nullptr));
        if (!unclaimed_.empty()) return done({}, socket_type(unclaimed_.pop_front()));
        if (waiting_.size() >= socket_options_->max_waiters) return done(errc::too_many_waiters, socket_type(nullptr));
        (void)waiting_.push_back({serial, std::move(done)});
    }
    /// As of a link. Closing goes on without its operation, so `total` does not end that.
    [[nodiscard]] bool cancel_operation(std::uint64_t serial, asio::cancellation_type how) {
        bool found = false;
        for (std::size_t n = waiting_.size(); n > 0; --n) {
            waiter w = waiting_.pop_front();
            found = found || w.serial == serial;
            if (w.serial == serial) w.done(asio::error::operation_aborted, socket_type(nullptr));
            else (void)waiting_.push_back(std::move(w));
        }
        const bool total = is_total(how);
        for (ring<closer>* list : {&closers_, &drainers_})
            for (std::size_t n = list->size(); n > 0; --n) {
                closer c = list->pop_front();
                found = found || c.serial == serial;
                if (c.serial == serial && !total) c.done(asio::error::operation_aborted);
                else (void)list->push_back(std::move(c));
            }
        return found;
    }
    /// An accepted socket whose handler was cancelled before its call: somebody else gets it.
    void give_back(socket_type s) {
        if (closed_ || s.state() == connection_state::closed) return;
        if (waiting_.empty()) (void)unclaimed_.push_front(std::move(s.link_));
        else waiting_.pop_front().done({}, std::move(s));
    }
    /// Stops listening and closes all links, each within its `close_timeout`.
    void close(std::uint64_t serial, plain_completion done) {
        const driver::turn t(driver_);
        if (orphaned_) return done(asio::error::operation_aborted);
        std::vector<link_ptr> all;
        all.reserve(link_count_);
        closers_.reserve_one();
        (void)closers_.push_back({serial, std::move(done)});
        if (std::exchange(closed_, true)) return driver_.defer(*this);
        closing_self_ = this->shared_from_this();
        acceptor_.reset();
        while (!waiting_.empty()) waiting_.pop_front().done(errc::closed, socket_type(nullptr));
        drop_pending();
        while (!unclaimed_.empty()) drop_unclaimed(unclaimed_.pop_front());
        for (link<P>* l = links_; l; l = l->host_next) all.push_back(l->shared_from_this());
        for (auto& l : all) l->close(close_code::going_away, "server shutdown", 0, {});
        driver_.defer(*this);
    }
    /// Tells each link when to go, and lets nobody in. In listener_drain.hpp.
    void drain(std::uint64_t serial, const drain_options& how, plain_completion done);
    /// `orphan` on the strand, from any thread, also without memory.
    void orphan_on_strand(std::shared_ptr<listener_core> self) noexcept {
        leaver_ = std::move(self);
        try {
            dispatch(driver_, [weak = this->weak_from_this()] {
                if (const auto core = weak.lock(); core && core->driver_.alive()) core->depart();
            });
        } catch (const std::bad_alloc&) {
            driver_.leave(*this);
        }
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
        while (!drainers_.empty()) drainers_.pop_front().done(aborted);
        drop_pending();
        while (!unclaimed_.empty()) drop_unclaimed(unclaimed_.pop_front());
        for (auto& item : std::exchange(unconfirmed_, {})) drop_unclaimed(std::move(item.second));
        // Those that go on first, before the first callback. Nothing is allocated: a destructor calls this.
        for (link<P>* l = links_; l;) {
            link<P>& present = *std::exchange(l, l->host_next);
            if (!present.ends_without_host()) let_go(present);
        }
        while (links_) {
            const link_ptr l = links_->shared_from_this();
            let_go(*l);
            l->lose_host();
        }
        driver_.defer(*this);
    }

private:
    static constexpr std::uint64_t the_list = UINT64_MAX;  // see pending::waits_for

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
            wire_ = std::make_unique<wire>(c.driver_, *c.socket_options_, static_cast<wire_owner&>(*this), std::move(accepted));
            network = network_of(wire_->remote_address());
        }
        void on_wire_request(wire& w, const ws::upgrade_request& request) override { core.answer(*this, w, request); }
        void on_wire_open(wire& w) override {
            if (w.subprotocol() != session::subprotocol) return core.begin_plain(*this);
            core.driver_.arm(deadline, add_saturated(core.driver_.now(), core.socket_options_->handshake_timeout));
        }
        void on_wire_message(wire&, byte_view payload, bool text) override { core.first_frame(*this, payload, text); }
        void on_wire_input(wire&) noexcept override {}
        void on_wire_writable(wire&) override {}
        [[nodiscard]] std::shared_ptr<std::size_t> linger_count() const noexcept override { return core.lingering_refused_; }
        void on_wire_closed(wire&, const wire_end&) override { core.forget(*this); }
        void on_deadline(time_point) {
            wire_->drop(close_code::attach_timeout);
            core.forget(*this);
        }

        listener_core& core;
        std::unique_ptr<wire> wire_;
        std::string network;
        std::string principal;
        // A first frame that has to wait: for the list of stored sessions, or for the session with this serial. Or its answer.
        byte_vector held;
        bool is_answer = false;
        std::uint64_t waits_for = 0;
        typename std::list<pending>::iterator self;
        timer_node deadline{this, on_timer<&pending::on_deadline>};
    };

    // listener_admission.hpp
    void on_accept(stream_ptr accepted) override;
    void on_accept_error(std::error_code ec) override;
    void answer(pending& p, wire& w, const ws::upgrade_request& request);
    [[nodiscard]] bool authorized(pending& p, wire& w, const ws::upgrade_request& request);
    void forget(pending& p);
    [[nodiscard]] std::unique_ptr<wire> take_wire(pending& p);
    void drop_pending();

    // listener_store.hpp: sessions in a durable store
    using session_record = session::session_record;
    void list_stored();
    void on_listed(std::error_code ec, std::vector<stored_session> sessions) override;
    void adopt_listed(const stored_session& s);
    void hold(pending& p, byte_view bytes, std::uint64_t serial, bool is_answer);
    void go_on(std::uint64_t serial);
    void refuse_waiting(std::uint64_t serial);
    void load(session_record& record);
    void on_link_restored(void* who, std::error_code ec) override;
    void on_link_settled(void* who, bool durable) override;
    void expire_stored(session_record& record);
    void forget_stored(const session_record& record) noexcept;
    void erase_forgotten();
    // listener_drain.hpp
    void part_with(link<P>& l, const departure_plan& plan);
    void expire_now(link<P>& l);
    [[nodiscard]] seconds retry_after_drain();
    [[nodiscard]] bool draining() const noexcept { return draining_until_ != never; }

    // listener_sessions.hpp
    [[nodiscard]] link_ptr make_link(const std::string& principal);
    void begin_plain(pending& p);
    void first_frame(pending& p, byte_view payload, bool text);
    void begin_session(pending& p, const session::hello& h);
    void resume(pending& p, const session::resume& r, byte_view frame);
    void attach(pending& p, const session::resume& r, session::session_record& record);
    void refuse(pending& p, close_code code);
    void give_up_waiting(const pending* which) noexcept;

    // link_host, in listener_sessions.hpp too
    void on_link_confirmed(void* who, bool) override;
    void on_link_detached(void* who) override;
    void on_link_ended(void* who, std::optional<std::uint64_t> accepted, link_end how) override;
    void on_link_gone(void* who) noexcept override;
    [[nodiscard]] std::shared_ptr<std::size_t> linger_count() const noexcept override { return lingering_; }
    void settle(session::session_record& record, std::optional<std::uint64_t> accepted);
    void let_go(link<P>& l) noexcept {
        on_link_gone(&l);
        l.set_host(nullptr, nullptr);
        l.record = nullptr;
    }
    void offer(link_ptr l);
    void drop_unclaimed(link_ptr l);

    // listener_upkeep.hpp: dedup states, expiry, the end of a turn
    [[nodiscard]] std::shared_ptr<dedup_state<P>> dedup_for(const std::string& principal, const session::origin_id& origin);
    void start_sweeping();
    [[nodiscard]] duration sweep_interval() const noexcept;
    void on_sweep(time_point now);
    void run() override;
    void abandon() noexcept override;
    void depart() override {
        const auto self = std::move(leaver_);
        orphan();
    }

    driver& driver_;
    listener_options options_;
    address_count addresses_{options_.max_connections_per_address};
    handshake_pacer pacer_{options_.max_handshakes_per_second};
    std::shared_ptr<const options> socket_options_;
    policy_objects<P> objects_;
    session::session_table table_;
    std::unique_ptr<store_catalog> catalog_;   // of a durable store
    std::vector<std::string> forgotten_;       // streams to be erased at the end of the turn
    bool forgetting_stays_ = false;            // in the store
    bool listed_ = !P::store::durable;         // sessions may begin
    std::error_code why_closed_ = errc::closed;
    resume_guard address_guard_;
    resume_guard principal_guard_;
    acceptor_ptr acceptor_;
    std::shared_ptr<ws::compression_budget> compression_budget_ =
        std::make_shared<ws::compression_budget>(options_.max_compression_memory);
    std::list<pending> pending_;
    std::list<pending> parting_;  // dropped in this turn
    link<P>* links_ = nullptr;  // all that are not over
    std::size_t link_count_ = 0;
    std::map<void*, link_ptr> unconfirmed_;  // looked up, never iterated
    // Connections that linger after their close, and after a refusal.
    std::shared_ptr<std::size_t> lingering_ = std::make_shared<std::size_t>(0);
    std::shared_ptr<std::size_t> lingering_refused_ = std::make_shared<std::size_t>(0);
    ring<link_ptr> unclaimed_;
    std::map<void*, link_ptr> ended_;  // out of `unconfirmed_`
    ring<waiter> waiting_;
    ring<closer> closers_;
    ring<closer> drainers_;
    time_point draining_until_ = never;
    std::shared_ptr<listener_core> closing_self_;
    std::shared_ptr<listener_core> leaver_;  // see orphan_on_strand
    dedup_table<P> dedup_{socket_options_->dedup, options_.max_sessions, options_.max_dedup_memory};
    std::atomic<std::uint64_t> last_serial_{0};
    bool closed_ = false;
    bool orphaned_ = false;
    timer_node sweep_{this, on_timer<&listener_core::on_sweep>};
};

}  // namespace hawser::inline v0::detail

// SPDX-License-Identifier: BSL-1.0
/// \file
/// What a `resilient_socket` is made of: executes the state machines on a driver.
#pragma once

#include <hawser/core/error_cause.hpp>
#include <hawser/core/lazy.hpp>
#include <hawser/core/outcome.hpp>
#include <hawser/core/planted.hpp>
#include <hawser/core/ring.hpp>
#include <hawser/core/state.hpp>
#include <hawser/link/completion.hpp>
#include <hawser/link/dedup_state.hpp>
#include <hawser/link/feed_state.hpp>
#include <hawser/link/link_host.hpp>
#include <hawser/link/operations.hpp>
#include <hawser/link/sender_queue.hpp>
#include <hawser/link/traffic.hpp>
#include <hawser/link/transfer_port.hpp>
#include <hawser/link/wire.hpp>
#include <hawser/options.hpp>
#include <hawser/policies.hpp>
#include <hawser/policy/feed_watch.hpp>
#include <hawser/protocol/session/endpoint.hpp>
#include <hawser/protocol/session/session_table.hpp>

#include <any>
#include <atomic>
#include <forward_list>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace hawser::inline v0::detail {

template <class P>
class ack_relay;

/// The shell of one socket, in either role. Everything runs on the driver's strand, except
/// what says otherwise. Split by concern: link_dial.hpp, link_leave.hpp, link_send.hpp, link_overflow.hpp, link_receive.hpp, link_pieces.hpp,
/// link_session.hpp, link_store.hpp, link_feed.hpp, link_end.hpp, link_cancel.hpp.
template <class P>
class link final : public std::enable_shared_from_this<link<P>>,
                   wire_owner, deferred_task, abandonable, departing, store_client {
public:
    link(driver& d, std::shared_ptr<const options> o, policy_objects<P> objects);
    ~link();
    link(const link&) = delete;
    link& operator=(const link&) = delete;

    /// Accepting side: takes over a plain connection.
    void adopt_plain(std::unique_ptr<wire> w);
    /// Accepting side: takes over a connection that brought HELLO.
    [[nodiscard]] std::error_code adopt_session(std::unique_ptr<wire> w, const session::hello& h,
                                                const session::epoch_id& epoch, const session::resume_token& token,
                                                const session::server_facts& facts);
    /// Accepting side: the session goes on on another connection; the present one is superseded.
    void adopt_resumed(std::unique_ptr<wire> w, const session::resume& r, const session::resume_token& token,
                       const session::server_facts& facts);
    /// Accepting side: the session of an earlier process, to be loaded; the host is told.
    void adopt_stored(const session::epoch_id& epoch);
    void set_host(link_host* host, std::shared_ptr<dedup_state<P>> dedup) noexcept {
        host_ = host;
        if (!dedup) return;
        dedup_ = std::move(dedup);  // once at most
        dedup_->join();
    }
    /// Accepting side: the listener is gone, and so is `host`. Nobody can resume the session any more.
    void lose_host();
    [[nodiscard]] bool ends_without_host() const noexcept { return state_ == connection_state::detached && !wire_; }
    /// Accepting side: the session is over, with the peer's position where it is known. `tells`: late RESUMEs are
    /// told what was accepted here.
    void end_session(std::error_code why, std::optional<std::uint64_t> position,
                     close_code code = close_code::session_expired, bool tells = true, session::exception_view exceptions = {});

    /// Accepting side: to be gone soon after `plan.delay`. See link_leave.hpp.
    void ask_to_leave(const departure_plan& plan);

    // ---- what the socket offers; see resilient_socket.hpp ---------------------------------

    void connect(const url& where);
    /// `dialled`: the operation started the connecting, so `total` cannot cancel it.
    void async_open(std::uint64_t serial, plain_completion done, bool dialled = false);
    void async_load(std::uint64_t serial, plain_completion done);
    void close(close_code code, std::string reason, std::uint64_t serial, plain_completion done);
    [[nodiscard]] send_result try_send(const message& body) {
        return can_send_directly() ? send_directly(body) : try_send(body, send_options{});
    }
    [[nodiscard]] send_result try_send(message body, const send_options& how);
    [[nodiscard]] batch_result try_send_batch(std::span<const message> bodies, const send_options& how);
    [[nodiscard]] send_result try_send(byte_view bytes, message_kind kind);
    [[nodiscard]] std::error_code try_send_datagram(const message& body);
    [[nodiscard]] std::error_code try_send_piece(const message_piece& piece);
    void async_writable(std::uint64_t serial, plain_completion done);
    void send(std::uint64_t serial, message body, send_options how, send_completion done);
    void enqueue(std::uint64_t serial, message body, send_options how, enqueue_completion done);
    void enqueue_batch(std::uint64_t serial, std::vector<message> bodies, send_options how, batch_completion done);
    void await_outcome(std::uint64_t serial, ticket t, send_completion done);
    [[nodiscard]] bool cancel_message(ticket t);
    void receive(std::uint64_t serial, receive_completion done);
    [[nodiscard]] std::optional<message> try_receive();
    void hold(bool on);
    /// Cancels the operation with this serial number, if this kind of cancelling can end it; false
    /// if it does not wait here.
    [[nodiscard]] bool cancel_operation(std::uint64_t serial, asio::cancellation_type how);
    /// A received message whose handler was cancelled before its call.
    void give_back(message m);
    /// The owner is gone: nothing of the application is called any more. Keeps itself alive as
    /// long as it must.
    void orphan(std::shared_ptr<link> self);
    /// The same on the strand, from any thread, also without memory.
    void orphan_on_strand(std::shared_ptr<link> self) noexcept {
        keep_alive_ = std::move(self);
        try {
            dispatch(driver_, [weak = this->weak_from_this()] {
                if (const auto l = weak.lock(); l && l->driver_.alive()) l->depart();
            });
        } catch (const std::bad_alloc&) {
            driver_.leave(*this);
        }
    }

    [[nodiscard]] std::uint64_t next_serial() noexcept { return ++last_serial_; }
    [[nodiscard]] session::endpoint& state_machine() noexcept { return *session_; }
    [[nodiscard]] driver& runtime() noexcept { return driver_; }
    [[nodiscard]] connection_state state() const noexcept { return state_; }
    [[nodiscard]] bool in_session() const noexcept { return session_on_; }
    [[nodiscard]] std::string remote_address() const { return wire_ ? wire_->remote_address() : std::string(); }
    [[nodiscard]] std::string subprotocol() const { return std::string(wire_ ? wire_->subprotocol() : std::string_view()); }
    [[nodiscard]] std::size_t queued_bytes() const noexcept { return session_ ? session_->out().queued_bytes() : 0; }
    [[nodiscard]] std::size_t queued_messages() const noexcept { return session_ ? session_->out().queued() : 0; }
    [[nodiscard]] ticket last_ticket() const noexcept {
        return {session_ ? session_->out().next_counter() - 1 : direct_counter_};
    }
    [[nodiscard]] std::size_t in_flight() const noexcept { return session_ ? session_->out().in_flight() : 0; }
    [[nodiscard]] std::shared_ptr<sender_queue> senders();
    /// Made when it is first asked for, as the accepting side has no use for one. Throws std::bad_alloc then.
    [[nodiscard]] typename P::breaker& breaker() {
        if (!objects_.breaker) objects_.breaker.emplace(options_->breaker);
        return *objects_.breaker;
    }
    [[nodiscard]] const options& settings() const noexcept { return *options_; }

    // On the strand.
    void set_on_message(std::function<void(const message_view&)> f);
    void set_on_piece(piece_handler f);
    void set_on_transaction(transaction_handler f) {
        extras_.make().on_transaction = f ? std::make_shared<const transaction_handler>(std::move(f)) : nullptr;
        driver_.defer(*this);
    }
    void set_on_state(std::function<void(const state_change&)> f) { replace(on_state_, std::move(f)); }
    void set_on_outcome(std::function<void(ticket, outcome)> f, std::unique_ptr<link_extras> room = {}) {
        replace(extras_.make(std::move(room)).on_outcome, std::move(f));
    }
    void set_on_backpressure(std::function<void(bool)> f, std::unique_ptr<link_extras> room) {
        replace(extras_.make(std::move(room)).on_backpressure, std::move(f));
    }

    /// The owner is gone. May be set anywhere.
    std::atomic<bool> orphaned{false};
    /// `connect` was called, or there is nothing to dial. May be set anywhere.
    std::atomic<bool> connecting{false};
    bool restored = false;  // accepting side: the session is older than this socket
    /// Accepting side: as `authorize` said.
    void set_principal(const std::string& name) {
        if (!name.empty()) principal_ = std::make_unique<const std::string>(name);
    }
    [[nodiscard]] const std::string& principal() const noexcept {
        return principal_ ? *principal_ : never_destroyed<std::string>();
    }
    session::session_record* record = nullptr;  // the listener's
    link* host_next = nullptr;  // the listener's list of its links
    link* host_prev = nullptr;

    void acknowledge(std::uint64_t epoch_serial, std::uint64_t seq, const message_id& id, bool rejected = false);

    // For guarded handlers. In a catch clause: the exception is counted and logged.
    void note_exception(std::string_view event, std::string_view callback) noexcept;
    // Nothing helped: critical fails the socket, at the end of the turn or at once.
    void handler_gave_up(handler_criticality how) noexcept;
    void fail_for_handler() noexcept;
    void count(counter c, std::uint64_t n = 1) noexcept { objects_.metrics.add(c, n); }
    // ---- for transfers ---------------------------------------------------------------------

    /// From now on it is told what concerns transfers.
    void attach_transfers(std::shared_ptr<transfer_port> port);
    [[nodiscard]] bool takes_transfers() const noexcept { return session_on_ && session_ && session_->takes_transfers(); }
    [[nodiscard]] bool is_open() const noexcept { return link_ready_; }
    [[nodiscard]] std::error_code final_error() const noexcept {
        return final_error_ ? final_error_ : make_error_code(errc::closed);
    }
    /// Queues a message of a transfer beside the overflow policy, as transfers bound what they have in the
    /// queue; returns its counter. All of them are of the lowest class, so that their order holds and messages of the other
    /// classes need not wait for a large file. Precondition: `takes_transfers()`.
    [[nodiscard]] std::uint64_t send_transfer(message body) {
        return put(std::move(body), {.priority = message_priority::low}, false);
    }
    /// In a catch clause.
    void transfer_callback_threw() noexcept { handler_threw("transfer_callback_threw"); }

private:
    struct dialling;
    // Functions of the application may be running when they are replaced, several of them at
    // once: each lives until the turn ends.
    template <class F>
    void replace(F& present, F next) {
        if (present) retired_.emplace_front(std::move(present));
        present = std::move(next);
        driver_.defer(*this);
    }

    // link_dial.hpp: attempts, and the life of a connection
    void begin_dialling(const url& where);
    void start_attempt();
    [[nodiscard]] std::error_code dial(unsigned last_status);
    [[nodiscard]] std::error_code ask_where(connect_attempt& attempt, url& where);
    void retry_later(std::error_code why, const close_info& close, std::optional<duration> hint);
    void attempt_failed(std::error_code why, bool told_when = false);
    [[nodiscard]] static bool is_local(std::error_code why) noexcept;
    void link_up(bool resumed);
    void announce_open(bool resumed);
    [[nodiscard]] std::error_code refused_credentials(const wire_end& end) const noexcept;
    void credentials_refused(std::error_code why, const wire_end& end);
    [[nodiscard]] std::error_code send_on_connect();
    void link_lost(std::error_code why, const close_info& close, std::optional<duration> hint);
    [[nodiscard]] static bool is_permanent(const wire_end& end) noexcept;
    void set_state(connection_state to, state_change details = {});
    void finish(connection_state final, std::error_code why, const close_info& close);
    void end_messages();
    void fail_operations(std::error_code why);
    static void complete_all(ring<waiting_operation>& list, std::error_code ec);
    static bool cancel_one(ring<waiting_operation>& list, std::uint64_t serial, bool total);
    bool cancel_blocked(std::uint64_t serial);
    bool cancel_together(const ticket_range& tickets);
    bool cancel_accepted(std::uint64_t serial, bool total);
    bool cancel_waiter(std::uint64_t serial, bool total);
    void maybe_close();
    void on_wire_open(wire& w) override;
    void on_wire_request(wire&, const ws::upgrade_request&) override {}
    void on_wire_input(wire&) noexcept override { heartbeat_.on_received(driver_.now()); }
    void on_wire_writable(wire&) override { driver_.defer(*this); }
    [[nodiscard]] std::shared_ptr<std::size_t> linger_count() const noexcept override {
        return host_ ? host_->linger_count() : nullptr;
    }
    void on_wire_closed(wire& w, const wire_end& end) override;
    void wire_ended(const wire_end& end);
    void abandon() noexcept override;
    void depart() override {
        const driver::turn t(driver_);
        orphan(std::move(keep_alive_));
    }

    // link_leave.hpp
    void on_goaway(milliseconds delay, std::string_view target);
    void begin_leaving(time_point now);
    void maybe_leave();
    void leave();
    void reconnect_at(time_point when, std::error_code why, const close_info& close);
    [[nodiscard]] bool stops_assigning() const noexcept { return leaving_ && state_ != connection_state::closing; }

    // link_send.hpp
    [[nodiscard]] admitted admission(const send_options& how, std::size_t size, std::size_t n = 1);
    [[nodiscard]] admitted ask_policy(const send_options& how, std::size_t size, std::size_t n, bool its_turn);
    [[nodiscard]] bool make_room(const send_options& how, std::size_t size, std::size_t n);
    [[nodiscard]] bool is_blocked(std::string_view coalesce_key) noexcept;
    [[nodiscard]] bool fits_in_place(std::size_t freed, std::size_t size) const noexcept;
    [[nodiscard]] std::error_code batch_fault(std::span<const message> bodies, const send_options& how) const noexcept;
    [[nodiscard]] std::uint64_t put_usual(message&& body);
    [[nodiscard]] std::uint64_t put(message body, const send_options& how, bool dropped);
    [[nodiscard]] ticket_range put_all(std::span<const message> bodies, const send_options& how, bool dropped);
    void put_awaited(submission& what, send_completion& done, std::uint64_t serial, bool dropped);
    void put_accepted(submission& what, enqueue_completion& one, batch_completion& several, std::uint64_t serial, bool dropped);
    [[nodiscard]] bool gathering() noexcept;
    void expire_waiting();
    void tell_pressure(bool after_writing);
    [[nodiscard]] bool nothing_waits() const noexcept;
    [[nodiscard]] bool direct() const noexcept;
    [[nodiscard]] bool anybody_blocked() const noexcept { return extras_ && !extras_->blocked.empty(); }
    // A piece is not gathered with others.
    [[nodiscard]] bool can_begin_piece() const noexcept {
        return nothing_waits() && !anybody_blocked() && state_ != connection_state::closing;
    }
    [[nodiscard]] bool can_send_directly() const noexcept {
        return direct() && !anybody_blocked() && state_ != connection_state::closing;
    }
    [[nodiscard]] send_result send_directly(const message& body);
    void write_plain();
    void count_loss(outcome o) noexcept;
    void report_accepted();
    void report_outcomes();
    void admit_blocked();
    void take_from_senders();
    void take_over(const handed_over& h);
    [[nodiscard]] session::outbox& outbox() { return session_ ? session_->out() : session().out(); }
    void commit_now();

    // link_receive.hpp
    void on_wire_message(wire& w, byte_view payload, bool text) override;
    void on_session_message(byte_view payload, bool text);
    void read_on();
    void deliver(const session::action& a);
    void deliver_transfer(const session::action& a);
    void break_off(std::error_code why);
    void failed() noexcept;
    void handler_threw(std::string_view event) noexcept;
    void deliver_plain(byte_view payload, bool text);
    void keep_plain(byte_view payload, message_kind kind);
    void deliver_feed(const message_view& view) noexcept;
    void hand_over(const message_view& view);
    void call_handler(const message_view& view);
    void message_handler_threw() noexcept;
    void drop_copy(typename dedup_state<P>::verdict verdict, ready_message m);
    [[nodiscard]] bool is_final() const noexcept {
        return state_ == connection_state::closed || state_ == connection_state::failed;
    }
    // The handler failed the socket: it is not called again.
    [[nodiscard]] bool handler_broke() const noexcept {
        return state_ == connection_state::failed && final_error_ == errc::handler_failed;
    }
    void keep(ready_message m);
    void kept();
    void freed(const ready_message& m);
    [[nodiscard]] bool transactional() const noexcept { return P::store::durable && extras_->on_transaction; }
    void hand_to_store(ready_message m);
    void release_committed();
    void drain_ready();
    [[nodiscard]] bool take_ready(ready_message& out);
    [[nodiscard]] message own(ready_message m);
    void took_responsibility(std::uint64_t epoch_serial, std::uint64_t seq, const message_id& id);
    void rejected(std::uint64_t epoch_serial, std::uint64_t seq, const message_id& id);
    void tell_rejected(std::uint64_t epoch_serial, std::uint64_t seq);
    void refuse_text(const session::action& a);
    void accept_previous();
    void forget_previous(std::uint64_t seq, std::uint64_t epoch_serial) noexcept;

    // link_pieces.hpp
    void on_wire_piece(wire& w, const message_piece& piece) override;
    void set_receiving(std::function<void(const message_view&)> whole, std::shared_ptr<const piece_handler> pieces);
    void apply_pieces();
    [[nodiscard]] bool takes_piece() const noexcept;
    void tell_writers();
    [[nodiscard]] bool holds_pieces() const noexcept { return held_ && extras_->on_piece && !session_on_ && !feed_on_; }

    // link_feed.hpp
    [[nodiscard]] bool await_subscription();
    template <class F, class R>
    [[nodiscard]] R ask_feed(const F& f, const message_view& view, R otherwise);
    [[nodiscard]] bool admit_from_feed(const message_view& view);
    void judge_subscription(const message_view& view);
    void subscription_confirmed();
    void feed_failed(errc why);
    void expire_feed(time_point now);

    // link_session.hpp
    [[nodiscard]] session::endpoint& session(std::string_view stream = {});
    void on_action(const session::action& a);
    void write_session();
    [[nodiscard]] std::error_code send_frame(const session::outgoing_frame& f);
    void begin_commit();
    // link_store.hpp
    [[nodiscard]] bool awaits_store() const noexcept {
        return P::store::durable && options_->session != session_mode::off && !loaded_;
    }
    void commit_failed(std::error_code ec);
    void tell_host(std::optional<std::uint64_t> accepted);
    void leave_to_store(std::error_code why);
    void close_store();
    void on_loaded(std::error_code ec, store_image image) override;
    void on_committed(std::error_code ec) override;
    void run() override;
    void end_of_turn();
    void rearm();
    void on_timer_due(time_point now);
    void expire(time_point now);
    void beat(time_point now);
    void expire_idle(time_point now);

    // A message of the application passed. The time is that of the turn, which is there already; only a send outside of
    // any turn asks the clock.
    void note_message() noexcept {
        if (idle_.on()) idle_.on_useful(driver_.now());
    }
    void count_sent(std::size_t bytes) {
        note_message();
        if (traffic_.sent(bytes)) driver_.defer(*this);
    }
    void count_received(std::size_t bytes) {
        if (traffic_.received(bytes)) driver_.defer(*this);
    }

    // What the receiving of messages by operations needs in a session.
    struct handed_over_state {
        std::shared_ptr<ack_relay<P>> acks{};
        std::optional<taken_message> previous{};  // handed over, responsibility not taken yet
    };

    // In the order that leaves no gaps: most sockets do nothing most of the time, and there are many of them.
    driver& driver_;
    std::shared_ptr<const options> options_;
    [[no_unique_address]] policy_objects<P> objects_;
    [[no_unique_address]] traffic<typename P::metrics> traffic_;
    [[no_unique_address]] typename P::heartbeat heartbeat_;
    [[no_unique_address]] typename P::overflow overflow_;
    feed_watch idle_;  // messages in both directions, for `idle_timeout`
    std::unique_ptr<wire> wire_;
    std::unique_ptr<dialling> dial_;                // dialling side only
    std::unique_ptr<session::endpoint> session_;    // made when first needed
    std::unique_ptr<opened_store> store_;
    std::shared_ptr<dedup_state<P>> dedup_;
    lazy<link_extras> extras_;
    lazy<handed_over_state> handed_;
    std::unique_ptr<const std::string> principal_;
    std::unique_ptr<std::string> closing_reason_;
    std::atomic<sender_queue*> senders_{nullptr};  // made under the mutex of senders()
    std::shared_ptr<link> keep_alive_;  // on its way to the strand, to be orphaned; then until it is done
    link_host* host_ = nullptr;
    std::atomic<std::uint64_t> last_serial_{0};
    std::uint64_t direct_counter_ = 0;
    std::error_code final_error_;

    std::function<void(const message_view&)> on_message_;
    std::function<void(const state_change&)> on_state_;
    std::forward_list<std::any> retired_;
    ring<ready_message> ready_;
    std::size_t ready_bytes_ = 0;
    std::uint64_t rejected_seq_ = 0;  // by the handler that is running
    std::uint64_t receive_serial_ = 0;
    receive_completion receiver_;

    time_point attach_deadline_ = never;   // connect or confirm
    time_point close_deadline_ = never;
    time_point leave_at_ = never;          // when to begin leaving; then when to leave whatever is in flight
    time_point failed_at_ = never;         // see failed()
    time_point resume_at_ = never;
    time_point gather_until_ = never;      // small messages wait for others
    timer_node timer_{this, on_timer<&link::on_timer_due>};

    close_code closing_code_ = close_code::normal;
    connection_state state_ = connection_state::idle;
    bool on_its_own_ = false;      // `orphan` was called, with `keep_alive_`
    bool session_on_ = false;      // hawser.v1 is spoken on the present connection (or was, on the last)
    bool link_ready_ = false;      // open: messages flow
    bool store_failed_ = false;    // nothing is durable any more
    bool loaded_ = false;          // what an earlier process left in a durable store is here
    bool over_ = false;            // the session ended, and will in the store
    bool stored_ = false;          // the socket ended, and its session stays in the store
    bool close_sent_ = false;
    bool draining_ = false;        // inside drain_ready
    bool handler_failed_ = false;  // a critical callback threw: the turn's end fails the socket
    bool broken_ = false;          // something threw and so did breaking off
    bool held_ = false;            // the application wants no callbacks now
    bool feed_on_ = false;         // a plain connection with `options::feed`
    bool leaving_ = false;         // nothing more gets a number on this connection, which ends soon
    bool peer_leaves_ = false;     // accepting side: the client was told, and ends the connection itself
    bool gather_over_ = false;     // they waited long enough, until the queue is empty
    bool overflowed_ = false;      // the overflow policy ends the socket: the turn's end does it
    bool pressed_ = false;         // something did not fit, and the queue has not drained since
    bool told_pressed_ = false;    // and the application was told
};

/// State of the dialling side alone.
template <class P>
struct link<P>::dialling {
    dialling(const options& o, std::uint64_t seed)
        : reconnect(o.reconnect, seed), credentials(o.authentication.max_retries, o.reconnect.min_connected_time_to_reset) {
        if (o.feed.active()) feed = std::make_unique<feed_state<P>>(o, seed);
    }
    [[nodiscard]] time_point deadline() const noexcept { return feed ? std::min(retry_at, feed->deadline()) : retry_at; }

    url where;
    time_point retry_at = never;
    std::vector<std::string> subprotocols;
    typename P::reconnect reconnect;
    std::optional<typename P::breaker::permit> permit;
    time_point started{};
    bool ever_up = false;
    std::optional<url> target;        // named by a server that went; until an attempt fails there
    time_point next_planned = time_point::min();  // before it, GOAWAY is answered with backoff
    unsigned http_status = 0;  // of the last attempt, where it was refused
    std::string refusal;
    std::error_code last_error;  // for `on_attempt`
    credential_retries credentials;
    std::unique_ptr<feed_state<P>> feed;  // where `options::feed` asks for something
};

}  // namespace hawser::inline v0::detail

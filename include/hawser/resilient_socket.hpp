// SPDX-License-Identifier: BSL-1.0
/// \file
/// The one type: a WebSocket that stays up, in the client role and in the server role.
#pragma once

#include <hawser/core/error_cause.hpp>
#include <hawser/core/mode.hpp>
#include <hawser/core/option_error.hpp>
#include <hawser/core/state.hpp>
#include <hawser/core/url.hpp>
#include <hawser/driver/use_driver.hpp>
#include <hawser/link/operation.hpp>
#include <hawser/options.hpp>
#include <hawser/policies.hpp>
#include <hawser/sender.hpp>

#include <asio/async_result.hpp>

#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hawser::inline v0 {

template <socket_policies P>
class listener;
namespace detail {
template <class P>
class link;
template <class P>
class listener_core;
struct link_access;
/// Complete where the members of sockets and listeners are defined: see compiled_policies.
template <class P>
struct policy_definitions;

/// Whether a file can use sockets with these policies: those of the compiled library, or where it includes the definitions.
template <class P>
concept compiled_policies = std::same_as<P, default_policies> || requires { sizeof(policy_definitions<P>); };
}

/// A WebSocket connection that outlives its connections.
///
/// The dialling side (`connect`) reconnects; the accepting side (from `listener`) keeps its
/// session for `session_ttl` and is attached to again when its peer resumes. With
/// `options::reliable()` both speak hawser.v1: what was accepted for sending is handed to the
/// other side once, in order, or the sender is told what became of it. With
/// `options::plain()` it is a WebSocket that reconnects.
///
/// Thread safety: distinct objects may be used at once. One object belongs to the strand
/// `get_executor()`: with one thread in `io_context::run` that is no concern; with several,
/// use it from that strand. `handle()` gives a way to send from anywhere.
///
/// Buffers: a `message` keeps its bytes alive as long as they are needed; a view or a string that is given to
/// a member is needed during the call only. An operation that waits holds its handler in one allocation, from
/// the handler's associated allocator.
///
/// Lifetime: it may be destroyed at any moment, also inside its own callbacks. Afterwards no
/// callback runs, and each pending operation completes once with
/// `asio::error::operation_aborted`. It must not outlive its io_context.
///
/// Operations take any completion token, post their handler to its associated executor, use
/// its allocator, and are cancelled through its cancellation slot; a cancelled operation
/// completes promptly. Of its result and a cancellation, the handler gets what was first. A lazy
/// token starts an operation later; one started after the socket is gone ends `operation_aborted`.
///
/// Example, and there are more in examples/:
/// \include hello/hello.cpp
template <socket_policies P = default_policies>
class resilient_socket {
    using link_type = detail::link<P>;
    using link_ptr = std::shared_ptr<link_type>;
#if defined(HAWSER_SEPARATE_COMPILATION)
    static_assert(detail::compiled_policies<P>,
                  "The compiled library has sockets with default_policies; for policies of your own include <hawser/custom_policies.hpp> first.");
#endif

public:
    using executor_type = driver::executor_type;  ///< the strand
    using policies_type = P;                      ///< the set of policies

    /// A socket of the dialling side. Throws `option_error` if an option is wrong.
    explicit resilient_socket(asio::io_context& context, hawser::options settings = hawser::options::plain(),
                              policy_objects<P> objects = {});
    /// The same with options that several sockets share.
    resilient_socket(asio::io_context& context, std::shared_ptr<const hawser::options> settings,
                     policy_objects<P> objects = {});
    /// The operations, callbacks and handles of the other go on with this one. What was moved from may only be
    /// assigned to or destroyed.
    resilient_socket(resilient_socket&&) noexcept = default;
    /// The same; what this one was before is destroyed.
    resilient_socket& operator=(resilient_socket&& other) noexcept {
        resilient_socket moved(std::move(other));
        std::swap(link_, moved.link_);
        return *this;
    }
    ~resilient_socket() {
        if (link_) let_go();
    }

    // ---- connecting ------------------------------------------------------------------------

    /// Starts connecting to `where` (`ws://host:port/path?query`) and keeps connected from now
    /// on. Once per socket. Throws std::system_error: `invalid_argument` with a sentence about
    /// what is wrong with the URL, `already_connecting`.
    void connect(std::string_view where);
    /// The same without throwing; `why` gets the sentence.
    [[nodiscard]] std::error_code try_connect(std::string_view where, std::string& why);
    /// Starts connecting, as `connect`, and completes when the socket is open for the first time.
    /// Signature: `void(std::error_code)`. Errors: `invalid_argument` (the URL; `try_connect` has a
    /// sentence about it), `already_connecting`, the reason for `failed`, `closed`. Cancelling,
    /// terminal or partial: ends the wait with `operation_aborted`, and the socket goes on
    /// connecting until it is closed; total has no effect.
    template <class Token>
    auto async_connect(std::string_view where, Token&& token) {
        return asio::async_initiate<Token, void(std::error_code)>(
            [](auto handler, link_ptr l, const std::string& to) {
                start_connect(l, detail::make_operation<detail::plain_completion>(l, std::move(handler)), to);
            },
            token, link_, std::string(where));
    }
    /// Completes when messages can flow; at once if they can.
    /// Signature: `void(std::error_code)`. Errors: the reason for `failed`, `closed`,
    /// `too_many_waiters`. Cancelling, of any kind: `operation_aborted`.
    template <class Token>
    auto async_wait_open(Token&& token) {
        return asio::async_initiate<Token, void(std::error_code)>(
            [](auto handler, link_ptr l) {
                start_open(l, detail::make_operation<detail::plain_completion>(l, std::move(handler)));
            },
            token, link_);
    }

    /// Completes when a durable store has given back what an earlier process left: `last_ticket` and
    /// `unacknowledged` tell of it. At once where there is nothing to wait for. `connect` starts the
    /// reading, and until it is done `try_send` says `would_block`, other operations wait.
    /// Signature: `void(std::error_code)`. Errors: the reason for `failed` (`locked`, `store_corrupt`,
    /// `store_failed`), `closed`, `too_many_waiters`. Cancelling, of any kind: `operation_aborted`.
    template <class Token>
    auto async_wait_loaded(Token&& token) {
        return asio::async_initiate<Token, void(std::error_code)>(
            [](auto handler, link_ptr l) {
                start_load(l, detail::make_operation<detail::plain_completion>(l, std::move(handler)));
            },
            token, link_);
    }

    /// Closes in order: what was accepted leaves first and is waited for, then the close
    /// handshake; at the latest after `close_timeout` it is over. Ends a session for good, where its store is
    /// durable only once all was acknowledged and with `close_code::normal`: else the store keeps it.
    /// Completes when the socket is `closed` or `failed`. Signature: `void(std::error_code)`,
    /// without an error; what became of messages is told by their outcomes. Cancelling, terminal
    /// or partial: ends the wait with `operation_aborted`, not the closing; total has no effect.
    template <class Token>
    auto async_close(close_code code, std::string reason, Token&& token) {
        return asio::async_initiate<Token, void(std::error_code)>(
            [](auto handler, link_ptr l, close_code c, std::string r) {
                start_close(l, detail::make_operation<detail::plain_completion>(l, std::move(handler)), c, std::move(r));
            },
            token, link_, code, std::move(reason));
    }
    /// The same with `close_code::normal` and no reason.
    template <class Token>
    auto async_close(Token&& token) {
        return async_close(close_code::normal, std::string(), std::forward<Token>(token));
    }
    /// Starts the same and waits for nothing.
    void close(close_code code = close_code::normal, std::string reason = {});

    // ---- sending ---------------------------------------------------------------------------

    /// Sends and completes with what became of the message. Signature:
    /// `void(std::error_code, outcome)`; no error means `acknowledged` or `duplicate`, in plain
    /// mode `written`. Waits for room as the overflow policy says. `key` is an idempotency key
    /// of the application for the receiving application, at most 255 bytes.
    /// Errors: `outcome_unknown`, `rejected`, `message_too_big`, `queue_full`,
    /// `too_many_waiters`, `closed`. Cancelling, of any kind, before the message was written:
    /// `cancelled`, and it never will be. Afterwards terminal and partial give `detached`: it stays
    /// in flight and `on_outcome` tells the rest; total has no effect.
    template <class Token>
    auto async_send(message body, Token&& token) {
        return async_send(std::move(body), send_options{}, std::forward<Token>(token));
    }
    /// The same with an idempotency key.
    template <class Token>
    auto async_send(message body, std::string key, Token&& token) {
        return async_send(std::move(body), send_options{.key = std::move(key)}, std::forward<Token>(token));
    }
    /// The same with a priority, a time to live and keys. Errors also: `expired`, `replaced`, `dropped`,
    /// `invalid_argument` (an option beyond its limits).
    template <class Token>
    auto async_send(message body, send_options how, Token&& token) {
        return asio::async_initiate<Token, void(std::error_code, outcome)>(
            [](auto handler, link_ptr l, message m, send_options o) {
                start_send(l, detail::make_operation<detail::send_completion>(l, std::move(handler)), std::move(m), std::move(o));
            },
            token, link_, std::move(body), std::move(how));
    }
    /// Completes when the message is accepted for sending, and durable where the store is.
    /// Signature: `void(std::error_code, ticket)`. Errors and cancelling as `async_send`; with
    /// `detached` comes the ticket.
    template <class Token>
    auto async_enqueue(message body, Token&& token) {
        return async_enqueue(std::move(body), send_options{}, std::forward<Token>(token));
    }
    /// The same with a priority, a time to live and keys.
    template <class Token>
    auto async_enqueue(message body, send_options how, Token&& token) {
        return asio::async_initiate<Token, void(std::error_code, ticket)>(
            [](auto handler, link_ptr l, message m, send_options o) {
                start_enqueue(l, detail::make_operation<detail::enqueue_completion>(l, std::move(handler)), std::move(m), std::move(o));
            },
            token, link_, std::move(body), std::move(how));
    }
    /// Completes when all messages are accepted, in places next to each other, or when none is. Waits until there is
    /// room for all. Signature: `void(std::error_code, ticket_range)`. Errors as `async_enqueue`, and
    /// `invalid_argument` for no messages, for more than the limits of the queue allow, and for a coalescing key.
    /// Cancelling as `async_enqueue`: all messages are withdrawn, or, where one was written, none.
    template <class Token>
    auto async_enqueue_batch(std::vector<message> bodies, send_options how, Token&& token) {
        return asio::async_initiate<Token, void(std::error_code, ticket_range)>(
            [](auto handler, link_ptr l, std::vector<message> m, send_options o) {
                start_enqueue_batch(l, detail::make_operation<detail::batch_completion>(l, std::move(handler)), std::move(m), std::move(o));
            },
            token, link_, std::move(bodies), std::move(how));
    }
    /// The same with the usual options.
    template <class Token>
    auto async_enqueue_batch(std::vector<message> bodies, Token&& token) {
        return async_enqueue_batch(std::move(bodies), send_options{}, std::forward<Token>(token));
    }
    /// Sends without waiting. Errors: `would_block` (over the high watermark), `queue_full`,
    /// `closed`, `invalid_argument`. In plain mode with an open connection nothing is allocated for the view.
    send_result try_send(const message& body);
    /// The same with a priority, a time to live and keys.
    send_result try_send(const message& body, const send_options& how);
    /// The same with an idempotency key.
    send_result try_send(const message& body, std::string_view key);
    /// Sends all of the messages, in places next to each other, or none; without waiting. Errors as `try_send`, and
    /// `invalid_argument` for no messages, for more than the limits of the queue allow, and for a coalescing key.
    batch_result try_send_batch(std::span<const message> bodies, const send_options& how = {});
    /// The same with bytes that are copied where they have to wait.
    send_result try_send(const message_view& body);
    /// The same with text.
    send_result try_send(std::string_view text);
    /// Session only: sends at most once, without number, store or acknowledgement, and only if
    /// it can leave now. Errors: `not_connected`, `would_block`, `session_unsupported`,
    /// `message_too_big`.
    [[nodiscard]] std::error_code try_send_volatile(const message& body);

    /// Plain connections only: sends a part of a message, if it can leave now. The bytes are written or copied before it
    /// returns. From the first piece (offset 0) to the last one other messages wait. A message ends with its connection:
    /// pieces are not kept. Never compressed. Errors, with nothing sent: `would_block` (something waits
    /// already, or `options::max_write_buffer` is full), `not_connected`, `connection_lost` (the connection on
    /// which the message began is gone), `closed`, `invalid_state` (in a session, or the one before has not ended),
    /// `invalid_argument` (an empty piece that is not the last).
    [[nodiscard]] std::error_code try_send_piece(const message_piece& piece);
    /// Completes when the connection would take a piece: a message may begin, or the one that began may go on.
    /// Signature: `void(std::error_code)`. Errors: `not_connected`, also when the connection is lost meanwhile;
    /// `invalid_state` in a session; `too_many_waiters`; the reason for `failed`, `closed`. Cancelling, of any kind:
    /// `operation_aborted`.
    template <class Token>
    auto async_wait_writable(Token&& token) {
        return asio::async_initiate<Token, void(std::error_code)>(
            [](auto handler, link_ptr l) {
                start_writable(l, detail::make_operation<detail::plain_completion>(l, std::move(handler)));
            },
            token, link_);
    }

    /// Completes with the outcome of a message sent before. Signature as `async_send`; errors
    /// also `unknown_ticket` (not issued here, or too old: the last 1,024 failures are kept).
    /// Cancelling, of any kind, ends the wait alone: `detached`.
    template <class Token>
    auto async_outcome(ticket t, Token&& token) {
        return asio::async_initiate<Token, void(std::error_code, outcome)>(
            [](auto handler, link_ptr l, ticket which) {
                start_outcome(l, detail::make_operation<detail::send_completion>(l, std::move(handler)), which);
            },
            token, link_, t);
    }
    /// Withdraws a message that was never written; false if it was, or is not known.
    bool cancel(ticket t);

    // ---- receiving -------------------------------------------------------------------------

    /// Called for each message, in order; the view is valid during the call. Returning normally
    /// takes responsibility (`acceptance_mode::on_hand_off`). Replaces an earlier function;
    /// empty: messages wait for `async_receive`.
    void on_message(std::function<void(const message_view&)> f);
    /// The same with a criticality, a fallback and a breaker of its own: `on_message(f, {.fallback = g})`.
    /// Throws option_error.
    void on_message(std::function<void(const message_view&)> f, message_handler_options how);
    /// Called with the parts of each message as they arrive, in order, so that a large one needs no memory of its own;
    /// the view is valid during the call. `options::max_message_size` limits the whole, `message_timeout` the time from
    /// one piece to the next. Text is judged up to the end of each piece. A connection that is lost in the middle
    /// ends the pieces of its message: the next one has the offset 0. What waited, came in a session or for
    /// `options::feed` is one piece. `pause_receiving` stops the reading at once. Replaces `on_message`, and is
    /// replaced by it: of a message that has begun the rest is then not handed over.
    void on_message_piece(std::function<void(const message_piece&)> f);
    /// Durable store only: called for each message of a session, in order, inside the transaction that makes its
    /// receive position durable. What it does through the transaction happens exactly once for each message, also
    /// if this process is killed at any moment; the sender is told `acknowledged` after it. Many
    /// messages may share one transaction. An error or an exception undoes it: the socket ends with `store_failed`, and
    /// the sender keeps the message. Replaces an earlier function, and is used instead of `on_message`.
    ///
    /// It runs where the store runs its transactions, for the SQLite store a thread of its own: it must not
    /// touch this socket, and what it refers to must live as long as the store, as it may still run when the
    /// socket is gone. The view is valid during the call.
    void on_message_transaction(
        std::function<std::error_code(typename P::store::transaction&, const message_view&)> f)
        requires(P::store::durable);
    /// `on_message` is not called until `resume_receiving`. Meanwhile messages wait, bounded: in
    /// plain mode reading stops at `receive_buffer_bytes`, in a session the peer runs out of credit.
    void pause_receiving();
    /// Ends `pause_receiving`: messages that waited are handed over first.
    void resume_receiving();
    /// Receives one message; one such operation at a time. Starting the next receive takes
    /// responsibility for the previous message, as does `message::ack()`.
    /// Signature: `void(std::error_code, message)`. Errors: `operation_in_progress`, `closed`
    /// or the reason of the end once everything received was taken. Cancelling, of any kind:
    /// `operation_aborted`, also when a message was on its way to the handler: the next gets it.
    template <class Token>
    auto async_receive(Token&& token) {
        return asio::async_initiate<Token, void(std::error_code, message)>(
            [](auto handler, link_ptr l) {
                start_receive(l, detail::make_taking<detail::receive_completion, message>(l, std::move(handler)));
            },
            token, link_);
    }
    /// A message that has already arrived, if any.
    [[nodiscard]] std::optional<message> try_receive();
    /// `acceptance_mode::on_processed`: the application has finished with this message.
    void ack(const message_view& m);
    /// As `message::reject()`, of a message in its `on_message` or, with `acceptance_mode::on_processed`, later.
    void reject(const message_view& m);

    // ---- observing -------------------------------------------------------------------------

    /// Called at each change of state.
    void on_state(std::function<void(const state_change&)> f);
    /// The same, guarded as `on_message`. Throws option_error.
    void on_state(std::function<void(const state_change&)> f, state_handler_options how);
    /// Called once for each message that passed through the queue, with what became of it: in a
    /// session for every one, in plain mode for those that could not leave at once.
    void on_outcome(std::function<void(ticket, outcome)> f);
    /// The same, guarded as `on_message`. Throws option_error.
    void on_outcome(std::function<void(ticket, outcome)> f, outcome_handler_options how);
    /// Called with true when a message does not fit into the queue any more (over the high watermark or
    /// the count), and with false when it has drained to the low watermark and half the count: in turns, beginning
    /// with true, at the end of the turn. The end of the socket ends a pause without a call.
    void on_backpressure(std::function<void(bool paused)> f);
    /// The state now.
    [[nodiscard]] connection_state state() const noexcept;
    /// Whether hawser.v1 is spoken with the present (or last) connection.
    [[nodiscard]] bool in_session() const noexcept;
    /// Bytes that wait in the queue, bookkeeping included.
    [[nodiscard]] std::size_t queued_bytes() const noexcept;
    /// Messages in the queue or written and not acknowledged.
    [[nodiscard]] std::size_t unacknowledged() const noexcept;
    /// Accepting side: the session is older than this socket; an earlier process, or an earlier socket, left it in the store.
    [[nodiscard]] bool restored() const noexcept;
    /// The newest message that was accepted for sending, also by an earlier process where the store is durable; `{0}`
    /// before the first.
    [[nodiscard]] ticket last_ticket() const noexcept;
    /// Address of the peer, without port; empty without a connection.
    [[nodiscard]] std::string remote_address() const;
    /// The subprotocol of the present connection; empty without a connection, or where none was chosen.
    [[nodiscard]] std::string subprotocol() const;
    /// The principal that the listener's `authorize` returned.
    [[nodiscard]] const std::string& principal() const noexcept;
    /// The breaker, to share it with other sockets: `policy_objects<>{.breaker = other.breaker()}`. Throws
    /// std::bad_alloc where it is made by this call.
    [[nodiscard]] const typename P::breaker& breaker() const;
    /// The options that this socket was made with.
    [[nodiscard]] const hawser::options& options() const noexcept;
    /// The strand: spawn coroutines on it that use the synchronous members.
    [[nodiscard]] executor_type get_executor() const noexcept;

    /// A handle to send from any thread.
    [[nodiscard]] sender handle();

private:
    friend class listener<P>;
    friend class detail::listener_core<P>;
    friend struct detail::link_access;
    explicit resilient_socket(link_ptr l) noexcept;
    void let_go() noexcept;
    template <class F, class Options, class Set>
    void guarded(F f, Options how, Set set);

    // How each operation goes to the strand. Their completions are of any handler's, so that these are compiled once.
    static void start_connect(const link_ptr& l, detail::operation<detail::plain_completion> op, std::string_view where);
    static void start_open(const link_ptr& l, detail::operation<detail::plain_completion> op);
    static void start_load(const link_ptr& l, detail::operation<detail::plain_completion> op);
    static void start_close(const link_ptr& l, detail::operation<detail::plain_completion> op, close_code code, std::string reason);
    static void start_send(const link_ptr& l, detail::operation<detail::send_completion> op, message body, send_options how);
    static void start_enqueue(const link_ptr& l, detail::operation<detail::enqueue_completion> op, message body, send_options how);
    static void start_enqueue_batch(const link_ptr& l, detail::operation<detail::batch_completion> op, std::vector<message> bodies,
                                    send_options how);
    static void start_writable(const link_ptr& l, detail::operation<detail::plain_completion> op);
    static void start_outcome(const link_ptr& l, detail::operation<detail::send_completion> op, ticket which);
    static void start_receive(const link_ptr& l, detail::operation<detail::receive_completion> op);

    link_ptr link_;
};

namespace detail {
/// For the rooms above: the link of a socket.
struct link_access {
    template <class P>
    [[nodiscard]] static const std::shared_ptr<link<P>>& of(const resilient_socket<P>& s) noexcept {
        return s.link_;
    }
};
}  // namespace detail

}  // namespace hawser::inline v0

#if defined(HAWSER_SEPARATE_COMPILATION)
namespace hawser::inline v0 {
// Compiled in src/hawser.cpp.
extern template struct detail::operation_target<detail::link<default_policies>>;
extern template void detail::operation_target<detail::link<default_policies>>::cancel_taking(
    std::shared_ptr<detail::link<default_policies>>, std::uint64_t, asio::cancellation_type, std::shared_ptr<detail::parcel<message>>);
extern template class resilient_socket<default_policies>;
}  // namespace hawser::inline v0
#else
#include <hawser/link/socket_members.hpp>
#endif

// SPDX-License-Identifier: BSL-1.0
/// \file
/// The members of `resilient_socket` that need its link. The compiled library has them for its own policies.
#pragma once

#include <hawser/link/guarded_handler.hpp>
#include <hawser/link/initiate.hpp>
#include <hawser/link/link.hpp>
#include <hawser/link/link_cancel.hpp>
#include <hawser/link/link_dial.hpp>
#include <hawser/link/link_end.hpp>
#include <hawser/link/link_feed.hpp>
#include <hawser/link/link_leave.hpp>
#include <hawser/link/link_pieces.hpp>
#include <hawser/link/link_receive.hpp>
#include <hawser/link/link_send.hpp>
#include <hawser/link/link_session.hpp>
#include <hawser/link/link_store.hpp>
#include <hawser/resilient_socket.hpp>

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace hawser::inline v0 {
namespace detail {

/// Whether a link may dial `where`; `why` gets a sentence if not. The first call decides.
template <class P>
[[nodiscard]] std::error_code begin_connect(link<P>& l, std::string_view where, url& parsed, std::string& why) {
    if (const auto ec = parse_url(where, parsed, &why)) return ec;
    if constexpr (requires { P::transport::check(parsed, l.settings()); })
        if (const std::error_code ec = P::transport::check(parsed, l.settings())) {
            why = ec.message();
            return ec;
        }
    if (!l.connecting.exchange(true)) return {};
    why = "connect was called before";
    return errc::already_connecting;
}

/// Takes `connecting` back unless it is done: the call threw, and may be made again.
class connect_claim {
public:
    explicit connect_claim(std::atomic<bool>& flag) noexcept : flag_(&flag) {}
    connect_claim(const connect_claim&) = delete;
    connect_claim& operator=(const connect_claim&) = delete;
    ~connect_claim() {
        if (flag_) *flag_ = false;
    }
    void done() noexcept { flag_ = nullptr; }

private:
    std::atomic<bool>* flag_;
};

}  // namespace detail

// ---- its life ----------------------------------------------------------------------------------

template <socket_policies P>
resilient_socket<P>::resilient_socket(asio::io_context& context, hawser::options settings, policy_objects<P> objects)
    : resilient_socket(context, std::make_shared<const hawser::options>(std::move(settings)), std::move(objects)) {}
template <socket_policies P>
resilient_socket<P>::resilient_socket(asio::io_context& context, std::shared_ptr<const hawser::options> settings,
                                      policy_objects<P> objects) {
    if (auto problems = settings->problems(); !problems.empty()) throw option_error(std::move(problems));
    link_ = std::make_shared<link_type>(use_driver(context), std::move(settings), std::move(objects));
}
template <socket_policies P>
resilient_socket<P>::resilient_socket(link_ptr l) noexcept : link_(std::move(l)) {
    if (link_) link_->connecting = true;
}
template <socket_policies P>
void resilient_socket<P>::let_go() noexcept {
    link_->orphaned = true;
    link_type& target = *link_;
    if (target.runtime().alive()) target.orphan_on_strand(std::move(link_));
}

// ---- connecting --------------------------------------------------------------------------------

template <socket_policies P>
void resilient_socket<P>::connect(std::string_view where) {
    std::string why;
    const std::error_code ec = try_connect(where, why);
    if (ec) throw std::system_error(ec, why);
}
template <socket_policies P>
std::error_code resilient_socket<P>::try_connect(std::string_view where, std::string& why) {
    url parsed;
    if (const auto ec = detail::begin_connect(*link_, where, parsed, why)) return ec;
    detail::connect_claim claim(link_->connecting);
    detail::on_strand(link_, [parsed](link_type& l) {
        if (l.state() == connection_state::idle) l.connect(parsed);
    });
    claim.done();
    return {};
}
template <socket_policies P>
void resilient_socket<P>::start_connect(const link_ptr& l, detail::operation<detail::plain_completion> op, std::string_view where) {
    url parsed;
    std::string why;
    const std::error_code ec = detail::begin_connect(*l, where, parsed, why);
    detail::connect_claim claim(l->connecting);
    if (ec) claim.done();
    detail::start_on_strand(l, std::move(op), [ec, parsed](link_type& target, std::uint64_t serial, detail::plain_completion done) {
        if (ec) return done(ec);
        if (target.state() == connection_state::idle) target.connect(parsed);
        target.async_open(serial, std::move(done), true);
    });
    claim.done();
}
template <socket_policies P>
void resilient_socket<P>::start_open(const link_ptr& l, detail::operation<detail::plain_completion> op) {
    detail::start_on_strand(l, std::move(op), [](link_type& target, std::uint64_t serial, detail::plain_completion done) {
        target.async_open(serial, std::move(done));
    });
}
template <socket_policies P>
void resilient_socket<P>::start_load(const link_ptr& l, detail::operation<detail::plain_completion> op) {
    detail::start_on_strand(l, std::move(op), [](link_type& target, std::uint64_t serial, detail::plain_completion done) {
        target.async_load(serial, std::move(done));
    });
}
template <socket_policies P>
void resilient_socket<P>::start_close(const link_ptr& l, detail::operation<detail::plain_completion> op, close_code code,
                                      std::string reason) {
    detail::start_on_strand(l, std::move(op),
                            [code, reason = std::move(reason)](link_type& target, std::uint64_t serial, detail::plain_completion done) mutable {
                                target.close(code, std::move(reason), serial, std::move(done));
                            });
}
template <socket_policies P>
void resilient_socket<P>::close(close_code code, std::string reason) {
    detail::on_strand(link_, [code, reason = std::move(reason)](link_type& l) mutable { l.close(code, std::move(reason), 0, {}); });
}

// ---- sending -----------------------------------------------------------------------------------

template <socket_policies P>
void resilient_socket<P>::start_send(const link_ptr& l, detail::operation<detail::send_completion> op, message body, send_options how) {
    detail::start_on_strand(l, std::move(op),
                            [body = std::move(body), how = std::move(how)](link_type& target, std::uint64_t serial,
                                                                           detail::send_completion done) mutable {
                                target.send(serial, std::move(body), std::move(how), std::move(done));
                            });
}
template <socket_policies P>
void resilient_socket<P>::start_enqueue(const link_ptr& l, detail::operation<detail::enqueue_completion> op, message body,
                                        send_options how) {
    detail::start_on_strand(l, std::move(op),
                            [body = std::move(body), how = std::move(how)](link_type& target, std::uint64_t serial,
                                                                           detail::enqueue_completion done) mutable {
                                target.enqueue(serial, std::move(body), std::move(how), std::move(done));
                            });
}
template <socket_policies P>
void resilient_socket<P>::start_enqueue_batch(const link_ptr& l, detail::operation<detail::batch_completion> op,
                                              std::vector<message> bodies, send_options how) {
    detail::start_on_strand(l, std::move(op),
                            [bodies = std::move(bodies), how = std::move(how)](link_type& target, std::uint64_t serial,
                                                                               detail::batch_completion done) mutable {
                                target.enqueue_batch(serial, std::move(bodies), std::move(how), std::move(done));
                            });
}
template <socket_policies P>
send_result resilient_socket<P>::try_send(const message& body) {
    return link_->try_send(body);
}
template <socket_policies P>
send_result resilient_socket<P>::try_send(const message& body, const send_options& how) {
    return link_->try_send(body, how);
}
template <socket_policies P>
send_result resilient_socket<P>::try_send(const message& body, std::string_view key) {
    return try_send(body, send_options{.key = std::string(key)});
}
template <socket_policies P>
batch_result resilient_socket<P>::try_send_batch(std::span<const message> bodies, const send_options& how) {
    return link_->try_send_batch(bodies, how);
}
template <socket_policies P>
send_result resilient_socket<P>::try_send(const message_view& body) {
    return link_->try_send(body.bytes, body.kind);
}
template <socket_policies P>
send_result resilient_socket<P>::try_send(std::string_view text) {
    return link_->try_send(as_bytes(text), message_kind::text);
}
template <socket_policies P>
std::error_code resilient_socket<P>::try_send_volatile(const message& body) {
    return link_->try_send_datagram(body);
}
template <socket_policies P>
std::error_code resilient_socket<P>::try_send_piece(const message_piece& piece) {
    return link_->try_send_piece(piece);
}
template <socket_policies P>
void resilient_socket<P>::start_writable(const link_ptr& l, detail::operation<detail::plain_completion> op) {
    detail::start_on_strand(l, std::move(op), [](link_type& target, std::uint64_t serial, detail::plain_completion done) {
        target.async_writable(serial, std::move(done));
    });
}
template <socket_policies P>
void resilient_socket<P>::start_outcome(const link_ptr& l, detail::operation<detail::send_completion> op, ticket which) {
    detail::start_on_strand(l, std::move(op), [which](link_type& target, std::uint64_t serial, detail::send_completion done) {
        target.await_outcome(serial, which, std::move(done));
    });
}
template <socket_policies P>
bool resilient_socket<P>::cancel(ticket t) {
    return link_->cancel_message(t);
}

// ---- receiving ---------------------------------------------------------------------------------

template <socket_policies P>
template <class F, class Options, class Set>
void resilient_socket<P>::guarded(F f, Options how, Set set) {
    if (auto wrong = how.problems(); !wrong.empty()) throw option_error(std::move(wrong));
    detail::on_strand(link_, [f = std::move(f), how = std::move(how), set](link_type& l) mutable {
        set(l, std::move(f), std::move(how));
    });
}
template <socket_policies P>
void resilient_socket<P>::on_message(std::function<void(const message_view&)> f) {
    detail::on_strand(link_, [f = std::move(f)](link_type& l) mutable { l.set_on_message(std::move(f)); });
}
template <socket_policies P>
void resilient_socket<P>::on_message(std::function<void(const message_view&)> f, message_handler_options how) {
    guarded(std::move(f), std::move(how), [](link_type& l, auto g, auto h) {
        l.set_on_message(detail::guard(l, "on_message", std::move(g), std::move(h)));
    });
}
template <socket_policies P>
void resilient_socket<P>::on_message_piece(std::function<void(const message_piece&)> f) {
    detail::on_strand(link_, [f = std::move(f)](link_type& l) mutable { l.set_on_piece(std::move(f)); });
}
template <socket_policies P>
void resilient_socket<P>::on_message_transaction(
    std::function<std::error_code(typename P::store::transaction&, const message_view&)> f)
    requires(P::store::durable)
{
    detail::transaction_handler any;
    if (f)
        any = [f = std::move(f)](store_transaction& tx, const message_view& m) {
            return f(static_cast<typename P::store::transaction&>(tx), m);
        };
    detail::on_strand(link_, [any = std::move(any)](link_type& l) mutable { l.set_on_transaction(std::move(any)); });
}
template <socket_policies P>
void resilient_socket<P>::pause_receiving() {
    link_->hold(true);
}
template <socket_policies P>
void resilient_socket<P>::resume_receiving() {
    link_->hold(false);
}
template <socket_policies P>
void resilient_socket<P>::start_receive(const link_ptr& l, detail::operation<detail::receive_completion> op) {
    detail::start_on_strand(l, std::move(op), [](link_type& target, std::uint64_t serial, detail::receive_completion done) {
        target.receive(serial, std::move(done));
    });
}
template <socket_policies P>
std::optional<message> resilient_socket<P>::try_receive() {
    return link_->try_receive();
}
template <socket_policies P>
void resilient_socket<P>::ack(const message_view& m) {
    link_->acknowledge(m.epoch_serial, m.seq, m.id);
}
template <socket_policies P>
void resilient_socket<P>::reject(const message_view& m) {
    link_->acknowledge(m.epoch_serial, m.seq, m.id, true);
}

// ---- observing ---------------------------------------------------------------------------------

template <socket_policies P>
void resilient_socket<P>::on_state(std::function<void(const state_change&)> f) {
    detail::on_strand(link_, [f = std::move(f)](link_type& l) mutable { l.set_on_state(std::move(f)); });
}
template <socket_policies P>
void resilient_socket<P>::on_state(std::function<void(const state_change&)> f, state_handler_options how) {
    guarded(std::move(f), std::move(how), [](link_type& l, auto g, auto h) {
        l.set_on_state(detail::guard(l, "on_state", std::move(g), std::move(h)));
    });
}
template <socket_policies P>
void resilient_socket<P>::on_outcome(std::function<void(ticket, outcome)> f) {
    detail::on_strand(link_, [f = std::move(f), room = std::make_unique<detail::link_extras>()](link_type& l) mutable {
        l.set_on_outcome(std::move(f), std::move(room));
    });
}
template <socket_policies P>
void resilient_socket<P>::on_outcome(std::function<void(ticket, outcome)> f, outcome_handler_options how) {
    guarded(std::move(f), std::move(how), [](link_type& l, auto g, auto h) {
        l.set_on_outcome(detail::guard(l, "on_outcome", std::move(g), std::move(h)));
    });
}
template <socket_policies P>
void resilient_socket<P>::on_backpressure(std::function<void(bool paused)> f) {
    detail::on_strand(link_, [f = std::move(f), room = std::make_unique<detail::link_extras>()](link_type& l) mutable {
        l.set_on_backpressure(std::move(f), std::move(room));
    });
}
template <socket_policies P>
connection_state resilient_socket<P>::state() const noexcept {
    return link_->state();
}
template <socket_policies P>
bool resilient_socket<P>::in_session() const noexcept {
    return link_->in_session();
}
template <socket_policies P>
std::size_t resilient_socket<P>::queued_bytes() const noexcept {
    return link_->queued_bytes();
}
template <socket_policies P>
std::size_t resilient_socket<P>::unacknowledged() const noexcept {
    return link_->queued_messages() + link_->in_flight();
}
template <socket_policies P>
bool resilient_socket<P>::restored() const noexcept {
    return link_->restored;
}
template <socket_policies P>
ticket resilient_socket<P>::last_ticket() const noexcept {
    return link_->last_ticket();
}
template <socket_policies P>
std::string resilient_socket<P>::remote_address() const {
    return link_->remote_address();
}
template <socket_policies P>
std::string resilient_socket<P>::subprotocol() const {
    return link_->subprotocol();
}
template <socket_policies P>
const std::string& resilient_socket<P>::principal() const noexcept {
    return link_->principal();
}
template <socket_policies P>
const typename P::breaker& resilient_socket<P>::breaker() const {
    return link_->breaker();
}
template <socket_policies P>
const hawser::options& resilient_socket<P>::options() const noexcept {
    return link_->settings();
}
template <socket_policies P>
typename resilient_socket<P>::executor_type resilient_socket<P>::get_executor() const noexcept {
    return link_->runtime().executor();
}
template <socket_policies P>
sender resilient_socket<P>::handle() {
    return sender(link_->senders());
}

#if defined(HAWSER_SEPARATE_COMPILATION)
// Compiled in src/hawser.cpp.
extern template class detail::link<default_policies>;
#endif

}  // namespace hawser::inline v0

// SPDX-License-Identifier: BSL-1.0
/// \file
/// Who may come in: limits, the application's `authorize`, the answer to an upgrade request.
#pragma once

#include <hawser/link/failure.hpp>
#include <hawser/server/listener_core.hpp>

#include <algorithm>
#include <new>

namespace hawser::inline v0::detail {

template <class P>
void listener_core<P>::on_accept(stream_ptr accepted) {
    // The handshake is bounded too: a flood of connections that say nothing is cut here.
    if (pending_.size() + *lingering_refused_ >= options_.max_connections) return accepted->abort();
    auto place = addresses_.enter(network_of(accepted->remote_address()));
    if (addresses_.is_far_over(place)) return accepted->abort();
    if (options_.tls) {
        std::error_code ec;
        auto layer = options_.tls->server(driver_, ec);
        if (!layer) return on_accept_error(ec);
        layer->set_inner(std::move(accepted));
        accepted = std::move(layer);
    }
    pending_.emplace_back(*this, std::move(accepted));
    pending_.back().self = std::prev(pending_.end());
    pending_.back().wire_->hold(std::move(place));
}

template <class P>
void listener_core<P>::on_accept_error(std::error_code ec) {
    objects_.metrics.add(counter::accept_failures);
    try {
        objects_.logger.log(log_level::error, "accept_failed", {{"error", ec.message()}});
    } catch (const std::bad_alloc&) {
        objects_.logger.log(log_level::error, "accept_failed");  // no memory for the text
    }
}

template <class P>
void listener_core<P>::answer(pending& p, wire& w, const ws::upgrade_request& request) {
    if (closed_ || link_count_ + *lingering_ >= options_.max_connections || unclaimed_.size() >= options_.max_unclaimed) {
        const ws::header retry[] = {{"Retry-After", std::to_string(options_.retry_after.count())}};
        return w.reject(503, "too many connections", retry);
    }
    if (draining()) {
        const ws::header retry[] = {{"Retry-After", std::to_string(retry_after_drain().count())}};
        return w.reject(503, "the server goes", retry);
    }
    if (addresses_.is_over(w.place())) {
        const ws::header retry[] = {{"Retry-After", std::to_string(options_.retry_after.count())}};
        return w.reject(429, "too many connections from this address", retry);
    }
    const auto& origins = options_.allowed_origins;
    const auto is_same = [&](const std::string& allowed) { return ws::iequals(allowed, request.origin); };
    if (!origins.empty() && request.find_header("Origin") && std::none_of(origins.begin(), origins.end(), is_same))
        return w.reject(403, "foreign origin");
    if (const auto wait = pacer_.admit(driver_.now())) {
        const ws::header retry[] = {{"Retry-After", std::to_string(wait->count())}};
        return w.reject(503, "too many handshakes at once", retry);
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
    if (w.accept(chosen, {}, compression_budget_)) w.reject(500, "the upgrade could not be answered");
}

template <class P>
bool listener_core<P>::authorized(pending& p, wire& w, const ws::upgrade_request& request) {
    authorization a;
    try {
        a = options_.authorize(request);
    } catch (...) {
        objects_.metrics.add(counter::handler_failures);
        objects_.logger.log(log_level::error, "authorize_threw", {{"what", text_of_exception()}});
        a = {.status = 500, .text = "internal error"};
    }
    p.principal = std::move(a.principal);
    if (a.status == 101) return true;
    w.reject(a.status, a.text);
    return false;
}

template <class P>
void listener_core<P>::forget(pending& p) {
    pending_.erase(p.self);
}

template <class P>
std::unique_ptr<wire> listener_core<P>::take_wire(pending& p) {
    auto w = std::move(p.wire_);
    forget(p);
    return w;
}

// One of them may be asking `authorize` at this moment, so they go at the end of the turn.
template <class P>
void listener_core<P>::drop_pending() {
    for (auto& p : pending_) {
        p.deadline.cancel();
        p.wire_->drop(close_code::going_away);
    }
    parting_.splice(parting_.end(), pending_);
}

}  // namespace hawser::inline v0::detail

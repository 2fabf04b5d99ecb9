// SPDX-License-Identifier: BSL-1.0
/// \file
/// From an open connection to a link: plain ones, new sessions, resumed ones, and what becomes of them.
#pragma once

#include <hawser/server/listener_core.hpp>

#include <new>

namespace hawser::inline v0::detail {

template <class P>
typename listener_core<P>::link_ptr listener_core<P>::make_link(const std::string& principal) {
    auto l = std::make_shared<link<P>>(driver_, socket_options_, objects_);
    l->set_principal(principal);
    l->set_host(this, nullptr);  // with the list: what fails from here on takes it out again
    l->host_next = links_;
    if (links_) links_->host_prev = l.get();
    links_ = l.get();
    ++link_count_;
    return l;
}

template <class P>
void listener_core<P>::begin_plain(pending& p) {
    unclaimed_.reserve_one();
    auto l = make_link(p.principal);
    auto w = take_wire(p);
    l->adopt_plain(std::move(w));
    offer(std::move(l));
}

template <class P>
void listener_core<P>::first_frame(pending& p, byte_view payload, bool text) {
    if (draining()) return refuse(p, close_code::service_restart);
    // Who waits for its answer says nothing meanwhile.
    if (p.waits_for != 0) return refuse(p, close_code::protocol_error);
    if (!listed_) return hold(p, payload, the_list, false);
    session::envelope e;
    std::error_code ec = text ? make_error_code(errc::session_malformed) : session::decode(payload, e);
    if (!ec && !session::checksum_matches(payload, e, {})) ec = errc::session_checksum;
    session::hello h;
    session::resume r;
    if (!ec && e.type == session::frame_type::hello && session::decode(e, h)) return begin_session(p, h);
    if (!ec && e.type == session::frame_type::resume && session::decode(e, r)) return resume(p, r, payload);
    p.wire_->drop(ec == errc::session_checksum ? close_code::bad_checksum : close_code::protocol_error);
    forget(p);
}

template <class P>
void listener_core<P>::begin_session(pending& p, const session::hello& h) {
    session::epoch_id epoch;
    session::resume_token token;
    if (!driver_.entropy().take(epoch) || !driver_.entropy().take(token)) return refuse(p, close_code::internal_error);
    if (h.version_min > session::version || h.version_max < session::version)
        return refuse(p, close_code::version_mismatch);
    auto l = make_link(p.principal);
    l->set_host(this, dedup_for(p.principal, h.origin));
    const std::string principal = std::move(p.principal);
    auto w = take_wire(p);
    try {
        session::server_facts facts;
        facts.current = session::sha256(token);
        facts.principal = principal;
        if (const auto ec = l->adopt_session(std::move(w), h, epoch, token, facts))
            return l->end_session(ec, std::nullopt, close_code::internal_error);
        l->record = table_.add(epoch, token, principal, &l->state_machine(), l.get());
        if (!l->record) return l->end_session(errc::table_full, std::nullopt, close_code::try_again_later);
        l->record->attached = true;
        l->record->peer_origin = h.origin;
        l->record->peer_durable = h.durable;
        l->record->issued = driver_.now();
        unconfirmed_.emplace(l.get(), l);
        start_sweeping();
    } catch (const std::bad_alloc&) {
        l->end_session(errc::out_of_memory, std::nullopt, close_code::internal_error);
    }
}

template <class P>
void listener_core<P>::resume(pending& p, const session::resume& r, byte_view frame) {
    const time_point now = driver_.now();
    session::resume_decision d = table_.decide(r, p.principal, now);
    const std::uint64_t serial = d.record ? d.record->serial : 0;
    using kind = session::resume_decision::kind;
    if (d.what == kind::stale) return refuse(p, close_code::stale_resume);
    if (d.what == kind::resume) return attach(p, r, *d.record);
    if (d.what == kind::load) {
        hold(p, frame, serial, false);
        return load(*d.record);
    }
    if (d.answer.reason == session::resume_failure::unknown) {
        const bool address = address_guard_.permit_failure(p.network, now);
        const bool principal = principal_guard_.permit_failure(p.principal, now);
        if (!address || !principal) return refuse(p, close_code::try_again_later);
    }
    if (d.what == kind::ended) {
        auto* owner = static_cast<link<P>*>(d.owner);
        if (!P::store::durable) owner->record = nullptr;
        owner->end_session(errc::resume_failed, d.own_position, close_code::session_expired, d.answer.has_position, r.exceptions);
    }
    // The client says HELLO next, on the same connection.
    byte_vector answer;
    session::encode(answer, d.answer, socket_options_->checksum);
    const session_record* tombstone = table_.find_serial(serial);
    if (tombstone && !tombstone->settled) return hold(p, answer, serial, true);
    (void)p.wire_->send(ws::opcode::binary, answer, byte_view{});
}

template <class P>
void listener_core<P>::attach(pending& p, const session::resume& r, session::session_record& record) {
    session::resume_token fresh;
    const bool speaks = record.state->speaks(session::feature::exceptions);
    if (!r.exceptions.empty() && !speaks) return refuse(p, close_code::protocol_error);
    if (!driver_.entropy().take(fresh)) return refuse(p, close_code::internal_error);
    auto* owner = static_cast<link<P>*>(record.owner);
    table_.rotate(record, r.token, fresh);
    record.issued = driver_.now();
    auto w = take_wire(p);
    owner->adopt_resumed(std::move(w), r, fresh, record.facts());
}

template <class P>
void listener_core<P>::refuse(pending& p, close_code code) {
    p.wire_->drop(code);
    forget(p);
}

// ---- link_host ---------------------------------------------------------------------------------------

template <class P>
void listener_core<P>::on_link_confirmed(void* who, bool) {
    auto* l = static_cast<link<P>*>(who);
    if (l->record) table_.confirm(*l->record);
    if (P::store::durable && l->record) table_.forget_tombstones(l->record->peer_origin, l->record->principal);
    const auto it = unconfirmed_.find(l);
    if (it == unconfirmed_.end()) return;
    unclaimed_.reserve_one();  // while somebody owns the link: `offer` cannot fail then
    auto owned = std::move(it->second);
    unconfirmed_.erase(it);
    offer(std::move(owned));
}

template <class P>
void listener_core<P>::on_link_detached(void* who) {
    auto* l = static_cast<link<P>*>(who);
    if (!l->record) return;
    if (draining()) return expire_now(*l);
    const bool is_new = unconfirmed_.contains(l) && !l->restored;
    const duration wait = is_new ? duration{socket_options_->connect_timeout} : duration{socket_options_->session_ttl};
    table_.detach(*l->record, add_saturated(driver_.now(), wait));
    start_sweeping();
}

template <class P>
void listener_core<P>::on_link_ended(void* who, std::optional<std::uint64_t> accepted, link_end how) {
    auto* l = static_cast<link<P>*>(who);
    // A session that nobody confirmed is forgotten, but if its client may have stored it and come with its token:
    // a durable one. If this listener goes, the next one may meet any client.
    const bool unknown_to_client = unconfirmed_.contains(l) && !l->restored && l->record && l->record->alive;
    const bool may_come = P::store::durable && (orphaned_ || (l->record && l->record->peer_durable));
    const bool is_new = unknown_to_client && !may_come;
    if (how == link_end::settling && l->record && !is_new) {
        settle(*l->record, accepted);
        l->record->owner = l;
        return driver_.defer(*this);
    }
    l->set_host(nullptr, nullptr);
    if (session_record* record = std::exchange(l->record, nullptr)) {
        if (is_new) {
            table_.remove(*record);
        } else if (how == link_end::stored) {
            table_.shelve(*record, add_saturated(driver_.now(), socket_options_->session_ttl));
            refuse_waiting(record->serial);
        } else {
            settle(*record, accepted);
            record->settled = true;
        }
    }
    on_link_gone(who);
    // Still inside its own function: it goes at the end of the turn.
    if (auto node = unconfirmed_.extract(l)) ended_.insert(std::move(node));
    driver_.defer(*this);
}

// A tombstone serves its time; that of a client who keeps its session on disk until it has another.
template <class P>
void listener_core<P>::settle(session_record& record, std::optional<std::uint64_t> accepted) {
    const bool for_ever = P::store::durable && record.peer_durable;
    const time_point expires = for_ever ? never : add_saturated(driver_.now(), socket_options_->session_ttl);
    if (record.alive) table_.bury(record, accepted, expires);
    if (for_ever) record.expires = never;
    record.settled = false;
}

template <class P>
void listener_core<P>::on_link_gone(void* who) noexcept {
    auto* l = static_cast<link<P>*>(who);
    if (session_record* record = std::exchange(l->record, nullptr)) {
        record->state = nullptr;
        record->owner = nullptr;
    }
    (l->host_prev ? l->host_prev->host_next : links_) = l->host_next;
    if (l->host_next) l->host_next->host_prev = l->host_prev;
    l->host_next = l->host_prev = nullptr;
    if (!planted(bug::ghost_session)) --link_count_;
}

template <class P>
void listener_core<P>::offer(link_ptr l) {
    if (l->state() == connection_state::closed) return;
    if (waiting_.empty()) (void)unclaimed_.push_back(std::move(l));
    else waiting_.pop_front().done({}, socket_type(std::move(l)));
}

template <class P>
void listener_core<P>::drop_unclaimed(link_ptr l) {
    l->orphaned = true;
    link<P>& target = *l;
    target.orphan(std::move(l));
}

}  // namespace hawser::inline v0::detail

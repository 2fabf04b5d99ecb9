// SPDX-License-Identifier: BSL-1.0
/// \file
/// Sessions that outlive the process: listed at the start, loaded when their clients come, ended when nobody does.
#pragma once

#include <hawser/server/listener_core.hpp>

#include <algorithm>
#include <new>
#include <utility>

namespace hawser::inline v0::detail {

template <class P>
void listener_core<P>::list_stored() {
    if constexpr (P::store::durable) {
        catalog_ = objects_.store.open_catalog(driver_, *this);
        catalog_->list();
    }
}

template <class P>
void listener_core<P>::on_listed(std::error_code ec, std::vector<stored_session> sessions) {
    if (closed_) return;
    try {
        for (const stored_session& each : sessions) adopt_listed(each);
    } catch (const std::bad_alloc&) {
        ec = errc::out_of_memory;
    }
    if (ec) {
        why_closed_ = store_error(ec);
        closed_ = true;
        acceptor_.reset();
        drop_pending();
        while (!waiting_.empty()) waiting_.pop_front().done(why_closed_, socket_type(nullptr));
        driver_.defer(*this);
        return objects_.logger.log(log_level::error, "store_not_listed", {{"error", ec.message()}});
    }
    listed_ = true;
    if (table_.size() != 0) start_sweeping();
    go_on(the_list);
}

// Its time to live runs from now: nobody could come before.
template <class P>
void listener_core<P>::adopt_listed(const stored_session& s) {
    session::session_state state;
    const bool alive = s.phase == epoch_phase::alive;
    if (s.phase == epoch_phase::none || !session::decode(s.state, state))
        return objects_.logger.log(log_level::error, "stored_session_unreadable", {{"stream", s.name}});
    const bool for_ever = !alive && state.peer_durable;
    const time_point expires = for_ever ? never : add_saturated(driver_.now(), socket_options_->session_ttl);
    const session::exception_view exceptions(as_bytes(s.exceptions));
    // Without its exceptions a position says too much.
    const bool can_tell = s.has_position && exceptions.valid(s.accepted);
    const auto told = can_tell ? std::optional(s.accepted) : std::nullopt;
    if (!table_.restore(s.epoch, state, alive, told, exceptions, expires))
        objects_.logger.log(log_level::error, "too_many_stored_sessions", {{"stream", s.name}});
}

template <class P>
void listener_core<P>::hold(pending& p, byte_view bytes, std::uint64_t serial, bool is_answer) {
    p.held.assign(bytes.begin(), bytes.end());
    p.is_answer = is_answer;
    p.waits_for = serial;
}

// Each may end others, and itself: from the beginning every time.
template <class P>
void listener_core<P>::go_on(std::uint64_t serial) {
    const auto waits = [serial](const pending& p) { return p.waits_for == serial; };
    for (;;) {
        const auto p = std::find_if(pending_.begin(), pending_.end(), waits);
        if (p == pending_.end()) return;
        p->waits_for = 0;
        const byte_vector held = std::move(p->held);
        const pending* const which = &*p;
        try {
            if (p->is_answer) (void)p->wire_->send(ws::opcode::binary, held, byte_view{});
            else first_frame(*p, held, false);
        } catch (const std::bad_alloc&) {
            give_up_waiting(which);
        }
    }
}

// Without memory for its session a client is refused, where it still waits, and nobody else has anything of it.
template <class P>
void listener_core<P>::give_up_waiting(const pending* which) noexcept {
    const auto p = std::find_if(pending_.begin(), pending_.end(), [which](const pending& one) { return &one == which; });
    if (p == pending_.end()) return;
    try {
        refuse(*p, close_code::internal_error);
    } catch (...) {
        // Its handshake has a deadline.
    }
}

template <class P>
void listener_core<P>::refuse_waiting(std::uint64_t serial) {
    for (auto p = pending_.begin(); p != pending_.end();) {
        pending& present = *p++;
        if (present.waits_for == serial) refuse(present, close_code::try_again_later);
    }
}

template <class P>
void listener_core<P>::load(session_record& record) {
    if (record.owner) return;  // it is being loaded
    auto l = make_link(record.principal);
    l->set_host(this, dedup_for(record.principal, record.peer_origin));
    l->record = &record;
    record.owner = l.get();
    unconfirmed_.emplace(l.get(), l);
    try {
        l->adopt_stored(record.epoch);
    } catch (...) {
        unconfirmed_.erase(l.get());  // and the record with it: the next RESUME, or the next sweep, tries again
        throw;
    }
}

template <class P>
void listener_core<P>::on_link_restored(void* who, std::error_code ec) {
    auto* l = static_cast<link<P>*>(who);
    if (!l->record) return;
    const std::uint64_t serial = l->record->serial;
    if (ec) return refuse_waiting(serial);
    if (!l->state_machine().has_epoch()) {
        // The store does not have it any more: its client is told that nobody knows it.
        table_.remove(*l->record);
        l->end_session(errc::session_expired, std::nullopt);
        return go_on(serial);
    }
    l->record->state = &l->state_machine();
    go_on(serial);
}

template <class P>
void listener_core<P>::on_link_settled(void* who, bool durable) {
    auto* l = static_cast<link<P>*>(who);
    session_record* record = std::exchange(l->record, nullptr);
    on_link_gone(who);
    if (auto node = unconfirmed_.extract(l)) ended_.insert(std::move(node));
    driver_.defer(*this);
    if (!record) return;
    record->settled = true;
    record->owner = nullptr;
    if (durable) return go_on(record->serial);
    // Nobody knows what the store has: the session is forgotten here, and found again at the next start.
    refuse_waiting(record->serial);
    forgetting_stays_ = true;
    table_.remove(*record);
    forgetting_stays_ = false;
}

// What it has not sent is known only when it is loaded; the next sweep ends it then.
template <class P>
void listener_core<P>::expire_stored(session_record& record) {
    objects_.logger.log(log_level::warning, "stored_session_expired", {{"stream", session_stream(record.epoch)}});
    load(record);
}

template <class P>
void listener_core<P>::forget_stored(const session_record& record) noexcept {
    // What was loaded and is not used any more has its own pointer to the record.
    if (auto* owner = static_cast<link<P>*>(record.owner)) owner->record = nullptr;
    if (forgetting_stays_) return;
    try {
        forgotten_.push_back(session_stream(record.epoch));
        driver_.defer(*this);
    } catch (const std::bad_alloc&) {
        // Listed again at the next start.
    }
}

template <class P>
void listener_core<P>::erase_forgotten() {
    if (!catalog_) return;
    for (auto& name : std::exchange(forgotten_, {})) catalog_->erase(std::move(name));
}

}  // namespace hawser::inline v0::detail

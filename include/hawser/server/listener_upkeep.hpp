// SPDX-License-Identifier: BSL-1.0
/// \file
/// What a listener forgets, and when it ends.
#pragma once

#include <hawser/server/listener_core.hpp>

#include <algorithm>
#include <new>

namespace hawser::inline v0::detail {

// One dedup state per origin and principal, for as long as a copy may still come.
template <class P>
std::shared_ptr<dedup_state<P>> listener_core<P>::dedup_for(const std::string& principal, const session::origin_id& origin) {
    return dedup_.find(origin, principal, [this] { return random_seed(driver_); });
}

template <class P>
void listener_core<P>::start_sweeping() {
    if (!sweep_.armed()) driver_.arm(sweep_, add_saturated(driver_.now(), sweep_interval()));
}

template <class P>
duration listener_core<P>::sweep_interval() const noexcept {
    const duration ttl = std::min(socket_options_->session_ttl, socket_options_->connect_timeout);
    return std::clamp<duration>(ttl / 8, milliseconds{10}, seconds{5});
}

template <class P>
void listener_core<P>::on_sweep(time_point now) {
    try {
        table_.expire(now, [this](session::session_record& record) {
            if (!record.state) {  // the store has it; while it is being loaded a later sweep looks again
                if (!record.owner) expire_stored(record);
                return;
            }
            static_cast<link<P>*>(record.owner)->end_session(errc::session_expired, std::nullopt);
        });
    } catch (const std::bad_alloc&) {
        // The next sweep ends the rest.
    }
    dedup_.sweep(now);
    if (table_.size() != 0 || !dedup_.empty()) start_sweeping();
}

// The end of a turn: what ended in it is let go.
template <class P>
void listener_core<P>::run() {
    ended_.clear();
    parting_.clear();
    erase_forgotten();
    if (!links_)
        while (!drainers_.empty()) drainers_.pop_front().done({});
    if (!orphaned_ && (!closed_ || links_)) return;
    while (!closers_.empty()) closers_.pop_front().done({});
    sweep_.cancel();
    const auto last = std::move(closing_self_);
}

template <class P>
void listener_core<P>::abandon() noexcept {
    closed_ = true;
    withdraw();
    sweep_.cancel();
    const auto acceptor = std::move(acceptor_);
    const auto self = std::move(closing_self_);
    const auto leaver = std::move(leaver_);
    const auto handshakes = std::move(pending_);
    const auto parting = std::move(parting_);
    const auto waiting = std::move(waiting_);
    const auto closers = std::move(closers_);
    const auto drainers = std::move(drainers_);
    const auto unclaimed = std::move(unclaimed_);
    const auto unconfirmed = std::move(unconfirmed_);
    const auto ended = std::move(ended_);
    const auto catalog = std::move(catalog_);
    dedup_.abandon();  // sockets go on any thread from now on
}

}  // namespace hawser::inline v0::detail

// SPDX-License-Identifier: BSL-1.0
/// \file
/// The session and its store: what is read at the start, committed meanwhile, and left there at the end.
#pragma once

#include <hawser/link/link.hpp>

namespace hawser::inline v0::detail {

// The session of an earlier process; whoever resumes it is attached when it is here.
template <class P>
void link<P>::adopt_stored(const session::epoch_id& epoch) {
    session_on_ = restored = true;
    set_state(connection_state::detached);
    (void)session(session_stream(epoch));
    store_->load(session_->options().origin);
}

template <class P>
void link<P>::on_loaded(std::error_code ec, store_image image) {
    // Also while it closes: what was accepted before leaves first.
    if (orphaned || is_final()) return;
    try {
        // What is not durable has nothing to give back, and took messages before it was asked.
        if (!ec && P::store::durable) ec = session_->restore(std::move(image), driver_.now());
        if (ec) {
            objects_.logger.log(log_level::error, "store_not_loaded", {{"error", ec.message()}});
            if (host_) host_->on_link_restored(this, store_error(ec));
            return finish(connection_state::failed, store_error(ec), {});
        }
        if (session_->options().origin == session::origin_id{})
            return finish(connection_state::failed, errc::random_failed, {});
        loaded_ = true;
        if (extras_) complete_all(extras_.make().loaders, {});
        if (host_) host_->on_link_restored(this, {});
        if (dial_) start_attempt();
        driver_.defer(*this);
    } catch (...) {
        failed();
    }
}

template <class P>
void link<P>::async_load(std::uint64_t serial, plain_completion done) {
    if (is_final()) return done(final_error_ ? final_error_ : make_error_code(errc::closed));
    if (!awaits_store()) return done({});
    if (extras_->loaders.size() >= options_->max_waiters) return done(errc::too_many_waiters);
    (void)extras_.make().loaders.push_back({serial, std::move(done)});
}

template <class P>
void link<P>::begin_commit() {
    if (!session_->wants_commit()) return;
    if (P::store::durable && (store_failed_ || stored_)) return;  // nothing becomes durable any more
    if (!store_ || store_failed_) return commit_now();
    if constexpr (commits_nothing<typename P::store>) {
        commit_now();
        return release_committed();
    }
    auto records = session_->begin_commit();
    try {
        store_->commit(std::move(records));
    } catch (...) {
        on_committed(error_of_exception());
    }
}

template <class P>
void link<P>::on_committed(std::error_code ec) {
    if (!session_) return;
    if (ec) return commit_failed(ec);
    session_->end_commit();
    try {
        release_committed();
    } catch (...) {
        failed();
    }
    driver_.defer(*this);
    if (host_ && is_final() && !session_->commit_pending()) std::exchange(host_, nullptr)->on_link_settled(this, true);
}

// What waited for this commit was not accepted. Where nothing is durable outcomes are told from memory; else
// nothing is told that the store does not know.
template <class P>
void link<P>::commit_failed(std::error_code ec) {
    store_failed_ = true;
    const std::error_code why = store_error(ec);
    report_accepted();  // what an earlier commit brought there
    while (!extras_->accepted.empty()) extras_.make().accepted.pop_front().complete(why, false);
    if (host_ && is_final()) std::exchange(host_, nullptr)->on_link_settled(this, false);
    try {
        objects_.logger.log(log_level::error, "commit_failed", {{"error", ec.message()}});
        finish(connection_state::failed, why, {});
    } catch (...) {
        failed();
    }
    if (P::store::durable) leave_to_store(why);
    else session_->end_commit();
    driver_.defer(*this);
}

// Operations end, messages stay: a later process, or the next socket of this session, goes on with them.
template <class P>
void link<P>::leave_to_store(std::error_code why) {
    if (session_) report_accepted();  // what is durable already, and was not told yet
    while (!extras_->accepted.empty()) extras_.make().accepted.pop_front().complete(why, false);
    if (session_)
        session_->out().find_if([&](auto& m) {
            for (auto w = std::move(m.waiters); w; w = std::move(w->next))
                static_cast<send_waiter&>(*w).done(why, outcome::pending);
            return false;
        });
    while (!extras_->in_commit.empty()) dedup_->abandon(extras_.make().in_commit.pop_front().id);
}

// At the end of the last turn, so that the session can be opened again.
template <class P>
void link<P>::close_store() {
    if (!P::store::durable || !store_) return;
    if (!stored_ && !store_failed_ && session_->commit_pending()) return;
    store_.reset();
}

template <class P>
void link<P>::tell_host(std::optional<std::uint64_t> accepted) {
    if (!host_) return;
    if (stored_) return std::exchange(host_, nullptr)->on_link_ended(this, accepted, link_end::stored);
    const bool settling = P::store::durable && store_ && !store_failed_ && session_->commit_pending();
    if (settling) return host_->on_link_ended(this, accepted, link_end::settling);
    std::exchange(host_, nullptr)->on_link_ended(this, accepted, link_end::over);
}

// Message and position become durable together, with what the application does.
template <class P>
void link<P>::hand_to_store(ready_message m) {
    extras_.make().in_commit.reserve_one();
    const taken_message at{m.epoch_serial, m.seq, m.id};
    store_effect effect = [handler = extras_->on_transaction, m = std::move(m)](store_transaction& tx) {
        return (*handler)(tx, {m.body.bytes(), m.body.kind(), m.seq, m.key, m.id, m.epoch_serial});
    };
    dedup_->begin(at.id, this);
    (void)extras_.make().in_commit.push_back(at);
    session_->finish(at.epoch_serial, at.seq, driver_.now(), std::move(effect));
    driver_.defer(*this);
}

// Ids whose effects are durable: copies of them are dropped from now on.
template <class P>
void link<P>::release_committed() {
    // A session that ended keeps its positions until the next one begins.
    const auto is_durable = [this](const taken_message& t) {
        const bool is_over = session_->has_epoch() && t.epoch_serial != session_->epoch_serial();
        return is_over || t.seq <= session_->in().durable_accepted();
    };
    while (extras_ && !extras_->in_commit.empty() && is_durable(extras_.make().in_commit.front())) dedup_->finish(extras_.make().in_commit.pop_front().id, driver_.now());
}

}  // namespace hawser::inline v0::detail

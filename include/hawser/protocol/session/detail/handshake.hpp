// SPDX-License-Identifier: BSL-1.0
/// \file
/// How a link attaches to a session, and how a session begins, goes on and ends.
#pragma once

#include <hawser/core/planted.hpp>
#include <hawser/protocol/session/endpoint.hpp>

namespace hawser::inline v0 {
namespace session {

inline void endpoint::reset_link() noexcept {
    opening_ = opening::none;
    ping_wanted_ = pong_wanted_ = false;
    goaway_.reset();
    drop_parts();
    in_.begin_link();
}
inline void endpoint::open_with(opening frame, std::uint64_t after_lsn) noexcept {
    reset_link();
    opening_ = frame;
    opening_lsn_ = after_lsn;
}
inline void endpoint::detach() noexcept {
    phase_ = phase::detached;
    reset_link();
}

// ---- server ------------------------------------------------------------------------------------

inline std::error_code endpoint::attach_hello(const hello& h, const epoch_id& epoch, const resume_token& token,
                                              const server_facts& facts) {
    if (h.version_min > version || h.version_max < version) return errc::session_version;
    peer_origin_ = h.origin;
    peer_id_base_ = h.id_base;
    peer_durable_ = h.durable;
    set_peer_limit(h.max_message_size);
    features_ = h.features & offered_features();
    epoch_ = epoch;
    token_ = token;
    begin_epoch(out_.id_base(), h.credit_messages, h.credit_bytes);
    phase_ = phase::awaiting_confirm;
    resuming_ = false;
    open_with(opening::welcome, log_epoch(&facts));
    return {};
}
inline void endpoint::attach_resume(const resume& r, const resume_token& token, const server_facts& facts, time_point now) {
    token_ = token;
    (void)apply_exceptions(r.accepted, r.exceptions);
    in_.peer_knows(r.first_retained - 1, now);
    out_.attach();
    phase_ = phase::awaiting_confirm;
    resuming_ = true;
    open_with(opening::resumed, log_epoch(&facts));
}
// The first frame of the client after WELCOME or RESUMED is an ACK; until then nothing else may
// come, and until then the previous token stays good.
inline action endpoint::on_confirmation(const ack_fields& f, time_point now) {
    if (opening_ != opening::none) return fail(errc::session_protocol);
    if (auto ec = apply(f, now)) return fail(ec);
    phase_ = phase::attached;
    forget_opening();
    if (in_.exceptions_kept() > 0) ping_wanted_ = true;
    return simple(resuming_ ? action::kind::resumed : action::kind::established);
}

// ---- client ------------------------------------------------------------------------------------

inline void endpoint::attach_client() noexcept {
    phase_ = phase::awaiting_answer;
    if (!has_epoch_) return open_with(opening::hello, ended_lsn_);
    if (!planted(bug::attempt_stands_still)) ++attempt_;
    open_with(opening::resume, 0);
}
// An answer to a question that was not written yet is none.
inline bool endpoint::awaits_answer() const noexcept {
    return phase_ == phase::awaiting_answer && (opening_ == opening::none || planted(bug::early_answer_taken));
}
inline action endpoint::on_welcome(byte_view frame, const envelope& e) {
    welcome w;
    if (!awaits_answer() || has_epoch_) return fail(errc::session_protocol);
    if (!decode(e, w)) return fail(errc::session_malformed);
    if (auto ec = verify(frame, e, {})) return fail(ec, close_code::bad_checksum);
    if (w.version != version) return fail(errc::session_version, close_code::version_mismatch);
    if ((w.features & ~offered_features()) != 0) return fail(errc::session_protocol);
    peer_origin_ = w.origin;
    peer_id_base_ = w.id_base;
    peer_durable_ = w.durable;
    peer_dedup_kept_ = w.dedup_kept;
    set_peer_limit(w.max_message_size);
    features_ = w.features;
    epoch_ = w.epoch;
    token_ = w.token;
    if (planted(bug::id_base_of_welcome)) hello_id_base_ = out_.id_base();
    begin_epoch(hello_id_base_, w.credit_messages, w.credit_bytes);
    confirm();
    return simple(action::kind::established);
}
inline action endpoint::on_resumed(byte_view frame, const envelope& e, time_point now) {
    resumed r;
    if (!awaits_answer() || !has_epoch_) return fail(errc::session_protocol);
    if (!decode(e, r)) return fail(errc::session_malformed);
    if (auto ec = verify(frame, e, {})) return fail(ec, close_code::bad_checksum);
    // The server answers for messages that were never sent, or lost what it had: its state
    // cannot be trusted, and nothing is completed by it.
    const bool ahead = r.accepted > out_.written_through() && !planted(bug::server_ahead_taken);
    if (ahead || r.first_retained > in_.durable_accepted() + 1 ||
        r.next_seq <= in_.received()) {
        action a = fail(errc::resume_failed);
        a.what = action::kind::end_session;
        return a;
    }
    if (!r.exceptions.empty() && !speaks(feature::exceptions)) return fail(errc::unknown_extension);
    if (!planted(bug::new_token_forgotten)) token_ = r.token;
    out_.on_credit(r.credit_messages, r.credit_bytes);
    (void)apply_exceptions(r.accepted, r.exceptions);
    in_.peer_knows(r.first_retained - 1, now);
    out_.attach();
    confirm();
    ping_if_exhausted();
    return simple(action::kind::resumed);
}
inline action endpoint::on_resume_failed(byte_view frame, const envelope& e) {
    resume_failed f;
    if (!awaits_answer() || !has_epoch_) return fail(errc::session_protocol);
    if (!decode(e, f)) return fail(errc::session_malformed);
    // A server that does not know the session does not know whether checksums were agreed.
    if (!checksum_matches(frame, e, {})) return fail(errc::session_checksum, close_code::bad_checksum);
    // A position beyond what was written completes nothing.
    const bool known = f.has_position && !planted(bug::position_of_failure_ignored);
    const bool usable = known && f.accepted <= out_.written_through();
    if (!f.exceptions.empty() && !speaks(feature::exceptions)) return fail(errc::unknown_extension);
    end_epoch(usable ? std::optional(f.accepted) : std::nullopt, f.exceptions);
    open_with(opening::hello, ended_lsn_);
    return simple(action::kind::epoch_lost);
}
// Token and epoch are durable before the frame that retires the previous token.
inline void endpoint::confirm() {
    phase_ = phase::attached;
    forget_opening();
    const std::uint64_t lsn = log_epoch();
    if (!planted(bug::confirm_skipped)) open_with(opening::confirm, lsn);
}

// ---- epochs ------------------------------------------------------------------------------------

inline void endpoint::begin_epoch(std::uint64_t id_base, std::uint64_t credit_messages,
                                  std::uint64_t credit_bytes) noexcept {
    has_epoch_ = true;
    gap_seen_ = echo_due_ = end_logged_ = false;
    ++epoch_serial_;
    log_.begin_epoch(epoch_);
    out_.begin_epoch(id_base, credit_messages, credit_bytes);
    agree_on_parts();
    in_.begin_epoch(speaks(feature::exceptions));
}
// HELLO waits for the outcomes as well as for the end itself. Where there was no memory for all of them this is called once
// more, and the end is in the journal already: a store would take a second one for a contradiction.
inline void endpoint::end_epoch(std::optional<std::uint64_t> position, exception_view exceptions) {
    if (has_epoch_ && !end_logged_) (void)log_.add({.kind = record_kind::epoch_ended});
    end_logged_ = has_epoch_;
    out_.end_epoch(position, options_.send_again && peer_dedup_kept_, exceptions);
    ended_lsn_ = log_.last();
    if (has_epoch_) ++epoch_serial_;
    has_epoch_ = gap_seen_ = end_logged_ = false;
}
inline void endpoint::bury(std::optional<std::uint64_t> told) noexcept {
    if (!has_epoch_) return;
    if (!end_logged_) log_.bury(told);
    ++epoch_serial_;
    has_epoch_ = end_logged_ = false;
}
inline void endpoint::set_peer_limit(std::uint64_t bytes) noexcept {
    peer_max_message_ = bytes;
    out_.set_max_body(bytes);
}
inline void endpoint::agree_on_parts() noexcept {
    const bool parts = speaks(feature::parts) && options_.part_size > 0;
    out_.set_part_size(parts ? options_.part_size : UINT64_MAX);
}
inline std::uint64_t endpoint::log_epoch(const server_facts* facts) {
    if (!log_.keeps_records()) return log_.add(record_kind::epoch_begun, 0);
    session_state s;
    s.origin = options_.origin;
    s.peer_origin = peer_origin_;
    s.id_base = out_.epoch_id_base();
    s.peer_id_base = peer_id_base_;
    s.features = features_;
    s.peer_max_message = peer_max_message_;
    s.peer_durable = peer_durable_;
    s.peer_dedup_kept = peer_dedup_kept_;
    if (facts) s.server = *facts;
    else s.token = token_;
    return log_.add({.kind = record_kind::epoch_begun, .state = encode(s)});
}

}  // namespace session
}  // namespace hawser::inline v0

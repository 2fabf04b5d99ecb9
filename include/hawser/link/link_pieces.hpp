// SPDX-License-Identifier: BSL-1.0
/// \file
/// Messages in pieces, on plain connections: as they come, and as the application has them.
#pragma once

#include <hawser/link/link.hpp>

namespace hawser::inline v0::detail {

template <class P>
void link<P>::set_on_message(std::function<void(const message_view&)> f) { set_receiving(std::move(f), nullptr); }

template <class P>
void link<P>::set_on_piece(piece_handler f) {
    if (!f) return set_on_message(nullptr);
    auto shared = std::make_shared<const piece_handler>(std::move(f));
    set_receiving([shared](const message_view& m) { (*shared)({m.bytes, m.kind}); }, shared);
}

// Both functions or none of them: nothing fails once the first is set.
template <class P>
void link<P>::set_receiving(std::function<void(const message_view&)> whole, std::shared_ptr<const piece_handler> pieces) {
    const bool had = extras_->on_piece != nullptr;
    if (had || pieces) retired_.emplace_front(extras_.make().on_piece);
    replace(on_message_, std::move(whole));
    if (had || pieces) {
        extras_.make().on_piece = std::move(pieces);
        extras_.make().skips_rest = true;
    }
    apply_pieces();
}

// An open connection that is not listened to is not read: a piece cannot wait.
template <class P>
void link<P>::apply_pieces() {
    if (!wire_ || !wire_->is_open() || session_on_) return;
    wire_->hand_out_pieces(extras_->on_piece && !feed_on_ && ready_.empty());  // they do not overtake what waits
    if (!holds_pieces()) return read_on();
    if (wire_->paused()) return;
    wire_->pause();
    heartbeat_.suspend(driver_.now());
    idle_.suspend();
}

template <class P>
void link<P>::hold(bool on) {
    held_ = on;
    apply_pieces();
    driver_.defer(*this);
}

template <class P>
void link<P>::on_wire_piece(wire&, const message_piece& piece) {
    if (orphaned || close_sent_) return;
    note_message();
    if (piece.last) count_received(static_cast<std::size_t>(piece.offset) + piece.bytes.size());
    if (piece.offset == 0 && extras_->skips_rest) extras_.make().skips_rest = false;
    if (!extras_->on_piece || extras_->skips_rest) return;  // the function that had its beginning was replaced
    try {
        (*extras_->on_piece)(piece);
    } catch (...) {
        message_handler_threw();
    }
}

// A message may begin, or the one that began may go on.
template <class P>
bool link<P>::takes_piece() const noexcept {
    if (!link_ready_ || session_on_ || !wire_ || !wire_->is_open()) return false;
    return wire_->sending_message() ? !wire_->backed_up() : can_begin_piece();
}

template <class P>
void link<P>::async_writable(std::uint64_t serial, plain_completion done) {
    if (is_final()) return done(final_error());
    if (session_on_) return done(errc::invalid_state);
    if (!link_ready_) return done(errc::not_connected);
    if (takes_piece()) return done(std::error_code{});
    if (extras_->writers.size() >= options_->max_waiters) return done(errc::too_many_waiters);
    (void)extras_.make().writers.push_back({serial, std::move(done)});
}

template <class P>
void link<P>::tell_writers() {
    if (!link_ready_) complete_all(extras_.make().writers, errc::not_connected);
    else if (takes_piece()) complete_all(extras_.make().writers, {});
}

template <class P>
std::error_code link<P>::try_send_piece(const message_piece& piece) {
    if (piece.bytes.empty() && !piece.last) return errc::invalid_argument;
    if (!link_ready_ || !wire_ || !wire_->is_open()) return errc::not_connected;
    if (session_on_) return errc::invalid_state;
    if (piece.offset == 0) {
        if (wire_->sending_message()) return errc::invalid_state;
        if (state_ == connection_state::closing) return errc::closed;
        if (!can_begin_piece()) return errc::would_block;
    } else {
        if (!wire_->sending_message()) return errc::connection_lost;
        if (wire_->backed_up()) return errc::would_block;
    }
    if (const auto ec = wire_->send_piece(piece)) return ec;
    note_message();
    if (!piece.last) return {};
    count_sent(static_cast<std::size_t>(piece.offset) + piece.bytes.size());
    driver_.defer(*this);  // what had to wait may go
    return {};
}

}  // namespace hawser::inline v0::detail

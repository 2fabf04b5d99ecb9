// SPDX-License-Identifier: BSL-1.0
/// \file
/// The transfers of a socket: those that are sent.
#pragma once

#include <hawser/transfer/core.hpp>

#include <algorithm>

namespace hawser::inline v0::detail {

inline void transfer_core::send(std::uint64_t serial, std::unique_ptr<transfer_source> source, transfer_description what,
                                transfer_completion done) {
    if (stopped_) return done(asio::error::operation_aborted, transfer_result{});
    if (closed_) return done(closed_, transfer_result{});
    if (open_ && !usable_) return done(errc::transfer_unsupported, transfer_result{});
    if (what.name.empty() || what.name.size() > transfer::max_name_size || what.metadata.size() > transfer::max_metadata_size)
        return done(errc::invalid_argument, transfer_result{});
    if (!what.key) {
        what.key.emplace();
        if (!driver_.entropy().take(*what.key)) return done(errc::random_failed, transfer_result{});
    }
    const auto same = [&](const outgoing& t) { return t->what.key == what.key; };
    if (std::any_of(active_.begin(), active_.end(), same) || std::any_of(waiting_.begin(), waiting_.end(), same))
        return done(errc::operation_in_progress, transfer_result{});
    if (active_.size() >= options_.max_sending && waiting_.size() >= options_.max_waiting)
        return done(errc::too_many_waiters, transfer_result{});
    auto t = std::make_shared<outgoing_transfer>();
    t->serial = serial;
    t->what = std::move(what);
    t->io = std::make_shared<source_io>();
    t->io->source = std::move(source);
    t->io->source->on_ready([gate = gate_, core = weak_from_this(), weak = std::weak_ptr(t)] {
        gate->post([core, weak] {
            const auto self = core.lock();
            const auto target = weak.lock();
            if (!self || !target || target->finished) return;
            const driver::turn turn(self->driver_);
            target->woken = target->busy;
            self->read_next(target);
        });
    });
    waiting_.push_back(t);
    t->done = std::move(done);
    start_waiting();
}

inline void transfer_core::start_waiting() {
    while (ready() && !waiting_.empty() && active_.size() < options_.max_sending) {
        const outgoing t = waiting_.front();
        active_.push_back(t);
        waiting_.pop_front();
        begin_attempt(t);
    }
}

// Nothing if an attempt is under way.
inline void transfer_core::begin_attempt(const outgoing& t) {
    if (!ready() || t->busy || t->machine || t->finished) return;
    t->busy = true;
    job(t,
        [](source_io& io) {
            io.chunk = message();
            io.ended = false;
            if (io.at != 0 && !io.source->seekable()) io.error = errc::transfer_interrupted;
            else io.error = io.source->open();
            if (!io.error && io.at != 0) io.error = io.source->seek(0);
            io.hash.reset();
            io.at = 0;
        },
        [this, t] { on_opened(t); });
}
inline void transfer_core::on_opened(const outgoing& t) {
    if (!ready()) return;
    if (!driver_.entropy().take(std::as_writable_bytes(std::span(&t->id, 1)))) return finish(t, errc::random_failed);
    const auto size = t->io->source->size();
    if (size && *size > transfer::max_size) return finish(t, errc::transfer_too_big);
    t->machine.emplace(size);
    t->deadline = add_saturated(driver_.now(), options_.answer_timeout);
    tell(transfer::offer{t->id, *t->what.key, size, t->what.name, t->what.metadata});
    rearm();
}

// The attempt is over, and another one begins as soon as that is possible.
inline void transfer_core::again(const outgoing& t) {
    t->machine.reset();
    t->deadline = never;
    if (t->busy) t->restart = true;
    else begin_attempt(t);
}

// ---- what the receiver says --------------------------------------------------------------------

inline transfer_core::outgoing transfer_core::find_outgoing(transfer::id_type id) const {
    for (const outgoing& t : active_)
        if (t->machine && t->id == id) return t;
    return nullptr;
}
inline void transfer_core::on_receiver(const transfer::accept& m) {
    const outgoing t = find_outgoing(m.id);
    if (!t) return tell(transfer::cancel{m.id, transfer::reason::unknown, {}});
    if (const auto ec = t->machine->on_accept(m)) return finish(t, ec, {}, true);
    t->deadline = never;
    rearm();
    if (t->machine->at() == transfer::sending::phase::checking) check_prefix(t);
    else begin_flow(t, std::nullopt);
}
inline void transfer_core::on_receiver(const transfer::refuse& m) {
    if (const outgoing t = find_outgoing(m.id)) finish(t, transfer::error_of(m.why), m.text);
}
inline void transfer_core::on_receiver(const transfer::credit& m) {
    const outgoing t = find_outgoing(m.id);
    if (!t) return;
    if (const auto ec = t->machine->on_credit(m)) return finish(t, ec, {}, true);
    read_next(t);
}
inline void transfer_core::on_receiver(const transfer::done& m) {
    const outgoing t = find_outgoing(m.id);
    if (!t) return;
    finish(t, t->machine->on_done());
}
inline void transfer_core::on_receiver(const transfer::stop& m) {
    const outgoing t = find_outgoing(m.id);
    if (!t) return;
    // The receiver has lost its state, and perhaps kept its file: it is asked again.
    if (m.why == transfer::reason::unknown && ++t->failures <= max_failures) return again(t);
    finish(t, transfer::error_of(m.why), m.text);
}

// ---- the source --------------------------------------------------------------------------------

// Reads and hashes what the receiver has, a piece at a time, so that other transfers get their turn.
inline void transfer_core::check_prefix(const outgoing& t) {
    t->busy = true;
    job(t,
        [until = t->machine->from()](source_io& io) {
            byte_vector piece(static_cast<std::size_t>(std::min<std::uint64_t>(check_piece, until - io.at)));
            const std::size_t n = io.source->read(piece, io.error);
            if (n == 0 && !io.error) io.ended = true;
            io.hash.update(byte_view(piece).first(n));
            io.at += n;
        },
        [this, t] {
            if (t->io->ended) begin_flow(t, std::nullopt);
            else if (t->io->at == t->machine->from()) begin_flow(t, t->io->hash.digest());
            else check_prefix(t);
        });
}
inline void transfer_core::begin_flow(const outgoing& t, const std::optional<digest128>& prefix) {
    if (t->machine->at() == transfer::sending::phase::checking) t->machine->prefix_checked(prefix);
    t->acknowledged = t->machine->from();
    tell(transfer::begin{t->id, t->machine->from()});
    if (t->machine->from() == t->io->at) return read_next(t);
    // The source has changed since the receiver got its part of it.
    t->busy = true;
    job(t,
        [](source_io& io) {
            io.ended = false;
            io.error = io.source->seek(0);
            io.hash.reset();
            io.at = 0;
        },
        [this, t] { read_next(t); });
}
// Into the message that it is sent in; one that turns out shorter is copied.
inline void read_chunk(source_io& io, const byte_vector& head, std::size_t most) {
    message m = message::allocate(head.size() + most, message_kind::transfer);
    std::memcpy(m.writable().data(), head.data(), head.size());
    const std::size_t n = io.source->read(m.writable().subspan(head.size()), io.error);
    if (io.error) return;
    io.ended = n == 0;
    if (n == 0) return;
    io.hash.update(m.bytes().subspan(head.size(), n));
    io.at += n;
    io.chunk = n == most ? std::move(m) : message::copy(m.bytes().first(head.size() + n), message_kind::transfer);
}
inline void transfer_core::read_next(const outgoing& t) {
    if (!t->machine || t->busy || t->io->chunk || t->machine->at() != transfer::sending::phase::flowing || !carrier_) return;
    if (t->machine->all_sent()) return send_end(t);
    const std::size_t message_size = static_cast<std::size_t>(
        std::min<std::uint64_t>(options_.chunk_bytes, carrier_->max_message_size()));
    if (message_size <= transfer::max_chunk_head) return finish(t, errc::message_too_big, {}, true);
    const std::uint64_t credit = t->machine->sendable();
    const std::size_t most = static_cast<std::size_t>(std::min<std::uint64_t>(credit, message_size - transfer::max_chunk_head));
    if (most == 0) return;
    byte_vector head;
    transfer::encode_chunk_head(head, t->id, t->machine->offset());
    t->busy = true;
    t->woken = false;
    job(t, [head = std::move(head), most](source_io& io) { read_chunk(io, head, most); }, [this, t] { on_read(t); });
}
inline void transfer_core::on_read(const outgoing& t) {
    const bool woken = std::exchange(t->woken, false);
    if (t->io->error) return woken ? read_next(t) : void();  // none yet: `wake` goes on
    if (t->io->ended) return send_end(t);
    pump();
}
inline void transfer_core::send_end(const outgoing& t) {
    if (const auto ec = t->machine->source_ended()) return finish(t, ec, {}, true);
    t->deadline = add_saturated(driver_.now(), options_.answer_timeout);
    tell(transfer::end{t->id, t->machine->offset(), t->io->hash.digest()});
    rearm();
}

// ---- sending -----------------------------------------------------------------------------------

// Each transfer that has a chunk in turn, as long as the limit for all of them allows.
inline void transfer_core::pump() {
    while (ready()) {
        const auto next = std::find_if(active_.begin(), active_.end(), [](const outgoing& t) {
            return t->machine && !t->busy && t->io->chunk && t->machine->at() == transfer::sending::phase::flowing;
        });
        if (next == active_.end()) return;
        const outgoing t = *next;
        if (chunk_bytes_ != 0 && chunk_bytes_ + t->io->chunk.size() > options_.max_bytes_in_flight) return;
        active_.erase(next);
        active_.push_back(t);
        send_chunk(t);
    }
}
inline void transfer_core::send_chunk(const outgoing& t) {
    message m = std::exchange(t->io->chunk, message());
    const std::size_t size = m.size();
    const std::uint64_t n = t->io->at - t->machine->offset();
    const std::uint64_t counter = carrier_->send(std::move(m));
    t->machine->sent(n);
    chunk_bytes_ += size;
    in_flight_.emplace(counter, in_flight{size, t->id, t->machine->offset()});
    read_next(t);
}

// ---- the end -----------------------------------------------------------------------------------

inline void transfer_core::finish(const outgoing& t, std::error_code why, std::string_view text, bool tell_peer) {
    if (std::exchange(t->finished, true)) return;
    const outgoing self = t;
    const bool ours = why.category() == hawser_category() || why == asio::error::operation_aborted;
    const auto reason = ours ? transfer::reason_of(why) : transfer::reason::source;
    if (tell_peer && self->machine) tell(transfer::cancel{self->id, reason, ours ? std::string() : why.message()});
    transfer_result result;
    result.bytes = self->acknowledged;
    result.text = text;
    if (self->machine && !why) {
        result.bytes = self->machine->offset();
        result.resumed_from = self->machine->from();
        result.digest = self->io->hash.digest();
    }
    std::erase(active_, self);
    std::erase(waiting_, self);
    if (!self->busy) self->io.reset();
    self->done(why, std::move(result));
    rearm();
    if (!stopped_) start_waiting();
}

inline bool transfer_core::cancel_operation(std::uint64_t serial, asio::cancellation_type) {
    for (const auto* list : {&active_, &waiting_})
        for (const outgoing& t : *list)
            if (t->serial == serial) {
                finish(outgoing(t), asio::error::operation_aborted, {}, true);
                return true;
            }
    return false;
}

}  // namespace hawser::inline v0::detail

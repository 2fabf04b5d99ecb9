// SPDX-License-Identifier: BSL-1.0
/// \file
/// The transfers of a socket: those that are received.
#pragma once

#include <hawser/transfer/core.hpp>

#include <algorithm>

namespace hawser::inline v0::detail {

// ---- what the sender says ----------------------------------------------------------------------

inline transfer_core::incoming transfer_core::find_incoming(transfer::id_type id) {
    const auto found = incoming_.find(id);
    return found == incoming_.end() || found->second->over ? nullptr : found->second;
}
// Once for each, so that a sender does not wait for an answer that nobody will give.
inline void transfer_core::unknown_incoming(transfer::id_type id) {
    if (incoming_.contains(id) || std::find(unknown_.begin(), unknown_.end(), id) != unknown_.end()) return;
    if (unknown_.size() >= 16) unknown_.pop_front();
    unknown_.push_back(id);
    tell(transfer::stop{id, transfer::reason::unknown, {}});
}

inline void transfer_core::on_sender(const transfer::offer& m) {
    using transfer::reason;
    if (const incoming t = find_incoming(m.id)) return finish(t, errc::transfer_protocol, transfer_end::failed, true, "two offers with one id");
    const transfer::receiving_limits limits{options_.max_size, options_.receive_window};
    if (const auto ec = transfer::receiving::check(m, limits))
        return tell(transfer::refuse{m.id, reason::too_big, "at most " + std::to_string(limits.max_size) + " bytes are taken"});
    // The sender has begun anew with it: what it said before is of no use to it.
    const auto all = incoming_;
    for (const auto& [id, in] : all)
        if (in->key == m.key && !in->over) finish(in, errc::transfer_superseded, transfer_end::interrupted, true);
    if (incoming_.contains(m.id) || static_cast<std::size_t>(std::count_if(incoming_.begin(), incoming_.end(), [](const auto& e) {
            return !e.second->over;
        })) >= options_.max_receiving)
        return tell(transfer::refuse{m.id, reason::busy, "too many transfers at once"});
    const transfer_offer o{m.id, std::string(m.name), m.size, byte_vector(m.metadata.begin(), m.metadata.end()), m.key};
    std::string why;
    auto sink = ask(o, why);
    if (closed_) return;
    if (!sink || stopped_) return tell(transfer::refuse{m.id, reason::refused, why});
    auto t = std::make_shared<incoming_transfer>(m, limits);
    t->key = o.key;
    t->report.id = o.id;
    t->report.name = o.name;
    t->order = ++last_order_;
    t->io = std::make_shared<sink_io>();
    t->io->sink = std::move(sink);
    incoming_.emplace(o.id, t);
    open(t);
}
inline std::unique_ptr<transfer_sink> transfer_core::ask(const transfer_offer& o, std::string& why) {
    std::unique_ptr<transfer_sink> sink;
    if (!options_.on_offer || let_go_.load(std::memory_order_relaxed)) {
        why = "no transfers are taken here";
        return sink;
    }
    callback([&] {
        why = "the receiver failed";  // if it throws
        std::string said;
        sink = options_.on_offer(o, said);
        why = std::move(said);
    });
    return sink;
}
inline void transfer_core::on_sender(const transfer::begin& m) {
    const incoming t = find_incoming(m.id);
    if (!t) return unknown_incoming(m.id);
    if (const auto ec = t->machine.on_begin(m)) return finish(t, ec, transfer_end::failed, true);
    t->begin = true;
    t->from = m.from;
    step(t);
}
inline void transfer_core::on_sender(const transfer::chunk& m) {
    const incoming t = find_incoming(m.id);
    if (!t) return unknown_incoming(m.id);
    if (const auto ec = t->machine.on_chunk(m.offset, m.bytes.size())) return finish(t, ec, transfer_end::failed, true);
    t->waiting.push_back(message::binary(m.bytes));
    step(t);
}
inline void transfer_core::on_sender(const transfer::end& m) {
    const incoming t = find_incoming(m.id);
    if (!t) return unknown_incoming(m.id);
    if (const auto ec = t->machine.on_end(m)) return finish(t, ec, transfer_end::failed, true);
    step(t);
}
inline void transfer_core::on_sender(const transfer::cancel& m) {
    const incoming t = find_incoming(m.id);
    if (!t) return;
    const bool lost = m.why == transfer::reason::unknown;  // it has offered it again, or will
    finish(t, transfer::error_of(m.why), lost ? transfer_end::interrupted : transfer_end::failed, false, m.text);
}
inline bool transfer_core::cancel_incoming(std::uint64_t id, std::string_view text) {
    const incoming t = find_incoming(id);
    if (!t || t->at == incoming_transfer::stage::committing) return false;
    finish(t, errc::cancelled, transfer_end::failed, true, text);
    return true;
}

// ---- the sink ----------------------------------------------------------------------------------

// It waits for an older one with the same key, which has the same file.
inline void transfer_core::open(const incoming& t) {
    for (const auto& [id, other] : incoming_)
        if (other->key == t->key && other->order < t->order) return;
    t->busy = true;
    job(t, [](sink_io& io) { io.kept = io.sink->open(io.error); },
        [this, t] {
            t->at = incoming_transfer::stage::checking;
            check_kept(t);
        });
}
// The digest of what is kept, a piece at a time.
inline void transfer_core::check_kept(const incoming& t) {
    sink_io& io = *t->io;
    if (io.checked == io.kept) {
        t->at = incoming_transfer::stage::open;
        tell(t->machine.prepared(io.kept, io.hash.digest()));
        return step(t);
    }
    t->busy = true;
    job(t,
        [](sink_io& s) {
            byte_vector piece(static_cast<std::size_t>(std::min<std::uint64_t>(check_piece, s.kept - s.checked)));
            const std::size_t n = s.sink->reread(piece, s.error);
            s.hash.update(byte_view(piece).first(n));
            s.checked += n;
            if (n == 0 && !s.error) s.error = errc::transfer_storage;
        },
        [this, t] { check_kept(t); });
}

// The next thing to do for its sink, if it is free.
inline void transfer_core::step(const incoming& t) {
    if (t->busy) return;
    if (t->over) return end_sink(t);
    if (t->at != incoming_transfer::stage::open) return;
    if (t->begin || !t->waiting.empty()) return write(t);
    if (t->machine.complete()) return commit(t);
    if (!t->detached || t->sink_detached) return;
    t->busy = t->sink_detached = true;
    job(t, [](sink_io& io) { io.sink->detach(); }, [] {});
}
inline void transfer_core::write(const incoming& t) {
    const bool begin = std::exchange(t->begin, false);
    const bool attach = std::exchange(t->sink_detached, false);
    t->busy = true;
    job(t,
        [begin, attach, from = t->from, chunks = std::exchange(t->waiting, {})](sink_io& io) {
            io.wrote = 0;
            if (attach && io.sink->attach()) io.error = errc::transfer_interrupted;
            if (!io.error && begin) {
                if (from == 0) io.hash.reset();
                io.error = io.sink->begin(from);
            }
            for (const message& m : chunks) {
                if (io.error) return;
                io.hash.update(m.bytes());
                io.error = io.sink->write(m.bytes());
                io.wrote += m.size();
            }
        },
        [this, t] {
            if (const auto more = t->machine.written(t->io->wrote)) tell(*more);
            callback([&] {
                if (options_.on_progress)
                    options_.on_progress({t->report.id, t->report.name, false, t->machine.written(), t->machine.size()});
            });
            step(t);
        });
}
inline void transfer_core::commit(const incoming& t) {
    const digest128 digest = t->io->hash.digest();
    if (const auto ec = t->machine.judge(digest)) return finish(t, ec, transfer_end::wrong, true);
    t->report.result.digest = digest;
    t->at = incoming_transfer::stage::committing;
    t->busy = true;
    job(t,
        [attach = std::exchange(t->sink_detached, false)](sink_io& io) {
            if (attach && io.sink->attach()) io.error = errc::transfer_interrupted;
            else io.error = io.sink->commit();
        },
        [this, t] {
            tell(transfer::done{t->report.id});
            t->report.place = t->io->sink->place();
            incoming_.erase(t->report.id);
            report(t, {});
        });
}

// ---- the end -----------------------------------------------------------------------------------

inline void transfer_core::finish(const incoming& t, std::error_code why, transfer_end how, bool tell_peer, std::string_view text) {
    // What is being committed will be complete, whatever happens meanwhile.
    if (t->at == incoming_transfer::stage::committing || std::exchange(t->over, true)) return;
    const incoming self = t;
    // A full disk and other errors of the system have no code of their own on the wire.
    const bool full = why == std::errc::no_space_on_device || why == std::errc::file_too_large;
    transfer::reason reason = why.category() == hawser_category() ? transfer::reason_of(why) : transfer::reason::storage;
    if (full) reason = transfer::reason::no_space;
    if (why == errc::transfer_interrupted) reason = transfer::reason::unknown;
    if (tell_peer) tell(transfer::stop{self->report.id, reason, text.empty() && why ? std::string(why.message()) : std::string(text)});
    self->how = how;
    self->waiting.clear();
    self->report.result.text = text;
    report(self, full ? make_error_code(errc::transfer_no_space) : why);
    step(self);
}
inline void transfer_core::end_sink(const incoming& t) {
    t->at = incoming_transfer::stage::ending;
    t->busy = true;
    job(t, [how = t->how](sink_io& io) { io.sink->give_up(how); },
        [this, t] {
            incoming_.erase(t->report.id);
            const auto all = incoming_;
            for (const auto& [id, in] : all)
                if (in->key == t->key && in->at == incoming_transfer::stage::opening && !in->busy && !in->over) open(in);
        });
}
inline void transfer_core::report(const incoming& t, std::error_code why) {
    t->report.error = why;
    t->report.result.bytes = t->machine.written();
    callback([&] {
        if (options_.on_received) options_.on_received(t->report);
    });
}

}  // namespace hawser::inline v0::detail

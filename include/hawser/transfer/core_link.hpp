// SPDX-License-Identifier: BSL-1.0
/// \file
/// The transfers of a socket: what their link tells, jobs, deadlines.
#pragma once

#include <hawser/link/failure.hpp>
#include <hawser/transfer/core.hpp>

#include <type_traits>

namespace hawser::inline v0::detail {

inline transfer_core::transfer_core(driver& d, transfer_options o)
    : driver_(d), options_(std::move(o)), gate_(std::make_shared<strand_gate>(d.executor())) {
    if (!options_.worker) options_.worker = std::make_shared<worker_thread>();
    driver_.enlist(*this);
}
inline transfer_core::~transfer_core() {
    if (is_listed()) driver_.delist(*this);
    gate_->close();
}

inline void transfer_core::stop() {
    if (stopped_) return;
    const auto self = shared_from_this();
    const driver::turn t(driver_);
    while (!waiting_.empty()) finish(outgoing(waiting_.front()), asio::error::operation_aborted);
    while (!active_.empty()) finish(outgoing(active_.front()), asio::error::operation_aborted, {}, true);
    const auto all = incoming_;
    for (const auto& [id, in] : all) finish(in, errc::closed, transfer_end::interrupted, true);
    stopped_ = true;
    forget_callbacks();
}
// With what they hold. Not inside of one of them, which may have destroyed its own object.
inline void transfer_core::forget_callbacks() noexcept {
    if (calling_ > 0) return;
    const auto offer = std::exchange(options_.on_offer, nullptr);
    const auto received = std::exchange(options_.on_received, nullptr);
    const auto progress = std::exchange(options_.on_progress, nullptr);
}

// The io_context is being destroyed, or this is a forked child's copy: nothing is called any more.
inline void transfer_core::abandon() noexcept {
    stopped_ = true;
    gate_->close();
    timer_.cancel();
    const auto carrier = std::move(carrier_);
    auto waiting = std::move(waiting_);
    auto active = std::move(active_);
    const auto in = std::move(incoming_);
    forget_callbacks();
    // A job may hold a transfer for longer than the io_context lives; a handler must not be held so long.
    for (auto* list : {&waiting, &active})
        for (const outgoing& t : *list) const transfer_completion gone(std::move(t->done));
}

// ---- messages ----------------------------------------------------------------------------------

inline std::uint64_t transfer_core::put(const byte_vector& bytes) {
    message m = message::allocate(bytes.size(), message_kind::transfer);
    std::memcpy(m.writable().data(), bytes.data(), bytes.size());
    const std::uint64_t counter = carrier_->send(std::move(m));
    in_flight_.emplace(counter, in_flight{});
    return counter;
}
template <class Message>
void transfer_core::tell(const Message& m) {
    if (!ready()) return;
    transfer::encode(buffer_, m);
    (void)put(buffer_);
}

inline std::error_code transfer_core::on_message(byte_view bytes) {
    const auto self = shared_from_this();
    // Whoever makes this side answer faster than it takes the answers is stopped here.
    if (in_flight_.size() >= max_messages_in_flight) return errc::table_full;
    const auto m = transfer::decode(bytes);
    if (!m) return errc::transfer_protocol;
    std::visit(
        [this](const auto& what) {
            if constexpr (requires { on_sender(what); }) on_sender(what);
            else on_receiver(what);
        },
        *m);
    return {};
}

inline bool transfer_core::on_outcome(std::uint64_t counter, outcome result) {
    const auto found = in_flight_.find(counter);
    if (found == in_flight_.end()) return false;
    const in_flight was = found->second;
    in_flight_.erase(found);
    if (was.chunk == 0) return true;
    chunk_bytes_ -= was.chunk;
    const auto self = shared_from_this();
    if (const outgoing t = find_outgoing(was.id); t && result == outcome::acknowledged) {
        t->acknowledged = was.end;
        t->failures = 0;
        callback([&] {
            if (options_.on_progress) options_.on_progress({t->id, t->what.name, true, was.end, t->machine->size()});
        });
    }
    pump();
    return true;
}

// ---- the link ----------------------------------------------------------------------------------

inline void transfer_core::on_link_open(bool usable, bool resumed) {
    const auto self = shared_from_this();
    open_ = true;
    usable_ = usable;
    if (!resumed || !usable) {
        // Another session: the peer knows nothing of what was.
        const auto all = incoming_;
        for (const auto& [id, in] : all) finish(in, errc::transfer_interrupted, transfer_end::interrupted, false);
        for (const outgoing& t : std::deque(active_)) again(t);
    }
    if (!usable) {
        while (!active_.empty()) finish(outgoing(active_.front()), errc::transfer_unsupported);
        while (!waiting_.empty()) finish(outgoing(waiting_.front()), errc::transfer_unsupported);
        return;
    }
    for (const outgoing& t : active_)
        if (t->deadline != never) t->deadline = add_saturated(driver_.now(), options_.answer_timeout);
    start_waiting();
    for (const outgoing& t : std::deque(active_)) begin_attempt(t);
    const auto all = incoming_;
    for (const auto& [id, in] : all) in->detached = false;
    rearm();
    pump();
}
inline void transfer_core::on_link_detached() {
    open_ = false;
    timer_.cancel();
    const auto self = shared_from_this();
    const auto all = incoming_;
    for (const auto& [id, in] : all) {
        in->detached = true;
        step(in);
    }
}
inline void transfer_core::on_link_closed(std::error_code why) {
    if (closed_) return;
    const auto self = shared_from_this();
    closed_ = why;
    open_ = false;
    timer_.cancel();
    while (!active_.empty()) finish(outgoing(active_.front()), why);
    while (!waiting_.empty()) finish(outgoing(waiting_.front()), why);
    const auto all = incoming_;
    for (const auto& [id, in] : all) finish(in, errc::transfer_interrupted, transfer_end::interrupted, false);
    carrier_.reset();
}

// ---- jobs, callbacks, deadlines ----------------------------------------------------------------

inline void transfer_core::count_job(int n) {
    jobs_ += n;
    gate_->hold(jobs_ > 0);
}
// `blocking` gets source or sink on the worker; then `done` runs on the strand, unless there was an error or
// the transfer is over. The caller has marked it busy.
template <class Transfer, class Blocking, class Done>
void transfer_core::job(const Transfer& t, Blocking blocking, Done done) {
    std::function<void()> work = [gate = gate_, weak = weak_from_this(), t, io = t->io, blocking = std::move(blocking),
                                  then = std::function<void()>(std::move(done))]() mutable {
        io->error = {};
        try {
            blocking(*io);
        } catch (...) {
            io->error = error_of_exception();
        }
        gate->post([weak, t, then, failed = io->error] {
            const auto self = weak.lock();
            if (!self || !self->driver_.alive()) return;
            const driver::turn turn(self->driver_);
            self->count_job(-1);
            self->settle(t, failed, then);
        });
    };
    try {
        options_.worker->submit(std::move(work));
    } catch (...) {
        t->busy = false;
        throw;
    }
    count_job(1);
}
inline void transfer_core::settle(const outgoing& t, std::error_code failed, const std::function<void()>& done) {
    t->busy = false;
    if (t->finished) return t->io.reset();
    if (std::exchange(t->restart, false)) return begin_attempt(t);
    try {
        if (failed && failed != errc::would_block) finish(t, failed, {}, true);
        else done();
    } catch (...) {
        finish(t, error_of_exception(), {}, true);
    }
}
inline void transfer_core::settle(const incoming& t, std::error_code failed, const std::function<void()>& done) {
    t->busy = false;
    if (t->over && t->at != incoming_transfer::stage::ending) return step(t);
    try {
        // Lost to somebody else: the sender is to offer it again.
        const bool lost = failed == errc::transfer_interrupted;
        if (t->at == incoming_transfer::stage::committing && failed) t->at = incoming_transfer::stage::open;
        if (failed && !t->over) finish(t, failed, lost ? transfer_end::interrupted : transfer_end::failed, true);
        else done();
    } catch (...) {
        finish(t, error_of_exception(), transfer_end::failed, true);
    }
}
template <class F>
void transfer_core::callback(F&& f) noexcept {
    if (let_go_.load(std::memory_order_relaxed)) return;
    ++calling_;
    try {
        f();
    } catch (...) {
        if (carrier_) carrier_->callback_threw();
    }
    --calling_;
    if (stopped_) forget_callbacks();
}
inline void transfer_core::rearm() noexcept {
    time_point first = never;
    for (const outgoing& t : active_) first = std::min(first, t->deadline);
    if (first == never || !open_) timer_.cancel();
    else if (!timer_.armed() || first < timer_.deadline()) driver_.arm(timer_, first);
}
inline void transfer_core::on_timer_due(time_point now) {
    const auto self = shared_from_this();
    for (const outgoing& t : std::deque(active_))
        if (!t->finished && t->deadline <= now) finish(t, errc::transfer_timeout, {}, true);
    rearm();
}

}  // namespace hawser::inline v0::detail

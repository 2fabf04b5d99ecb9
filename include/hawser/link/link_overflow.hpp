// SPDX-License-Identifier: BSL-1.0
/// \file
/// Who gets into the queue, what leaves it unsent, and what the application is told of its being full.
#pragma once

#include <hawser/link/link.hpp>

namespace hawser::inline v0::detail {

template <class P>
admitted link<P>::admission(const send_options& how, std::size_t size, std::size_t n) {
    if (is_final()) return {final_error_ ? final_error_ : make_error_code(errc::closed)};
    if (state_ == connection_state::closing) return {errc::closed};
    if (!link_ready_ && options_->feed.offline == offline_sends::refuse) {
        count(counter::queue_rejected);
        return {errc::not_connected};
    }
    if (overflowed_) return {errc::queue_full};
    if (awaits_store()) return {errc::would_block};
    return ask_policy(how, size, n, !anybody_blocked());
}

template <class P>
bool link<P>::fits_in_place(std::size_t freed, std::size_t size) const noexcept {
    return size <= freed || options_->queue.fits(queued_bytes() - freed, queued_messages() - 1, size);
}

// The older one with this key would come behind the newer one.
template <class P>
bool link<P>::is_blocked(std::string_view coalesce_key) noexcept {
    for (std::size_t i = 0; i < extras_->blocked.size(); ++i)
        if (extras_->blocked[i].what.how.coalesce_key == coalesce_key) return true;
    return false;
}

// What replaces a message is weighed against the queue without that one.
template <class P>
admitted link<P>::ask_policy(const send_options& how, std::size_t size, std::size_t n, bool its_turn) {
    for (;;) {
        std::optional<std::size_t> freed;
        if (session_ && !how.coalesce_key.empty() && (its_turn || !is_blocked(how.coalesce_key)))
            freed = session_->out().intake().replaceable(how.coalesce_key);
        if (!its_turn && !freed) return {errc::would_block};
        const bool was_paused = overflow_.paused();
        const auto action = overflow_.on_enqueue(queued_bytes() - freed.value_or(0), queued_messages() + n - (freed ? 2 : 1), size);
        if (action != overflow_action::accept) pressed_ = true;
        if (!was_paused && overflow_.paused()) count(counter::queue_paused);
        if (!anybody_blocked()) driver_.defer(*this);
        switch (action) {
        case overflow_action::accept:
            // Nobody overtakes.
            return {its_turn ? std::error_code() : make_error_code(errc::would_block)};
        case overflow_action::coalesce:
            if (freed && fits_in_place(*freed, size)) return {};
            return {errc::would_block};
        case overflow_action::wait: return {errc::would_block};
        case overflow_action::drop_newest: return {{}, true};
        case overflow_action::drop_oldest:
            if (make_room(how, size, n)) continue;
            break;
        case overflow_action::close: overflowed_ = true; break;
        case overflow_action::reject: break;
        }
        count(counter::queue_rejected);
        return {errc::queue_full};
    }
}

// One message goes, if in the end there will be room.
template <class P>
bool link<P>::make_room(const send_options& how, std::size_t size, std::size_t n) {
    if (!session_) return false;
    auto& intake = session_->out().intake();
    const auto [messages, bytes] = intake.droppable_for(how.priority);
    if (!options_->queue.fits(queued_bytes() - bytes, queued_messages() - messages + n - 1, size)) return false;
    return intake.drop_for(how.priority);
}

// What could never fit would wait for ever.
template <class P>
std::error_code link<P>::batch_fault(std::span<const message> bodies, const send_options& how) const noexcept {
    const auto& limits = options_->queue;
    const bool possible = bodies.size() <= limits.max_messages && submission::footprint(bodies, how) <= limits.high_watermark;
    if (bodies.empty() || !how.valid() || !how.coalesce_key.empty() || (!possible && bodies.size() > 1)) return errc::invalid_argument;
    return {};
}

template <class P>
void link<P>::admit_blocked() {
    if (awaits_store()) return;
    if (overflow_.paused() && !overflow_.on_drained(queued_bytes(), queued_messages())) return;
    while (anybody_blocked() && !is_final() && !overflowed_) {
        blocked_send& b = extras_.make().blocked.front();
        const admitted a = ask_policy(b.what.how, b.what.footprint(), b.what.count(), true);
        if (a.error == errc::would_block) return;
        // Who waited for the store is refused as if the store had been there.
        if (a.error) {
            extras_.make().blocked.pop_front().complete(a.error, outcome::refused);
            continue;
        }
        if (b.send) put_awaited(b.what, b.send, b.serial, a.dropped);
        else put_accepted(b.what, b.enqueue, b.batch, b.serial, a.dropped);
        (void)extras_.make().blocked.pop_front();
    }
    if (overflowed_) driver_.defer(*this);
}

// Whether small messages go on waiting for others.
template <class P>
bool link<P>::gathering() noexcept {
    if (options_->gather_delay <= milliseconds{0} || state_ == connection_state::closing || gather_over_) return false;
    if (queued_messages() == 0) return false;
    if (!session_->out().intake().queue().small_and_patient(options_->gather_bytes)) {
        gather_until_ = never;
        return false;
    }
    if (gather_until_ == never) gather_until_ = add_saturated(driver_.now(), options_->gather_delay);
    return true;
}

template <class P>
void link<P>::expire_waiting() {
    if (!session_ || is_final()) return;
    const time_point now = driver_.now();
    if constexpr (requires { overflow_.on_aged(); })
        if (session_->out().intake().has_aged(now) && overflow_.on_aged() == overflow_action::close)
            return finish(connection_state::failed, errc::queue_full, {});
    session_->out().expire(now);
}

// A pause is told before its resume, and each once. What ends the socket ends its pause.
template <class P>
void link<P>::tell_pressure(bool after_writing) {
    const auto tell = [this](bool paused) {
        told_pressed_ = paused;
        if (!extras_->on_backpressure || orphaned) return;
        try {
            extras_->on_backpressure(paused);
        } catch (...) {
            handler_threw("on_backpressure_threw");
        }
    };
    if (!pressed_ || is_final()) return;
    if (!told_pressed_) tell(true);
    if (!after_writing || orphaned) return;
    if (queued_bytes() > options_->queue.low_watermark || queued_messages() > options_->queue.max_messages / 2) return;
    pressed_ = false;
    tell(false);
}

}  // namespace hawser::inline v0::detail

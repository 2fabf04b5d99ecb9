// SPDX-License-Identifier: BSL-1.0
/// \file
/// What cancelling does to a message and to each operation that waits.
#pragma once

#include <hawser/link/link.hpp>

namespace hawser::inline v0::detail {

template <class P>
bool link<P>::cancel_one(ring<waiting_operation>& list, std::uint64_t serial, bool total) {
    bool found = false;
    for (std::size_t n = list.size(); n > 0; --n) {
        waiting_operation w = list.pop_front();
        const bool meant = w.serial == serial;
        found = found || meant;
        if (meant && !(total && w.has_effects)) w.done(asio::error::operation_aborted);
        else (void)list.push_back(std::move(w));
    }
    return found;
}

template <class P>
bool link<P>::cancel_message(ticket t) {
    if (!session_ || !session_->out().cancel(t.counter)) return false;
    driver_.defer(*this);
    return true;
}

// All or none of a batch.
template <class P>
bool link<P>::cancel_together(const ticket_range& tickets) {
    for (std::size_t i = 0; i < tickets.count; ++i)
        if (!session_ || !session_->out().find_cancellable(tickets[i].counter)) return false;
    for (std::size_t i = 0; i < tickets.count; ++i) (void)cancel_message(tickets[i]);
    return tickets.count > 0;
}

template <class P>
bool link<P>::cancel_operation(std::uint64_t serial, asio::cancellation_type how) {
    const bool total = is_total(how);
    if (receiver_ && receive_serial_ == serial) {
        receiver_(asio::error::operation_aborted, message{});
        return true;
    }
    if (extras_) {
        link_extras& e = extras_.make();
        for (auto* list : {&e.openers, &e.loaders, &e.closers, &e.writers})
            if (cancel_one(*list, serial, total)) return true;
        if (cancel_blocked(serial) || cancel_accepted(serial, total)) return true;
    }
    return cancel_waiter(serial, total);
}

template <class P>
bool link<P>::cancel_blocked(std::uint64_t serial) {
    bool found = false;
    for (std::size_t n = extras_->blocked.size(); n > 0; --n) {
        blocked_send b = extras_.make().blocked.pop_front();
        if (b.serial != serial) {
            (void)extras_.make().blocked.push_back(std::move(b));
            continue;
        }
        found = true;
        b.complete(errc::cancelled, outcome::cancelled);
        driver_.defer(*this);
    }
    return found;
}

template <class P>
bool link<P>::cancel_accepted(std::uint64_t serial, bool total) {
    for (std::size_t i = 0; i < extras_->accepted.size(); ++i) {
        accepted_enqueue& a = extras_.make().accepted[i];
        if (a.serial != serial || !a.waits()) continue;
        const bool withdrawn = cancel_together(a.tickets);
        if (withdrawn || !total) a.complete(withdrawn ? errc::cancelled : errc::detached, true);
        return true;
    }
    return false;
}

template <class P>
bool link<P>::cancel_waiter(std::uint64_t serial, bool total) {
    if (!session_) return false;
    std::uint64_t counter = 0;
    bool sent_it = false;
    send_completion done;
    // Looks at the waiter, or takes it out.
    const auto find = [&](bool take) {
        session_->out().find_if([&](auto& e) {
            for (auto* at = &e.waiters; *at; at = &(*at)->next) {
                auto& waiter = static_cast<send_waiter&>(**at);
                if (waiter.serial != serial) continue;
                counter = e.counter;
                sent_it = waiter.sent_it;
                if (!take) return true;
                done = std::move(waiter.done);
                auto rest = std::move(waiter.next);
                *at = std::move(rest);
                return true;
            }
            return false;
        });
    };
    find(false);
    if (counter == 0) return false;
    // Only the operation that sent the message may withdraw it, and only unwritten.
    const bool withdrawn = sent_it && cancel_message({counter});
    if (sent_it && !withdrawn && total) return true;
    find(true);
    if (withdrawn) done(errc::cancelled, outcome::cancelled);
    else done(errc::detached, outcome::pending);
    return true;
}

}  // namespace hawser::inline v0::detail

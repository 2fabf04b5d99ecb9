// SPDX-License-Identifier: BSL-1.0
/// \file
/// The planned end of a server: each client is told its own moment, and nobody new comes in.
#pragma once

#include <hawser/policy/random.hpp>
#include <hawser/server/listener_core.hpp>

#include <new>
#include <vector>

namespace hawser::inline v0::detail {

template <class P>
void listener_core<P>::drain(std::uint64_t serial, const drain_options& how, plain_completion done) {
    const driver::turn t(driver_);
    if (closed_) return done(orphaned_ ? asio::error::operation_aborted : make_error_code(errc::closed));
    if (!how.problems().empty()) return done(errc::invalid_argument);
    if (draining_until_ != never) return done(errc::operation_in_progress);
    std::vector<link_ptr> all;
    all.reserve(link_count_);
    drainers_.reserve_one();
    (void)drainers_.push_back({serial, std::move(done)});
    draining_until_ = add_saturated(driver_.now(), how.window);
    for (link<P>* l = links_; l; l = l->host_next) all.push_back(l->shared_from_this());
    splitmix64 draw(random_seed(driver_));
    const auto room = static_cast<double>((how.window - how.first).count());
    for (std::size_t i = 0; i < all.size(); ++i) {
        // Each has a slot of its own, and a random moment in it.
        const double slot = (static_cast<double>(i) + static_cast<double>(draw() >> 11) * 0x1p-53) / static_cast<double>(all.size());
        part_with(*all[i], {how.reason, how.first + milliseconds(static_cast<milliseconds::rep>(room * slot)), how.window, how.target});
    }
    driver_.defer(*this);
}

template <class P>
void listener_core<P>::part_with(link<P>& l, const departure_plan& plan) {
    // Its client could not come back here.
    if (l.ends_without_host()) return expire_now(l);
    try {
        l.ask_to_leave(plan);
    } catch (const std::bad_alloc&) {
        // It is not told, and ended at its moment.
    }
}

template <class P>
void listener_core<P>::expire_now(link<P>& l) {
    if (!l.record) return;
    table_.detach(*l.record, driver_.now());
    driver_.arm(sweep_, driver_.now());
}

// They all come back when it is over, not in the same second.
template <class P>
seconds listener_core<P>::retry_after_drain() {
    const auto left = std::chrono::ceil<seconds>(std::max<duration>(draining_until_ - driver_.now(), duration{0}));
    const auto spread = static_cast<std::uint64_t>(options_.retry_after.count()) + 1;
    return left + seconds(static_cast<seconds::rep>(1 + random_seed(driver_) % spread));
}

}  // namespace hawser::inline v0::detail

// SPDX-License-Identifier: BSL-1.0
/// \file
/// What a dialling socket keeps for `options::feed`, across its connections.
#pragma once

#include <hawser/core/message.hpp>
#include <hawser/core/ring.hpp>
#include <hawser/options.hpp>
#include <hawser/policy/content_id.hpp>
#include <hawser/policy/feed_watch.hpp>
#include <hawser/policy/subscription.hpp>

#include <algorithm>
#include <optional>

namespace hawser::inline v0::detail {

/// Thread safety: none.
template <class P>
struct feed_state {
    feed_state(const options& o, std::uint64_t random)
        : seed(o.dedup.hash_seed == 0 ? random : o.dedup.hash_seed), seen(seeded(o.dedup, seed)),
          watch(o.feed.stale_after), answer(o.feed.confirmations, o.feed.confirm_timeout) {}

    [[nodiscard]] time_point deadline() const noexcept { return std::min(watch.deadline(), answer.deadline()); }
    /// The connection is gone, with what came before its subscription was confirmed.
    void stop() {
        watch.stop();
        answer.stop();
        early.clear();
        early_bytes = 0;
    }
    /// Whether a message of this key was here already; it is held from now on. Without memory it is not.
    [[nodiscard]] bool seen_before(const message_id& key, time_point now) {
        try {
            return seen.insert(key, now) == dedup_result::duplicate;
        } catch (const std::bad_alloc&) {
            return false;
        }
    }

    std::uint64_t seed;
    typename P::dedup seen;
    feed_watch watch;
    subscription answer;
    ring<message> early;  // kept until the subscription is confirmed
    std::size_t early_bytes = 0;

private:
    [[nodiscard]] static dedup_options seeded(dedup_options o, std::uint64_t seed) noexcept {
        o.hash_seed = seed;
        return o;
    }
};

}  // namespace hawser::inline v0::detail

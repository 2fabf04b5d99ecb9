// SPDX-License-Identifier: BSL-1.0
/// \file
/// A session goes on in another process.
#pragma once

#include <hawser/core/planted.hpp>
#include <hawser/protocol/session/endpoint.hpp>

namespace hawser::inline v0 {
namespace session {

// Credit is not restored: the peer states it again when a link attaches.
inline std::error_code endpoint::restore(store_image image, time_point now) {
    options_.origin = image.origin;
    options_.boot = planted(bug::boot_stands_still) ? 1 : image.boot;
    session_state s;
    const bool alive = image.phase == epoch_phase::alive;
    if (alive && !decode(image.state, s)) return errc::store_corrupt;
    if (!alive) image.accepted = image.accepted_bytes = image.assigned = image.assigned_bytes = 0;
    if (auto ec = out_.restore(image, s.id_base, now)) return ec;
    if (!alive) return {};
    options_.origin = s.origin;
    peer_origin_ = s.peer_origin;
    peer_id_base_ = s.peer_id_base;
    peer_durable_ = s.peer_durable;
    peer_dedup_kept_ = s.peer_dedup_kept;
    features_ = s.features;
    token_ = s.token;
    epoch_ = image.epoch;
    set_peer_limit(s.peer_max_message);
    has_epoch_ = true;
    agree_on_parts();
    ++epoch_serial_;
    log_.begin_epoch(epoch_);
    const exception_view exceptions(as_bytes(image.exceptions));
    const std::uint64_t accepted = planted(bug::position_not_restored) ? 0 : image.accepted;
    if (!in_.restore(accepted, image.accepted_bytes, exceptions, speaks(feature::exceptions))) return errc::store_corrupt;
    return {};
}

}  // namespace session
}  // namespace hawser::inline v0

// SPDX-License-Identifier: BSL-1.0
/// \file
/// What a store gives back: the sum of the records of a session (see journal.hpp).
#pragma once

#include <hawser/core/send_options.hpp>
#include <hawser/core/message.hpp>
#include <hawser/protocol/session/frame.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace hawser::inline v0 {

/// A message of the outbox: accepted for sending, its outcome not durable yet.
struct stored_message {
    std::uint64_t counter = 0;  ///< of its id
    std::uint64_t seq = 0;      ///< its number in the present epoch; 0: it waits
    std::uint64_t bytes = 0;    ///< of `assigned`: payload of the epoch up to and with it
    bool written = false;       ///< it had a number once, in this epoch or an earlier one
    message body{};             ///< the payload, with its kind
    std::string key{};          ///< idempotency key
    std::string coalesce_key{};
    milliseconds ttl{0};        ///< begins anew with the process; 0: without a limit
    message_priority priority = message_priority::normal;
};

/// What became of the epoch of a stream.
enum class epoch_phase : std::uint8_t { none = 0, alive = 1, ended = 2 };

/// What a store gives back of a stream: the sum of its records.
struct store_image {
    session::origin_id origin{};        ///< who makes messages here, part of their ids
    std::uint32_t boot = 1;             ///< counts the loads of the stream; this one is in it
    std::uint64_t next_counter = 1;     ///< one above the highest counter ever enqueued
    epoch_phase phase = epoch_phase::none;  ///< of the newest epoch
    session::epoch_id epoch{};          ///< the newest
    std::string state{};                ///< of the newest `epoch_begun`; opaque to the store
    std::uint64_t accepted = 0;         ///< receive position of the epoch
    std::uint64_t accepted_bytes = 0;   ///< as told with it
    std::string exceptions{};           ///< as told with it; opaque to the store
    std::uint64_t assigned = 0;         ///< highest number given in the epoch
    std::uint64_t assigned_bytes = 0;   ///< as told with it
    bool has_position = false;          ///< ended: with a position for late RESUMEs, which is `accepted`
    std::vector<stored_message> outbox{};  ///< in the order of their counters
};

/// What `list` tells of a stream: enough to answer for it, without its messages.
struct stored_session {
    std::string name{};       ///< of the stream
    epoch_phase phase = epoch_phase::none;  ///< as in `store_image`
    session::epoch_id epoch{};         ///< as in `store_image`
    std::string state{};               ///< as in `store_image`
    std::uint64_t accepted = 0;        ///< as in `store_image`
    bool has_position = false;         ///< as in `store_image`
    std::uint64_t messages = 0;        ///< in its outbox
    std::string exceptions{};          ///< as in `store_image`
};

}  // namespace hawser::inline v0

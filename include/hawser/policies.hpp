// SPDX-License-Identifier: BSL-1.0
/// \file
/// The set of policies of a socket: derive from `default_policies` and override what you need.
#pragma once

#include <hawser/policy/backoff.hpp>
#include <hawser/policy/circuit_breaker.hpp>
#include <hawser/policy/dedup_cache.hpp>
#include <hawser/policy/heartbeat.hpp>
#include <hawser/policy/logger.hpp>
#include <hawser/policy/metrics.hpp>
#include <hawser/policy/overflow.hpp>
#include <hawser/store/memory_store.hpp>
#include <hawser/transport/any_transport.hpp>

namespace hawser::inline v0 {

/// `struct my_policies : hawser::default_policies { using metrics = hawser::counting_metrics; };`
struct default_policies {
    using transport = any_transport;                     ///< how a connection to a URL is made
    using reconnect = exponential_backoff<full_jitter>;  ///< when to dial again
    using breaker = shared_circuit_breaker;              ///< whether to dial at all
    using heartbeat = interval_heartbeat;                ///< how a dead connection is found
    using overflow = blocking_overflow;                  ///< what happens when the queue is full
    using dedup = xxhash_dedup_cache<>;                  ///< which messages were had before
    using metrics = no_metrics;                          ///< where things are counted
    using logger = no_log;                               ///< where things are told
    using store = memory_store;                          ///< where a session is kept
};

template <class P>
concept socket_policies =
    transport_policy<typename P::transport> && reconnect_policy<typename P::reconnect> &&
    breaker_policy<typename P::breaker> && heartbeat_policy<typename P::heartbeat> &&
    overflow_policy<typename P::overflow> && dedup_policy<typename P::dedup> &&
    metrics_policy<typename P::metrics> && log_policy<typename P::logger> && message_store<typename P::store>;

/// The policies that are objects of yours: handles which several sockets may share. What is
/// left out is made from the options (breaker) or default-constructed.
template <class P>
struct policy_objects {
    std::optional<typename P::breaker> breaker{};             ///< of the endpoint; absent: one of the socket's own
    [[no_unique_address]] typename P::metrics metrics{};      ///< copies count into one place
    [[no_unique_address]] typename P::logger logger{};        ///< copies tell one sink
    [[no_unique_address]] typename P::store store{};          ///< opened once per socket
    [[no_unique_address]] typename P::transport transport{};  ///< dials each connection
};

static_assert(socket_policies<default_policies>);

}  // namespace hawser::inline v0

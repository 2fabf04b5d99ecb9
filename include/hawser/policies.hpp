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
    using transport = any_transport;
    using reconnect = exponential_backoff<full_jitter>;
    using breaker = shared_circuit_breaker;
    using heartbeat = interval_heartbeat;
    using overflow = blocking_overflow;
    using dedup = xxhash_dedup_cache<>;
    using metrics = no_metrics;
    using logger = no_log;
    using store = memory_store;
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
    std::optional<typename P::breaker> breaker{};
    [[no_unique_address]] typename P::metrics metrics{};
    [[no_unique_address]] typename P::logger logger{};
    [[no_unique_address]] typename P::store store{};
    [[no_unique_address]] typename P::transport transport{};
};

static_assert(socket_policies<default_policies>);

}  // namespace hawser::inline v0

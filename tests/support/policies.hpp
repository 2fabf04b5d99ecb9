// SPDX-License-Identifier: BSL-1.0
// The sets of policies that several test files use. Each is instantiated once, in instances/, as a socket and its
// listener take a compiler half a minute.
#pragma once

#include "support/delaying_store.hpp"

#include <hawser/custom_policies.hpp>
#include <hawser/hawser.hpp>

namespace support {

// What happens is counted, and logged where a test asks for it.
struct watched : hawser::default_policies {
    using metrics = hawser::counting_metrics;
    using logger = hawser::callback_log;
};
// A store that is slow, keeps its records, and may fail.
struct stored : hawser::default_policies {
    using store = delaying_store;
};

}  // namespace support

#define SUPPORT_INSTANCES(how, policies)                \
    how template class detail::link<policies>;          \
    how template class detail::listener_core<policies>; \
    how template class resilient_socket<policies>;      \
    how template class listener<policies>

namespace hawser::inline v0 {
#if !defined(HAWSER_SEPARATE_COMPILATION)
SUPPORT_INSTANCES(extern, default_policies);
#endif
SUPPORT_INSTANCES(extern, support::watched);
SUPPORT_INSTANCES(extern, support::stored);
}  // namespace hawser::inline v0

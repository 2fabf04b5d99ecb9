// SPDX-License-Identifier: BSL-1.0
// A listener with policies of one's own, and no socket of it, for the compiled library, without the header that defines its members.
#include <hawser/hawser.hpp>

struct mine : hawser::default_policies {
    using metrics = hawser::counting_metrics;
};

std::uint16_t use(const hawser::listener<mine>& listener) { return listener.port(); }

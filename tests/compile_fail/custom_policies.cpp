// SPDX-License-Identifier: BSL-1.0
// A socket with policies of one's own, for the compiled library, without the header that defines its members.
#include <hawser/hawser.hpp>

struct mine : hawser::default_policies {
    using metrics = hawser::counting_metrics;
};

void use(asio::io_context& context) { hawser::resilient_socket<mine> socket(context); }

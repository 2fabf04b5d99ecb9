// SPDX-License-Identifier: BSL-1.0
#define SIM_SOCKETS_HERE
#include "policies.hpp"

namespace hawser::inline v0 {
template class detail::link<sim::policies>;
template class detail::listener_core<sim::policies>;
template class resilient_socket<sim::policies>;
template class listener<sim::policies>;
}  // namespace hawser::inline v0

// SPDX-License-Identifier: BSL-1.0
#include "support/policies.hpp"

namespace hawser::inline v0 {
SUPPORT_INSTANCES(, support::stored);
}

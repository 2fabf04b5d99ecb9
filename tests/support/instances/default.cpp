// SPDX-License-Identifier: BSL-1.0
#include "support/policies.hpp"

// The compiled library has these.
#if !defined(HAWSER_SEPARATE_COMPILATION)
namespace hawser::inline v0 {
SUPPORT_INSTANCES(, default_policies);
}
#endif

// SPDX-License-Identifier: BSL-1.0
/// \file
/// Everything.
#pragma once

#include <hawser/core/error_cause.hpp>
#include <hawser/options.hpp>
#include <hawser/policies.hpp>
#include <hawser/resilient_socket.hpp>
#include <hawser/sender.hpp>
#include <hawser/server/listener.hpp>

#if defined(HAWSER_SEPARATE_COMPILATION)
namespace hawser::inline v0 {
// Compiled in src/hawser.cpp.
extern template class detail::link<default_policies>;
extern template class detail::listener_core<default_policies>;
extern template class resilient_socket<default_policies>;
extern template class listener<default_policies>;
}  // namespace hawser::inline v0
#endif

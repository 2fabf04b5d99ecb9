// SPDX-License-Identifier: BSL-1.0
/// \file
/// Sockets and listeners with policies of your own, where hawser is a compiled library. That has those with
/// `default_policies`, and <hawser/hawser.hpp> then only declares what they are made of; a file that uses
/// `resilient_socket<my_policies>` includes this header, too, before it does. Header-only it may be included and adds nothing.
#pragma once

#include <hawser/hawser.hpp>
#include <hawser/link/socket_members.hpp>
#include <hawser/server/listener_members.hpp>

namespace hawser::inline v0::detail {

template <class P>
struct policy_definitions {};

}  // namespace hawser::inline v0::detail

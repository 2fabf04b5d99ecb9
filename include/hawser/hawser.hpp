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

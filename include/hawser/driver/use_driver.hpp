// SPDX-License-Identifier: BSL-1.0
/// \file
/// The driver of an io_context, made when there is none yet.
#pragma once

#include <hawser/driver/driver_service.hpp>

// Compiled for a library of its own, no user's file has to read the drivers themselves.
#if !defined(HAWSER_SEPARATE_COMPILATION)
#include <hawser/driver/make_driver.hpp>
#endif

#include <asio/io_context.hpp>

namespace hawser::inline v0 {

/// The driver of `context`. When there is none yet, one is made: `epoll_driver` on Linux, `asio_driver`
/// elsewhere. `install_driver<asio_driver>(context)` chooses the portable one.
/// Thread safety: may be called from any thread.
#if defined(HAWSER_SEPARATE_COMPILATION)
[[nodiscard]] driver& use_driver(asio::io_context& context);
#else
[[nodiscard]] inline driver& use_driver(asio::io_context& context) { return detail::find_or_make_driver(context); }
#endif

}  // namespace hawser::inline v0

// SPDX-License-Identifier: BSL-1.0
/// \file
/// permessage-deflate (RFC 7692) on zlib, for `options::compression`. Link with zlib: the CMake component
/// `hawser::deflate`.
#pragma once

#include <hawser/core/config.hpp>
#include <hawser/core/option_error.hpp>
#include <hawser/protocol/ws/compression.hpp>
#include <hawser/protocol/ws/deflate_terms.hpp>

#include <memory>

namespace hawser::inline v0 {

/// Compression for `options::compression` of sockets and listeners; any number of them share it, on any
/// threads. Throws `option_error` if an option is wrong, and `std::bad_alloc`.
///
/// Measures once what zlib allocates, which takes less than a millisecond: so make one and keep it.
[[nodiscard]] HAWSER_COMPILED_ONCE std::shared_ptr<const ws::compression> deflate(const deflate_options& settings = {});

}  // namespace hawser::inline v0

#if !defined(HAWSER_SEPARATE_COMPILATION)
#include <hawser/deflate_members.hpp>
#endif

// SPDX-License-Identifier: BSL-1.0
/// \file
/// permessage-deflate (RFC 7692) on zlib, for `options::compression`. Link with zlib: the CMake component
/// `hawser::deflate`.
#pragma once

#include <hawser/core/option_error.hpp>
#include <hawser/policy/check.hpp>
#include <hawser/protocol/ws/deflate_codec.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace hawser::inline v0 {

inline std::vector<std::string> deflate_options::problems() const {
    std::vector<std::string> found;
    detail::check_range(found, "", "level", level, 1, 9);
    detail::check_range(found, "", "memory_level", memory_level, 1, 9);
    detail::check_range(found, "", "window_bits", window_bits, 9, 15);
    detail::check_range(found, "", "peer_window_bits", peer_window_bits, 9, 15);
    detail::check_range(found, "", "min_size", min_size, std::size_t{1}, std::size_t{1} << 30);
    return found;
}

/// Compression for `options::compression` of sockets and listeners; any number of them share it, on any
/// threads. Throws `option_error` if an option is wrong, and `std::bad_alloc`.
///
/// Measures once what zlib allocates, which takes less than a millisecond: so make one and keep it.
[[nodiscard]] inline std::shared_ptr<const ws::compression> deflate(const deflate_options& settings = {}) {
    if (auto problems = settings.problems(); !problems.empty()) throw option_error(std::move(problems));
    return std::make_shared<const ws::deflate_compression>(settings);
}

}  // namespace hawser::inline v0

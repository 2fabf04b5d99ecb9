// SPDX-License-Identifier: BSL-1.0
/// \file
/// What <hawser/deflate.hpp> declares. The compiled component `hawser::deflate` has it.
#pragma once

#include <hawser/core/option_error.hpp>
#include <hawser/deflate.hpp>
#include <hawser/policy/check.hpp>
#include <hawser/protocol/ws/deflate_codec.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace hawser::inline v0 {

HAWSER_COMPILED_ONCE std::vector<std::string> deflate_options::problems() const {
    std::vector<std::string> found;
    detail::check_range(found, "", "level", level, 1, 9);
    detail::check_range(found, "", "memory_level", memory_level, 1, 9);
    detail::check_range(found, "", "window_bits", window_bits, 9, 15);
    detail::check_range(found, "", "peer_window_bits", peer_window_bits, 9, 15);
    detail::check_range(found, "", "min_size", min_size, std::size_t{1}, std::size_t{1} << 30);
    return found;
}

HAWSER_COMPILED_ONCE std::shared_ptr<const ws::compression> deflate(const deflate_options& settings) {
    if (auto problems = settings.problems(); !problems.empty()) throw option_error(std::move(problems));
    return std::make_shared<const ws::deflate_compression>(settings);
}

}  // namespace hawser::inline v0

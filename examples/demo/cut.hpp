// SPDX-License-Identifier: BSL-1.0
// Where a link can be cut, and how.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace demo {

/// By what was on the wire in that moment; the first that fits.
enum class cut_class : std::uint8_t {
    in_handshake,          ///< from the TCP connect on: no WELCOME has passed, and no RESUME
    during_resume,         ///< RESUME has passed, its answer has not
    in_frame,              ///< a part of a frame has passed, the rest never will
    between_data_and_ack,  ///< DATA has passed, its acknowledgement has not
    other,                 ///< an open link on which nothing is under way
};
inline constexpr std::array<std::string_view, 5> cut_class_names{"in_handshake", "during_resume", "in_frame",
                                                                 "between_data_and_ack", "other"};

enum class cut_kind : std::uint8_t {
    reset,      ///< RST to both sides
    close,      ///< FIN to both sides
    half_open,  ///< one or both directions fall silent, the sockets stay
    stall,      ///< nothing passes for 50 to 400 ms, then RST
};
inline constexpr std::array<std::string_view, 4> cut_kind_names{"reset", "close", "half_open", "stall"};

}  // namespace demo

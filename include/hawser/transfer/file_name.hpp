// SPDX-License-Identifier: BSL-1.0
/// \file
/// Which names of a peer's may become names of files.
#pragma once

#include <hawser/protocol/ws/utf8.hpp>
#include <hawser/transfer/message.hpp>

#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>

namespace hawser::inline v0 {

/// Longest name of a received file, bytes: the temporary file's is longer, and 255 is the limit of most systems.
inline constexpr std::size_t max_file_name_size = 200;

/// Whether a name may become the name of a file in a folder, on any system: empty, or what is wrong with it. Names are
/// refused, never altered, so that a name means the same on both sides.
[[nodiscard]] inline std::string_view file_name_problem(std::string_view name) {
    if (name.empty()) return "the name is empty";
    if (name.size() > max_file_name_size) return "the name is longer than 200 bytes";
    if (name.front() == '.') return "the name begins with a dot";
    if (name.back() == '.' || name.back() == ' ') return "the name ends with a dot or a space";
    for (const char c : name) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return "the name has a control character";
        if (std::string_view("/\\:*?\"<>|").find(c) != std::string_view::npos) return "the name has one of / \\ : * ? \" < > |";
    }
    if (!ws::is_utf8(as_bytes(name))) return "the name is not UTF-8";
    std::string stem(name.substr(0, name.find('.')));
    std::transform(stem.begin(), stem.end(), stem.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    const bool numbered = stem.size() == 4 && stem[3] >= '0' && stem[3] <= '9' && (stem.starts_with("COM") || stem.starts_with("LPT"));
    if (numbered || stem == "CON" || stem == "PRN" || stem == "AUX" || stem == "NUL") return "the name is reserved for a device";
    return {};
}

}  // namespace hawser::inline v0

// SPDX-License-Identifier: BSL-1.0
// The real input of a run, cut into pieces, and the messages that carry them.
#pragma once

#include "files.hpp"
#include "settings.hpp"

#include <hawser/core/message.hpp>
#include <hawser/core/xxh3.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace demo {

/// In front of the piece in each message.
struct message_head {
    std::uint32_t number = 0;  ///< 1, 2, 3, ... per sender
    std::uint32_t sender = 0;  ///< `sender_id`
    std::uint64_t length = 0;  ///< of the piece
    std::uint64_t digest = 0;  ///< XXH3-64 of the piece
};

/// A snapshot of the input, made once per run: all processes read the same bytes, also while
/// somebody edits the originals.
class input {
public:
    static constexpr std::size_t max_piece = 16 * 1024;
    static constexpr std::size_t max_bytes = 32 * 1024 * 1024;

    /// Takes the snapshot that `make_snapshot` left in the directory.
    explicit input(const settings& s);

    /// The piece of a sender's message; numbers go on from the start when the input is short.
    [[nodiscard]] bytes_view piece(std::uint32_t sender, std::uint32_t number) const noexcept;
    [[nodiscard]] message_head head(std::uint32_t sender, std::uint32_t number) const noexcept;
    [[nodiscard]] hawser::message message(std::uint32_t sender, std::uint32_t number) const;

private:
    std::vector<std::byte> bytes_;
    std::vector<std::uint32_t> starts_;  // of the pieces, and the end
    std::uint32_t messages_;
};

/// What was read for a snapshot.
struct snapshot_size {
    std::size_t files = 0, bytes = 0, pieces = 0;
};

/// Reads a file, or a folder's files without hidden and build folders, and cuts each into pieces
/// of 1 byte to 16 KiB. Throws std::invalid_argument with a sentence about `path`.
snapshot_size make_snapshot(const settings& s, const std::string& path);

/// The project's own folder: the nearest one above the executable with include/hawser/hawser.hpp;
/// empty if there is none.
[[nodiscard]] std::string find_project();

}  // namespace demo

// SPDX-License-Identifier: BSL-1.0
/// \file
/// Options of the SQLite store.
#pragma once

#include <hawser/core/time.hpp>

#include <cstddef>
#include <functional>
#include <string>
#include <system_error>
#include <vector>

namespace hawser::inline v0 {

class sqlite_transaction;

/// Options of `sqlite_store`.
struct sqlite_options {
    /// Path in UTF-8; made where it is missing. SQLite's files `-wal` and `-journal` are beside it.
    std::string file{};
    /// Name of a VFS that is registered with SQLite; empty: SQLite's default.
    std::string vfs{};
    /// How long opening waits for another process to let go of the file, 0 to 60 s; then `errc::locked`.
    milliseconds lock_wait{0};
    /// Bytes of records that wait for the thread, of all sockets, 64 KiB to 1 TiB. A commit beyond it fails, and its socket with
    /// `errc::queue_full`; what was stored before goes on with the next socket. What a socket can have waiting is bounded by
    /// its queue already.
    std::size_t max_queued_bytes = std::size_t{256} << 20;
    /// Bytes of records in one transaction, 1 byte to 1 GiB; one commit always goes.
    std::size_t max_group_bytes = std::size_t{4} << 20;
    /// The write-ahead log is copied into the file, and begun anew, when it is larger; 64 KiB to 1 GiB.
    std::size_t checkpoint_bytes = std::size_t{4} << 20;
    /// Runs in a transaction of its own on the store's thread when the file is open, before anything else: for the
    /// application's own tables. An error fails the store.
    std::function<std::error_code(sqlite_transaction&)> on_open{};
    /// Runs the store's work, one piece at a time and in order, never inside the call that it is given by. Null:
    /// a thread of its own. For tests that run it in step. What is withdrawn must be destroyed, not kept.
    std::function<void(std::function<void()>)> executor{};

    /// All problems, one sentence each, naming the option, its value and what is allowed.
    [[nodiscard]] std::vector<std::string> problems() const;
};

}  // namespace hawser::inline v0

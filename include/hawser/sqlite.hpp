// SPDX-License-Identifier: BSL-1.0
/// \file
/// Sessions that survive their process, in a file of SQLite. Link with SQLite: the CMake component
/// `hawser::sqlite`.
#pragma once

#include <hawser/core/option_error.hpp>
#include <hawser/policy/check.hpp>
#include <hawser/store/sqlite_open.hpp>
#include <hawser/store/sqlite_options.hpp>
#include <hawser/store/store.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hawser::inline v0 {

inline std::vector<std::string> sqlite_options::problems() const {
    std::vector<std::string> found;
    if (file.empty() || file.find('\0') != std::string::npos) found.push_back("file must be the path of a file");
    else if (file == ":memory:" || file.starts_with("file:")) found.push_back("file is '" + file + "', but must be a path, not a name that SQLite interprets");
    constexpr std::size_t kib = 1024, gib = std::size_t{1} << 30;
    detail::check_range(found, "", "lock_wait", lock_wait, milliseconds{0}, milliseconds{60'000});
    detail::check_range(found, "", "max_queued_bytes", max_queued_bytes, 64 * kib, 1024 * gib);
    detail::check_range(found, "", "max_group_bytes", max_group_bytes, std::size_t{1}, gib);
    detail::check_range(found, "", "checkpoint_bytes", checkpoint_bytes, 64 * kib, gib);
    return found;
}

/// Keeps sessions in one file: WAL, `synchronous=FULL`, a lock that nobody else can pass, a thread of its own.
/// Everything that waits when the thread gets to it goes in one transaction.
///
/// A handle: copies are the same store, and it closes with the last of them and of the sockets that use it; that end
/// waits for what the thread has to do. Copies may be used on any threads at once.
///
/// The file is opened with the first socket, and verified as a whole. Errors reach the sockets:
/// `errc::locked` (the file is in use), `errc::store_corrupt` (it was damaged and renamed, with `.damaged-` and a number
/// behind its name; nothing of it is used), `errc::store_full`, `errc::store_version`, `errc::queue_full`
/// (`sqlite_options::max_queued_bytes`), else `errc::store_failed`. After the last one, which an fsync that failed gives, too, the store
/// does nothing any more: make a new one.
///
/// Example: \include durable_sender/durable_sender.cpp
class sqlite_store {
public:
    static constexpr bool durable = true;        ///< survives the process
    static constexpr bool keeps_records = true;  ///< and wants them all
    using transaction = sqlite_transaction;      ///< what effects of the application get

    /// Nothing is opened yet. Throws `option_error` if an option is wrong, `std::system_error` where no thread can be
    /// made, and `std::bad_alloc`.
    explicit sqlite_store(const sqlite_options& o) {
        if (auto problems = o.problems(); !problems.empty()) throw option_error(std::move(problems));
        hold_ = std::make_shared<detail::sqlite_hold>(o);
    }

    /// Internal: the stream of one socket.
    [[nodiscard]] std::unique_ptr<opened_store> open(driver& d, store_client& client, std::string_view name) {
        return std::make_unique<detail::sqlite_opened>(d, client, std::string(name), hold_);
    }
    /// Internal: the streams of a listener.
    [[nodiscard]] std::unique_ptr<store_catalog> open_catalog(driver& d, catalog_client& client) {
        return std::make_unique<detail::sqlite_catalog>(d, client, hold_);
    }

private:
    std::shared_ptr<detail::sqlite_hold> hold_;
};

static_assert(message_store<sqlite_store>);

}  // namespace hawser::inline v0

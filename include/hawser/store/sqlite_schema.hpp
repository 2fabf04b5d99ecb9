// SPDX-License-Identifier: BSL-1.0
/// \file
/// The tables of a store, their version, and how an older file becomes a present one.
#pragma once

#include <hawser/store/sqlite_handle.hpp>

#include <cstdint>
#include <string>

namespace hawser::inline v0::detail {

/// "haws", in the head of the file.
inline constexpr std::int64_t sqlite_application_id = 0x68617773;

/// Step N makes version N + 1 of version N. A file without these tables has version 0: an empty one, or one with
/// tables of the application alone.
inline constexpr const char* sqlite_migrations[] = {
    // A stream: the session of one socket. `id` is short for its name in the other tables.
    "CREATE TABLE hawser_stream(name TEXT PRIMARY KEY, id INTEGER NOT NULL, origin BLOB NOT NULL, boot INTEGER NOT NULL,"
    " next_counter INTEGER NOT NULL, phase INTEGER NOT NULL, epoch BLOB NOT NULL, state BLOB NOT NULL, accepted INTEGER NOT NULL,"
    " accepted_bytes INTEGER NOT NULL, assigned INTEGER NOT NULL, assigned_bytes INTEGER NOT NULL, has_position INTEGER NOT NULL,"
    " sum INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    // The outbox: messages, and apart from them, so that a body is written once, the numbers of those that had one.
    "CREATE TABLE hawser_message(stream INTEGER NOT NULL, counter INTEGER NOT NULL, kind INTEGER NOT NULL, key BLOB NOT NULL,"
    " body BLOB NOT NULL, priority INTEGER NOT NULL, ttl INTEGER NOT NULL, coalesce_key BLOB NOT NULL, sum INTEGER NOT NULL,"
    " PRIMARY KEY(stream, counter)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE hawser_number(stream INTEGER NOT NULL, counter INTEGER NOT NULL, seq INTEGER NOT NULL, bytes INTEGER NOT NULL,"
    " sum INTEGER NOT NULL, PRIMARY KEY(stream, counter)) STRICT, WITHOUT ROWID;",
    // What the receive position covers and was rejected, or came twice. Positions of before named nothing.
    "ALTER TABLE hawser_stream ADD COLUMN exceptions BLOB NOT NULL DEFAULT x'';",
};
inline constexpr std::int64_t sqlite_version = std::size(sqlite_migrations);

/// Throws `errc::store_version` unless it is a store of this version or an older one, or without an owner.
inline void check_identity(sqlite3* db) {
    const std::int64_t id = sqlite_number(db, "PRAGMA application_id");
    const std::int64_t version = sqlite_number(db, "PRAGMA user_version");
    const bool fresh = id == 0 && version == 0;
    const bool known = id == sqlite_application_id && version >= 1 && version <= sqlite_version;
    if (!fresh && !known) throw_store_error(errc::store_version);
}

/// All steps in one transaction. Throws std::system_error.
inline void migrate(sqlite3* db) {
    std::int64_t version = sqlite_number(db, "PRAGMA user_version");
    if (version == sqlite_version) return;
    std::string steps = "BEGIN IMMEDIATE;";
    for (; version < sqlite_version; ++version) steps += sqlite_migrations[version];
    steps += "PRAGMA application_id=" + std::to_string(sqlite_application_id) + ";PRAGMA user_version=" + std::to_string(sqlite_version) + ";COMMIT;";
    try {
        sqlite_execute(db, steps.c_str());
    } catch (...) {
        if (!sqlite3_get_autocommit(db)) sqlite3_exec(db, "ROLLBACK", nullptr, nullptr, nullptr);
        throw;
    }
}

}  // namespace hawser::inline v0::detail

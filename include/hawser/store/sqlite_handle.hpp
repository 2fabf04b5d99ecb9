// SPDX-License-Identifier: BSL-1.0
/// \file
/// A connection and prepared statements of SQLite, with its errors as `errc`.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/core/errc.hpp>

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

static_assert(SQLITE_VERSION_NUMBER >= 3040000, "hawser::sqlite needs SQLite 3.40 or newer");

namespace hawser::inline v0::detail {

/// What an error of SQLite means to a store.
[[nodiscard]] inline errc sqlite_errc(int code) noexcept {
    switch (code & 0xff) {
    case SQLITE_FULL: return errc::store_full;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return errc::store_corrupt;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return errc::locked;
    case SQLITE_NOMEM: return errc::out_of_memory;
    default: return errc::store_failed;
    }
}

/// Thrown on the store's thread, never out of it.
[[noreturn]] inline void throw_store_error(errc e) { throw std::system_error(make_error_code(e)); }
inline void check_sqlite(int code) {
    if (code != SQLITE_OK) throw_store_error(sqlite_errc(code));
}

struct sqlite_closer {
    void operator()(sqlite3* db) const noexcept { sqlite3_close_v2(db); }
    void operator()(sqlite3_stmt* s) const noexcept { sqlite3_finalize(s); }
};
using sqlite_db = std::unique_ptr<sqlite3, sqlite_closer>;

/// A prepared statement, used again and again. What is bound is not copied: it must live until `reset`.
class sqlite_statement {
public:
    sqlite_statement() = default;
    sqlite_statement(sqlite3* db, std::string_view sql) {
        sqlite3_stmt* made = nullptr;
        const int code = sqlite3_prepare_v3(db, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &made, nullptr);
        // The statements are right: if one is not understood, the schema is damaged.
        if (code == SQLITE_ERROR) throw_store_error(errc::store_corrupt);
        check_sqlite(code);
        statement_.reset(made);
    }

    sqlite_statement& bind(int place, std::int64_t value) {
        check_sqlite(sqlite3_bind_int64(statement_.get(), place, value));
        return *this;
    }
    // Numbers of the session end at 2^63; a checksum may be negative to SQLite.
    sqlite_statement& bind(int place, std::uint64_t value) { return bind(place, static_cast<std::int64_t>(value)); }
    sqlite_statement& bind(int place, byte_view blob) {
        // An empty view may be null, which would be NULL and not a blob of no bytes.
        const void* data = blob.empty() ? static_cast<const void*>("") : blob.data();
        check_sqlite(sqlite3_bind_blob64(statement_.get(), place, data, blob.size(), SQLITE_STATIC));
        return *this;
    }
    sqlite_statement& bind(int place, std::string_view text) {
        const char* data = text.empty() ? "" : text.data();
        check_sqlite(sqlite3_bind_text64(statement_.get(), place, data, text.size(), SQLITE_STATIC, SQLITE_UTF8));
        return *this;
    }

    /// True: there is a row; false: done.
    [[nodiscard]] bool step() {
        const int code = sqlite3_step(statement_.get());
        if (code == SQLITE_ROW) return true;
        if (code == SQLITE_DONE) return false;
        sqlite3_reset(statement_.get());
        throw_store_error(sqlite_errc(code));
    }
    /// Executes what has no rows; ready for the next time.
    void run() {
        (void)step();
        reset();
    }
    void reset() noexcept { sqlite3_reset(statement_.get()); }

    [[nodiscard]] std::int64_t number(int column) const noexcept { return sqlite3_column_int64(statement_.get(), column); }
    [[nodiscard]] std::uint64_t unsigned_number(int column) const noexcept { return static_cast<std::uint64_t>(number(column)); }
    [[nodiscard]] bool is_null(int column) const noexcept {
        return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
    }
    /// Valid until the next `step` or `reset`.
    [[nodiscard]] byte_view blob(int column) const {
        const void* data = sqlite3_column_blob(statement_.get(), column);
        const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column));
        if (!data && size != 0) throw_store_error(errc::out_of_memory);
        return {static_cast<const std::byte*>(data), data ? size : 0};
    }
    [[nodiscard]] std::string_view text(int column) const { return as_text(blob(column)); }

private:
    std::unique_ptr<sqlite3_stmt, sqlite_closer> statement_;
};

inline void sqlite_execute(sqlite3* db, const char* sql) { check_sqlite(sqlite3_exec(db, sql, nullptr, nullptr, nullptr)); }

/// The first column of the first row.
[[nodiscard]] inline std::int64_t sqlite_number(sqlite3* db, std::string_view sql) {
    sqlite_statement s(db, sql);
    return s.step() ? s.number(0) : 0;
}

}  // namespace hawser::inline v0::detail

// SPDX-License-Identifier: BSL-1.0
/// \file
/// What an effect of the application gets of a SQLite store.
#pragma once

#include <hawser/core/store_transaction.hpp>
#include <hawser/store/sqlite_handle.hpp>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace hawser::inline v0 {

namespace detail {

/// Statements of the application, kept while the file is open.
class sqlite_statement_cache {
public:
    [[nodiscard]] sqlite3_stmt* find(sqlite3* db, std::string_view sql) {
        auto at = kept_.find(sql);
        if (at == kept_.end()) {
            sqlite3_stmt* made = nullptr;
            if (sqlite3_prepare_v3(db, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &made, nullptr) != SQLITE_OK)
                return nullptr;
            std::unique_ptr<sqlite3_stmt, sqlite_closer> owned(made);
            if (kept_.size() >= most) kept_.clear();
            at = kept_.emplace(std::string(sql), std::move(owned)).first;
        }
        sqlite3_reset(at->second.get());
        sqlite3_clear_bindings(at->second.get());
        return at->second.get();
    }
    /// Ends those that the effect left in the middle of their rows.
    void reset() noexcept {
        for (auto& [sql, statement] : kept_) sqlite3_reset(statement.get());
    }

private:
    static constexpr std::size_t most = 64;
    std::map<std::string, std::unique_ptr<sqlite3_stmt, sqlite_closer>, std::less<>> kept_;
};

}  // namespace detail

/// The transaction in which the receive position is committed. An effect runs on the store's thread. It may read and
/// change the application's own tables; it must leave tables whose names begin with `hawser_` alone and must not end
/// the transaction (COMMIT, ROLLBACK): that fails the store.
class sqlite_transaction final : public store_transaction {
public:
    /// Internal: the store makes them.
    sqlite_transaction(sqlite3* db, detail::sqlite_statement_cache& cache) noexcept : db_(db), cache_(cache) {}

    /// The store's connection.
    [[nodiscard]] sqlite3* database() const noexcept { return db_; }
    /// A prepared statement, reset and with nothing bound, kept for the next time (the newest 64). Valid until the effect returns
    /// or asks for another one; not to be finalized. Null where it cannot be prepared, and `failure()` says why.
    [[nodiscard]] sqlite3_stmt* statement(std::string_view sql) { return cache_.find(db_, sql); }
    /// The error of SQLite's last call, as a store reports it, for the effect to return.
    [[nodiscard]] std::error_code failure() const noexcept { return detail::sqlite_errc(sqlite3_errcode(db_)); }

private:
    sqlite3* db_;
    detail::sqlite_statement_cache& cache_;
};

}  // namespace hawser::inline v0

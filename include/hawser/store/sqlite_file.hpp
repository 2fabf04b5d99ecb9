// SPDX-License-Identifier: BSL-1.0
/// \file
/// The file of a store: opened for one user alone, verified, checkpointed, set aside when it is damaged.
#pragma once

#include <hawser/store/sqlite_handle.hpp>
#include <hawser/store/sqlite_log_check.hpp>
#include <hawser/store/sqlite_options.hpp>
#include <hawser/store/sqlite_rows.hpp>
#include <hawser/store/sqlite_schema.hpp>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

#if defined(__unix__) || defined(__APPLE__)
#include <fcntl.h>
#include <unistd.h>
#endif

namespace hawser::inline v0::detail {

/// One connection, used on the store's thread. While it is open nobody else can open the file: its lock is
/// exclusive and kept.
class sqlite_file {
public:
    explicit sqlite_file(sqlite_options o) : options_(std::move(o)) {}
    [[nodiscard]] sqlite3* db() const noexcept { return db_.get(); }
    [[nodiscard]] const sqlite_options& options() const noexcept { return options_; }

    /// Opens and verifies all of it. Afterwards the write-ahead log is empty: what was found in it is in the file and
    /// synchronised, so that a log whose last fsync failed is never trusted. Throws std::system_error.
    void open() {
        create();
        sqlite3* made = nullptr;
        const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE;
        const int code = sqlite3_open_v2(options_.file.c_str(), &made, flags, options_.vfs.empty() ? nullptr : options_.vfs.c_str());
        db_.reset(made);
        try {
            check_sqlite(code);
            prepare();
            verify();
            checkpoint(SQLITE_CHECKPOINT_TRUNCATE);
            check_end();
        } catch (const std::system_error& e) {
            if (e.code() == errc::store_corrupt) set_aside();
            abandon();
            throw;
        }
    }
    /// Copies the write-ahead log into the file. Throws std::system_error.
    void checkpoint(int mode) {
        int in_log = 0;
        check_sqlite(sqlite3_wal_checkpoint_v2(db(), nullptr, mode, &in_log, nullptr));
    }
    /// Closes without a write: after an error of the disk.
    void abandon() noexcept {
        if (db_) sqlite3_db_config(db(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
        db_.reset();
    }

    /// Damaged: renames it and its log to a name of their own and closes. Renamed while it is open, so that nobody
    /// else opens it in between. The file first: a log without it is discarded, and the other way round old
    /// contents would come back.
    void set_aside() noexcept {
        try {
            const auto stamp = std::chrono::system_clock::now().time_since_epoch();
            const std::string suffix = ".damaged-" + std::to_string(std::chrono::duration_cast<std::chrono::nanoseconds>(stamp).count());
            for (const char* part : {"", "-wal", "-journal"}) {
                const std::filesystem::path from = path(part);
                std::error_code ignored;  // there may be none
                std::filesystem::rename(from, path(suffix + part), ignored);
            }
        } catch (...) {
            // Out of memory: it stays where it is, and is found damaged again.
        }
        abandon();
    }

private:
    [[nodiscard]] std::filesystem::path path(const std::string& suffix) const {
        const std::string name = options_.file + suffix;
        return std::filesystem::path(std::u8string(name.begin(), name.end()));
    }
    void prepare() {
        check_beginning();
        check_sqlite(sqlite3_busy_timeout(db(), static_cast<int>(options_.lock_wait.count())));
        // Before the first access, so that the lock is kept and there is no shared memory.
        sqlite_execute(db(),
                       "PRAGMA locking_mode=EXCLUSIVE; PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF;"
                       "PRAGMA cell_size_check=ON; BEGIN IMMEDIATE; COMMIT;");
        if (is_wal("PRAGMA journal_mode")) check_sqlite_log(db());
        check_identity(db());
        if (!is_wal("PRAGMA journal_mode=WAL")) throw_store_error(errc::store_failed);
        // Checkpoints are made by hand: SQLite keeps the errors of its own to itself.
        sqlite_execute(db(), "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;");
        sqlite_execute(db(), ("PRAGMA journal_size_limit=" + std::to_string(options_.checkpoint_bytes)).c_str());
    }
    // SQLite takes a file that is shorter than any of its own for a new one. (One of a byte it calls empty.)
    void check_beginning() const {
        if (const auto n = size(); n > 0 && n < 512) throw_store_error(errc::store_corrupt);
    }
    // It fills up a page of which a part is missing with zeros.
    void check_end() const {
        if (size() % sqlite_number(db(), "PRAGMA page_size") != 0) throw_store_error(errc::store_corrupt);
    }
    [[nodiscard]] sqlite3_int64 size() const {
        sqlite3_file* file = nullptr;
        sqlite3_int64 bytes = 0;
        check_sqlite(sqlite3_file_control(db(), "main", SQLITE_FCNTL_FILE_POINTER, &file));
        check_sqlite(file->pMethods->xFileSize(file, &bytes));
        return bytes;
    }
    [[nodiscard]] bool is_wal(std::string_view sql) const {
        sqlite_statement mode(db(), sql);
        const bool wal = mode.step() && mode.text(0) == "wal";
        while (mode.step()) {}  // to the end: an error of the change comes after its row
        return wal;
    }
    // The file of a new store is its owner's alone, as it has secrets in it; SQLite gives its log the same mode.
    // Closed before SQLite opens it, and not opened if it is there: closing it would take the lock of a connection.
    void create() const noexcept {
#if defined(__unix__) || defined(__APPLE__)
        const int made = options_.vfs.empty() ? ::open(options_.file.c_str(), O_CREAT | O_EXCL | O_CLOEXEC | O_RDWR, 0600) : -1;
        if (made >= 0) ::close(made);
#endif
    }
    void verify() {
        sqlite_statement check(db(), "PRAGMA quick_check(1)");
        if (!check.step() || check.text(0) != "ok") throw_store_error(errc::store_corrupt);
        check.reset();
        migrate(db());
        sqlite_rows::verify(db());
    }

    sqlite_options options_;
    sqlite_db db_;
};

}  // namespace hawser::inline v0::detail

// SPDX-License-Identifier: BSL-1.0
/// \file
/// An open file with its statements, as the store's thread uses it, and what an error makes of it.
#pragma once

#include <hawser/store/sqlite_file.hpp>
#include <hawser/store/sqlite_job.hpp>
#include <hawser/store/sqlite_stream.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace hawser::inline v0::detail {

/// Opens the file with the first group. After an error of the disk, or damage, nothing is done any more: what an
/// fsync that failed has left is known to nobody, so it is not asked again. Lack of space or memory costs a group.
class sqlite_session {
public:
    using group = std::vector<std::unique_ptr<sqlite_job>>;

    explicit sqlite_session(sqlite_options o) : file_(std::move(o)) {}
    ~sqlite_session() { close_statements(); }
    sqlite_session(const sqlite_session&) = delete;
    sqlite_session& operator=(const sqlite_session&) = delete;

    /// One transaction; `done` of each job is called.
    void run(group& jobs) noexcept {
        std::vector<std::error_code> results;
        std::error_code whole;
        try {
            results.resize(jobs.size());
            if (!ready()) open();
            transact(jobs, results);
        } catch (...) {
            whole = give_up(store_error_of_exception());
        }
        for (std::size_t i = 0; i < jobs.size(); ++i) jobs[i]->done(whole ? whole : results[i]);
        if (ready()) tend();
    }

    [[nodiscard]] sqlite_rows& rows() noexcept { return *rows_; }
    /// Inside a transaction: the records of one commit.
    void apply(std::string_view stream, const std::vector<session::record>& records) {
        sqlite_transaction t(file_.db(), statements_);
        sqlite_stream(*rows_, stream).apply(records, t);
    }

private:
    [[nodiscard]] bool ready() const noexcept { return rows_.has_value(); }
    void open() {
        if (broken_) throw std::system_error(broken_);
        file_.open();
        page_size_ = static_cast<std::size_t>(sqlite_number(file_.db(), "PRAGMA page_size"));
        if (file_.options().on_open) prepare();
        rows_.emplace(file_.db());
        sqlite3_wal_hook(file_.db(), [](void* self, sqlite3*, const char*, int pages) {
            static_cast<sqlite_session*>(self)->log_pages_ = pages;
            return SQLITE_OK;
        }, this);
    }
    // The application's tables.
    void prepare() {
        sqlite_execute(file_.db(), "BEGIN IMMEDIATE");
        sqlite_transaction t(file_.db(), statements_);
        const std::error_code ec = file_.options().on_open(t);
        statements_.reset();
        if (ec) throw std::system_error(ec);
        sqlite_execute(file_.db(), "COMMIT");
    }
    void transact(group& jobs, std::vector<std::error_code>& results) {
        sqlite_execute(file_.db(), "BEGIN IMMEDIATE");
        for (std::size_t i = 0; i < jobs.size(); ++i)
            if (!jobs[i]->withdrawn()) results[i] = run_one(*jobs[i]);
        sqlite_execute(file_.db(), "COMMIT");
    }
    // What is refused is undone alone; all other errors are the group's.
    std::error_code run_one(sqlite_job& job) {
        if (!job.may_refuse()) {
            job.run(*this);
            return {};
        }
        sqlite_execute(file_.db(), "SAVEPOINT hawser_job");
        std::error_code ec;
        try {
            job.run(*this);
        } catch (const sqlite_refusal& r) {
            ec = r.why;
        }
        statements_.reset();
        if (ec) sqlite_execute(file_.db(), "ROLLBACK TO hawser_job");
        sqlite_execute(file_.db(), "RELEASE hawser_job");
        return ec;
    }
    // Copies the log into the file after the results are told, so that nobody waits for it.
    void tend() noexcept {
        try {
            if (static_cast<std::size_t>(log_pages_) * page_size_ < file_.options().checkpoint_bytes) return;
            file_.checkpoint(SQLITE_CHECKPOINT_PASSIVE);
            log_pages_ = 0;
        } catch (...) {
            // Without space the log grows until there is none for it, either; nothing is lost.
            const std::error_code ec = store_error_of_exception();
            if (ec != errc::store_full && ec != errc::out_of_memory) (void)give_up(ec);
        }
    }
    [[nodiscard]] std::error_code give_up(std::error_code ec) noexcept {
        sqlite3* const db = file_.db();
        const bool passes = ec == errc::store_full || ec == errc::out_of_memory;
        if (!ready() && (passes || ec == errc::locked)) {
            file_.abandon();  // the next one opens it again
            return ec;
        }
        if (passes && (sqlite3_get_autocommit(db) || sqlite3_exec(db, "ROLLBACK", nullptr, nullptr, nullptr) == SQLITE_OK)) return ec;
        close_statements();
        if (ec == errc::store_corrupt) file_.set_aside();
        else file_.abandon();
        const bool known = ec == errc::store_corrupt || ec == errc::store_version;
        return broken_ = known ? ec : make_error_code(errc::store_failed);
    }
    void close_statements() noexcept {
        rows_.reset();
        statements_ = {};
    }

    sqlite_file file_;
    std::optional<sqlite_rows> rows_;
    sqlite_statement_cache statements_;
    std::error_code broken_;
    int log_pages_ = 0;
    std::size_t page_size_ = 4096;
};

}  // namespace hawser::inline v0::detail

// SPDX-License-Identifier: BSL-1.0
// A sequence of commits of a SQLite store with the state after each, to compare a store that was disturbed with.
#pragma once

#include "support/catch.hpp"
#include "support/sqlite_bench.hpp"

namespace support {

// A file and its log, as bytes.
struct disk_image {
    std::string main, log;
};
inline disk_image take(const std::string& file) { return {read_file(file), read_file(file + "-wal")}; }
inline void put(const std::string& file, const disk_image& image) {
    write_file(file, image.main);
    std::filesystem::remove(file + "-wal");
    if (!image.log.empty()) write_file(file + "-wal", image.log);
}

// Everything but the number of loads.
inline std::string describe(const hawser::store_image& i) {
    std::string text = std::to_string(static_cast<int>(i.phase)) + " " + i.state + " " + std::to_string(i.accepted) + " " + std::to_string(i.next_counter);
    for (const auto& m : i.outbox)
        text += "\n" + std::to_string(m.counter) + " " + std::to_string(m.seq) + " " + m.key + " " + std::to_string(hawser::xxh3_64(m.body.bytes()));
    return text;
}

// Small pages, so that little of a file is empty.
inline void make_small(const std::string& file) {
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open(file.c_str(), &db) == SQLITE_OK);
    REQUIRE(sqlite3_exec(db, "PRAGMA page_size=512; CREATE TABLE received(position INTEGER PRIMARY KEY, number INTEGER)", nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(db);
}

inline hawser::store_effect book(int n) {
    return [n](hawser::store_transaction& t) {
        auto& tx = static_cast<hawser::sqlite_transaction&>(t);
        sqlite3_stmt* s = tx.statement("INSERT INTO received(number) VALUES(?1)");
        if (!s) return tx.failure();
        sqlite3_bind_int(s, 1, n);
        return sqlite3_step(s) == SQLITE_DONE ? std::error_code{} : tx.failure();
    };
}

// What a process commits, one after the other.
inline std::vector<session::record> step(std::uint64_t n, std::size_t body) {
    if (n == 1) return {begun(1, "the state of the session")};
    std::vector<session::record> all{enqueued(n, "message " + std::to_string(n) + std::string(body, 'x'), "key"), assigned(n, n - 1, n)};
    if (n % 3 == 0) all.push_back(finished(n - 1));
    if (n % 2 == 0) all.push_back(accepted(1, (n - 2) / 2, n / 2, book(static_cast<int>(n))));
    return all;
}

// The state after each step of an undisturbed run, 0 for the load alone, and what is on the disk then.
struct history {
    explicit history(std::uint64_t steps, std::size_t body = 40) {
        const auto file = folder.file("model.db");
        make_small(file);
        {
            store_process p(file);
            REQUIRE_FALSE(p.load());
            note(p, file);
            for (std::uint64_t n = 1; n <= steps; ++n) {
                REQUIRE_FALSE(p.commit(step(n, body)));
                images.push_back(take(file));
            }
        }
        closed = take(file);
        for (std::uint64_t n = 1; n <= steps; ++n) {
            put(file, images[n]);
            store_process p(file);
            REQUIRE_FALSE(p.load());
            states.push_back(describe(p.at("client").image));
        }
    }
    void note(store_process& p, const std::string& file) {
        states.push_back(describe(p.at("client").image));
        images.push_back(take(file));
    }
    scratch_folder folder;
    std::vector<std::string> states;
    std::vector<disk_image> images;
    disk_image closed;
};

// What a new process finds in the file.
struct found {
    std::error_code error;
    std::string state;
};
inline found look(const std::string& file) {
    store_process p(file);
    const auto ec = p.load();
    return {ec, ec ? std::string() : describe(p.at("client").image)};
}

}  // namespace support

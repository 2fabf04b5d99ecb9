// SPDX-License-Identifier: BSL-1.0
// Durable sends: 64 senders, each of which waits until its message is acknowledged before it sends the next one, beside
// SQLite alone with the same batches: 64 rows inserted and committed, the same rows deleted and committed, as a message has
// to be on the disk before it is sent, and off it before its outcome is told. And beside SQLite with one commit for both,
// the rows of a batch deleted with the insertion of the next one: nobody who waits for an answer can be so fast. In
// turn, in one run; medians.
#include <hawser/custom_policies.hpp>
#include <hawser/hawser.hpp>
#include <hawser/sqlite.hpp>

#include "../../examples/support/arguments.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <stdlib.h>

namespace {

using clock_type = std::chrono::steady_clock;

struct durable_policies : hawser::default_policies {
    using store = hawser::sqlite_store;
};

struct settings {
    std::size_t bytes = 200;
    std::size_t senders = 64;
    double seconds = 2;
    std::string folder;
};

// Not counted, so that both write over a log that has its size: while it grows, an fsync costs a multiple.
constexpr std::size_t warm_up = 16'384;

double since(clock_type::time_point start) { return std::chrono::duration<double>(clock_type::now() - start).count(); }

void remove_store(const std::string& file) {
    for (const char* part : {"", "-wal", "-shm"}) std::filesystem::remove(file + part);
}

void must(int code, sqlite3* db) {
    if (code != SQLITE_OK && code != SQLITE_DONE && code != SQLITE_ROW) throw std::runtime_error(sqlite3_errmsg(db));
}

// Messages per second of SQLite alone.
double bare(const settings& s, bool one_commit) {
    const std::string file = s.folder + "/bare.db";
    remove_store(file);
    sqlite3* db = nullptr;
    must(sqlite3_open(file.c_str(), &db), db);
    for (const char* sql : {"PRAGMA locking_mode=EXCLUSIVE", "PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL",
                            "CREATE TABLE outbox(counter INTEGER PRIMARY KEY, body BLOB NOT NULL)"})
        must(sqlite3_exec(db, sql, nullptr, nullptr, nullptr), db);
    sqlite3_stmt *insert = nullptr, *remove = nullptr;
    must(sqlite3_prepare_v2(db, "INSERT INTO outbox VALUES(?1,?2)", -1, &insert, nullptr), db);
    must(sqlite3_prepare_v2(db, "DELETE FROM outbox WHERE counter=?1", -1, &remove, nullptr), db);
    const std::string body(s.bytes, 'x');
    sqlite3_int64 counter = 0, counter_at_start = 0;
    sqlite3_bind_blob(insert, 2, body.data(), static_cast<int>(body.size()), SQLITE_STATIC);
    const auto execute = [&](const char* sql) { must(sqlite3_exec(db, sql, nullptr, nullptr, nullptr), db); };
    const auto batch = [&](sqlite3_stmt* statement) {
        for (std::size_t i = 0; i < s.senders; ++i) {
            sqlite3_bind_int64(statement, 1, counter + static_cast<sqlite3_int64>(i));
            must(sqlite3_step(statement), db);
            sqlite3_reset(statement);
        }
    };
    const auto between = [&] {
        execute("COMMIT");
        execute("BEGIN IMMEDIATE");
    };
    execute("BEGIN IMMEDIATE");
    auto start = clock_type::now();
    for (std::size_t warm = 0; warm < warm_up || since(start) < s.seconds; warm += s.senders) {
        if (warm < warm_up) {
            start = clock_type::now();
            counter_at_start = counter;
        }
        batch(insert);
        between();
        batch(remove);
        if (!one_commit) between();
        counter += static_cast<sqlite3_int64>(s.senders);
    }
    const double rate = static_cast<double>(counter - counter_at_start) / since(start);
    execute("COMMIT");
    sqlite3_finalize(insert);
    sqlite3_finalize(remove);
    sqlite3_close(db);
    remove_store(file);
    return rate;
}

// A server on a thread of its own.
template <class Policies>
class server {
public:
    explicit server(hawser::policy_objects<Policies> objects)
        : listener_(context_, {.port = 0}, hawser::options::reliable(), std::move(objects)), port(listener_.port()) {
        accept();
        thread_ = std::thread([this] { context_.run(); });
    }
    ~server() {
        context_.stop();
        thread_.join();
    }

private:
    void accept() {
        listener_.async_accept([this](std::error_code ec, hawser::resilient_socket<Policies> s) {
            if (ec) return;
            s.on_message([](const hawser::message_view&) {});
            sockets_.push_back(std::move(s));
            accept();
        });
    }
    asio::io_context context_{1};
    hawser::listener<Policies> listener_;
    std::vector<hawser::resilient_socket<Policies>> sockets_;
    std::thread thread_;

public:
    const std::uint16_t port;
};

// Messages per second that were acknowledged, with a store of the sender's.
double durable(const settings& s, std::uint16_t port) {
    const std::string file = s.folder + "/sender.db";
    remove_store(file);
    std::size_t done = 0;
    double took = 0;
    {
        asio::io_context context(1);
        hawser::resilient_socket<durable_policies> link(context, hawser::options::reliable(), {.store = hawser::sqlite_store({.file = file})});
        const auto body = hawser::message::binary(hawser::byte_vector(s.bytes, std::byte{'x'}));
        bool over = false;
        auto start = clock_type::now();
        std::function<void()> next = [&] {
            link.async_send(body, [&](std::error_code ec, hawser::outcome) {
                if (ec) throw std::system_error(ec);
                if (++done <= warm_up) start = clock_type::now();
                if (!over && since(start) < s.seconds) return next();
                if (!over) took = since(start);
                if (!std::exchange(over, true)) link.close();
            });
        };
        link.async_connect("ws://127.0.0.1:" + std::to_string(port) + "/", [&](std::error_code ec) {
            if (ec) throw std::system_error(ec);
            for (std::size_t i = 0; i < s.senders; ++i) next();
        });
        context.run();
    }
    remove_store(file);
    // Those that came while it closed are not counted: at most one for each sender.
    return static_cast<double>(done - std::min(done, warm_up + s.senders)) / took;
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) try {
    examples::arguments args(argc, argv, "durable_bench [--json] [--rounds N] [--milliseconds M] [--bytes B] [--senders S] [--folder F]", {"--json"});
    settings s;
    const bool json = args.flag("--json");
    const auto rounds = args.number("--rounds", 5, 1, 1000);
    s.seconds = static_cast<double>(args.number("--milliseconds", 2000, 10, 600'000)) / 1000;
    s.bytes = static_cast<std::size_t>(args.number("--bytes", 200, 1, 1'000'000));
    s.senders = static_cast<std::size_t>(args.number("--senders", 64, 1, 1024));
    std::string folder = args.text("--folder", std::filesystem::temp_directory_path().string()) + "/hawser-bench-XXXXXX";
    args.finish();
    if (!::mkdtemp(folder.data())) throw std::runtime_error("cannot make " + folder);
    s.folder = folder;

    std::vector<double> alone, combined, outbox, both, ratios, to_combined;
    {
        server<hawser::default_policies> in_memory({});
        server<durable_policies> on_disk({.store = hawser::sqlite_store({.file = folder + "/receiver.db"})});
        for (long i = 0; i < rounds; ++i) {
            alone.push_back(bare(s, false));
            combined.push_back(bare(s, true));
            outbox.push_back(durable(s, in_memory.port));
            both.push_back(durable(s, on_disk.port));
            ratios.push_back(outbox.back() / alone.back());
            to_combined.push_back(outbox.back() / combined.back());
        }
    }
    std::filesystem::remove_all(folder);
    const char* const text = json
        ? "{\"senders\": %zu, \"bytes\": %zu, \"rounds\": %ld, \"bare_per_second\": %.0f, \"bare_one_commit_per_second\": %.0f,"
          " \"outbox_per_second\": %.0f, \"both_ends_per_second\": %.0f, \"ratio\": %.3f, \"ratio_to_one_commit\": %.3f}\n"
        : "%zu senders, %zu bytes, %ld rounds; messages per second, medians:\n"
          "SQLite alone, the same batches    %8.0f\nSQLite alone, one commit for both %8.0f\n"
          "hawser, outbox on disk            %8.0f\nhawser, both ends on disk         %8.0f\n"
          "outbox to SQLite alone            %8.3f\noutbox to one commit for both     %8.3f\n";
    std::printf(text, s.senders, s.bytes, rounds, median(alone), median(combined), median(outbox), median(both), median(ratios), median(to_combined));
    return 0;
} catch (const std::exception& e) {
    std::fprintf(stderr, "durable_bench: %s\n", e.what());
    return 2;
}

// SPDX-License-Identifier: BSL-1.0
// A SQLite store in step: its work runs when a test says so, on the test's own thread.
#pragma once

#include "support/faulty_vfs.hpp"

#include <hawser/sqlite.hpp>
#include <hawser/testing/virtual_driver.hpp>

#include <stdlib.h>

#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace support {

namespace session = hawser::session;

// A folder of its own, in memory where there is such a place.
class scratch_folder {
public:
    scratch_folder() {
        std::error_code ec;
        const bool memory = std::filesystem::is_directory("/dev/shm", ec);
        path_ = ((memory ? std::filesystem::path("/dev/shm") : std::filesystem::temp_directory_path()) / "hawser-XXXXXX").string();
        if (!::mkdtemp(path_.data())) throw std::runtime_error("no scratch folder");
    }
    ~scratch_folder() {
        std::error_code ec;
        std::filesystem::remove_all(path_, ec);
    }
    scratch_folder(const scratch_folder&) = delete;
    scratch_folder& operator=(const scratch_folder&) = delete;
    [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }
    // Names of its files that have `part` in them.
    [[nodiscard]] std::vector<std::string> names(const std::string& part = {}) const {
        std::vector<std::string> found;
        for (const auto& e : std::filesystem::directory_iterator(path_))
            if (const auto n = e.path().filename().string(); n.find(part) != std::string::npos) found.push_back(n);
        return found;
    }

private:
    std::string path_;
};

// A process that uses one store, with its sockets replaced by calls.
class store_process {
public:
    explicit store_process(hawser::sqlite_options o) : store_(in_step(std::move(o))) {}
    // With the store's own thread.
    struct threaded {};
    store_process(hawser::sqlite_options o, threaded) : store_(o) {}
    explicit store_process(const std::string& file, const std::string& vfs = {})
        : store_process(hawser::sqlite_options{.file = file, .vfs = vfs}) {}

    struct stream final : hawser::store_client {
        void on_loaded(std::error_code e, hawser::store_image i) override { loaded = true, ec = e, image = std::move(i); }
        void on_committed(std::error_code e) override { committed = true, ec = e; }
        std::unique_ptr<hawser::opened_store> opened;
        std::error_code ec;
        hawser::store_image image;
        bool loaded = false, committed = false;
    };
    stream& open(const std::string& name) {
        auto& s = streams_[name] = std::make_unique<stream>();
        s->opened = store_.open(driver, *s, name);
        return *s;
    }
    stream& at(const std::string& name) {
        const auto found = streams_.find(name);
        return found == streams_.end() ? open(name) : *found->second;
    }
    // Loads, and returns the error.
    std::error_code load(const std::string& name = "client") {
        stream& s = open(name);
        s.opened->load(origin());
        run();
        return s.loaded ? s.ec : std::make_error_code(std::errc::timed_out);
    }
    void start_commit(const std::string& name, std::vector<session::record> records) {
        at(name).committed = false;
        at(name).opened->commit(std::move(records));
    }
    std::error_code commit(std::vector<session::record> records, const std::string& name = "client") {
        start_commit(name, std::move(records));
        run();
        return at(name).committed ? at(name).ec : std::make_error_code(std::errc::timed_out);
    }
    std::vector<hawser::stored_session> list(std::error_code& ec) {
        struct client final : hawser::catalog_client {
            void on_listed(std::error_code e, std::vector<hawser::stored_session> s) override { error = e, found = std::move(s); }
            std::error_code error = std::make_error_code(std::errc::timed_out);
            std::vector<hawser::stored_session> found;
        } listed;
        const auto catalog = store_.open_catalog(driver, listed);
        catalog->list();
        run();
        ec = listed.error;
        return listed.found;
    }
    std::unique_ptr<hawser::store_catalog> catalog(hawser::catalog_client& c) { return store_.open_catalog(driver, c); }
    hawser::sqlite_store& store() { return store_; }
    void close() { streams_.clear(); }
    // Everything that the store has to do, and that is to be told.
    void run() {
        while (!work->empty()) {
            const auto f = std::move(work->front());
            work->pop_front();
            f();
        }
        driver.poll();
    }
    // With a thread: waits for it.
    std::error_code wait_load(const std::string& name = "client") {
        stream& s = open(name);
        s.opened->load(origin());
        while (!s.loaded) driver.poll(), std::this_thread::yield();
        return s.ec;
    }
    std::error_code wait_commit(std::vector<session::record> records, const std::string& name = "client") {
        start_commit(name, std::move(records));
        while (!at(name).committed) driver.poll(), std::this_thread::yield();
        return at(name).ec;
    }
    static session::origin_id origin() {
        session::origin_id id{};
        id[0] = std::byte{0x42};
        return id;
    }

    asio::io_context context;
    hawser::testing::virtual_driver& driver = hawser::install_driver<hawser::testing::virtual_driver>(context, std::uint64_t{1});
    std::shared_ptr<std::deque<std::function<void()>>> work = std::make_shared<std::deque<std::function<void()>>>();

private:
    hawser::sqlite_options in_step(hawser::sqlite_options o) {
        if (!o.executor) o.executor = [w = work](std::function<void()> f) { w->push_back(std::move(f)); };
        return o;
    }
    hawser::sqlite_store store_;
    std::map<std::string, std::unique_ptr<stream>> streams_;
};

// ---- records -------------------------------------------------------------------------------------------

inline session::record enqueued(std::uint64_t counter, const std::string& text, const std::string& key = {}) {
    return {.kind = session::record_kind::enqueued, .counter = counter, .body = hawser::message::text(text), .key = key};
}
inline session::record assigned(std::uint64_t counter, std::uint64_t seq, std::uint64_t bytes = 0) {
    return {.kind = session::record_kind::assigned, .counter = counter, .seq = seq, .bytes = bytes};
}
inline session::record finished(std::uint64_t counter) {
    return {.kind = session::record_kind::finished, .result = hawser::outcome::acknowledged, .counter = counter};
}
inline session::epoch_id epoch(int n) {
    session::epoch_id id{};
    id[0] = static_cast<std::byte>(n);
    return id;
}
inline session::record begun(int n, const std::string& state = "state") {
    return {.kind = session::record_kind::epoch_begun, .epoch = epoch(n), .state = state};
}
inline session::record ended(int n) { return {.kind = session::record_kind::epoch_ended, .epoch = epoch(n)}; }
inline session::record accepted(int n, std::uint64_t from, std::uint64_t seq, hawser::store_effect effect = {}) {
    return {.kind = session::record_kind::accepted, .seq = seq, .from = from, .epoch = epoch(n), .effect = std::move(effect)};
}
inline session::record with_exceptions(session::record r, const std::string& list) {
    r.exceptions = list;
    return r;
}

}  // namespace support

// SPDX-License-Identifier: BSL-1.0
// Whole sockets on the SQLite store, in virtual time: what an application is told when the disk fails it.
#include "support/catch.hpp"
#include "support/sqlite_bench.hpp"
#include "support/world.hpp"

#include <hawser/sqlite.hpp>

#include <asio/post.hpp>

#include <functional>
#include <utility>

using namespace support;

namespace {

struct disk_policies : hawser::default_policies {
    using store = hawser::sqlite_store;
};
using disk_socket = hawser::resilient_socket<disk_policies>;

// A listener in memory, and sockets on disk that dial it.
struct disk_world : world<> {
    disk_world() {
        on_accept = [this](hawser::resilient_socket<>& s) {
            s.on_message([this](const hawser::message_view& m) { received.emplace_back(m.text()); });
        };
        listen(quick(hawser::options::reliable()));
    }
    hawser::sqlite_store store(const std::string& vfs = {}) {
        hawser::sqlite_options o{.file = folder.file("a.db"), .vfs = vfs};
        o.executor = [this](std::function<void()> f) { asio::post(context, std::move(f)); };
        return hawser::sqlite_store(o);
    }
    disk_socket& dial(hawser::sqlite_store s) {
        link.emplace(context, quick(hawser::options::reliable()), hawser::policy_objects<disk_policies>{.store = std::move(s)});
        link->on_state([this](const hawser::state_change& c) { last = c; });
        link->connect(url);
        return *link;
    }
    std::error_code enqueue(const std::string& text) {
        std::error_code result = std::make_error_code(std::errc::timed_out);
        link->async_enqueue(hawser::message::text(text), [&](std::error_code ec, hawser::ticket) { result = ec; });
        net.run_for(100ms);
        return result;
    }
    scratch_folder folder;
    std::optional<disk_socket> link;
    hawser::state_change last;
    std::vector<std::string> received;
};

}  // namespace

TEST_CASE("Q3: no space left: who sends is told store_full, the link says so, and what was accepted before is sent by the next socket",
          "[store][sqlite][scripted]") {
    faulty_vfs vfs;
    disk_world w;
    w.dial(w.store(faulty_vfs::name));
    REQUIRE(w.net.run_until([&] { return w.last.to == connection_state::open; }));
    CHECK_FALSE(w.enqueue("1"));
    w.net.refuse_connections = true;
    w.net.last_connection().cut();
    CHECK_FALSE(w.enqueue("2"));
    CHECK_FALSE(w.enqueue("3"));
    vfs.fail_write = vfs.writes + 1;
    CHECK(w.enqueue("4") == errc::store_full);
    CHECK(w.last.to == connection_state::failed);
    CHECK(w.last.reason == errc::store_full);
    CHECK(w.last.reason == hawser::condition::retryable);

    vfs.fail_write = faulty_vfs::none;
    w.net.refuse_connections = false;
    w.link.reset();
    w.net.run_for(10ms);
    w.dial(w.store(faulty_vfs::name));
    REQUIRE(w.net.run_until([&] { return w.last.to == connection_state::open && w.link->unacknowledged() == 0; }));
    CHECK(w.link->last_ticket().counter == 3);
    CHECK(w.received == std::vector<std::string>{"1", "2", "3"});
}

TEST_CASE("Q3: an fsync that fails ends the link with store_failed, and the truth is in the file", "[store][sqlite][scripted]") {
    faulty_vfs vfs;
    disk_world w;
    w.dial(w.store(faulty_vfs::name));
    REQUIRE(w.net.run_until([&] { return w.last.to == connection_state::open; }));
    vfs.fail_sync = vfs.syncs + 1;
    CHECK(w.enqueue("1") == errc::store_failed);
    CHECK(w.last.reason == errc::store_failed);
    CHECK(w.received.empty());  // it was not on the disk, so it did not leave
    w.link.reset();
    w.net.run_for(10ms);
    w.dial(w.store(faulty_vfs::name));
    REQUIRE(w.net.run_until([&] { return w.last.to == connection_state::open && w.link->unacknowledged() == 0; }));
    CHECK(w.received.size() == w.link->last_ticket().counter);
}

TEST_CASE("SQLite store: more than max_queued_bytes costs the socket with queue_full, and what it had accepted goes on", "[store][sqlite][scripted]") {
    world<disk_policies> w;
    scratch_folder folder;
    std::vector<std::function<void()>> held;
    bool slow = false;  // the disk
    hawser::sqlite_options disk{.file = folder.file("a.db"), .max_queued_bytes = 64 * 1024};
    disk.executor = [&](std::function<void()> f) {
        if (slow) held.push_back(std::move(f));
        else asio::post(w.context, std::move(f));
    };
    w.server.emplace(w.context, hawser::listen_endpoint{.port = port}, quick(hawser::options::reliable()),
                     hawser::policy_objects<disk_policies>{.store = hawser::sqlite_store(disk)});
    w.accept();
    hawser::state_change end;
    std::vector<std::string> got;
    std::list<hawser::resilient_socket<>> clients;
    const auto dial = [&] {
        auto& c = clients.emplace_back(w.context, quick(hawser::options::reliable()));
        c.on_message([&got](const hawser::message_view& m) { got.emplace_back(m.text().substr(0, 6)); });
        c.connect(url);
        REQUIRE(w.net.run_until([&] { return w.accepted.size() == clients.size() && c.state() == connection_state::open; }));
        w.net.run_for(1s);
    };
    dial();
    dial();
    auto &busy = w.accepted.front(), &refused = w.accepted.back();
    refused.on_state([&](const hawser::state_change& c) { end = c; });
    const auto enqueue = [](disk_socket& s, const std::string& text, std::error_code& ec) {
        ec = std::make_error_code(std::errc::timed_out);
        s.async_enqueue(hawser::message::text(text), [&ec](std::error_code e, hawser::ticket) { ec = e; });
    };
    std::error_code before, kept, first, second;
    // What the store has when its queue is full later.
    w.net.refuse_connections = true;
    w.net.last_connection().cut();
    enqueue(refused, "before", before);
    w.net.run_for(1s);
    REQUIRE_FALSE(before);
    slow = true;
    const std::string large(40'000, 'x');
    enqueue(busy, "first " + large, first);
    w.net.run_for(1ms);
    enqueue(refused, "second" + large, second);
    w.net.run_for(1ms);
    CHECK(second == errc::queue_full);
    CHECK(end.to == connection_state::failed);
    CHECK(end.reason == errc::queue_full);
    CHECK(end.reason == hawser::condition::retryable);
    CHECK(hawser::cause_of(end.reason) == hawser::error_cause::overload);
    CHECK(first == std::errc::timed_out);  // it waits for the disk, as it should

    slow = false;
    for (auto& f : std::exchange(held, {})) f();
    w.net.refuse_connections = false;
    // The same session, in another socket.
    REQUIRE(w.net.run_until([&] { return w.accepted.size() == 3; }, 30s));
    auto& again = w.accepted.back();
    CHECK(again.restored());
    CHECK_FALSE(first);
    enqueue(again, "kept  ", kept);
    w.net.run_for(1s);
    CHECK_FALSE(kept);
    CHECK(got == std::vector<std::string>{"first ", "before", "kept  "});
}

TEST_CASE("SQLite store: a second socket on the same file fails with locked, and the first goes on", "[store][sqlite][scripted]") {
    disk_world w;
    w.dial(w.store());
    REQUIRE(w.net.run_until([&] { return w.last.to == connection_state::open; }));
    disk_socket second(w.context, quick(hawser::options::reliable()), {.store = w.store()});
    hawser::state_change told;
    second.on_state([&](const hawser::state_change& c) { told = c; });
    second.connect(url);
    REQUIRE(w.net.run_until([&] { return told.to == connection_state::failed; }));
    CHECK(told.reason == errc::locked);
    CHECK_FALSE(w.enqueue("still here"));
    CHECK(w.received == std::vector<std::string>{"still here"});
}

TEST_CASE("SQLite store: a damaged file fails the socket, and the listener lets nobody in", "[store][sqlite][scripted]") {
    disk_world w;
    write_file(w.folder.file("a.db"), std::string(8192, 'x'));
    SECTION("socket") {
        w.dial(w.store());
        REQUIRE(w.net.run_until([&] { return w.last.to == connection_state::failed; }));
        CHECK(w.last.reason == errc::store_corrupt);
    }
    SECTION("listener") {
        hawser::listener<disk_policies> listener(w.context, {.port = 9001}, quick(hawser::options::reliable()), {.store = w.store()});
        std::error_code told;
        listener.async_accept([&](std::error_code ec, disk_socket) { told = ec; });
        REQUIRE(w.net.run_until([&] { return told == errc::store_corrupt; }));
    }
    CHECK_FALSE(std::filesystem::exists(w.folder.file("a.db")));
    CHECK(w.folder.names(".damaged-").size() == 1);
}

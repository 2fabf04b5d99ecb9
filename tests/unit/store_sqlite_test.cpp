// SPDX-License-Identifier: BSL-1.0
// The SQLite store: what it gives back, what goes in one transaction, who may use a file, what versions it takes.
#include "support/catch.hpp"
#include "support/session_ends.hpp"
#include "support/sqlite_bench.hpp"

using namespace support;
using hawser::epoch_phase;
using hawser::errc;

namespace {

// Runs SQL on a file that no store has open.
std::string sql(const std::string& file, const std::string& text) {
    sqlite3* db = nullptr;
    std::string result;
    REQUIRE(sqlite3_open(file.c_str(), &db) == SQLITE_OK);
    const auto collect = [](void* to, int n, char** values, char**) {
        for (int i = 0; i < n; ++i) static_cast<std::string*>(to)->append(values[i] ? values[i] : "NULL").append(i + 1 < n ? "|" : ";");
        return 0;
    };
    char* problem = nullptr;
    const int code = sqlite3_exec(db, text.c_str(), collect, &result, &problem);
    INFO(text << ": " << (problem ? problem : ""));
    CHECK(code == SQLITE_OK);
    sqlite3_free(problem);
    sqlite3_close(db);
    return result;
}

std::error_code insert(hawser::store_transaction& t, int number) {
    auto& tx = static_cast<hawser::sqlite_transaction&>(t);
    sqlite3_stmt* s = tx.statement("INSERT INTO received(number) VALUES(?1)");
    if (!s) return tx.failure();
    sqlite3_bind_int(s, 1, number);
    return sqlite3_step(s) == SQLITE_DONE ? std::error_code{} : tx.failure();
}

}  // namespace

TEST_CASE("SQLite store: a new stream has the origin that it is given, and counts its loads", "[store][sqlite]") {
    scratch_folder folder;
    const auto file = folder.file("a.db");
    for (std::uint32_t boot = 1; boot <= 3; ++boot) {
        store_process p(file);
        REQUIRE_FALSE(p.load());
        const auto& image = p.at("client").image;
        CHECK(image.origin == store_process::origin());
        CHECK(image.boot == boot);
        CHECK(image.next_counter == 1);
        CHECK(image.phase == epoch_phase::none);
        CHECK(image.outbox.empty());
    }
    CHECK(folder.names() == std::vector<std::string>{"a.db"});  // closed in order: no log is left
}

TEST_CASE("SQLite store: gives back the sum of the records", "[store][sqlite]") {
    scratch_folder folder;
    const auto file = folder.file("a.db");
    {
        store_process p(file);
        REQUIRE_FALSE(p.load());
        REQUIRE_FALSE(p.commit({begun(1, "one"), enqueued(1, "first"), enqueued(2, "second", "key"), enqueued(3, "third"), enqueued(4, "")}));
        REQUIRE_FALSE(p.commit({assigned(1, 1, 5), assigned(2, 2, 11), accepted(1, 0, 7), begun(1, "two")}));
        REQUIRE_FALSE(p.commit({finished(1)}));
    }
    store_process p(file);
    REQUIRE_FALSE(p.load());
    const auto& image = p.at("client").image;
    CHECK(image.phase == epoch_phase::alive);
    CHECK(image.epoch == epoch(1));
    CHECK(image.state == "two");
    CHECK(image.accepted == 7);
    CHECK(image.assigned == 2);
    CHECK(image.assigned_bytes == 11);
    CHECK(image.next_counter == 5);
    REQUIRE(image.outbox.size() == 3);
    CHECK(image.outbox[0].counter == 2);
    CHECK(image.outbox[0].seq == 2);
    CHECK(image.outbox[0].bytes == 11);
    CHECK(image.outbox[0].written);
    CHECK(image.outbox[0].key == "key");
    CHECK(image.outbox[0].body.text() == "second");
    CHECK(image.outbox[0].body.is_text());
    CHECK(image.outbox[1].counter == 3);
    CHECK_FALSE(image.outbox[1].written);
    CHECK(image.outbox[2].body.size() == 0);

    SECTION("the end of an epoch takes the numbers, and 'written' stays") {
        REQUIRE_FALSE(p.commit({ended(1)}));
        REQUIRE_FALSE(p.load());
        const auto& over = p.at("client").image;
        CHECK(over.phase == epoch_phase::ended);
        CHECK_FALSE(over.has_position);
        REQUIRE(over.outbox.size() == 3);
        CHECK(over.outbox[0].seq == 0);
        CHECK(over.outbox[0].written);
        CHECK_FALSE(over.outbox[1].written);
    }
    SECTION("a new epoch begins at zero") {
        REQUIRE_FALSE(p.commit({begun(2, "three")}));
        REQUIRE_FALSE(p.load());
        const auto& next = p.at("client").image;
        CHECK(next.epoch == epoch(2));
        CHECK(next.accepted == 0);
        CHECK(next.assigned == 0);
        CHECK(next.outbox[0].seq == 0);
        CHECK(next.outbox[0].written);
    }
    SECTION("a tombstone keeps its position") {
        auto end = ended(1);
        end.has_position = true;
        end.seq = 6;
        REQUIRE_FALSE(p.commit({end}));
        REQUIRE_FALSE(p.load());
        CHECK(p.at("client").image.has_position);
        CHECK(p.at("client").image.accepted == 6);
    }
}

TEST_CASE("SQLite store: gives back how a message is to be sent", "[store][sqlite]") {
    scratch_folder folder;
    const auto file = folder.file("a.db");
    auto how = enqueued(1, "tick", "idempotency");
    how.priority = hawser::message_priority::low;
    how.ttl = hawser::milliseconds{1500};
    how.coalesce_key = "EURUSD";
    {
        store_process p(file);
        REQUIRE_FALSE(p.load());
        REQUIRE_FALSE(p.commit({how, enqueued(2, "usual")}));
    }
    store_process p(file);
    REQUIRE_FALSE(p.load());
    const auto& image = p.at("client").image;
    REQUIRE(image.outbox.size() == 2);
    CHECK(image.outbox[0].key == "idempotency");
    CHECK(image.outbox[0].priority == hawser::message_priority::low);
    CHECK(image.outbox[0].ttl == hawser::milliseconds{1500});
    CHECK(image.outbox[0].coalesce_key == "EURUSD");
    CHECK(image.outbox[1].priority == hawser::message_priority::normal);
    CHECK(image.outbox[1].ttl == hawser::milliseconds{0});
    CHECK(image.outbox[1].coalesce_key.empty());
}

TEST_CASE("SQLite store: sessions are listed without the client's stream, and can be erased", "[store][sqlite]") {
    scratch_folder folder;
    const auto file = folder.file("a.db");
    const auto one = hawser::session_stream(epoch(1)), two = hawser::session_stream(epoch(2));
    std::error_code ec;
    {
        store_process p(file);
        REQUIRE_FALSE(p.load());
        REQUIRE_FALSE(p.commit({begun(1, "first"), enqueued(1, "x")}, one));  // not loaded: it is known to be new
        REQUIRE_FALSE(p.commit({begun(2, "second"), accepted(2, 0, 3)}, two));
    }
    store_process p(file);
    auto found = p.list(ec);
    REQUIRE_FALSE(ec);
    REQUIRE(found.size() == 2);
    CHECK(found[0].name == one);
    CHECK(found[0].state == "first");
    CHECK(found[0].messages == 1);
    CHECK(found[1].accepted == 3);
    CHECK(found[1].phase == epoch_phase::alive);

    struct nobody final : hawser::catalog_client {
        void on_listed(std::error_code, std::vector<hawser::stored_session>) override {}
    } client;
    p.catalog(client)->erase(one);
    found = p.list(ec);
    REQUIRE(found.size() == 1);
    CHECK(found[0].name == two);
}

TEST_CASE("rule 19: a position is committed with its effect, in the epoch that is alive, and only from the one before", "[store][sqlite]") {
    scratch_folder folder;
    const auto file = folder.file("a.db");
    sql(file, "CREATE TABLE received(position INTEGER PRIMARY KEY, number INTEGER)");  // the application was here first
    const auto book = [](int n) { return [n](hawser::store_transaction& t) { return insert(t, n); }; };
    {
        store_process p(file);
        REQUIRE_FALSE(p.load());
        REQUIRE_FALSE(p.commit({begun(1)}));
        REQUIRE_FALSE(p.commit({accepted(1, 0, 1, book(10)), accepted(1, 1, 2, book(20))}));
        CHECK(p.commit({accepted(1, 1, 2, book(99))}) == errc::store_failed);  // the position is 2 already
        CHECK(p.commit({accepted(1, 3, 4, book(99))}) == errc::store_failed);  // 3 was skipped
        CHECK(p.commit({accepted(2, 2, 3, book(99))}) == errc::store_failed);  // another epoch
        REQUIRE_FALSE(p.commit({accepted(1, 2, 3, book(30))}));                // and the store goes on
        REQUIRE_FALSE(p.commit({ended(1)}));
        CHECK(p.commit({accepted(1, 3, 4, book(99))}) == errc::store_failed);  // the epoch is over
    }
    CHECK(sql(file, "SELECT * FROM received") == "1|10;2|20;3|30;");
    CHECK(sql(file, "SELECT accepted FROM hawser_stream") == "3;");
}

TEST_CASE("SQLite store: an effect that fails undoes its own commit, and no other of the group", "[store][sqlite]") {
    scratch_folder folder;
    const auto file = folder.file("a.db");
    sql(file, "CREATE TABLE received(position INTEGER PRIMARY KEY, number INTEGER)");
    const auto a = hawser::session_stream(epoch(1)), b = hawser::session_stream(epoch(2)), c = hawser::session_stream(epoch(3));
    {
        store_process p(file);
        REQUIRE_FALSE(p.commit({begun(1)}, a));
        REQUIRE_FALSE(p.commit({begun(2)}, b));
        REQUIRE_FALSE(p.commit({begun(3)}, c));
        hawser::store_effect fails = [](hawser::store_transaction& t) { (void)insert(t, 2); return std::make_error_code(std::errc::invalid_argument); };
        std::error_code why = std::make_error_code(std::errc::invalid_argument);
        SECTION("by an error") {}
        SECTION("by an exception") {
            fails = [](hawser::store_transaction& t) -> std::error_code { (void)insert(t, 2); throw std::runtime_error("no"); };
            why = errc::handler_failed;
        }
        SECTION("by SQL that is wrong") {
            fails = [](hawser::store_transaction& t) {
                (void)insert(t, 2);
                auto& tx = static_cast<hawser::sqlite_transaction&>(t);
                CHECK(tx.statement("SELECT nothing FROM nowhere") == nullptr);
                return tx.failure();
            };
            why = errc::store_failed;
        }
        p.start_commit(a, {accepted(1, 0, 1, [](auto& t) { return insert(t, 1); })});
        p.start_commit(b, {accepted(2, 0, 1, fails)});
        p.start_commit(c, {accepted(3, 0, 1, [](auto& t) { return insert(t, 3); })});
        CHECK(p.work->size() == 1);  // one piece of work, one transaction
        p.run();
        CHECK_FALSE(p.at(a).ec);
        CHECK(p.at(b).ec == why);
        CHECK_FALSE(p.at(c).ec);
    }
    CHECK(sql(file, "SELECT number FROM received ORDER BY 1") == "1;3;");
    CHECK(sql(file, "SELECT accepted FROM hawser_stream ORDER BY name") == "1;0;1;");
}

TEST_CASE("SQLite store: an effect that ends the transaction fails the store, which goes on with nothing", "[store][sqlite]") {
    scratch_folder folder;
    store_process p(folder.file("a.db"));
    REQUIRE_FALSE(p.load());
    REQUIRE_FALSE(p.commit({begun(1)}));
    CHECK(p.commit({accepted(1, 0, 1, [](hawser::store_transaction& t) {
              sqlite3_exec(static_cast<hawser::sqlite_transaction&>(t).database(), "ROLLBACK", nullptr, nullptr, nullptr);
              return std::error_code{};
          })}) == errc::store_failed);
    CHECK(p.commit({enqueued(1, "x")}) == errc::store_failed);
    store_process again(folder.file("a.db"));
    REQUIRE_FALSE(again.load());
    CHECK(again.at("client").image.accepted == 0);
}

TEST_CASE("SQLite store: whatever waits goes in one transaction with one fsync, over all streams", "[store][sqlite]") {
    faulty_vfs vfs;
    scratch_folder folder;
    hawser::sqlite_options o{.file = folder.file("a.db"), .vfs = faulty_vfs::name};
    SECTION("up to max_group_bytes") { o.max_group_bytes = 1; }
    store_process p(o);
    REQUIRE_FALSE(p.load());
    for (int i = 0; i < 8; ++i) p.start_commit(hawser::session_stream(epoch(i)), {begun(i), enqueued(1, "message")});
    const int before = vfs.syncs;
    p.run();
    for (int i = 0; i < 8; ++i) CHECK_FALSE(p.at(hawser::session_stream(epoch(i))).ec);
    CHECK(vfs.syncs - before == (o.max_group_bytes == 1 ? 8 : 1));
}

TEST_CASE("SQLite store: a commit over max_queued_bytes fails, and takes nothing with it", "[store][sqlite]") {
    scratch_folder folder;
    store_process p(hawser::sqlite_options{.file = folder.file("a.db"), .max_queued_bytes = 64 * 1024});
    const auto a = hawser::session_stream(epoch(1)), b = hawser::session_stream(epoch(2));
    p.start_commit(a, {begun(1), enqueued(1, std::string(40'000, 'x'))});
    p.start_commit(b, {begun(2), enqueued(1, std::string(40'000, 'x'))});
    p.run();
    CHECK_FALSE(p.at(a).ec);
    CHECK(p.at(b).ec == errc::queue_full);
    CHECK(p.at(b).ec == hawser::condition::retryable);
    std::error_code ec;
    CHECK(p.list(ec).size() == 1);
    // The same again is taken, when there is room.
    REQUIRE_FALSE(p.commit({begun(2), enqueued(1, std::string(40'000, 'x'))}, b));
    CHECK(p.list(ec).size() == 2);
}

TEST_CASE("SQLite store: the end of a session is taken also beyond max_queued_bytes", "[store][sqlite]") {
    scratch_folder folder;
    store_process p(hawser::sqlite_options{.file = folder.file("a.db"), .max_queued_bytes = 64 * 1024});
    const auto a = hawser::session_stream(epoch(1)), b = hawser::session_stream(epoch(2));
    REQUIRE_FALSE(p.commit({begun(2), accepted(2, 0, 7)}, b));
    p.start_commit(a, {begun(1), enqueued(1, std::string(65'000, 'x'))});
    auto end = ended(2);
    end.has_position = true;
    end.seq = 7;
    p.start_commit(b, {end});
    p.run();
    CHECK_FALSE(p.at(a).ec);
    CHECK_FALSE(p.at(b).ec);
    REQUIRE_FALSE(p.load(b));
    CHECK(p.at(b).image.phase == epoch_phase::ended);
    CHECK(p.at(b).image.accepted == 7);
}

TEST_CASE("SQLite store: a stream is open once, a file is open once", "[store][sqlite]") {
    scratch_folder folder;
    const auto file = folder.file("a.db");
    {
        store_process p(file);
        REQUIRE_FALSE(p.load());
        struct second final : hawser::store_client {
            void on_loaded(std::error_code e, hawser::store_image) override { ec = e; }
            void on_committed(std::error_code e) override { ec = e; }
            std::error_code ec;
        } client;
        auto other = p.store().open(p.driver, client, "client");
        other->load({});
        p.run();
        CHECK(client.ec == errc::locked);
        CHECK_FALSE(p.commit({enqueued(1, "the first has it")}));

        store_process another(file);
        CHECK(another.load() == errc::locked);
        SECTION("also when its streams are closed, while the store is open") {
            other.reset();
            p.close();
            CHECK(another.load() == errc::locked);
        }
    }
    store_process after(file);
    REQUIRE_FALSE(after.load());
    CHECK(after.at("client").image.outbox.size() == 1);
}

TEST_CASE("SQLite store: a file with tables of the application alone is version 0 and becomes a store", "[store][sqlite]") {
    scratch_folder folder;
    const auto file = folder.file("a.db");
    sql(file, "CREATE TABLE orders(id INTEGER PRIMARY KEY, item TEXT); INSERT INTO orders VALUES(1,'rope');");
    {
        store_process p(file);
        REQUIRE_FALSE(p.load());
        REQUIRE_FALSE(p.commit({enqueued(1, "kept")}));
    }
    CHECK(sql(file, "PRAGMA user_version; PRAGMA application_id; PRAGMA journal_mode; SELECT item FROM orders; SELECT count(*) FROM hawser_message") ==
          "2;1751218035;wal;rope;1;");
}

TEST_CASE("rule 6: after a crash between a rejection's commit and its ACK the sender is told rejected", "[store][sqlite]") {
    using session_test::two_ends;
    scratch_folder folder;
    const auto file = folder.file("a.db"), name = hawser::session_stream(session_test::filled<16>(0xe1));
    two_ends t;
    auto o = two_ends::options(session::side::server, session::feature::all, 64 * 1024);
    o.keep_records = true;
    const auto answer = [&](session_test::one_end& server) {
        server.commit();  // of records that the test committed to the file, if any
        while (const auto f = server.ep.next_frame()) {
            hawser::byte_vector bytes(f->head.begin(), f->head.end());
            (void)t.c.in(bytes);
        }
    };
    const auto decode = [&](auto& frame) {
        session::envelope e;
        const auto asked = two_ends::frames(t.c);
        REQUIRE_FALSE(session::decode(asked.at(0), e));
        REQUIRE(session::decode(e, frame));
    };
    {
        store_process p(file);
        session_test::one_end server(o);
        const auto commit = [&] {
            REQUIRE_FALSE(p.commit(server.ep.begin_commit(), name));
            server.ep.end_commit();
        };
        session::hello h;
        t.c.ep.attach_client();
        decode(h);
        REQUIRE_FALSE(server.ep.attach_hello(h, session_test::filled<16>(0xe1), session_test::filled<32>(0x70)));
        commit();
        answer(server);
        for (int i = 0; i < 3; ++i) t.c.send("m");
        for (const auto& f : two_ends::frames(t.c)) (void)server.in(f);
        server.finish(1);
        server.finish(2, hawser::outcome::rejected);
        server.finish(3);
        commit();
    }
    t.c.ep.detach();
    store_process p(file);
    session_test::one_end server(o);
    REQUIRE_FALSE(p.load(name));
    REQUIRE_FALSE(server.ep.restore(p.at(name).image, server.now));
    session::resume r;
    t.c.ep.attach_client();
    decode(r);
    server.ep.attach_resume(r, session_test::filled<32>(0x71), {}, server.now);
    answer(server);
    t.c.commit();
    CHECK(t.c.outcomes() == std::vector<std::string>{"1:acknowledged", "2:rejected", "3:acknowledged"});
}

TEST_CASE("SQLite store: a file of version 1 is opened, and gets a place for exceptions", "[store][sqlite]") {
    scratch_folder folder;
    const auto file = folder.file("a.db");
    // As version 1 made it, with its checksums.
    sql(file, std::string("PRAGMA journal_mode=WAL; BEGIN;") + hawser::detail::sqlite_migrations[0] +
        "INSERT INTO hawser_stream VALUES('client',1,X'42000000000000000000000000000000',1,3,1,X'01000000000000000000000000000000',"
        "X'746865207374617465',7,0,1,5,0,3876252081914205354);"
        "INSERT INTO hawser_message VALUES(1,1,1,X'',X'6669727374',2,0,X'',1673115622030248976);"
        "INSERT INTO hawser_message VALUES(1,2,1,X'6B6579',X'7365636F6E64',2,0,X'',8615990244062187686);"
        "INSERT INTO hawser_number VALUES(1,1,1,5,-5400005944558857360);"
        "PRAGMA application_id=1751218035; PRAGMA user_version=1; COMMIT;");
    {
        store_process p(file);
        REQUIRE_FALSE(p.load());
        const auto& image = p.at("client").image;
        CHECK(image.boot == 2);
        CHECK(image.state == "the state");
        CHECK(image.accepted == 7);
        CHECK(image.exceptions.empty());
        REQUIRE(image.outbox.size() == 2);
        CHECK(image.outbox[0].seq == 1);
        CHECK(image.outbox[1].key == "key");
        REQUIRE_FALSE(p.commit({with_exceptions(accepted(1, 7, 8), "the eighth")}));
    }
    CHECK(sql(file, "PRAGMA user_version; SELECT accepted,exceptions FROM hawser_stream") == "2;8|the eighth;");
    store_process p(file);
    REQUIRE_FALSE(p.load());
    CHECK(p.at("client").image.exceptions == "the eighth");
}

TEST_CASE("rule 6: exceptions are kept with their position, through the end of the epoch, and not beyond", "[store][sqlite]") {
    scratch_folder folder;
    const auto file = folder.file("a.db");
    const auto name = hawser::session_stream(epoch(1));
    const auto next_process = [&] {
        store_process p(file);
        std::error_code ec;
        const auto listed = p.list(ec);
        REQUIRE(listed.size() == 1);
        REQUIRE_FALSE(p.load(name));
        CHECK(listed[0].exceptions == p.at(name).image.exceptions);
        return p.at(name).image.exceptions;
    };
    const auto process = [&](std::vector<session::record> records) {
        store_process p(file);
        REQUIRE_FALSE(p.load(name));
        REQUIRE_FALSE(p.commit(std::move(records), name));
    };
    process({begun(1), with_exceptions(accepted(1, 0, 2), "two"), with_exceptions(accepted(1, 2, 3), "two, three")});
    CHECK(next_process() == "two, three");
    process({begun(1, "another state")});
    CHECK(next_process() == "two, three");
    SECTION("known to the peer, so that the next position has none") {
        process({accepted(1, 3, 4)});
        CHECK(next_process().empty());
    }
    SECTION("a tombstone has them, and another epoch has not") {
        auto end = ended(1);
        end.has_position = true;
        end.seq = 3;
        process({end});
        CHECK(next_process() == "two, three");
        process({begun(2)});
        CHECK(next_process().empty());
    }
    SECTION("a position that is refused changes nothing") {
        store_process p(file);
        REQUIRE_FALSE(p.load(name));
        CHECK(p.commit({with_exceptions(accepted(1, 7, 8), "eight")}, name) == errc::store_failed);
        REQUIRE_FALSE(p.load(name));
        CHECK(p.at(name).image.exceptions == "two, three");
    }
    SECTION("their checksum is that of the row") {
        sql(file, "UPDATE hawser_stream SET exceptions=x'74776f'");
        store_process p(file);
        CHECK(p.load(name) == errc::store_corrupt);
    }
}

TEST_CASE("SQLite store: a newer version and somebody else's file are refused, and stay as they are", "[store][sqlite]") {
    scratch_folder folder;
    const auto file = folder.file("a.db");
    {
        store_process p(file);
        REQUIRE_FALSE(p.load());
    }
    SECTION("newer") { sql(file, "PRAGMA user_version=3"); }
    SECTION("of another application") { sql(file, "PRAGMA application_id=7"); }
    SECTION("versioned by its application") { sql(file, "PRAGMA application_id=0; PRAGMA user_version=1"); }
    const auto before = read_file(file);
    store_process p(file);
    CHECK(p.load() == errc::store_version);
    CHECK(p.at("client").ec == hawser::condition::fatal);
    CHECK(read_file(file) == before);
}

TEST_CASE("SQLite store: is made for its owner alone", "[store][sqlite]") {
    scratch_folder folder;
    store_process p(folder.file("a.db"));
    REQUIRE_FALSE(p.load());
    for (const auto& name : folder.names())
        CHECK((std::filesystem::status(folder.file(name)).permissions() & std::filesystem::perms::all) ==
              (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
}

TEST_CASE("SQLite store: the log is copied into the file when it is large", "[store][sqlite]") {
    scratch_folder folder;
    const auto file = folder.file("a.db");
    store_process p(hawser::sqlite_options{.file = file, .checkpoint_bytes = 64 * 1024});
    REQUIRE_FALSE(p.load());
    std::uintmax_t largest = 0;
    for (std::uint64_t n = 1; n <= 100; ++n) {
        REQUIRE_FALSE(p.commit({enqueued(n, std::string(3000, 'x'))}));
        if (n > 10) REQUIRE_FALSE(p.commit({finished(n - 10)}));
        largest = std::max(largest, std::filesystem::file_size(file + "-wal"));
    }
    CHECK(largest < 2 * 64 * 1024);
}

TEST_CASE("SQLite store: wrong options name what is allowed", "[store][sqlite]") {
    using hawser::sqlite_options;
    CHECK(sqlite_options{.file = "a.db"}.problems().empty());
    CHECK(sqlite_options{}.problems() == std::vector<std::string>{"file must be the path of a file"});
    CHECK(sqlite_options{.file = ":memory:"}.problems().size() == 1);
    CHECK(sqlite_options{.file = "a.db", .lock_wait = std::chrono::hours(1)}.problems() ==
          std::vector<std::string>{"lock_wait is 3600000 ms, but must be between 0 ms and 60000 ms"});
    CHECK(sqlite_options{.file = "a.db", .max_queued_bytes = 1, .max_group_bytes = 0, .checkpoint_bytes = 1}.problems().size() == 3);
    CHECK_THROWS_AS(hawser::sqlite_store(sqlite_options{}), hawser::option_error);
}

TEST_CASE("SQLite store: a folder that is not there is an error, and so is a VFS", "[store][sqlite]") {
    scratch_folder folder;
    store_process p(folder.file("nowhere/a.db"));
    CHECK(p.load() == errc::store_failed);
    store_process q(hawser::sqlite_options{.file = folder.file("a.db"), .vfs = "no such"});
    CHECK(q.load() == errc::store_failed);
}

TEST_CASE("SQLite store: with its own thread, what is closed in the middle of a commit is let go, and nobody else notices", "[store][sqlite]") {
    for (int round = 0; round < 20; ++round) {
        scratch_folder folder;
        const auto file = folder.file("a.db");
        const auto name = [](int i) { return hawser::session_stream(epoch(i)); };
        {
            store_process p(hawser::sqlite_options{.file = file}, store_process::threaded{});
            for (int i = 0; i < 8; ++i) p.start_commit(name(i), {begun(i), enqueued(1, "message")});
            for (int i = 1; i < 8; i += 2) p.at(name(i)).opened.reset();
            for (int i = 0; i < 8; i += 2) {
                while (!p.at(name(i)).committed) p.driver.poll(), std::this_thread::yield();
                CHECK_FALSE(p.at(name(i)).ec);
            }
            for (int i = 1; i < 8; i += 2) CHECK_FALSE(p.at(name(i)).committed);
            p.start_commit(name(0), {enqueued(2, "on its way when the process ends")});
        }
        store_process p(file);
        std::error_code ec;
        int found = 0;
        for (const auto& s : p.list(ec)) {
            for (int i = 0; i < 8; i += 2) found += s.name == name(i);
            CHECK(s.messages >= 1);
        }
        CHECK(found == 4);
    }
}

TEST_CASE("SQLite store: an io_context that ends before the store and its streams is not touched any more", "[store][sqlite]") {
    scratch_folder folder;
    hawser::sqlite_store store({.file = folder.file("a.db")});
    struct nobody final : hawser::store_client {
        void on_loaded(std::error_code, hawser::store_image) override { ++told; }
        void on_committed(std::error_code) override { ++told; }
        int told = 0;
    } client;
    std::unique_ptr<hawser::opened_store> opened;
    {
        asio::io_context context;
        opened = store.open(hawser::install_driver<hawser::testing::virtual_driver>(context, std::uint64_t{1}), client, "client");
        opened->load({});
    }
    CHECK(client.told == 0);
}

TEST_CASE("SQLite store: on_open makes the application's tables before anything else, and its error fails the store", "[store][sqlite]") {
    scratch_folder folder;
    hawser::sqlite_options o{.file = folder.file("a.db")};
    o.on_open = [](hawser::sqlite_transaction& tx) {
        sqlite3_stmt* s = tx.statement("CREATE TABLE received(position INTEGER PRIMARY KEY, number INTEGER)");
        return s && sqlite3_step(s) == SQLITE_DONE ? std::error_code{} : tx.failure();
    };
    {
        store_process p(o);
        REQUIRE_FALSE(p.load());
        REQUIRE_FALSE(p.commit({begun(1), accepted(1, 0, 1, [](auto& t) { return insert(t, 5); })}));
    }
    CHECK(sql(o.file, "SELECT number FROM received") == "5;");
    store_process again(o);  // the table is there already
    CHECK(again.load() == errc::store_failed);
    CHECK(again.load() == errc::store_failed);
}

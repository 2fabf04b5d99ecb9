// SPDX-License-Identifier: BSL-1.0
// The SQLite store when the disk fails it: files cut off at every byte, bits flipped, no space at every write, an fsync
// that fails at every place, loss of power. Each ends in one of the outcomes that docs/guides/durability.md states.
#include "support/catch.hpp"
#include "support/sqlite_history.hpp"

using namespace support;
using hawser::errc;

TEST_CASE("Q1: a log cut off at every byte has the transactions that are whole in it", "[store][sqlite][faults]") {
    const history h(6);
    scratch_folder folder;
    const auto file = folder.file("a.db");
    const disk_image& last = h.images.back();
    std::size_t step = 0;
    for (std::size_t cut = 0; cut <= last.log.size(); ++cut) {
        while (step + 1 < h.images.size() && h.images[step + 1].log.size() <= cut) ++step;
        // Every byte of the last two transactions, and of the log's head; a sample of the others.
        if (cut > 40 && cut < h.images[4].log.size() && cut % 61 != 0) continue;
        put(file, {last.main, last.log.substr(0, cut)});
        const auto f = look(file);
        CAPTURE(cut, step);
        REQUIRE_FALSE(f.error);
        // Nothing of the log: only the load is missing, which was in it as well.
        if (cut < h.images[0].log.size()) REQUIRE(f.state == "0  0 1");
        else REQUIRE(f.state == h.states[step]);
    }
    CHECK(step == 6);
}

TEST_CASE("Q1: a file cut off anywhere is damaged, and set aside", "[store][sqlite][faults]") {
    const history h(6);
    REQUIRE(h.closed.log.empty());
    // SQLite does not tell a file of one byte from an empty one, which is a new store.
    for (std::size_t cut = 2; cut < h.closed.main.size(); ++cut) {
        // Every byte of the last two pages and of the head; a sample of the others.
        if (cut > 110 && cut + 1024 < h.closed.main.size() && cut % 61 != 0) continue;
        scratch_folder folder;
        const auto file = folder.file("a.db");
        put(file, {h.closed.main.substr(0, cut), {}});
        CAPTURE(cut);
        REQUIRE(look(file).error == errc::store_corrupt);
        REQUIRE_FALSE(std::filesystem::exists(file));
        auto aside = folder.names("a.db.damaged-");
        std::erase_if(aside, [](const std::string& name) { return name.ends_with("-wal"); });
        REQUIRE(aside.size() == 1);
        REQUIRE(read_file(folder.file(aside[0])).substr(0, cut) == h.closed.main.substr(0, cut));
    }
}

TEST_CASE("Q1: a bit flipped anywhere in the file is found, or changes nothing", "[store][sqlite][faults]") {
    const history h(6);
    int damaged = 0, refused = 0, harmless = 0;
    for (std::size_t at = 0; at < h.closed.main.size(); ++at) {
        scratch_folder folder;
        const auto file = folder.file("a.db");
        disk_image image = h.closed;
        image.main[at] = static_cast<char>(image.main[at] ^ (1 << (at % 8)));
        put(file, image);
        const auto f = look(file);
        CAPTURE(at, f.error, f.state);
        if (f.error == errc::store_corrupt) {
            ++damaged;
            REQUIRE_FALSE(std::filesystem::exists(file));
            REQUIRE_FALSE(folder.names("a.db.damaged-").empty());
        } else if (f.error) {
            ++refused;
            REQUIRE(at < 100);  // in the head: of another version, say
        } else {
            ++harmless;
            REQUIRE(f.state == h.states.back());
        }
    }
    CAPTURE(damaged, refused, harmless, h.closed.main.size());
    CHECK(damaged > harmless / 4);
    CHECK(refused < 100);
}

TEST_CASE("Q1: a bit flipped in the log is found, but for its end, which is not there then", "[store][sqlite][faults]") {
    const history h(6);
    scratch_folder folder;
    const auto file = folder.file("a.db");
    const disk_image& last = h.images.back();
    const std::size_t second_last = h.images[4].log.size(), newest = h.images[5].log.size(), frame = 24 + 512;
    for (std::size_t at = 0; at < last.log.size(); ++at) {
        if (at > 64 && at < second_last && at % 29 != 0) continue;
        disk_image image = last;
        image.log[at] = static_cast<char>(image.log[at] ^ (1 << (at % 8)));
        put(file, image);
        const auto f = look(file);
        CAPTURE(at, second_last, newest, f.error);
        // The mark that ends the last transaction but one: there is no telling it from a torn one that is longer.
        const bool mark = at >= newest - frame + 4 && at < newest - frame + 16;
        if (at >= newest) {
            REQUIRE((f.error == errc::store_corrupt || f.state == h.states[5]));
        } else if (mark) {
            REQUIRE((f.error == errc::store_corrupt || f.state == h.states[4]));
        } else {
            REQUIRE(f.error == errc::store_corrupt);
            REQUIRE_FALSE(std::filesystem::exists(file));
            REQUIRE_FALSE(std::filesystem::exists(file + "-wal"));
        }
        for (const auto& name : folder.names("damaged")) std::filesystem::remove(folder.file(name));
    }
}

TEST_CASE("Q3: no space at any write: what was stored is intact, the commit says so, and it goes on when there is some", "[store][sqlite][faults]") {
    const std::uint64_t steps = 14;
    const history h(steps, 9000);  // so that checkpoints come in between
    int in_load = 0, in_commit = 0, in_checkpoint = 0;
    for (int n = 1;; ++n) {
        faulty_vfs vfs;
        scratch_folder folder;
        const auto file = folder.file("a.db");
        make_small(file);
        store_process p(hawser::sqlite_options{.file = file, .vfs = faulty_vfs::name, .checkpoint_bytes = 64 * 1024});
        vfs.fail_write = n;
        CAPTURE(n);
        auto ec = p.load();
        std::uint64_t reached = 0;
        while (!ec && reached < steps) {
            ec = p.commit(step(reached + 1, 9000));
            if (!ec) ++reached;
        }
        const bool done = !ec;
        if (!done) {
            REQUIRE(ec == errc::store_full);
            reached == 0 ? ++in_load : ++in_commit;
            const auto now = take(file);
            scratch_folder other;
            put(other.file("copy.db"), now);
            const auto f = look(other.file("copy.db"));
            REQUIRE_FALSE(f.error);
            // What failed may be there, as after a crash: half of its last write, over older bytes that were the same.
            if (reached > 0) REQUIRE((f.state == h.states[reached] || f.state == h.states[reached + 1]));
        }
        if (reached > 0 && vfs.writes >= n && vfs.written[static_cast<std::size_t>(n - 1)] == "main") ++in_checkpoint;
        vfs.fail_write = faulty_vfs::none;
        if (reached > 0) {
            for (; reached < steps; ++reached) REQUIRE_FALSE(p.commit(step(reached + 1, 9000)));
            p.close();
            REQUIRE_FALSE(p.load());
            REQUIRE(describe(p.at("client").image) == h.states[steps]);
        } else {
            REQUIRE_FALSE(p.load());
        }
        if (done && vfs.writes < n) break;
        n += n > 60 ? 6 : 0;
    }
    CAPTURE(in_load, in_commit, in_checkpoint);
    CHECK(in_load > 0);
    CHECK(in_commit > 10);
    CHECK(in_checkpoint > 0);
}

TEST_CASE("Q3: an fsync that fails is never followed by a success, and a loss of power then costs nothing that was reported", "[store][sqlite][faults]") {
    const std::uint64_t steps = 14;
    const history h(steps, 9000);
    int failures = 0, in_checkpoint = 0;
    for (int n = 1;; ++n) {
        faulty_vfs vfs;
        scratch_folder folder;
        const auto file = folder.file("a.db");
        make_small(file);
        std::uint64_t reached = 0;
        std::error_code ec;
        bool failed = false;
        disk_image left, synced;
        {
            store_process p(hawser::sqlite_options{.file = file, .vfs = faulty_vfs::name, .checkpoint_bytes = 64 * 1024});
            vfs.fail_sync = n;
            ec = p.load();
            const bool loaded = !ec;
            while (!ec && reached < steps) {
                const int before = vfs.syncs;
                ec = p.commit(step(reached + 1, 9000));
                if (!ec) ++reached;
                if (!ec && before < n && vfs.syncs >= n) ++in_checkpoint;
            }
            CAPTURE(n, reached);
            failed = vfs.syncs >= n;
            if (failed && reached < steps) REQUIRE(ec == errc::store_failed);
            if (failed && loaded) REQUIRE(p.commit(step(reached + 1, 9000)) == errc::store_failed);
            if (failed) REQUIRE(p.load() == errc::store_failed);
            left = take(file);
            synced = {vfs.synced(file), vfs.synced(file + "-wal")};
        }
        if (!failed) break;
        ++failures;
        CAPTURE(n, reached);
        scratch_folder after;
        // The machine goes on: what was not reported may be there or not.
        put(after.file("left.db"), left);
        const auto f = look(after.file("left.db"));
        REQUIRE_FALSE(f.error);
        if (reached > 0) REQUIRE((f.state == h.states[reached] || (reached < steps && f.state == h.states[reached + 1])));
        // It loses power: what was reported is there.
        if (reached > 0) {
            put(after.file("synced.db"), synced);
            const auto s = look(after.file("synced.db"));
            REQUIRE_FALSE(s.error);
            REQUIRE((s.state == h.states[reached] || (reached < steps && s.state == h.states[reached + 1])));
        }
    }
    CAPTURE(failures, in_checkpoint);
    CHECK(failures > static_cast<int>(steps));
    CHECK(in_checkpoint > 0);
}

TEST_CASE("Q1: a loss of power after any commit leaves exactly what was reported", "[store][sqlite][faults]") {
    const std::uint64_t steps = 14;
    const history h(steps, 9000);
    faulty_vfs vfs;
    scratch_folder folder, after;
    const auto file = folder.file("a.db");
    make_small(file);
    store_process p(hawser::sqlite_options{.file = file, .vfs = faulty_vfs::name, .checkpoint_bytes = 64 * 1024});
    REQUIRE_FALSE(p.load());
    for (std::uint64_t n = 1; n <= steps; ++n) {
        REQUIRE_FALSE(p.commit(step(n, 9000)));
        put(after.file("b.db"), {vfs.synced(file), vfs.synced(file + "-wal")});
        const auto f = look(after.file("b.db"));
        CAPTURE(n);
        REQUIRE_FALSE(f.error);
        REQUIRE(f.state == h.states[n]);
    }
}

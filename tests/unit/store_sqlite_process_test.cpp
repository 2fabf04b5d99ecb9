// SPDX-License-Identifier: BSL-1.0
// The SQLite store and real processes: a second one, one that is killed in the middle, a forked copy.
#include "support/catch.hpp"
#include "support/sqlite_history.hpp"

#if defined(__unix__) || defined(__APPLE__)

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

using namespace support;
using hawser::errc;

namespace {

struct pipe_pair {
    pipe_pair() { REQUIRE(::pipe(ends) == 0); }
    ~pipe_pair() { close_read(), close_write(); }
    pipe_pair(const pipe_pair&) = delete;
    pipe_pair& operator=(const pipe_pair&) = delete;
    void close_read() { if (ends[0] >= 0) ::close(std::exchange(ends[0], -1)); }
    void close_write() { if (ends[1] >= 0) ::close(std::exchange(ends[1], -1)); }
    void put() const { (void)!::write(ends[1], "x", 1); }
    // False: the other end is closed.
    [[nodiscard]] bool get() const {
        char c;
        return ::read(ends[0], &c, 1) == 1;
    }
    int ends[2] = {-1, -1};
};

// Runs `f` in a child, which then ends without any destructor.
template <class F>
pid_t in_child(F f) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child != 0) return child;
    ::alarm(60);
    try {
        f();
    } catch (...) {
        ::_exit(3);
    }
    ::_exit(0);
}
int end_of(pid_t child) {
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return status;
}

}  // namespace

TEST_CASE("SQLite store: a file that another process has open is locked, until it lets go", "[store][sqlite][process]") {
    scratch_folder folder;
    const auto file = folder.file("a.db");
    pipe_pair ready, go;
    const pid_t child = in_child([&] {
        go.close_write();
        store_process p(file);
        if (p.load() || p.commit({enqueued(1, "of the child")})) ::_exit(1);
        ready.put();
        (void)go.get();
        ::_exit(0);  // like a kill: nothing is closed in order
    });
    REQUIRE(ready.get());
    store_process p(file);
    CHECK(p.load() == errc::locked);
    CHECK(p.at("client").ec == hawser::condition::retryable);
    SECTION("asked again") {
        go.close_write();
        CHECK(end_of(child) == 0);
        CHECK_FALSE(p.load());
        CHECK(p.at("client").image.outbox.size() == 1);
    }
    SECTION("with lock_wait it is waited for") {
        store_process patient(hawser::sqlite_options{.file = file, .lock_wait = std::chrono::seconds(30)});
        go.close_write();
        CHECK_FALSE(patient.load());
        CHECK(patient.at("client").image.outbox.size() == 1);
        CHECK(end_of(child) == 0);
    }
}

TEST_CASE("Q1: a process killed in the middle leaves what it reported, and at most one commit more", "[store][sqlite][process]") {
    const std::uint64_t steps = 40;
    const history h(steps, 2000);
    int in_the_middle = 0;
    for (std::uint64_t kill_at = 0; kill_at < steps; kill_at += 2) {
        scratch_folder folder;
        const auto file = folder.file("a.db");
        make_small(file);
        pipe_pair reported;
        const pid_t child = in_child([&] {
            store_process p(hawser::sqlite_options{.file = file, .checkpoint_bytes = 64 * 1024}, store_process::threaded{});
            if (p.wait_load()) ::_exit(1);
            for (std::uint64_t n = 1; n <= steps; ++n) {
                if (p.wait_commit(step(n, 2000))) ::_exit(1);
                reported.put();
            }
            (void)::pause();
        });
        reported.close_write();
        std::uint64_t told = 0;
        while (told < kill_at && reported.get()) ++told;
        ::kill(child, SIGKILL);
        const int status = end_of(child);
        while (reported.get()) ++told;
        CAPTURE(kill_at, told);
        REQUIRE(WIFSIGNALED(status));
        const auto f = look(file);
        REQUIRE_FALSE(f.error);
        in_the_middle += told > 0 && told < steps;
        if (told > 0) REQUIRE((f.state == h.states[told] || (told < steps && f.state == h.states[told + 1])));
    }
    CHECK(in_the_middle > 10);
}

TEST_CASE("SQLite store: a forked child leaves the store to its parent", "[store][sqlite][process]") {
    scratch_folder folder;
    const auto file = folder.file("a.db");
    {
        auto p = std::make_unique<store_process>(hawser::sqlite_options{.file = file}, store_process::threaded{});
        REQUIRE_FALSE(p->wait_load());
        REQUIRE_FALSE(p->wait_commit({enqueued(1, "before")}));
        const pid_t child = in_child([&] {
            p->context.notify_fork(asio::execution_context::fork_child);
            p.reset();
        });
        CHECK(end_of(child) == 0);
        REQUIRE_FALSE(p->wait_commit({enqueued(2, "after")}));
        store_process other(file);
        CHECK(other.load() == errc::locked);
    }
    store_process p(file);
    REQUIRE_FALSE(p.load());
    CHECK(p.at("client").image.outbox.size() == 2);
}

#endif

// SPDX-License-Identifier: BSL-1.0
// Hosts that fork, and hosts that run out of descriptors.
#include "integration/host_support.hpp"
#include "support/policies.hpp"

#if !defined(_WIN32)

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <netinet/in.h>

using namespace host_support;
using hawser::connection_state;
using hawser::message;

namespace {

// A forked child that says what is wrong; nothing, if all is well.
class child {
public:
    // With `context` as asio's rules for forking ask for it.
    template <class F>
    explicit child(F f, asio::io_context* context = nullptr) {
        REQUIRE(::pipe(pipe_) == 0);
        if (context) context->notify_fork(asio::io_context::fork_prepare);
        pid_ = ::fork();
        REQUIRE(pid_ >= 0);
        if (pid_ == 0) {
            if (context) context->notify_fork(asio::io_context::fork_child);
            std::string problem;
            try {
                problem = f();
            } catch (const std::exception& e) {
                problem = e.what();
            }
            (void)!::write(pipe_[1], problem.data(), problem.size());
            ::_exit(0);
        }
        if (context) context->notify_fork(asio::io_context::fork_parent);
        ::close(pipe_[1]);
    }
    child(const child&) = delete;
    child& operator=(const child&) = delete;
    ~child() {
        ::close(pipe_[0]);
        if (!over()) ::kill(pid_, SIGKILL);
        if (!reaped_) ::waitpid(pid_, &status_, 0);
    }
    [[nodiscard]] bool over() {
        if (!reaped_) reaped_ = ::waitpid(pid_, &status_, WNOHANG) == pid_;
        return reaped_;
    }
    // Once it is over.
    [[nodiscard]] std::string problem() {
        if (!WIFEXITED(status_)) return "killed by a signal";
        std::string text(1000, '\0');
        const auto n = ::read(pipe_[0], text.data(), text.size());
        text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
        return text;
    }
    [[nodiscard]] int exit_code() const { return WEXITSTATUS(status_); }

private:
    int pipe_[2] = {-1, -1};
    pid_t pid_ = -1;
    int status_ = 0;
    bool reaped_ = false;
};

#define EXPECT(what)                                         \
    do {                                                     \
        if (!(what)) return std::string("not true: " #what); \
    } while (false)

// A listener with an echo, a plain client and one with a session, both open.
struct family {
    explicit family(asio::io_context& c) : context(c), server(c, {}, options()) {
        server.echo();
        for (const auto& o : {hawser::options::plain(), hawser::options::reliable()}) {
            auto& s = clients.emplace_back(context, o);
            s.on_state([this](const hawser::state_change&) { ++changes; });
            s.on_message([this](const hawser::message_view& m) { got.emplace_back(m.text()); });
            s.connect(server.url());
        }
    }
    static hawser::options options() {
        auto o = hawser::options::plain();
        o.session = hawser::session_mode::preferred;
        return o;
    }
    // Each client's message comes back.
    [[nodiscard]] bool echoes(const std::string& text) {
        const std::size_t before = got.size();
        for (auto& c : clients)
            if (!c.try_send(message::text(text))) return false;
        return run_until(context, [&] { return got.size() == before + clients.size(); }, 5s) && got.back() == text;
    }
    asio::io_context& context;
    echo_listener server;
    std::list<hawser::resilient_socket<>> clients;
    std::vector<std::string> got;
    int changes = 0;
};

std::string uses_new_sockets(asio::io_context& context, const std::string& url) {
    hawser::resilient_socket<> s(context, hawser::options::reliable());
    std::optional<hawser::outcome> sent;
    std::string got;
    s.on_message([&](const hawser::message_view& m) { got = m.text(); });
    s.connect(url);
    s.async_send(message::text("child"), [&](std::error_code, hawser::outcome o) { sent = o; });
    EXPECT(run_until(context, [&] { return sent && !got.empty(); }, 5s));
    EXPECT(sent == hawser::outcome::acknowledged);
    s.close();
    EXPECT(run_until(context, [&] { return s.state() == connection_state::closed; }, 5s));
    return {};
}

}  // namespace

TEST_CASE("fork: whatever the child does with its copies, the parent's connections do not notice") {
    const auto what = GENERATE(as<std::string>(), "destroys them", "uses them", "destroys the io_context",
                               "new sockets", "new io_context", "nothing");
    CAPTURE(what);
    auto context = std::make_unique<support::host_context>();
    auto parent = std::make_unique<family>(*context);
    REQUIRE(run_until(*context, [&] { return parent->server.sockets.size() == 2; }));
    REQUIRE(parent->echoes("before"));
    // Something under way: a receive in the child is let go of without a call.
    int called = 0;
    parent->server.sockets.front().async_outcome({12345}, [&](std::error_code, hawser::outcome) { ++called; });
    const int changes = parent->changes;
    const std::string url = parent->server.url();
    const auto in_child = [&]() -> std::string {
        if (what == "destroys them") {
            parent.reset();
            context->restart();
            context->run_for(1s);
            EXPECT(context->stopped());
        } else if (what == "uses them") {
            for (auto& c : parent->clients) {
                EXPECT(c.state() == connection_state::closed);
                EXPECT(c.try_send(message::text("x")).error == hawser::errc::closed);
                EXPECT(c.try_send("x").error == hawser::errc::closed);
                EXPECT(c.handle().send(message::text("x")) == hawser::errc::closed);
                c.close();
                c.async_close([](std::error_code) {});
            }
            parent->server.close();
            context->restart();
            context->run_for(200ms);
            EXPECT(parent->got.size() == 2);
        } else if (what == "destroys the io_context") {
            parent.reset();
            context.reset();
        } else if (what == "new sockets") {
            return uses_new_sockets(*context, url);
        } else if (what == "new io_context") {
            support::host_context fresh;
            family mine(fresh);
            EXPECT(run_until(fresh, [&] { return mine.server.sockets.size() == 2; }));
            EXPECT(mine.echoes("mine"));
            return uses_new_sockets(fresh, url);
        }
        return {};
    };
    child c(in_child, context.get());
    REQUIRE(run_until(*context, [&] { return c.over(); }));
    CHECK(c.problem() == "");
    CHECK(parent->changes == changes);
    CHECK(parent->echoes("after"));
    CHECK(parent->changes == changes);
    const bool another = what.starts_with("new");
    CHECK(parent->server.sockets.size() == (another ? 3 : 2));
    // Also a new client finds the listener.
    hawser::resilient_socket<> late(*context, hawser::options::plain());
    late.connect(url);
    CHECK(run_until(*context, [&] { return late.state() == connection_state::open; }));
}

TEST_CASE("fork and exec: no descriptor of a socket is inherited") {
    support::host_context context;
    family parent(context);
    REQUIRE(run_until(context, [&] { return parent.server.sockets.size() == 2; }));
    child c([]() -> std::string {
        // Those of the test's own standard streams aside.
        ::execl("/bin/sh", "sh", "-c",
                "for f in 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19; do "
                "case \"$(readlink /proc/$$/fd/$f)\" in socket:*) exit 1;; esac; done; exit 7",
                nullptr);
        return "exec failed";
    });
    REQUIRE(run_until(context, [&] { return c.over(); }));
    CHECK(c.exit_code() == 7);
    CHECK(parent.echoes("after"));
}

namespace {

using support::watched;

double cpu_seconds() {
    rusage u{};
    ::getrusage(RUSAGE_SELF, &u);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    return seconds(u.ru_utime) + seconds(u.ru_stime);
}

// From now on no descriptor above those in use can be had.
void exhaust_descriptors(rlim_t& before) {
    rlimit l{};
    ::getrlimit(RLIMIT_NOFILE, &l);
    before = l.rlim_cur;
    const int next = ::dup(0);
    ::close(next);
    l.rlim_cur = static_cast<rlim_t>(next);
    ::setrlimit(RLIMIT_NOFILE, &l);
}
void set_descriptor_limit(rlim_t limit) {
    rlimit l{};
    ::getrlimit(RLIMIT_NOFILE, &l);
    l.rlim_cur = limit;
    ::setrlimit(RLIMIT_NOFILE, &l);
}

std::string without_descriptors() {
    support::host_context context;
    hawser::counting_metrics metrics;
    std::vector<std::string> lines;
    hawser::callback_log log([&](const hawser::log_record& r) {
        if (r.event == "accept_failed") lines.push_back(hawser::format_record(r));
    });
    hawser::listener<watched> server(context, {}, hawser::options::plain(), {.metrics = metrics, .logger = log});
    std::list<hawser::resilient_socket<watched>> accepted;
    std::function<void()> accept = [&] {
        server.async_accept([&](std::error_code ec, hawser::resilient_socket<watched> s) {
            if (ec) return;
            auto& kept = accepted.emplace_back(std::move(s));
            kept.on_message([&kept](const hawser::message_view& m) { (void)kept.try_send(m); });
            accept();
        });
    };
    accept();
    const std::string url = "ws://127.0.0.1:" + std::to_string(server.port()) + "/";
    hawser::resilient_socket<> old(context, hawser::options::plain());
    int echoed = 0;
    old.on_message([&](const hawser::message_view&) { ++echoed; });
    old.connect(url);
    EXPECT(run_until(context, [&] { return old.state() == connection_state::open && accepted.size() == 1; }));

    int waiting[5];
    for (int& s : waiting)
        s = ::socket(AF_INET, SOCK_STREAM, 0);
    hawser::resilient_socket<> late(context, [] {
        auto o = hawser::options::plain();
        o.reconnect.base_delay = 50ms;
        o.reconnect.max_delay = 200ms;
        return o;
    }());
    std::error_code why;
    bool blamed = false;
    late.on_state([&](const hawser::state_change& c) {
        blamed = blamed || c.reason == hawser::errc::circuit_open;
        if (c.to == connection_state::waiting && !why) why = c.reason;
    });
    rlim_t before = 0;
    exhaust_descriptors(before);
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_port = htons(server.port());
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (const int s : waiting)
        EXPECT(::connect(s, reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0);
    const std::string request =
        "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    for (const int s : waiting)
        EXPECT(::send(s, request.data(), request.size(), 0) == static_cast<ssize_t>(request.size()));
    EXPECT(run_until(context, [&] { return !lines.empty(); }));

    // A second of that: told once, no CPU burnt, and the connection that is there works.
    const auto cpu = cpu_seconds();
    const auto wall = std::chrono::steady_clock::now();
    late.connect(url);
    context.restart();
    context.run_for(1s);
    const double share =
        (cpu_seconds() - cpu) / std::chrono::duration<double>(std::chrono::steady_clock::now() - wall).count();
    if (share > 0.1) return "CPU share " + std::to_string(share);
    EXPECT(lines.size() == 1);
    EXPECT(metrics.value(hawser::counter::accept_failures) == 1);
    EXPECT(lines[0].find("Too many open files") != std::string::npos);
    EXPECT(old.try_send("still here"));
    EXPECT(run_until(context, [&] { return echoed == 1; }, 5s));
    EXPECT(accepted.size() == 1);
    EXPECT(why == std::errc::too_many_files_open);
    EXPECT(late.state() != connection_state::open);
    EXPECT(!blamed);  // the breaker is the endpoint's

    set_descriptor_limit(before);
    EXPECT(run_until(context, [&] { return accepted.size() == 7 && late.state() == connection_state::open; }, 5s));

    // The next time is told again.
    const int more = ::socket(AF_INET, SOCK_STREAM, 0);
    exhaust_descriptors(before);
    EXPECT(::connect(more, reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0);
    EXPECT(run_until(context, [&] { return lines.size() == 2; }, 5s));
    set_descriptor_limit(before);  // a sanitizer looks at memory through a pipe, and reports what it could not see
    return {};
}

}  // namespace

TEST_CASE(
    "descriptors run out: the listener waits, says so once, burns no CPU, and accepts again; so does the client") {
    child c(without_descriptors);
    while (!c.over())
        ::usleep(10'000);
    CHECK(c.problem() == "");
}

#endif

// SPDX-License-Identifier: BSL-1.0
// The drivers of real sockets, one rule after the other: what a stream tells and, above all, when it is silent.
#include "support/catch.hpp"

#include <hawser/driver/asio_driver.hpp>
#include <hawser/driver/epoll_driver.hpp>
#include <hawser/driver/use_driver.hpp>

#include <asio/post.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#if defined(__linux__)

#include <csignal>

#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace std::chrono_literals;
using hawser::asio_driver;
using hawser::epoll_driver;

namespace {

constexpr bool is_epoll(const epoll_driver&) { return true; }
constexpr bool is_epoll(const asio_driver&) { return false; }

// The other side, in plain calls. Its sends do not wait.
class plain_peer {
public:
    explicit plain_peer(std::uint16_t port) : descriptor_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in where{};
        where.sin_family = AF_INET;
        where.sin_port = htons(port);
        where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        REQUIRE(::connect(descriptor_, reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0);
    }
    plain_peer(plain_peer&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    ~plain_peer() { close(); }

    void send(const std::string& text) const {
        REQUIRE(::send(descriptor_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
    }
    // As much as the system takes; returns how much that is.
    [[nodiscard]] std::size_t fill() const {
        const std::string block(64 * 1024, 'x');
        std::size_t total = 0;
        for (ssize_t n; (n = ::send(descriptor_, block.data(), block.size(), MSG_DONTWAIT | MSG_NOSIGNAL)) > 0;)
            total += static_cast<std::size_t>(n);
        return total;
    }
    [[nodiscard]] std::size_t receive() const {
        std::array<char, 65536> block;
        std::size_t total = 0;
        for (ssize_t n; (n = ::recv(descriptor_, block.data(), block.size(), MSG_DONTWAIT)) > 0;)
            total += static_cast<std::size_t>(n);
        return total;
    }
    void finish() const { REQUIRE(::shutdown(descriptor_, SHUT_WR) == 0); }
    void close() {
        if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
    }
    void reset() {
        const linger hard{1, 0};
        REQUIRE(::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard) == 0);
        close();
    }

private:
    int descriptor_;
};

struct recorder final : hawser::stream_sink {
    void on_connected(std::error_code ec) override {
        connected = ec;
        if (then) then();
    }
    hawser::byte_span read_room() noexcept override { return room; }
    void on_bytes(hawser::byte_span chunk) override {
        ++reads;
        text += hawser::as_text(chunk);
        if (then) then();
    }
    void on_writable() override {
        ++writables;
        if (then) then();
    }
    void on_closed(std::error_code ec) override {
        ++ends;
        closed = ec;
        if (then) then();
    }
    [[nodiscard]] std::size_t write(const std::string& bytes) const {
        const hawser::byte_view view = hawser::as_bytes(bytes);
        const auto r = stream->write_some({&view, 1});
        CHECK(!r.error);
        return r.bytes;
    }

    hawser::stream_ptr stream;
    hawser::byte_span room;
    std::string text;
    std::optional<std::error_code> connected, closed;
    int reads = 0, writables = 0, ends = 0;
    std::function<void()> then;
};

template <class Driver>
struct world final : hawser::acceptor_sink {
    world() : driver(hawser::install_driver<Driver>(context)) {
        std::error_code ec;
        acceptor = driver.listen({}, *this, ec);
        REQUIRE(!ec);
    }
    ~world() { waiting.clear(); }
    void on_accept(hawser::stream_ptr s) override { waiting.push_back(std::move(s)); }
    void on_accept_error(std::error_code) override {}

    // An accepted stream that nobody listens to yet, and its peer.
    std::pair<plain_peer, hawser::stream_ptr> pair() {
        plain_peer peer(acceptor->port());
        REQUIRE(until([&] { return !waiting.empty(); }));
        auto s = std::move(waiting.back());
        waiting.pop_back();
        return {std::move(peer), std::move(s)};
    }
    plain_peer connect(recorder& r) {
        auto [peer, s] = pair();
        r.stream = std::move(s);
        r.stream->set_sink(r);
        return std::move(peer);
    }
    template <class Done>
    bool until(Done done) {
        const auto end = std::chrono::steady_clock::now() + 10s;
        while (!done()) {
            if (std::chrono::steady_clock::now() >= end) return false;
            context.restart();
            context.run_one_for(50ms);
        }
        return true;
    }
    // Lets the network and the context come to rest; whether they do.
    bool rests() {
        for (int i = 0, silent = 0; i < 1000; ++i) {
            ::usleep(2000);
            context.restart();
            silent = context.poll() == 0 ? silent + 1 : 0;
            if (silent == 20) return true;
        }
        return false;
    }

    asio::io_context context;
    Driver& driver;
    hawser::acceptor_ptr acceptor;
    std::vector<hawser::stream_ptr> waiting;
};

}  // namespace

TEMPLATE_TEST_CASE("stream: bytes, the peer's end and nothing after it", "[driver]", asio_driver, epoll_driver) {
    world<TestType> w;
    recorder r;
    auto peer = w.connect(r);
    CHECK(r.stream->remote_address() == "127.0.0.1");
    peer.send("one");
    REQUIRE(w.until([&] { return r.text == "one"; }));
    peer.send("two");
    peer.finish();
    REQUIRE(w.until([&] { return r.ends == 1; }));
    CHECK(r.text == "onetwo");
    CHECK(!*r.closed);
    CHECK(w.rests());
    CHECK(r.ends == 1);
    CHECK(r.write("still open in this direction") == 28);
    CHECK(w.until([&] { return peer.receive() == 28; }));
}

TEMPLATE_TEST_CASE("stream: reads nothing before it has a sink", "[driver]", asio_driver, epoll_driver) {
    world<TestType> w;
    auto [peer, s] = w.pair();
    peer.send("early");
    CHECK(w.rests());
    recorder r;
    r.stream = std::move(s);
    r.stream->set_sink(r);
    CHECK(w.until([&] { return r.text == "early"; }));
}

TEMPLATE_TEST_CASE("stream: room is asked for only while output waits", "[driver]", asio_driver, epoll_driver) {
    world<TestType> w;
    recorder r;
    auto peer = w.connect(r);
    const std::string block(1024 * 1024, 'x');
    std::size_t written = 0;
    for (std::size_t n; (n = r.write(block)) > 0; written += n)
        if (n < block.size()) {
            written += n;
            break;
        }
    CHECK(w.rests());
    CHECK(r.writables == 0);
    std::size_t received = 0;
    REQUIRE(w.until([&] { return (received += peer.receive()) == written && r.writables > 0; }));
    const int told = r.writables;
    CHECK(told == 1);
    CHECK(w.rests());
    CHECK(r.writables == told);
}

TEMPLATE_TEST_CASE("paused: a reset neither wakes the loop again and again nor is it lost", "[driver]", asio_driver,
                   epoll_driver) {
    world<TestType> w;
    recorder r;
    auto peer = w.connect(r);
    r.stream->pause_reading();
    peer.reset();
    CHECK(w.rests());
    CHECK(r.ends == (is_epoll(w.driver) ? 1 : 0));
    r.stream->resume_reading();
    REQUIRE(w.until([&] { return r.ends == 1; }));
    CHECK(*r.closed == asio::error::connection_reset);
    CHECK(w.rests());
    CHECK(r.ends == 1);
}

TEMPLATE_TEST_CASE("paused: the peer's end waits behind what it sent", "[driver]", asio_driver, epoll_driver) {
    const bool ours_too = GENERATE(false, true);  // with the ends of both directions epoll reports a hang-up
    CAPTURE(ours_too);
    world<TestType> w;
    recorder r;
    auto peer = w.connect(r);
    r.stream->pause_reading();
    if (ours_too) r.stream->shutdown();
    peer.send("last words");
    peer.finish();
    CHECK(w.rests());
    CHECK(r.reads == 0);
    CHECK(r.ends == 0);
    r.stream->resume_reading();
    REQUIRE(w.until([&] { return r.ends == 1; }));
    CHECK(r.text == "last words");
    CHECK(!*r.closed);
    CHECK(w.rests());
}

TEMPLATE_TEST_CASE("paused inside on_bytes: what follows comes after resume", "[driver]", asio_driver, epoll_driver) {
    world<TestType> w;
    recorder r;
    auto peer = w.connect(r);
    std::array<std::byte, 10> small;  // there is always more than one read takes
    r.room = small;
    r.then = [&] { r.stream->pause_reading(); };
    peer.send("0123456789abcdefghijklmnopqrst");
    REQUIRE(w.until([&] { return r.reads == 1; }));
    CHECK(w.rests());
    CHECK(r.reads == 1);
    r.then = nullptr;
    r.stream->resume_reading();
    CHECK(w.until([&] { return r.text == "0123456789abcdefghijklmnopqrst"; }));
}

TEMPLATE_TEST_CASE("stream: may be destroyed inside each call", "[driver]", asio_driver, epoll_driver) {
    const auto when = GENERATE(as<std::string>(), "connected", "bytes", "writable", "closed");
    CAPTURE(when);
    world<TestType> w;
    recorder r;
    if (when == "connected") {
        r.then = [&] { r.stream.reset(); };
        r.stream = w.driver.connect("127.0.0.1", w.acceptor->port(), r);
        REQUIRE(w.until([&] { return r.connected.has_value(); }));
        CHECK(!*r.connected);
    } else {
        auto peer = w.connect(r);
        if (when == "writable")
            while (r.write(std::string(1024 * 1024, 'x')) == 1024 * 1024) {
            }
        r.then = [&] { r.stream.reset(); };
        std::array<std::byte, 1> small;
        r.room = small;
        if (when == "bytes") peer.send("xxx");
        if (when == "closed") peer.close();
        REQUIRE(w.until([&] {
            if (when == "writable") (void)peer.receive();
            return !r.stream;
        }));
    }
    CHECK(w.rests());
    CHECK(r.reads + r.writables + r.ends == (when == "connected" ? 0 : 1));
}

TEMPLATE_TEST_CASE("connect: an answer, a refusal, an end before either", "[driver]", asio_driver, epoll_driver) {
    world<TestType> w;
    recorder good, refused, gone;
    good.stream = w.driver.connect("localhost", w.acceptor->port(), good);
    const std::uint16_t nobody = [] {
        world<TestType> other;
        return other.acceptor->port();
    }();
    refused.stream = w.driver.connect("127.0.0.1", nobody, refused);
    gone.stream = w.driver.connect("127.0.0.1", w.acceptor->port(), gone);
    gone.stream.reset();
    CHECK(!good.connected);  // never inside the call
    REQUIRE(w.until([&] { return good.connected && refused.connected && !w.waiting.empty(); }));
    CHECK(!*good.connected);
    CHECK(*refused.connected == asio::error::connection_refused);
    CHECK(good.write("hello") == 5);
    recorder accepted;
    accepted.stream = std::move(w.waiting.front());
    accepted.stream->set_sink(accepted);
    REQUIRE(w.until([&] { return accepted.text == "hello"; }));
    CHECK(accepted.write("back") == 4);
    REQUIRE(w.until([&] { return good.text == "back"; }));
    CHECK(!gone.connected);
}

TEMPLATE_TEST_CASE("stream: bytes go where the sink has room for them", "[driver]", asio_driver, epoll_driver) {
    struct roomy final : hawser::stream_sink {
        void on_connected(std::error_code) override {}
        hawser::byte_span read_room() noexcept override { return std::span(memory).subspan(used); }
        void on_bytes(hawser::byte_span chunk) override {
            in_place = in_place && (used == memory.size() || chunk.data() == memory.data() + used);
            total += chunk.size();
            used = std::min(memory.size(), used + chunk.size());
        }
        void on_writable() override {}
        void on_closed(std::error_code) override {}
        std::array<std::byte, 100> memory{};
        std::size_t used = 0, total = 0;
        bool in_place = true;
    } sink;
    world<TestType> w;
    auto [peer, s] = w.pair();
    s->set_sink(sink);
    peer.send(std::string(70, 'a'));
    REQUIRE(w.until([&] { return sink.total == 70; }));
    peer.send(std::string(170, 'b'));
    REQUIRE(w.until([&] { return sink.total == 240; }));
    CHECK(sink.in_place);
    CHECK(sink.memory[69] == std::byte{'a'});
    CHECK(sink.memory[70] == std::byte{'b'});
}

TEMPLATE_TEST_CASE("run() returns when the last stream has gone", "[driver]", asio_driver, epoll_driver) {
    world<TestType> w;
    recorder r;
    auto peer = w.connect(r);
    w.acceptor.reset();
    CHECK(w.rests());
    CHECK(!w.context.stopped());
    if (GENERATE(false, true)) {
        r.then = [&] { r.stream.reset(); };
        peer.close();
    } else {
        r.stream.reset();  // while it is waited for
    }
    w.context.restart();
    w.context.run_for(10s);
    CHECK(w.context.stopped());
    CHECK(!r.stream);
}

TEST_CASE("a descriptor that lives on in a forked child: what is closed here is silent, and so is its successor",
          "[driver]") {
    world<epoll_driver> w;
    recorder first, second;
    auto peer = w.connect(first);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        ::pause();
        ::_exit(0);
    }
    first.stream.reset();  // the child still has it: no FIN, and the peer may write
    auto next = w.connect(second);
    peer.send("stale");
    CHECK(w.rests());
    CHECK(first.reads == 0);
    CHECK(second.reads == 0);
    next.send("fresh");
    CHECK(w.until([&] { return second.text == "fresh"; }));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
}

TEST_CASE("events of one wake-up: a stream that an earlier event destroyed is not called, nor who got its place",
          "[driver]") {
    world<epoll_driver> w;
    std::array<recorder, 2> r;
    recorder successor;
    auto a = w.connect(r[0]), b = w.connect(r[1]);
    auto [c, spare] = w.pair();
    for (std::size_t i : {0u, 1u})
        r[i].then = [&, i] {
            r[1 - i].stream.reset();
            successor.stream = std::move(spare);
            successor.stream->set_sink(successor);
        };
    a.reset();  // a hang-up, which would end whom it is reported to
    b.reset();
    ::usleep(10'000);
    CHECK(w.rests());
    CHECK(r[0].ends + r[1].ends == 1);
    CHECK(successor.reads + successor.ends == 0);
    c.send("mine");
    CHECK(w.until([&] { return successor.text == "mine"; }));
}

TEST_CASE("budget: the host's handlers and all streams get their turn, whoever sends most", "[driver]") {
    using limits = hawser::detail::epoll_reactor;
    world<epoll_driver> w;
    std::vector<plain_peer> peers;
    std::array<recorder, 60> all;
    for (auto& r : all)
        peers.push_back(w.connect(r));
    REQUIRE(w.rests());
    for (const auto& p : peers)
        REQUIRE(p.fill() > 4 * limits::read_buffer_size);
    const auto read = [&] {
        std::size_t bytes = 0;
        for (const auto& r : all)
            bytes += r.text.size();
        return bytes;
    };
    // At most the budget and one stream's reads beyond it between two handlers of the host.
    std::size_t before = 0, most = 0;
    int turns = 0;
    std::function<void()> host = [&] {
        most = std::max(most, read() - before);
        before = read();
        if (++turns < 1000) asio::post(w.context, host);
    };
    asio::post(w.context, host);
    const auto served = [&] { return std::ranges::all_of(all, [](const recorder& r) { return r.reads > 0; }); };
    REQUIRE(w.until(served));
    CHECK(turns > 1);
    CHECK(most <= limits::max_bytes_per_wakeup + 4 * limits::read_buffer_size);
    // Served in turn: nobody had more than one share when the last one had its first.
    for (const auto& r : all)
        CHECK(r.reads <= 2 * 4);
    turns = 1000;
    CHECK(w.rests());
}

TEST_CASE("use_driver: the epoll set by default, the portable driver where there is no descriptor for it", "[driver]") {
    asio::io_context usual, poor;
    CHECK(dynamic_cast<epoll_driver*>(&hawser::use_driver(usual)) != nullptr);
    const asio::steady_timer makes_reactor(poor);
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const int next = ::dup(0);
    ::close(next);
    const rlimit none{static_cast<rlim_t>(next), before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    auto& d = hawser::use_driver(poor);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK(dynamic_cast<asio_driver*>(&d) != nullptr);
    CHECK(dynamic_cast<epoll_driver*>(&d) == nullptr);
}

#endif

// SPDX-License-Identifier: BSL-1.0
// TLS of a hawser listener against a server made of asio::ssl::stream alone, in the same run: full handshakes, alone
// and with an upgrade, memory of idle connections, and echoes of 1 KiB. What counts is the server's processor time.
#include <hawser/hawser.hpp>
#include <hawser/tls.hpp>

#include "support/certificates.hpp"

#include <asio/connect.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read.hpp>
#include <asio/read_until.hpp>
#include <asio/ssl/stream.hpp>
#include <asio/write.hpp>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <list>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using tls_stream = asio::ssl::stream<asio::ip::tcp::socket>;

constexpr std::size_t payload = 1024, depth = 16, echo_connections = 50;

const std::string request =
    "GET / HTTP/1.1\r\nHost: server.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const std::string response =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

// ---- the two servers ---------------------------------------------------------------------------

// The floor: the upgrade is one answer to whatever comes first, an echo returns the bytes as they are.
struct raw_connection : std::enable_shared_from_this<raw_connection> {
    raw_connection(asio::ip::tcp::socket s, asio::ssl::context& context) : stream(std::move(s), context) {}
    void start() {
        stream.lowest_layer().set_option(asio::ip::tcp::no_delay(true));
        stream.async_handshake(tls_stream::server, [self = shared_from_this()](std::error_code ec) {
            if (!ec) self->read();
        });
    }
    void read() {
        stream.async_read_some(asio::buffer(buffer()), [self = shared_from_this()](std::error_code ec, std::size_t n) {
            if (ec) return;
            const bool first = !std::exchange(self->upgraded, true);
            const auto reply = first ? asio::buffer(response) : asio::const_buffer(buffer().data(), n);
            asio::async_write(self->stream, reply, [self](std::error_code failed, std::size_t) {
                if (!failed) self->read();
            });
        });
    }
    // One for all: a reply is written before the next read of anybody only where it fits into the socket's
    // buffer, which it does here.
    static std::vector<char>& buffer() {
        static std::vector<char> shared(64 * 1024);
        return shared;
    }
    tls_stream stream;
    bool upgraded = false;
};

void serve_raw(asio::io_context& context, asio::ip::tcp::acceptor& acceptor, asio::ssl::context& tls) {
    acceptor.async_accept([&](std::error_code ec, asio::ip::tcp::socket s) {
        if (!ec) std::make_shared<raw_connection>(std::move(s), tls)->start();
        serve_raw(context, acceptor, tls);
    });
}

void serve_hawser(hawser::listener<>& listener, std::list<hawser::resilient_socket<>>& sockets) {
    listener.async_accept([&](std::error_code ec, hawser::resilient_socket<> s) {
        if (ec) return;
        const auto at = sockets.insert(sockets.end(), std::move(s));
        at->on_message([at](const hawser::message_view& m) { (void)at->try_send(m); });
        at->on_state([at, &sockets](const hawser::state_change& c) {
            if (c.to == hawser::connection_state::closed) sockets.erase(at);
        });
        serve_hawser(listener, sockets);
    });
}

// The servers on the first core that there is and the load on the next one, so that what else the machine does is
// the same for both servers.
void pin_to(int which) {
    cpu_set_t allowed, one;
    if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
    CPU_ZERO(&one);
    for (std::size_t core = 0; core < CPU_SETSIZE && which >= 0; ++core)
        if (CPU_ISSET(core, &allowed) && which-- == 0) CPU_SET(core, &one);
    if (CPU_COUNT(&one) == 1) (void)::sched_setaffinity(0, sizeof one, &one);
}

[[noreturn]] void run_server(bool raw, int port_pipe) {
    pin_to(0);
    asio::io_context context(1);
    const auto tls = support::server_context();
    const auto tell = [port_pipe](std::uint16_t port) { (void)!::write(port_pipe, &port, sizeof port); };
    if (raw) {
        asio::ip::tcp::acceptor acceptor(context, {asio::ip::make_address("127.0.0.1"), 0});
        serve_raw(context, acceptor, *tls);
        tell(acceptor.local_endpoint().port());
        context.run();
    } else {
        hawser::listener_options o;
        o.tls = hawser::tls(tls);
        o.socket.heartbeat.ping_interval = std::chrono::hours{1};
        hawser::listener<> listener(context, {}, o);
        std::list<hawser::resilient_socket<>> sockets;
        serve_hawser(listener, sockets);
        tell(listener.port());
        context.run();
    }
    std::_Exit(0);
}

class server_process {
public:
    explicit server_process(bool raw) {
        int ends[2];
        if (::pipe(ends) != 0) throw std::runtime_error("no pipe");
        pid_ = ::fork();
        if (pid_ == 0) run_server(raw, ends[1]);
        if (::read(ends[0], &port_, sizeof port_) != sizeof port_) throw std::runtime_error("the server did not start");
        ::close(ends[0]);
        ::close(ends[1]);
    }
    ~server_process() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    [[nodiscard]] std::uint16_t port() const { return port_; }
    [[nodiscard]] double cpu_seconds() const {
        // Nanoseconds on a processor: the first number.
        double ns = 0;
        std::ifstream("/proc/" + std::to_string(pid_) + "/schedstat") >> ns;
        return ns / 1e9;
    }
    [[nodiscard]] double resident_bytes() const {
        double total = 0, resident = 0;
        std::ifstream("/proc/" + std::to_string(pid_) + "/statm") >> total >> resident;
        return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
    }

private:
    pid_t pid_ = 0;
    std::uint16_t port_ = 0;
};

// ---- the load ----------------------------------------------------------------------------------

std::unique_ptr<tls_stream> shake_hands(asio::io_context& context, asio::ssl::context& tls, std::uint16_t port) {
    auto stream = std::make_unique<tls_stream>(context, tls);
    stream->lowest_layer().connect({asio::ip::make_address("127.0.0.1"), port});
    stream->lowest_layer().set_option(asio::ip::tcp::no_delay(true));
    stream->handshake(tls_stream::client);
    if (SSL_session_reused(stream->native_handle()) != 0) throw std::runtime_error("a session was resumed");
    return stream;
}

std::unique_ptr<tls_stream> connect(asio::io_context& context, asio::ssl::context& tls, std::uint16_t port) {
    auto stream = shake_hands(context, tls, port);
    asio::write(*stream, asio::buffer(request));
    std::string answer;
    asio::read_until(*stream, asio::dynamic_buffer(answer), "\r\n\r\n");
    if (!answer.starts_with("HTTP/1.1 101")) throw std::runtime_error("no upgrade: " + answer);
    return stream;
}

struct result {
    double handshake_us = 0, idle_bytes = 0, echo_us = 0, handshakes_per_s = 0;
};

// Handshakes that were completed, and what the kernel has accounted to the server for them.
struct handshake_count {
    double done = 0, cpu_seconds = 0;
    [[nodiscard]] double per_cpu_second() const { return done / cpu_seconds; }
};

// Each connection goes once the server has ended it too, so that all of its work is in the figure.
handshake_count count_handshakes(const server_process& server, asio::io_context& context, asio::ssl::context& tls, int count) {
    handshake_count r;
    const double cpu = server.cpu_seconds();
    for (int i = 0; i < count; ++i) {
        const auto stream = shake_hands(context, tls, server.port());
        std::error_code ec;
        stream->shutdown(ec);  // a server that sends FIN and no close_notify is not an error here
        ++r.done;
    }
    r.cpu_seconds = server.cpu_seconds() - cpu;
    return r;
}

struct handshake_comparison {
    handshake_count raw, ours;
    double ratio = 0;  // median of the rounds' ratios of handshakes per second
};

// In turn, again and again: what disturbs the machine for a while disturbs both.
handshake_comparison compare_handshakes(const server_process& raw, const server_process& ours, int rounds, int count) {
    asio::io_context context(1);
    asio::ssl::context tls(asio::ssl::context::tls_client);
    handshake_comparison all;
    std::vector<double> ratios;
    const auto add = [](handshake_count& to, const handshake_count& more) {
        to.done += more.done;
        to.cpu_seconds += more.cpu_seconds;
    };
    for (int i = 0; i < rounds; ++i) {
        const auto a = count_handshakes(raw, context, tls, count), b = count_handshakes(ours, context, tls, count);
        add(all.raw, a);
        add(all.ours, b);
        ratios.push_back(b.per_cpu_second() / a.per_cpu_second());
    }
    std::nth_element(ratios.begin(), ratios.begin() + rounds / 2, ratios.end());
    all.ratio = ratios[static_cast<std::size_t>(rounds) / 2];
    return all;
}

void measure_handshakes(const server_process& server, asio::io_context& context, asio::ssl::context& tls, int count, result& r) {
    const double cpu = server.cpu_seconds();
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < count; ++i) (void)connect(context, tls, server.port());
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    r.handshake_us = (server.cpu_seconds() - cpu) / count * 1e6;
    r.handshakes_per_s = count / took.count();
}

void measure_idle(const server_process& server, asio::io_context& context, asio::ssl::context& tls, int count, result& r) {
    std::vector<std::unique_ptr<tls_stream>> all;
    for (int i = 0; i < 100; ++i) all.push_back(connect(context, tls, server.port()));
    const double before = server.resident_bytes();
    for (int i = 0; i < count; ++i) all.push_back(connect(context, tls, server.port()));
    ::usleep(200'000);
    r.idle_bytes = (server.resident_bytes() - before) / count;
}

// Sends a batch of masked frames, waits for all replies, and again.
struct echo_load {
    echo_load(asio::io_context& context, asio::ssl::context& tls, const server_process& server, std::size_t reply_header)
        : stream(connect(context, tls, server.port())), reply((payload + reply_header) * depth) {
        for (std::size_t i = 0; i < depth; ++i) {
            batch += "\x82\xfe\x04";
            batch += '\0';
            batch += "mask" + std::string(payload, 'x');
        }
    }
    void round(std::size_t& left) {
        if (left == 0) return;
        --left;
        asio::async_write(*stream, asio::buffer(batch), [this, &left](std::error_code ec, std::size_t) {
            if (ec) throw std::system_error(ec);
            asio::async_read(*stream, asio::buffer(reply), [this, &left](std::error_code failed, std::size_t) {
                if (failed) throw std::system_error(failed);
                round(left);
            });
        });
    }
    std::unique_ptr<tls_stream> stream;
    std::string batch;
    std::vector<char> reply;
};

void measure_echo(const server_process& server, asio::io_context& context, asio::ssl::context& tls, bool raw, std::size_t rounds, result& r) {
    std::list<echo_load> all;
    for (std::size_t i = 0; i < echo_connections; ++i) all.emplace_back(context, tls, server, raw ? 8 : 4);
    const double cpu = server.cpu_seconds();
    std::size_t left = rounds;
    for (auto& one : all) one.round(left);
    context.restart();
    context.run();
    r.echo_us = (server.cpu_seconds() - cpu) / static_cast<double>(rounds * depth) * 1e6;
}

result measure(const server_process& server, bool raw, int scale) {
    asio::io_context context(1);
    asio::ssl::context tls(asio::ssl::context::tls_client);
    result r;
    measure_idle(server, context, tls, 20 * scale, r);  // first: later the heap has holes to reuse
    measure_handshakes(server, context, tls, 20 * scale, r);
    measure_echo(server, context, tls, raw, 500 * static_cast<std::size_t>(scale), r);
    return r;
}

}  // namespace

int main(int argc, char** argv) try {
    std::signal(SIGPIPE, SIG_IGN);
    const int scale = argc > 1 ? std::stoi(argv[1]) : 100;
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    // All before the first load, of which they would inherit the heap.
    const server_process raw_server(true), our_server(false), raw_server_again(true), our_server_again(false);
    pin_to(1);
    const result raw = measure(raw_server, true, scale), ours = measure(our_server, false, scale),
                 raw_again = measure(raw_server_again, true, scale), ours_again = measure(our_server_again, false, scale);
    const auto handshakes = compare_handshakes(raw_server, our_server, 15, 2 * scale);
    const auto print = [](const char* name, const result& r) {
        std::printf("%-16s %10.1f us %8.0f/s  %10.0f B  %8.2f us\n", name, r.handshake_us, r.handshakes_per_s, r.idle_bytes, r.echo_us);
    };
    std::printf("%-16s %13s %10s  %12s  %11s\n", "server", "CPU/handshake", "sequential", "idle", "CPU/echo");
    print("asio::ssl", raw);
    print("hawser", ours);
    print("asio::ssl", raw_again);
    print("hawser", ours_again);
    std::printf("ratio: handshake %.3f, echo %.3f\n", (ours.handshake_us + ours_again.handshake_us) / (raw.handshake_us + raw_again.handshake_us),
                (ours.echo_us + ours_again.echo_us) / (raw.echo_us + raw_again.echo_us));
    std::printf("handshakes per CPU second: asio::ssl %.0f of %.0f, hawser %.0f of %.0f, ratio %.3f\n", handshakes.raw.per_cpu_second(),
                handshakes.raw.done, handshakes.ours.per_cpu_second(), handshakes.ours.done, handshakes.ratio);
    return 0;
} catch (const std::exception& e) {
    std::fprintf(stderr, "tls_bench: %s\n", e.what());
    return 2;
}

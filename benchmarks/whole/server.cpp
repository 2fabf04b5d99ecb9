// SPDX-License-Identifier: BSL-1.0
// bench_server: our echo server with what ./run bench varies: the API, the metrics sink, sending to all
// (--broadcast), several threads (--threads). On SIGTERM it prints how often it allocated, after warm-up.
#include "allocations.hpp"

#include <hawser/custom_policies.hpp>
#include <hawser/hawser.hpp>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/redirect_error.hpp>
#include <asio/signal_set.hpp>
#include <asio/use_awaitable.hpp>

#include "../../examples/support/arguments.hpp"

#include <atomic>
#include <cstdio>
#include <list>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

namespace {

struct settings {
    std::uint16_t port = 0;
    std::string api;
    long ping_ms = 25'000;
    bool broadcast = false, reuse_port = false;
};

std::atomic<std::uint64_t> echoes{0};
constexpr std::uint64_t warm_up = 100'000;  // echoes that may allocate

void count_echo() noexcept {
    if (echoes.fetch_add(1, std::memory_order_relaxed) + 1 == warm_up) bench::forget_allocations();
}

struct counted_policies : hawser::default_policies {
    using metrics = hawser::counting_metrics;
};

/// One io_context with its listener and sockets.
template <class P>
class server {
public:
    using socket = hawser::resilient_socket<P>;

    server(const settings& s, bool counts)
        : settings_(s), counts_(counts),
          listener_(context_, {.address = "127.0.0.1", .port = s.port, .reuse_port = s.reuse_port}, options(s)) {
        accept();
    }
    void run() { context_.run(); }
    void stop() { context_.stop(); }

private:
    static hawser::listener_options options(const settings& s) {
        hawser::listener_options o;
        o.socket.heartbeat.ping_interval = hawser::milliseconds{s.ping_ms};
        o.socket.session = hawser::session_mode::preferred;
        o.socket.max_message_size = 64 * 1024 * 1024;
        return o;
    }
    void accept() {
        listener_.async_accept([this](std::error_code ec, socket s) {
            if (ec) return;
            if (settings_.api == "coroutine") asio::co_spawn(listener_.get_executor(), echo(std::move(s)), asio::detached);
            else take(std::move(s));
            accept();
        });
    }
    void take(socket accepted) {
        const auto at = sockets_.insert(sockets_.end(), std::move(accepted));
        at->on_state([this, at](const hawser::state_change& c) {
            if (c.to == hawser::connection_state::closed || c.to == hawser::connection_state::failed) sockets_.erase(at);
        });
        if (settings_.broadcast) {
            at->on_message([this](const hawser::message_view& m) {
                const auto copy = hawser::message::copy(m.bytes, m.kind);
                for (socket& s : sockets_) (void)s.try_send(copy);
            });
        } else if (settings_.api == "pieces") {
            at->on_message_piece([this, at](const hawser::message_piece& p) { pass_on(at, p); });
        } else if (counts_) {
            at->on_message([here = &*at](const hawser::message_view& m) {
                (void)here->try_send(m);
                count_echo();
            });
        } else {
            at->on_message([here = &*at](const hawser::message_view& m) { (void)here->try_send(m); });
        }
    }
    // A piece for which there is no room waits, and with it the connection.
    void pass_on(typename std::list<socket>::iterator at, const hawser::message_piece& p) {
        if (!at->try_send_piece(p)) return;
        at->pause_receiving();
        at->async_wait_writable([at, p, bytes = hawser::byte_vector(p.bytes.begin(), p.bytes.end())](std::error_code ec) {
            if (ec) return;
            auto again = p;
            again.bytes = bytes;
            (void)at->try_send_piece(again);
            at->resume_receiving();
        });
    }
    asio::awaitable<void> echo(socket s) {
        std::error_code ec;
        auto token = asio::redirect_error(asio::use_awaitable, ec);
        while (!ec) {
            hawser::message m = co_await s.async_receive(token);
            while (m && !ec) {
                if (!s.try_send(m)) co_await s.async_enqueue(std::move(m), token);
                if (counts_) count_echo();
                auto next = s.try_receive();
                m = next ? std::move(*next) : hawser::message();
            }
        }
    }

    settings settings_;
    bool counts_;
    asio::io_context context_{1};
    hawser::listener<P> listener_;
    std::list<socket> sockets_;
};

template <class P>
void serve(const settings& s, std::size_t threads, bool counts) {
    std::list<server<P>> servers;
    for (std::size_t i = 0; i < threads; ++i) servers.emplace_back(s, counts);
    std::vector<std::thread> running;
    for (auto& one : servers) running.emplace_back([&one] { one.run(); });
    asio::io_context waiting(1);
    asio::signal_set signals(waiting, SIGTERM, SIGINT);
    signals.async_wait([&](std::error_code, int) {
        for (auto& one : servers) one.stop();
    });
    waiting.run();
    for (auto& t : running) t.join();
}

}  // namespace

int main(int argc, char** argv) try {
    examples::arguments args(argc, argv,
                             "bench_server --port P [--api on_message|pieces|coroutine] [--metrics none|counting] [--threads N]\n"
                             "  [--ping-ms N] [--broadcast] [--count]",
                             {"--broadcast", "--count"});
    settings s;
    s.port = static_cast<std::uint16_t>(args.number("--port", 9001, 1, 65535));
    s.api = args.choice("--api", "on_message", {"on_message", "pieces", "coroutine"});
    s.ping_ms = args.number("--ping-ms", 25'000, 0, 86'400'000);
    s.broadcast = args.flag("--broadcast");
    const auto threads = static_cast<std::size_t>(args.number("--threads", 1, 1, 64));
    const bool metrics = args.choice("--metrics", "none", {"none", "counting"}) == "counting";
    const bool counts = args.flag("--count");
    args.finish();
    s.reuse_port = threads > 1;
    if (metrics) serve<counted_policies>(s, threads, counts);
    else serve<hawser::default_policies>(s, threads, counts);
    const std::uint64_t after = echoes > warm_up ? echoes - warm_up : 0;
    std::printf("{\"messages\": %llu, \"allocations\": %llu}\n", static_cast<unsigned long long>(after),
                static_cast<unsigned long long>(bench::allocations()));
    return 0;
} catch (const std::exception& e) {
    std::fprintf(stderr, "bench_server: %s\n", e.what());
    return 2;
}

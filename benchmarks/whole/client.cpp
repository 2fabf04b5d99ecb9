// SPDX-License-Identifier: BSL-1.0
// bench_client: loads an echo server with our own sockets, plain, compressing (--deflate, JSON that is not twice the same in
// a connection's window) or in hawser.v1 sessions, which hawser_load does not speak; or holds idle ones. One line of JSON with the names that hawser_load has.
#include <hawser/deflate.hpp>
#include <hawser/hawser.hpp>

#include "../../examples/support/arguments.hpp"
#include "../load/histogram.hpp"
#include "../load/server_usage.hpp"

#include <asio/steady_timer.hpp>

#include <chrono>
#include <cstdio>
#include <list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <sched.h>
#include <sys/resource.h>

namespace {

struct settings {
    std::uint16_t port = 0;
    std::size_t connections = 0, depth = 0, size = 0;
    long window_ms = 0, warmup_ms = 0, server_pid = 0, core = -1;
    bool session = false, idle = false, deflate = false, json = false;
};

settings read(int argc, char** argv) {
    examples::arguments args(argc, argv,
                             "bench_client --port P --server-pid PID [--connections N] [--depth N] [--size BYTES] [--milliseconds N]\n"
                             "  [--warmup N] [--core N] [--session] [--idle] [--json] [--deflate]",
                             {"--session", "--idle", "--json", "--deflate"});
    settings s;
    s.session = args.flag("--session");
    s.idle = args.flag("--idle");
    s.json = args.flag("--json");
    s.deflate = args.flag("--deflate");
    s.port = static_cast<std::uint16_t>(args.number("--port", 9001, 1, 65535));
    s.connections = static_cast<std::size_t>(args.number("--connections", 1, 1, 100'000));
    s.depth = static_cast<std::size_t>(args.number("--depth", 1, 1, 1000));
    s.size = static_cast<std::size_t>(args.number("--size", 20, 1, 1L << 20));
    s.window_ms = args.number("--milliseconds", 1000, 1, 3'600'000);
    s.warmup_ms = args.number("--warmup", 300, 0, 3'600'000);
    s.server_pid = args.number("--server-pid", 0, 1, 1L << 30);
    s.core = args.number("--core", -1, -1, 1023);
    args.finish();
    return s;
}

std::uint64_t now_ns() {
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

class generator {
public:
    explicit generator(const settings& s) : settings_(s) {
        hawser::xoshiro256 rng(7);
        // More than a window of 32 KiB holds, in turn.
        const std::size_t many = s.json ? 128 * 1024 / s.size + 1 : 1;
        for (std::size_t i = 0; i < many; ++i) contents_.push_back(s.json ? trades(s.size, rng) : std::string(s.size, 'x'));
        kind_ = s.json ? hawser::message_kind::text : hawser::message_kind::binary;
        auto o = s.session ? hawser::options::reliable() : hawser::options::plain();
        o.heartbeat.ping_interval = std::chrono::hours{1};
        if (s.deflate) o.compression = hawser::deflate();
        options_ = std::make_shared<const hawser::options>(o);
    }
    void run() {
        for (std::size_t i = 0; i < settings_.connections; ++i) connect();
        wait([this] { return open_ == settings_.connections; }, std::chrono::seconds{60}, "not all connections opened");
        for (auto& p : peers_)
            for (std::size_t i = 0; i < (settings_.idle ? 1 : settings_.depth); ++i) send(p);
        if (settings_.idle) {
            wait([this] { return round_trips_.total() == settings_.connections; }, std::chrono::seconds{60}, "an echo is missing");
            pass(std::chrono::milliseconds{settings_.warmup_ms});
            std::printf("{\"idle\": %zu}\n", settings_.connections);
            std::fflush(stdout);
            return pass(std::chrono::milliseconds{settings_.window_ms});
        }
        pass(std::chrono::milliseconds{settings_.warmup_ms});
        measure();
    }

private:
    struct peer {
        std::optional<hawser::resilient_socket<>> socket;
        hawser::ring<std::uint64_t> sent;
        std::size_t next = 0;
    };
    // A feed of trades, cut to `size`.
    static std::string trades(std::size_t size, hawser::xoshiro256& rng) {
        static const char* const symbols[] = {"BTC-USD", "ETH-USD", "EUR-USD", "SOL-USD", "XRP-EUR"};
        std::string all;
        while (all.size() < size) {
            const auto below = [&](std::uint64_t limit) { return std::to_string(rng() % limit); };
            all += R"({"type":"trade","symbol":")" + std::string(symbols[rng() % 5]) + R"(","price":)" + below(90'000) + "." + below(100) +
                   R"(,"size":)" + below(50) + "." + below(10'000) + R"(,"id":)" + below(1'000'000'000) + "},";
        }
        all.resize(size);
        return all;
    }
    void connect() {
        peer& p = peers_.emplace_back();
        p.socket.emplace(context_, options_);
        p.socket->on_state([this](const hawser::state_change& c) {
            if (c.to == hawser::connection_state::open) ++open_;
            else if (open_ == settings_.connections) lost_ = true;
        });
        p.socket->on_message([this, &p](const hawser::message_view& m) {
            if (m.size() != settings_.size) lost_ = true;
            round_trips_.add(now_ns() - p.sent.pop_front());
            if (!settings_.idle) send(p);
        });
        p.socket->connect("ws://127.0.0.1:" + std::to_string(settings_.port) + "/");
        context_.poll();
    }
    void send(peer& p) {
        p.sent.push_back(now_ns());
        const std::string& content = contents_[p.next++ % contents_.size()];
        if (!p.socket->try_send(hawser::message_view{.bytes = hawser::as_bytes(content), .kind = kind_})) lost_ = true;
    }
    template <class Done>
    void wait(Done done, std::chrono::seconds limit, const char* otherwise) {
        const auto end = std::chrono::steady_clock::now() + limit;
        while (!done()) {
            if (std::chrono::steady_clock::now() > end) throw std::runtime_error(otherwise);
            (void)context_.run_one_for(std::chrono::milliseconds{100});
        }
    }
    void pass(std::chrono::milliseconds span) {
        context_.run_for(span);
        if (lost_) throw std::runtime_error("a connection was lost, or a message came back changed");
    }
    void measure() {
        round_trips_.clear();
        const std::uint64_t before = load::cpu_ns_of(settings_.server_pid), begin = now_ns();
        pass(std::chrono::milliseconds{settings_.window_ms});
        const auto server = static_cast<double>(load::cpu_ns_of(settings_.server_pid) - before);
        const auto window = static_cast<double>(now_ns() - begin);
        const auto messages = static_cast<double>(round_trips_.total());
        const auto quantile_us = [&](double part) { return static_cast<double>(round_trips_.quantile(part)) / 1e3; };
        std::printf("{\"messages\": %.0f, \"messages_per_s\": %.0f, \"server_cpu_us_per_message\": %.4f, \"server_busy\": %.3f, "
                    "\"p50_us\": %.1f, \"p99_us\": %.1f}\n",
                    messages, messages / window * 1e9, messages > 0 ? server / messages / 1e3 : 0.0, server / window,
                    quantile_us(0.5), quantile_us(0.99));
    }

    settings settings_;
    std::vector<std::string> contents_;
    hawser::message_kind kind_ = hawser::message_kind::binary;
    std::shared_ptr<const hawser::options> options_;
    asio::io_context context_{1};
    std::list<peer> peers_;
    load::histogram round_trips_;
    std::size_t open_ = 0;
    bool lost_ = false;
};

}  // namespace

int main(int argc, char** argv) try {
    const settings s = read(argc, argv);
    rlimit files{};
    (void)::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    (void)::setrlimit(RLIMIT_NOFILE, &files);
    if (s.core >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(static_cast<std::size_t>(s.core), &set);
        (void)::sched_setaffinity(0, sizeof set, &set);
    }
    generator(s).run();
    return 0;
} catch (const std::exception& e) {
    std::fprintf(stderr, "bench_client: %s\n", e.what());
    return 1;
}

// SPDX-License-Identifier: BSL-1.0
// Loads a WebSocket echo server on loopback: one thread, one epoll set. Prints one line of JSON.
//
// Each connection keeps --depth messages in flight: an echo is answered by the next message, and
// all that one read completes is answered by one write. With --fan-out the server sends each message of the first
// connection to all, and a delivery counts as a message. With --server-pid the CPU time of that
// process over the measured window is read from the kernel's accounting.
#include "../../examples/support/arguments.hpp"
#include "connection.hpp"
#include "histogram.hpp"
#include "server_usage.hpp"
#include "tape.hpp"

#include <sched.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <vector>

namespace {

struct settings {
    std::uint16_t port = 0;
    std::string path;
    std::size_t connections = 0, depth = 0, size = 0;
    bool text = false, fan_out = false, idle = false;
    std::uint64_t window_ms = 0, warmup_ms = 0, verify_every = 0;
    long server_pid = 0, core = -1;
};

settings read(int argc, char** argv) {
    examples::arguments args(argc, argv,
                             "hawser_load --port P [--path /p] [--connections N] [--depth N] [--size BYTES] [--text]\n"
                             "  [--milliseconds N] [--warmup N] [--verify-every N (0: no content)] [--server-pid PID] [--core N]\n"
                             "  [--fan-out: one more connection sends, with --depth messages on their way, and all get them]\n"
                             "  [--idle: one echo each, then wait]",
                             {"--text", "--fan-out", "--idle"});
    settings s;
    s.text = args.flag("--text");
    s.fan_out = args.flag("--fan-out");
    s.idle = args.flag("--idle");
    s.port = static_cast<std::uint16_t>(args.number("--port", 9001, 1, 65535));
    s.path = args.text("--path", "/");
    s.connections = static_cast<std::size_t>(args.number("--connections", 1, 1, 100'000));
    s.depth = static_cast<std::size_t>(args.number("--depth", 1, 1, 100'000));
    s.size = static_cast<std::size_t>(args.number("--size", 20, 0, 1L << 30));
    s.window_ms = static_cast<std::uint64_t>(args.number("--milliseconds", 1000, 1, 3'600'000));
    s.warmup_ms = static_cast<std::uint64_t>(args.number("--warmup", 300, 0, 3'600'000));
    s.verify_every = static_cast<std::uint64_t>(args.number("--verify-every", 1000, 0, 1L << 40));
    s.server_pid = args.number("--server-pid", 0, 0, 1L << 30);
    s.core = args.number("--core", -1, -1, 1023);
    args.finish();
    return s;
}

std::uint64_t now_ns() {
    const auto t = std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(std::chrono::nanoseconds(t).count());
}

class generator {
public:
    explicit generator(const settings& s)
        : settings_(s), tape_(s.size, s.text, s.depth), buffer_(256 * 1024), set_(::epoll_create1(EPOLL_CLOEXEC)) {
        if (set_ < 0) throw std::runtime_error(std::string("epoll_create1: ") + std::strerror(errno));
    }
    generator(const generator&) = delete;
    generator& operator=(const generator&) = delete;
    ~generator() { ::close(set_); }

    void run() {
        for (std::size_t i = 0; i < settings_.connections + (settings_.fan_out ? 1 : 0); ++i) {
            connections_.push_back(std::make_unique<load::connection>());
            connections_.back()->open(settings_.port, settings_.path, settings_.depth);
            watch(*connections_.back(), EPOLL_CTL_ADD, EPOLLIN);
        }
        begin();
        serve_until(now_ns() + settings_.warmup_ms * 1'000'000);
        if (settings_.idle) return stay();
        measure();
    }

private:
    void begin() {
        const std::uint64_t now = now_ns();
        if (settings_.fan_out) return publish(now);
        for (const auto& c : connections_) {
            for (std::size_t i = 0; i < (settings_.idle ? 1 : settings_.depth); ++i) c->enqueue(tape_, now);
            flush(*c);
        }
    }
    // All that the window of deliveries leaves room for.
    void publish(std::uint64_t now) {
        for (; (published_ + 1) * connections_.size() <= delivered_ + settings_.depth * connections_.size(); ++published_)
            connections_.front()->enqueue(tape_, now);
        flush(*connections_.front());
    }
    void stay() {
        if (round_trips_.total() != connections_.size()) throw std::runtime_error("an echo is missing");
        std::printf("{\"idle\": %zu}\n", connections_.size());
        std::fflush(stdout);
        ::usleep(static_cast<useconds_t>(settings_.window_ms * 1000));
    }
    void watch(load::connection& c, int how, std::uint32_t events) const {
        epoll_event e{};
        e.events = events;
        e.data.ptr = &c;
        if (::epoll_ctl(set_, how, c.descriptor(), &e) != 0) throw std::runtime_error(std::string("epoll_ctl: ") + std::strerror(errno));
    }
    void flush(load::connection& c) const {
        const bool left = c.flush(tape_);
        if (left == c.waits_for_room) return;
        c.waits_for_room = left;
        watch(c, EPOLL_CTL_MOD, left ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
    void serve(load::connection& c, std::uint32_t events) {
        if ((events & ~EPOLLOUT) != 0) {
            const std::uint64_t done = c.receive(tape_, buffer_, settings_.verify_every);
            const std::uint64_t now = now_ns();
            for (std::uint64_t i = done; i != 0; --i) {
                round_trips_.add(settings_.fan_out ? 0 : now - c.sent_at(i));
                if (!settings_.fan_out && !settings_.idle) c.enqueue(tape_, now);
            }
            last_echo_ = done != 0 ? now : last_echo_;
            delivered_ += done;
            if (settings_.fan_out && done != 0) publish(now);
        }
        flush(c);
    }
    void serve_until(std::uint64_t end) {
        std::array<epoll_event, 256> ready;
        last_echo_ = now_ns();
        for (std::uint64_t now = last_echo_; now < end; now = now_ns()) {
            const int n = ::epoll_wait(set_, ready.data(), static_cast<int>(ready.size()), 100);
            if (n < 0 && errno != EINTR) throw std::runtime_error(std::string("epoll_wait: ") + std::strerror(errno));
            for (int i = 0; i < n; ++i) {
                const epoll_event& e = ready[static_cast<std::size_t>(i)];
                serve(*static_cast<load::connection*>(e.data.ptr), e.events);
            }
            if (!settings_.idle && now > last_echo_ + patience_ns) throw std::runtime_error("nothing was echoed for 10 s");
        }
    }
    [[nodiscard]] std::uint64_t server_cpu() const {
        return settings_.server_pid != 0 ? load::cpu_ns_of(settings_.server_pid) : 0;
    }
    void measure() {
        round_trips_.clear();
        const std::uint64_t server_before = server_cpu(), own_before = load::cpu_ns_of(::getpid());
        const std::uint64_t begin = now_ns();
        serve_until(begin + settings_.window_ms * 1'000'000);
        const auto window = static_cast<double>(now_ns() - begin);
        const auto server = static_cast<double>(server_cpu() - server_before);
        const auto own = static_cast<double>(load::cpu_ns_of(::getpid()) - own_before);
        const auto messages = static_cast<double>(round_trips_.total());
        const auto quantile_us = [&](double part) { return static_cast<double>(round_trips_.quantile(part)) / 1e3; };
        std::printf("{\"messages\": %.0f, \"seconds\": %.3f, \"messages_per_s\": %.0f, \"server_cpu_us_per_message\": %.4f, "
                    "\"server_busy\": %.3f, \"load_busy\": %.3f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n",
                    messages, window / 1e9, messages / window * 1e9, messages > 0 ? server / messages / 1e3 : 0.0,
                    server / window, own / window, quantile_us(0.5), quantile_us(0.99));
    }

    static constexpr std::uint64_t patience_ns = 10'000'000'000;

    settings settings_;
    load::tape tape_;
    std::vector<unsigned char> buffer_;
    int set_;
    std::vector<std::unique_ptr<load::connection>> connections_;
    load::histogram round_trips_;
    std::uint64_t last_echo_ = 0;
    std::uint64_t published_ = 0, delivered_ = 0;  // fan-out
};

void pin_to(long core) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<std::size_t>(core), &set);
    (void)::sched_setaffinity(0, sizeof set, &set);  // slower without, and not wrong
}

}  // namespace

int main(int argc, char** argv) try {
    const settings s = read(argc, argv);
    if (s.core >= 0) pin_to(s.core);
    rlimit files{};
    (void)::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    (void)::setrlimit(RLIMIT_NOFILE, &files);
    generator(s).run();
    return 0;
} catch (const std::exception& e) {
    std::fprintf(stderr, "hawser_load: %s\n", e.what());
    return 1;
}

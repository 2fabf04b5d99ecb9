// SPDX-License-Identifier: BSL-1.0
// Small messages beside large transfers over loopback: round trips of 200 B, one each millisecond, without transfers and beside
// them. Two processes.
//   transfer_bench [--transfers 4] [--mib 1024] [--in-flight-kib 256] [--dir DIR] [--json]
// With --dir the transfers are files in DIR, received into DIR; without, a generated source and a sink that only counts.
#include "../../examples/support/arguments.hpp"

#include <hawser/hawser.hpp>
#include <hawser/transfer.hpp>

#include <asio/steady_timer.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <list>
#include <memory>
#include <string>
#include <vector>

namespace {

using clock_type = std::chrono::steady_clock;
using namespace std::chrono_literals;

struct settings {
    unsigned transfers = 4;
    std::uint64_t bytes = 0;
    std::size_t in_flight = 0;
    std::string folder;
};

class generated final : public hawser::transfer_source {
public:
    explicit generated(std::uint64_t size) : size_(size) {}
    [[nodiscard]] std::optional<std::uint64_t> size() const override { return size_; }
    [[nodiscard]] std::size_t read(hawser::byte_span into, std::error_code&) override {
        const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), size_ - at_));
        std::memset(into.data(), static_cast<int>(at_ & 0xff), n);
        at_ += n;
        return n;
    }

private:
    std::uint64_t size_, at_ = 0;
};
class counted final : public hawser::transfer_sink {
public:
    [[nodiscard]] std::uint64_t open(std::error_code&) override { return 0; }
    [[nodiscard]] std::error_code begin(std::uint64_t) override { return {}; }
    [[nodiscard]] std::error_code write(hawser::byte_view) override { return {}; }
    [[nodiscard]] std::error_code commit() override { return {}; }
};

hawser::options session() {
    auto o = hawser::options::reliable();
    o.transfers = true;
    return o;
}

[[noreturn]] void serve(const settings& s, int port_pipe) {
    asio::io_context context(1);
    hawser::listener<> listener(context, {.address = "127.0.0.1", .port = 0}, session());
    const std::uint16_t port = listener.port();
    if (::write(port_pipe, &port, sizeof port) != sizeof port) std::abort();
    std::list<hawser::resilient_socket<>> sockets;
    std::list<hawser::transfers<>> transfers;
    hawser::transfer_options options;
    if (s.folder.empty()) options.on_offer = [](const hawser::transfer_offer&, std::string&) { return std::make_unique<counted>(); };
    else options.on_offer = hawser::receive_into({.path = s.folder, .on_existing = hawser::existing_file::replace});
    listener.async_accept([&](std::error_code ec, hawser::resilient_socket<> socket) {
        if (ec) std::abort();
        auto& peer = sockets.emplace_back(std::move(socket));
        transfers.emplace_back(peer, options);
        peer.on_message([&peer](const hawser::message_view& m) {
            if (!peer.try_send(m)) std::abort();
        });
    });
    context.run();
    std::_Exit(0);
}

struct round_trips {
    std::vector<double> us;
    [[nodiscard]] double at(double part) {
        std::sort(us.begin(), us.end());
        return us.empty() ? 0 : us[std::min(us.size() - 1, static_cast<std::size_t>(part * static_cast<double>(us.size())))];
    }
};

// Sends a message each millisecond until `done`.
class pinger {
public:
    pinger(asio::io_context& context, hawser::resilient_socket<>& link) : timer_(context), link_(link) {
        link_.on_message([this](const hawser::message_view& m) {
            clock_type::rep then;
            std::memcpy(&then, m.bytes.data(), sizeof then);
            if (seen) seen->us.push_back(std::chrono::duration<double, std::micro>(clock_type::now() - clock_type::time_point(clock_type::duration(then))).count());
        });
        tick();
    }
    round_trips* seen = nullptr;

private:
    void tick() {
        timer_.expires_after(1ms);
        timer_.async_wait([this](std::error_code ec) {
            if (ec) return;
            hawser::message m = hawser::message::allocate(200, hawser::message_kind::binary);
            std::memset(m.writable().data(), 0, 200);
            const auto now = clock_type::now().time_since_epoch().count();
            std::memcpy(m.writable().data(), &now, sizeof now);
            (void)link_.try_send(std::move(m));
            tick();
        });
    }
    asio::steady_timer timer_;
    hawser::resilient_socket<>& link_;
};

void prepare(const settings& s) {
    for (unsigned i = 0; !s.folder.empty() && i < s.transfers; ++i) {
        std::ofstream out(s.folder + "/source" + std::to_string(i), std::ios::binary);
        std::vector<char> piece(1 << 20);
        hawser::xoshiro256 rng(i + 1);
        for (std::uint64_t at = 0; at < s.bytes; at += piece.size()) {
            for (std::size_t j = 0; j < piece.size(); j += 64) piece[j] = static_cast<char>(rng());
            out.write(piece.data(), static_cast<std::streamsize>(std::min<std::uint64_t>(piece.size(), s.bytes - at)));
        }
    }
}

int measure(const settings& s, std::uint16_t port, bool json) {
    asio::io_context context(1);
    hawser::resilient_socket<> link(context, session());
    hawser::transfer_options options;
    options.max_bytes_in_flight = s.in_flight;
    hawser::transfers<> transfers(link, options);
    link.connect("ws://127.0.0.1:" + std::to_string(port) + "/");
    while (link.state() != hawser::connection_state::open) context.run_one();
    pinger ping(context, link);
    context.run_for(500ms);  // warm

    round_trips alone, beside;
    ping.seen = &alone;
    context.run_for(5s);
    ping.seen = &beside;
    unsigned left = s.transfers;
    int failed = 0;
    const auto begin = clock_type::now();
    for (unsigned i = 0; i < s.transfers; ++i) {
        const auto done = [&](std::error_code ec, const hawser::transfer_result& r) {
            if (ec || r.bytes != s.bytes) ++failed, std::fprintf(stderr, "transfer: %s %s\n", ec.message().c_str(), r.text.c_str());
            --left;
        };
        const std::string name = "target" + std::to_string(i);
        if (s.folder.empty()) transfers.async_send_stream(std::make_unique<generated>(s.bytes), {.name = name}, done);
        else transfers.async_send_file(s.folder + "/source" + std::to_string(i), {.name = name}, done);
    }
    while (left != 0) context.run_one();
    const double seconds = std::chrono::duration<double>(clock_type::now() - begin).count();
    ping.seen = nullptr;
    const double mib = static_cast<double>(s.bytes) * s.transfers / 1048576;
    if (json)
        std::printf("{\"transfers\":%u,\"mib_each\":%.0f,\"in_flight_kib\":%zu,\"files\":%s,\"seconds\":%.3f,\"mib_per_s\":%.1f,"
                    "\"alone\":{\"count\":%zu,\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f},"
                    "\"beside\":{\"count\":%zu,\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f}}\n",
                    s.transfers, mib / s.transfers, s.in_flight / 1024, s.folder.empty() ? "false" : "true", seconds, mib / seconds,
                    alone.us.size(), alone.at(0.5), alone.at(0.99), alone.at(1), beside.us.size(), beside.at(0.5), beside.at(0.99), beside.at(1));
    else
        std::printf("%u transfers of %.0f MiB in %.2f s, %.0f MiB/s\nround trips, us     count      p50      p99      max\n"
                    "alone           %9zu %8.0f %8.0f %8.0f\nbeside them     %9zu %8.0f %8.0f %8.0f\n",
                    s.transfers, mib / s.transfers, seconds, mib / seconds, alone.us.size(), alone.at(0.5), alone.at(0.99), alone.at(1),
                    beside.us.size(), beside.at(0.5), beside.at(0.99), beside.at(1));
    return failed == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) try {
    examples::arguments args(argc, argv, "transfer_bench [--transfers N] [--mib N] [--in-flight-kib N] [--dir DIR] [--json]", {"--json"});
    settings s;
    s.transfers = static_cast<unsigned>(args.number("--transfers", 4, 1, 16));
    s.bytes = static_cast<std::uint64_t>(args.number("--mib", 1024, 1, 1 << 20)) << 20;
    s.in_flight = static_cast<std::size_t>(args.number("--in-flight-kib", 256, 1, 1 << 20)) * 1024;
    s.folder = args.text("--dir", {});
    const bool json = args.flag("--json");
    args.finish();
    prepare(s);
    int ends[2];
    if (::pipe(ends) != 0) return 2;
    const ::pid_t child = ::fork();
    if (child == 0) serve(s, ends[1]);
    std::uint16_t port = 0;
    if (::read(ends[0], &port, sizeof port) != sizeof port) return 2;
    const int status = measure(s, port, json);
    ::kill(child, SIGTERM);
    (void)::waitpid(child, nullptr, 0);
    for (unsigned i = 0; !s.folder.empty() && i < s.transfers; ++i)
        for (const char* name : {"/source", "/target"}) std::filesystem::remove(s.folder + name + std::to_string(i));
    return status;
} catch (const std::exception& e) {
    std::fprintf(stderr, "transfer_bench: %s\n", e.what());
    return 2;
}

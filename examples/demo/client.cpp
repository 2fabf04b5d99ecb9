// SPDX-License-Identifier: BSL-1.0
// hawser_demo client: some clients in one process, each with a socket of its own.
#include "programs.hpp"
#include "traffic.hpp"

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>

#include <csignal>
#include <deque>
#include <optional>
#include <unordered_map>

namespace demo {

namespace {

/// What the clients of one process share.
struct client_process {
    client_process(const settings& given, std::uint32_t index)
        : common(given),
          shown(common),
          mine(shown->clients[index]),
          in(common),
          recoveries(common.directory + "/recovery." + std::to_string(index)),
          objects{.breaker = hawser::shared_circuit_breaker(options->breaker)} {}

    settings common;
    shared_board shown;
    party& mine;
    input in;
    appending_file recoveries;  // microseconds from link lost to open again, 32 bits each
    std::shared_ptr<const hawser::options> options = std::make_shared<hawser::options>(socket_options());
    hawser::policy_objects<policies> objects;
};

class client {
public:
    client(asio::io_context& context, client_process& p, std::uint32_t id)
        : process_(p),
          id_(id),
          socket_(context, p.options, p.objects),
          received_(received_path(p.common, direction::down, id)),
          out_(p.common, direction::up, id, p.in, p.mine) {
        socket_.on_message([this](const hawser::message_view& m) {
            received_.add(m.bytes);  // before it is acknowledged
            ++process_.mine.received;
        });
        socket_.on_outcome([this](hawser::ticket t, hawser::outcome what) { note(t, what); });
        socket_.on_state([this](const hawser::state_change& s) { note(s); });
        const auto port = published_port(p.common, "proxy");
        socket_.connect("ws://127.0.0.1:" + std::to_string(port) + "/" + std::to_string(id));
        asio::co_spawn(context, send_all(), asio::detached);
    }
    void close() { socket_.close(); }

private:
    asio::awaitable<void> send_all() {
        asio::steady_timer timer(co_await asio::this_coro::executor);
        pacer pace(process_.common, sender_id(direction::up, id_));
        while (out_.last() < process_.common.messages) {
            timer.expires_at(pace.next());
            co_await timer.async_wait(asio::use_awaitable);
            auto m = out_.next();
            // Waits here while the queue is full.
            const hawser::ticket t = co_await socket_.async_enqueue(std::move(m), asio::use_awaitable);
            numbers_[t.counter] = out_.last();
            if (const auto early = early_.find(t.counter); early != early_.end()) note(t, early->second);
        }
    }
    // The outcome may be known before the sending coroutine got its turn to learn the ticket.
    void note(hawser::ticket t, hawser::outcome what) {
        const auto it = numbers_.find(t.counter);
        if (it == numbers_.end()) {
            early_[t.counter] = what;
            return;
        }
        out_.decided(it->second, what);
        numbers_.erase(it);
        early_.erase(t.counter);
    }
    void note(const hawser::state_change& s) {
        log_state(id_, s);
        const auto now = std::chrono::steady_clock::now();
        if (s.from == hawser::connection_state::open) {
            --process_.mine.links_up;
            lost_at_ = now;
        }
        if (s.to != hawser::connection_state::open) return;
        ++process_.mine.links_up;
        if (!lost_at_) return;
        const auto took = std::chrono::duration_cast<std::chrono::microseconds>(now - *lost_at_);
        const auto us = static_cast<std::uint32_t>(took.count());
        process_.recoveries.append(bytes_of(us));
    }

    client_process& process_;
    std::uint32_t id_;
    socket socket_;
    received_file received_;
    outgoing out_;
    std::unordered_map<std::uint64_t, std::uint32_t> numbers_;  // of messages in flight, by ticket
    std::unordered_map<std::uint64_t, hawser::outcome> early_;
    std::optional<std::chrono::steady_clock::time_point> lost_at_;
};

}  // namespace

int run_clients(const settings& s, std::uint32_t index) {
    asio::io_context context(1);
    client_process process(s, index);
    std::deque<client> clients;
    const std::uint32_t first = index * clients_per_process;
    for (std::uint32_t id = first; id < std::min(first + clients_per_process, s.clients); ++id)
        clients.emplace_back(context, process, id);

    bool closing = false;
    asio::signal_set signals(context, SIGTERM);
    signals.async_wait([&](std::error_code, int) {
        closing = true;
        for (auto& c : clients)
            c.close();
    });
    // Ends when all sockets are closed: nothing else is left to do then.
    asio::steady_timer timer(context);
    const auto show = [&](auto& self, std::error_code) -> void {
        show_metrics(process.objects.metrics, process.mine);
        if (closing) return;
        timer.expires_after(50ms);
        timer.async_wait([&self](std::error_code ec) { self(self, ec); });
    };
    show(show, {});
    context.run();
    show_metrics(process.objects.metrics, process.mine);
    return 0;
}

}  // namespace demo

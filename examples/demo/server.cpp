// SPDX-License-Identifier: BSL-1.0
// hawser_demo server: accepts all clients, sends to each and notes what each sends.
#include "programs.hpp"
#include "traffic.hpp"

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/redirect_error.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>

#include <charconv>
#include <csignal>
#include <list>
#include <memory>
#include <string_view>

namespace demo {

namespace {

/// The path says which client it is; a session can only be resumed by the same.
hawser::authorization who_is_it(const hawser::ws::upgrade_request& request, std::uint32_t clients) {
    const std::string_view name = request.path().substr(1);
    std::uint32_t id = 0;
    const auto [end, ec] = std::from_chars(name.data(), name.data() + name.size(), id);
    if (ec != std::errc{} || end != name.data() + name.size() || id >= clients)
        return {.status = 403, .text = "unknown client"};
    return {.principal = std::string(name)};
}

/// One client as the server sees it, over all its sessions.
class peer {
public:
    peer(asio::io_context& context, const settings& s, const input& in, party& p, std::uint32_t id)
        : settings_(s),
          party_(p),
          id_(id),
          room_(context),
          received_(received_path(s, direction::up, id)),
          out_(s, direction::down, id, in, p) {
        out_.take_up(read_ledger(ledger_path(s, direction::down, id)));
    }

    /// A new session. One that is still there ends: its client has given it up.
    void take(socket accepted) {
        for (auto& old : sockets_)
            old.close();
        socket& s = sockets_.emplace_back(std::move(accepted));
        s.on_message([this](const hawser::message_view& m) {
            received_.add(m.bytes);  // before it is acknowledged
            ++party_.received;
        });
        ++party_.links_up;
        s.on_state([this](const hawser::state_change& c) {
            log_state(id_, c);
            if (c.from == hawser::connection_state::open) --party_.links_up;
            if (c.to == hawser::connection_state::open) ++party_.links_up;
        });
        if (sockets_.size() == 1) asio::co_spawn(s.get_executor(), send_all(), asio::detached);
    }

private:
    static constexpr std::size_t most_in_flight = 100;

    // Each message has an operation of its own, which completes with its outcome.
    asio::awaitable<void> send_all() {
        asio::steady_timer timer(co_await asio::this_coro::executor);
        pacer pace(settings_, sender_id(direction::down, id_));
        while (out_.last() < settings_.messages) {
            timer.expires_at(pace.next());
            co_await timer.async_wait(asio::use_awaitable);
            std::error_code ignored;
            while (in_flight_ >= most_in_flight) {
                room_.expires_after(1h);
                co_await room_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
            }
            ++in_flight_;
            auto m = out_.next();
            sockets_.back().async_send(std::move(m),
                                       [this, number = out_.last()](std::error_code, hawser::outcome what) {
                                           out_.decided(number, what);
                                           --in_flight_;
                                           room_.cancel();
                                       });
        }
    }

    const settings& settings_;
    party& party_;
    std::uint32_t id_;
    asio::steady_timer room_;
    std::list<socket> sockets_;
    received_file received_;
    outgoing out_;
    std::size_t in_flight_ = 0;
};

hawser::listener_options server_options(const settings& s) {
    hawser::listener_options o;
    o.socket = socket_options();
    o.socket.connect_timeout = 10s;  // so long a session waits for a client that got no WELCOME through
    o.authorize = [clients = s.clients](const auto& request) { return who_is_it(request, clients); };
    return o;
}

using listener = hawser::listener<policies>;

asio::awaitable<void> serve(listener& l, std::list<peer>& peers) {
    for (;;) {
        socket accepted = co_await l.async_accept(asio::use_awaitable);
        const auto id = std::stoul(accepted.principal());
        std::next(peers.begin(), static_cast<long>(id))->take(std::move(accepted));
    }
}

}  // namespace

int run_server(const settings& s) {
    asio::io_context context(1);
    const shared_board shown(s);
    party& mine = shown->server;
    for (auto* count : {&mine.links_up, &mine.handed, &mine.decided, &mine.acknowledged, &mine.unknown})
        *count = 0;
    const input in(s);
    std::list<peer> peers;
    for (std::uint32_t id = 0; id < s.clients; ++id)
        peers.emplace_back(context, s, in, mine, id);

    hawser::policy_objects<policies> objects;
    listener l(context, {.address = "127.0.0.1", .port = 0}, server_options(s), objects);
    asio::co_spawn(context, serve(l, peers), asio::detached);
    publish_port(s, "server", l.port());

    bool closing = false;
    asio::signal_set signals(context, SIGTERM);
    signals.async_wait([&](std::error_code, int) {
        closing = true;
        l.async_close(asio::detached);
    });
    asio::steady_timer timer(context);
    const auto show = [&](auto& self, std::error_code) -> void {
        show_metrics(objects.metrics, mine);
        if (closing) return;
        timer.expires_after(50ms);
        timer.async_wait([&self](std::error_code ec) { self(self, ec); });
    };
    show(show, {});
    context.run();
    show_metrics(objects.metrics, mine);
    return 0;
}

}  // namespace demo

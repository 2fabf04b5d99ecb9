// SPDX-License-Identifier: BSL-1.0
// Echoes text as text and binary as binary, to plain WebSockets and to hawser.v1 sessions.
#include <hawser/hawser.hpp>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/signal_set.hpp>
#include <asio/use_awaitable.hpp>

#include "../support/arguments.hpp"

#include <cstdio>
#include <list>

namespace {

using socket_list = std::list<hawser::resilient_socket<>>;

// One coroutine per socket: receive, then drain what has already arrived.
asio::awaitable<void> echo(hawser::resilient_socket<> socket) {
    try {
        for (;;) {
            hawser::message m = co_await socket.async_receive(asio::use_awaitable);
            do {
                if (!socket.try_send(m)) (void)co_await socket.async_enqueue(std::move(m), asio::use_awaitable);
                auto next = socket.try_receive();
                m = next ? std::move(*next) : hawser::message();
            } while (m);
        }
    } catch (const std::system_error&) {
        // The socket has ended; its destructor cleans up.
    }
}

// The same with a callback: the view is sent from where it lies. A peer that sends and does
// not read is not listened to until there is room again.
void echo(socket_list& sockets, hawser::resilient_socket<> accepted) {
    const auto self = sockets.insert(sockets.end(), std::move(accepted));
    self->on_message([self](const hawser::message_view& m) {
        if (self->try_send(m)) return;
        self->pause_receiving();
        self->async_enqueue(hawser::message::copy(m.bytes, m.kind), [self](std::error_code ec, hawser::ticket) {
            if (!ec) self->resume_receiving();
        });
    });
    self->on_state([self, &sockets](const hawser::state_change& s) {
        if (s.to == hawser::connection_state::closed || s.to == hawser::connection_state::failed) sockets.erase(self);
    });
}

asio::awaitable<void> serve(hawser::listener<>& listener, bool coroutine, socket_list& sockets) {
    for (;;) {
        auto socket = co_await listener.async_accept(asio::use_awaitable);
        if (coroutine) asio::co_spawn(listener.get_executor(), echo(std::move(socket)), asio::detached);
        else echo(sockets, std::move(socket));
    }
}

}  // namespace

int main(int argc, char** argv) try {
    examples::arguments args(argc, argv, "echo_server --port P [--address A] [--api coroutine|on_message]");
    const auto port = args.number("--port", 9001, 0, 65535);
    const auto address = args.text("--address", "127.0.0.1");
    const auto api = args.choice("--api", "on_message", {"coroutine", "on_message"});
    args.finish();

    asio::io_context context(1);
    auto settings = hawser::options::plain();
    settings.session = hawser::session_mode::preferred;
    settings.max_message_size = 64 * 1024 * 1024;
    hawser::listener<> listener(context, {.address = address, .port = static_cast<std::uint16_t>(port)}, settings);

    socket_list sockets;
    asio::co_spawn(listener.get_executor(), serve(listener, api == "coroutine", sockets), asio::detached);

    asio::signal_set signals(context, SIGTERM, SIGINT);
    signals.async_wait([&](std::error_code, int) { listener.async_close(asio::detached); });

    std::printf("listening on %s port %d\n", address.c_str(), listener.port());
    std::fflush(stdout);
    context.run();
    return 0;
} catch (const std::exception& e) {
    std::fprintf(stderr, "echo_server: %s\n", e.what());
    return 2;
}

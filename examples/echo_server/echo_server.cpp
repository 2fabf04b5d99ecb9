// SPDX-License-Identifier: BSL-1.0
// Echoes text as text and binary as binary, to plain WebSockets and to hawser.v1 sessions.
#include <hawser/deflate.hpp>
#include <hawser/hawser.hpp>
#include <hawser/tls.hpp>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/redirect_error.hpp>
#include <asio/signal_set.hpp>
#include <asio/use_awaitable.hpp>

#include "../support/arguments.hpp"

#include <cstdio>
#include <functional>
#include <memory>
#include <set>

namespace {

using socket = hawser::resilient_socket<>;
using socket_set = std::set<std::shared_ptr<socket>>;

bool is_over(hawser::connection_state s) {
    return s == hawser::connection_state::closed || s == hawser::connection_state::failed;
}

// In a session each echo is accounted for; one that its peer will not get is not passed over.
void report_losses(socket& s) {
    s.on_outcome([](hawser::ticket, hawser::outcome o) {
        if (hawser::error_of(o)) std::fprintf(stderr, "echo_server: an echo was not delivered: %s\n", to_string(o));
    });
}

// One coroutine per socket: receive, then drain what has already arrived.
asio::awaitable<void> echo(socket s) {
    report_losses(s);
    std::error_code ec;
    auto token = asio::redirect_error(asio::use_awaitable, ec);
    while (!ec) {
        hawser::message m = co_await s.async_receive(token);
        while (m && !ec) {
            if (!s.try_send(m)) co_await s.async_enqueue(std::move(m), token);  // waits for room
            auto next = s.try_receive();
            m = next ? std::move(*next) : hawser::message();
        }
    }
    if (!is_over(s.state())) co_await s.async_close(hawser::close_code::internal_error, ec.message(), token);
}

// The same with a callback: the view is sent from where it lies. A peer that sends and does
// not read is not listened to until there is room again.
void echo(socket_set& sockets, socket accepted) {
    const auto s = *sockets.insert(std::make_shared<socket>(std::move(accepted))).first;
    report_losses(*s);
    s->on_message([&here = *s, weak = std::weak_ptr(s)](const hawser::message_view& m) {
        if (here.try_send(m)) return;
        here.pause_receiving();
        here.async_enqueue(hawser::message::copy(m.bytes, m.kind), [weak](std::error_code ec, hawser::ticket) {
            const auto alive = weak.lock();
            if (!alive) return;
            if (ec) alive->close(hawser::close_code::internal_error, ec.message());
            else alive->resume_receiving();
        });
    });
    const auto forget = [&sockets, weak = std::weak_ptr(s)] { sockets.erase(weak.lock()); };
    s->on_state([forget](const hawser::state_change& change) {
        if (is_over(change.to)) forget();
    });
    if (is_over(s->state())) forget();
}

asio::awaitable<void> serve(hawser::listener<>& listener, bool coroutine, socket_set& sockets) {
    std::error_code ec;
    for (;;) {
        socket s = co_await listener.async_accept(asio::redirect_error(asio::use_awaitable, ec));
        if (ec) co_return;  // the listener was closed
        if (coroutine) asio::co_spawn(listener.get_executor(), echo(std::move(s)), asio::detached);
        else echo(sockets, std::move(s));
    }
}

// From files with a certificate, followed by those of its issuers, and its key.
std::shared_ptr<asio::ssl::context> certificate(const std::string& chain, const std::string& key) {
    auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
    context->use_certificate_chain_file(chain);
    context->use_private_key_file(key, asio::ssl::context::pem);
    return context;
}

}  // namespace

int main(int argc, char** argv) try {
    examples::arguments args(argc, argv,
                             "echo_server --port P [--address A] [--api coroutine|on_message] [--max-message BYTES] [--deflate] [--tls CERTIFICATE KEY]",
                             {"--deflate"}, {}, {"--tls"});
    const auto port = static_cast<std::uint16_t>(args.number("--port", 9001, 0, 65535));
    const auto address = args.text("--address", "127.0.0.1");
    const auto api = args.choice("--api", "on_message", {"coroutine", "on_message"});
    const auto max_message = args.number("--max-message", 64 * 1024 * 1024, 1, 1 << 30);
    const bool compress = args.flag("--deflate");
    const auto files = args.texts("--tls");
    args.finish();

    asio::io_context context(1);
    auto settings = hawser::options::plain();
    settings.session = hawser::session_mode::preferred;  // hawser.v1 where the peer offers it
    settings.max_message_size = static_cast<std::size_t>(max_message);
    settings.max_fragments = 1'000'000;  // as high as the messages are large
    if (compress) settings.compression = hawser::deflate();
    const auto tls = files.empty() ? nullptr : hawser::tls(certificate(files[0], files[1]));
    hawser::listener<> listener(context, {.address = address, .port = port}, hawser::listener_options{.socket = settings, .tls = tls});

    socket_set sockets;
    asio::co_spawn(listener.get_executor(), serve(listener, api == "coroutine", sockets), asio::detached);

    asio::signal_set signals(context, SIGTERM, SIGINT), renewals(context);
    signals.async_wait([&](std::error_code, int) {
        renewals.cancel();
        listener.async_close(asio::detached);
    });

    // SIGHUP: new certificates for the connections to come.
    std::function<void(std::error_code, int)> renew = [&](std::error_code ec, int) {
        if (ec) return;
        try {
            tls->replace(certificate(files[0], files[1]));
        } catch (const std::exception& e) {
            std::fprintf(stderr, "echo_server: the certificates stay as they are: %s\n", e.what());
        }
        renewals.async_wait(renew);
    };
#if defined(SIGHUP)
    if (tls) {
        renewals.add(SIGHUP);
        renewals.async_wait(renew);
    }
#endif

    std::printf("listening on %s port %d\n", address.c_str(), listener.port());
    std::fflush(stdout);
    context.run();
    return 0;
} catch (const std::exception& e) {
    std::fprintf(stderr, "echo_server: %s\n", e.what());
    return 2;
}

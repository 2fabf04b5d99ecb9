// SPDX-License-Identifier: BSL-1.0
// Writes the number at the beginning of each message into the table `received`, in the transaction that takes
// responsibility for it: each is there once, in order, however often this process is killed meanwhile.
#include <hawser/custom_policies.hpp>
#include <hawser/hawser.hpp>
#include <hawser/sqlite.hpp>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/redirect_error.hpp>
#include <asio/signal_set.hpp>
#include <asio/use_awaitable.hpp>

#include "../support/arguments.hpp"

#include <charconv>
#include <cstdio>
#include <memory>
#include <set>

namespace {

struct policies : hawser::default_policies {
    using store = hawser::sqlite_store;
};
using socket = hawser::resilient_socket<policies>;

std::error_code execute(hawser::sqlite_transaction& tx, const char* sql) {
    return sqlite3_exec(tx.database(), sql, nullptr, nullptr, nullptr) == SQLITE_OK ? std::error_code{} : tx.failure();
}

// On the store's thread.
std::error_code insert(hawser::sqlite_transaction& tx, const hawser::message_view& m) {
    sqlite3_stmt* s = tx.statement("INSERT INTO received(number) VALUES(?1)");
    if (!s) return tx.failure();
    sqlite3_int64 number = 0;
    const auto text = m.text();
    if (std::from_chars(text.data(), text.data() + text.size(), number).ec == std::errc{}) sqlite3_bind_int64(s, 1, number);
    return sqlite3_step(s) == SQLITE_DONE ? std::error_code{} : tx.failure();
}

asio::awaitable<void> serve(hawser::listener<policies>& listener) {
    std::set<std::shared_ptr<socket>> sockets;
    std::error_code ec;
    for (;;) {
        auto accepted = co_await listener.async_accept(asio::redirect_error(asio::use_awaitable, ec));
        if (ec) break;
        const auto s = *sockets.insert(std::make_shared<socket>(std::move(accepted))).first;
        s->on_message_transaction(insert);
        s->on_state([&sockets, weak = std::weak_ptr(s)](const hawser::state_change& change) {
            if (change.to == hawser::connection_state::failed)
                std::fprintf(stderr, "durable_receiver: a session failed: %s\n", change.reason.message().c_str());
            if (change.to == hawser::connection_state::failed || change.to == hawser::connection_state::closed)
                sockets.erase(weak.lock());
        });
    }
    if (ec != hawser::errc::closed) std::fprintf(stderr, "durable_receiver: %s\n", ec.message().c_str());
}

}  // namespace

int main(int argc, char** argv) try {
    examples::arguments args(argc, argv, "durable_receiver --port P --store FILE");
    const auto port = static_cast<std::uint16_t>(args.number("--port", 9001, 0, 65535));
    const auto file = args.required("--store");
    args.finish();

    const hawser::sqlite_store store(hawser::sqlite_options{.file = file, .on_open = [](hawser::sqlite_transaction& tx) {
        return execute(tx, "CREATE TABLE IF NOT EXISTS received(position INTEGER PRIMARY KEY, number INTEGER)");
    }});
    asio::io_context context(1);
    hawser::listener<policies> listener(context, {.port = port}, hawser::options::reliable(), {.store = store});
    asio::co_spawn(listener.get_executor(), serve(listener), asio::detached);
    asio::signal_set signals(context, SIGTERM, SIGINT);
    signals.async_wait([&](std::error_code, int) { listener.async_close(asio::detached); });

    std::printf("listening on 127.0.0.1 port %d\n", listener.port());
    std::fflush(stdout);
    context.run();
    return 0;
} catch (const std::exception& e) {
    std::fprintf(stderr, "durable_receiver: %s\n", e.what());
    return 2;
}

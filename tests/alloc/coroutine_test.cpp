// SPDX-License-Identifier: BSL-1.0
// How often an echo in coroutines allocates, many connections being served at once: never, once buffers have found their size.
#include "allocations.hpp"
#include "support/catch.hpp"

#include <hawser/hawser.hpp>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>

#include <chrono>
#include <functional>
#include <list>
#include <string>

namespace {

using namespace std::chrono_literals;

asio::awaitable<void> echo(hawser::resilient_socket<> s) {
    std::error_code ec;
    auto token = asio::redirect_error(asio::use_awaitable, ec);
    while (!ec) {
        hawser::message m = co_await s.async_receive(token);
        while (m && !ec) {
            if (!s.try_send(m)) co_await s.async_enqueue(std::move(m), token);
            auto next = s.try_receive();
            m = next ? std::move(*next) : hawser::message{};
        }
    }
}

}  // namespace

TEST_CASE("no allocation per message in coroutines, many of which are called in one turn") {
    asio::io_context context{1};
    hawser::listener<> server(context, {}, hawser::options::plain());
    std::function<void()> accept = [&] {
        server.async_accept([&](std::error_code ec, hawser::resilient_socket<> s) {
            if (ec) return;
            asio::co_spawn(server.get_executor(), echo(std::move(s)), asio::detached);
            accept();
        });
    };
    accept();
    int echoes = 0, refused = 0;
    std::list<hawser::resilient_socket<>> clients;
    for (int i = 0; i < 20; ++i) {
        auto& c = clients.emplace_back(context, hawser::options::plain());
        c.on_message([&](const hawser::message_view& m) {
            refused += !c.try_send(m);
            ++echoes;
        });
        c.on_state([&](const hawser::state_change& change) {
            if (change.to != hawser::connection_state::open) return;
            for (int n = 0; n < 8; ++n) refused += !c.try_send(hawser::message_view{.bytes = hawser::as_bytes("twenty bytes of text")});
        });
        c.connect("ws://127.0.0.1:" + std::to_string(server.port()) + "/");
    }
    const auto run = [&](int more) {
        const auto end = std::chrono::steady_clock::now() + 20s;
        for (const int until = echoes + more; echoes < until;)
            if (std::chrono::steady_clock::now() > end || context.run_one_for(1s) == 0) return false;
        return true;
    };
    REQUIRE(run(20'000));
    const std::size_t before = allocated::ever;
    REQUIRE(run(20'000));
    CHECK(allocated::ever - before == 0);
    CHECK(refused == 0);
}

// SPDX-License-Identifier: BSL-1.0
// What a server holds for a connection that has had an echo and is silent since. The numbers are exact and the same on each
// run: who raises a limit here makes each of a million idle connections larger.
#include "allocations.hpp"
#include "support/catch.hpp"

#include <hawser/custom_policies.hpp>
#include <hawser/hawser.hpp>

#include <asio/io_context.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using hawser::resilient_socket;
namespace session = hawser::session;

// Of 64-bit processors and libstdc++; elsewhere the parts have other sizes.
#if defined(__GLIBCXX__) && UINTPTR_MAX == UINT64_MAX
static_assert(sizeof(hawser::detail::link<hawser::default_policies>) <= 656);
static_assert(sizeof(hawser::detail::wire) <= 448);
static_assert(sizeof(session::endpoint) <= 920);
static_assert(sizeof(session::session_record) <= 240);
static_assert(sizeof(hawser::detail::dedup_state<hawser::default_policies>) <= 352);
constexpr bool sizes_known = true;
#else
constexpr bool sizes_known = false;
#endif

constexpr std::size_t connections = 64;

// A server whose allocations are watched, and its clients, each side with a context of its own.
struct at_rest {
    explicit at_rest(hawser::options client_options) : listener(server, {}, settings()) {
        hawser::message::keep_spare(0);  // blocks go back at once
        accepted.reserve(connections);
        accept();
        for (std::size_t i = 0; i < connections; ++i) {
            resilient_socket<>& c = clients.emplace_back(client, client_options);
            c.on_message([this](const hawser::message_view&) { ++echoes; });
            c.on_state([&c](const hawser::state_change& s) {
                if (s.to == hawser::connection_state::open) (void)c.try_send("twenty bytes of text");
            });
        }
    }
    ~at_rest() { hawser::message::keep_spare(hawser::detail::spare_messages::default_limit); }
    static hawser::listener_options settings() {
        hawser::listener_options o;
        o.socket.session = hawser::session_mode::preferred;
        return o;
    }
    void accept() {
        listener.async_accept([this](std::error_code ec, resilient_socket<> s) {
            if (ec) return;
            resilient_socket<>& mine = accepted.emplace_back(std::move(s));
            mine.on_message([&mine](const hawser::message_view& m) { (void)mine.try_send(m); });
            mine.on_state([this](const hawser::state_change&) { ++changes; });
            accept();
        });
    }
    [[nodiscard]] bool silent() {
        std::size_t waiting = 0;
        for (const auto& s : accepted) waiting += s.unacknowledged();
        return echoes == connections && waiting == 0;
    }
    // Both sides in turn until the last acknowledgement is here.
    [[nodiscard]] bool run() {
        for (auto& c : clients) c.connect("ws://127.0.0.1:" + std::to_string(listener.port()) + "/");
        const auto end = std::chrono::steady_clock::now() + 20s;
        while (!silent()) {
            if (std::chrono::steady_clock::now() > end) return false;
            client.run_one_for(1ms);
            client.poll();
            allocated::watching = true;
            server.poll();
            allocated::watching = false;
        }
        return true;
    }

    asio::io_context server{1}, client{1};
    hawser::listener<> listener;
    std::vector<resilient_socket<>> accepted;
    std::list<resilient_socket<>> clients;
    std::size_t echoes = 0, changes = 0;
};

}  // namespace

TEST_CASE("an idle connection holds little memory") {
    struct limit {
        hawser::options options;
        std::size_t blocks, bytes;  // for each connection, with its share of what all have together
    };
    auto plain = hawser::options::plain();
    auto reliable = hawser::options::reliable();
    reliable.ack_delay = 1ms;
    const auto [options, blocks, bytes] = GENERATE_COPY(limit{plain, 3, 1'216}, limit{reliable, 13, 3'216});
    CAPTURE(options.session);
    const std::size_t blocks_before = allocated::blocks, bytes_before = allocated::bytes;
    at_rest both(options);
    REQUIRE(both.run());
    const std::size_t held_blocks = allocated::blocks - blocks_before, held_bytes = allocated::bytes - bytes_before;
    CAPTURE(held_blocks, held_bytes);
    CHECK(held_blocks >= 3 * connections);  // they are counted
    CHECK(held_blocks <= blocks * connections + 16);
    if (sizes_known) CHECK(held_bytes <= bytes * connections);
}

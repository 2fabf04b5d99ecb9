// SPDX-License-Identifier: BSL-1.0
// How often an echo allocates, both sides together, once buffers have found their size: never.
#include "support/catch.hpp"

#include <hawser/hawser.hpp>

#include <asio/io_context.hpp>

#include <chrono>
#include <cstdlib>
#include <new>
#include <optional>
#include <string>

namespace {
std::size_t allocations = 0;  // one thread

void* allocate(std::size_t size) noexcept {
    ++allocations;
    return std::malloc(size == 0 ? 1 : size);
}
}  // namespace

// GCC sees `free` of what the replaced `new` returned, and not that both are replaced.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

void* operator new(std::size_t size) {
    if (void* p = allocate(size)) return p;
    throw std::bad_alloc();
}
void* operator new[](std::size_t size) { return ::operator new(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { std::free(p); }
void operator delete[](void* p, const std::nothrow_t&) noexcept { std::free(p); }

namespace {

using namespace std::chrono_literals;

// A client that keeps `depth` messages under way to an echo server, both with views.
struct ping_pong {
    ping_pong(std::size_t size, int depth, hawser::message_kind kind)
        : server(context, {}, options()), client(context, options()), content(size, 'x') {
        server.async_accept([this](std::error_code, hawser::resilient_socket<> s) {
            accepted.emplace(std::move(s));
            accepted->on_message([this](const hawser::message_view& m) { refused += !accepted->try_send(m); });
        });
        client.on_message([this](const hawser::message_view& m) {
            wrong += m.size() != content.size();
            refused += !client.try_send(m);
            ++echoes;
        });
        client.on_state([this, depth, kind](const hawser::state_change& c) {
            if (c.to != hawser::connection_state::open) return;
            for (int i = 0; i < depth; ++i)
                refused += !client.try_send(hawser::message_view{.bytes = hawser::as_bytes(content), .kind = kind});
        });
        client.connect("ws://127.0.0.1:" + std::to_string(server.port()) + "/");
    }
    static hawser::options options() {
        auto o = hawser::options::plain();
        o.max_message_size = 4 * 1024 * 1024;
        o.max_write_buffer = 4 * 1024 * 1024;
        return o;
    }
    bool run(int more) {
        const auto end = std::chrono::steady_clock::now() + 20s;
        for (const int until = echoes + more; echoes < until;)
            if (std::chrono::steady_clock::now() > end || context.run_one_for(1s) == 0) return false;
        return true;
    }

    asio::io_context context{1};
    hawser::listener<> server;
    hawser::resilient_socket<> client;
    std::optional<hawser::resilient_socket<>> accepted;
    std::string content;
    int echoes = 0, refused = 0, wrong = 0;
};

}  // namespace

TEST_CASE("no allocation per message, whatever its size") {
    struct work {
        std::size_t size;
        int depth;
        hawser::message_kind kind;
    };
    const work w =
        GENERATE(work{20, 16, hawser::message_kind::binary}, work{20, 1, hawser::message_kind::text},
                 work{1024, 16, hawser::message_kind::text}, work{16 * 1024, 1, hawser::message_kind::binary},
                 work{100 * 1024, 1, hawser::message_kind::text}, work{1024 * 1024, 1, hawser::message_kind::binary});
    CAPTURE(w.size, w.depth, w.kind);
    ping_pong p(w.size, w.depth, w.kind);
    REQUIRE(p.run(200));
    const std::size_t before = allocations;
    REQUIRE(before > 0);  // they are counted
    REQUIRE(p.run(500));
    CHECK(allocations - before == 0);
    CHECK(p.refused == 0);
    CHECK(p.wrong == 0);
}

// SPDX-License-Identifier: BSL-1.0
// How often an echo allocates, both sides together, once buffers have found their size: never.
#include "allocations.hpp"
#include "support/catch.hpp"

#include <hawser/hawser.hpp>

#include <asio/io_context.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <new>
#include <optional>
#include <string>

namespace {

// What is kept of a block, in front of it.
struct block {
    std::size_t size;
    bool watched;
};
constexpr std::size_t front = __STDCPP_DEFAULT_NEW_ALIGNMENT__;
static_assert(sizeof(block) <= front);

void* allocate(std::size_t size, std::size_t alignment = front) noexcept {
    if (allocated::fails_in != 0 && --allocated::fails_in == 0) return nullptr;
    const std::size_t room = (size + 2 * alignment - 1) / alignment * alignment;
    auto* const memory = static_cast<char*>(alignment == front ? std::malloc(room) : std::aligned_alloc(alignment, room));
    if (memory == nullptr) return nullptr;
    ++allocated::ever;
    char* const result = memory + alignment;
    ::new (result - front) block{size, allocated::watching};
    if (allocated::watching) {
        ++allocated::blocks;
        allocated::bytes += size;
    }
    return result;
}
void release(void* p, std::size_t alignment = front) noexcept {
    if (p == nullptr) return;
    char* const result = static_cast<char*>(p);
    const block b = *std::launder(reinterpret_cast<block*>(result - front));
    if (b.watched) {
        --allocated::blocks;
        allocated::bytes -= b.size;
    }
    std::free(result - alignment);
}
void* allocate_or_throw(std::size_t size, std::size_t alignment = front) {
    if (void* p = allocate(size, alignment)) return p;
    throw std::bad_alloc();
}
std::size_t number(std::align_val_t alignment) noexcept { return std::max(static_cast<std::size_t>(alignment), front); }
}  // namespace

// GCC sees `free` of what the replaced `new` returned, and not that both are replaced.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

void* operator new(std::size_t size) { return allocate_or_throw(size); }
void* operator new[](std::size_t size) { return allocate_or_throw(size); }
void* operator new(std::size_t size, std::align_val_t a) { return allocate_or_throw(size, number(a)); }
void* operator new[](std::size_t size, std::align_val_t a) { return allocate_or_throw(size, number(a)); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void operator delete(void* p) noexcept { release(p); }
void operator delete[](void* p) noexcept { release(p); }
void operator delete(void* p, std::size_t) noexcept { release(p); }
void operator delete[](void* p, std::size_t) noexcept { release(p); }
void operator delete(void* p, std::align_val_t a) noexcept { release(p, number(a)); }
void operator delete[](void* p, std::align_val_t a) noexcept { release(p, number(a)); }
void operator delete(void* p, std::size_t, std::align_val_t a) noexcept { release(p, number(a)); }
void operator delete[](void* p, std::size_t, std::align_val_t a) noexcept { release(p, number(a)); }
void operator delete(void* p, const std::nothrow_t&) noexcept { release(p); }
void operator delete[](void* p, const std::nothrow_t&) noexcept { release(p); }

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
    const std::size_t before = allocated::ever;
    REQUIRE(before > 0);  // they are counted
    REQUIRE(p.run(500));
    CHECK(allocated::ever - before == 0);
    CHECK(p.refused == 0);
    CHECK(p.wrong == 0);
}

// SPDX-License-Identifier: BSL-1.0
// Each asynchronous operation with each kind of completion token: it is generic, never completes
// inside of its initiating function, and honours what is associated with its handler.
#include "support/archetypes.hpp"
#include "support/catch.hpp"
#include "support/erased_handler.hpp"
#include "support/world.hpp"

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>
#include <asio/bind_executor.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/experimental/awaitable_operators.hpp>
#include <asio/strand.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/use_future.hpp>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <future>
#include <memory>
#include <memory_resource>
#include <stdexcept>
#include <vector>

using namespace support;
using hawser::message;
using socket_type = hawser::resilient_socket<>;
using asio::use_awaitable;

namespace {

hawser::options reliable() { return quick(hawser::options::reliable()); }

constexpr std::array operations{"connect", "wait_open", "send",  "enqueue",       "outcome",
                                "receive", "accept",    "close", "listener.close"};

// A client and a listener, ready for one operation.
class stage {
public:
    explicit stage(std::string_view operation) : name(operation) {
        w.server.emplace(w.context, hawser::listen_endpoint{.port = port}, reliable());
        w.on_accept = [](socket_type& s) {
            s.on_message([](const hawser::message_view&) {});
            (void)s.try_send("received");
        };
        if (name != "accept") w.accept();
        if (name == "connect" || name == "listener.close") return;
        client.connect(url);
        w.net.run_for(1s);
        if (name == "outcome") ticket = client.try_send("m").ticket;
    }
    // Calls `f(begin)`; `begin(token)` is the initiating function.
    template <class F>
    void with(F f) {
        if (name == "connect") f([this](auto&& t) { return client.async_connect(std::string(url), std::move(t)); });
        else if (name == "wait_open") f([this](auto&& t) { return client.async_wait_open(std::move(t)); });
        else if (name == "send") f([this](auto&& t) { return client.async_send(message::text("m"), std::string("key"), std::move(t)); });
        else if (name == "enqueue") f([this](auto&& t) { return client.async_enqueue(message::text("m"), std::move(t)); });
        else if (name == "outcome") f([this](auto&& t) { return client.async_outcome(ticket, std::move(t)); });
        else if (name == "receive") f([this](auto&& t) { return client.async_receive(std::move(t)); });
        else if (name == "accept") f([this](auto&& t) { return w.server->async_accept(std::move(t)); });
        else if (name == "close") f([this](auto&& t) { return client.async_close(hawser::close_code::normal, std::string("done"), std::move(t)); });
        else f([this](auto&& t) { return w.server->async_close(std::move(t)); });
    }
    void finish() { w.net.run_for(10s); }

    std::string_view name;
    world<> w{5};
    socket_type client{w.context, reliable()};
    hawser::ticket ticket;
};

template <class F>
void for_each_operation(F check) {
    for (const std::string_view name : operations) {
        CAPTURE(name);
        stage s(name);
        s.with([&](auto begin) { check(s, begin); });
    }
}

}  // namespace

TEST_CASE("tokens: an immediate one is not completed inside of the initiating function") {
    for_each_operation([](stage& s, auto begin) {
        auto seen = begin(immediate_token{&s.w.context});
        CHECK(seen->calls == 0);
        s.finish();
        CHECK(seen->calls == 1);
        CHECK(!seen->error);
    });
    // On the strand, where all that can be done at once is done at once.
    for_each_operation([](stage& s, auto begin) {
        std::shared_ptr<observed> seen;
        asio::post(s.client.get_executor(), [&] { seen = begin(immediate_token{&s.w.context}); });
        s.finish();
        CHECK(seen->calls == 1);
        CHECK(!seen->inside);
        CHECK(!seen->error);
    });
}

TEST_CASE("tokens: a handler that can only be moved") {
    for_each_operation([](stage& s, auto begin) {
        auto seen = std::make_shared<observed>();
        begin(immediate_handler{&s.w.context, seen});
        CHECK(seen->calls == 0);
        s.finish();
        CHECK(seen->calls == 1);
        CHECK(!seen->error);
    });
}

TEST_CASE("tokens: a lazy one starts nothing, and keeps copies of the arguments until it does") {
    for_each_operation([](stage& s, auto begin) {
        auto operation = begin(lazy_token{});
        s.w.net.run_for(1s);
        if (s.name == "connect") CHECK(s.client.state() == connection_state::idle);
        if (s.name == "close") CHECK(s.client.state() == connection_state::open);
        if (s.name == "send" || s.name == "enqueue") CHECK(s.client.unacknowledged() == 0);
        if (s.name == "receive") {
            CHECK(s.client.try_receive());  // nobody waited for it
            REQUIRE(s.w.accepted.front().try_send("another"));
        }
        auto seen = std::make_shared<observed>();
        std::move(operation).start(immediate_handler{&s.w.context, seen});
        CHECK(seen->calls == 0);
        s.finish();
        CHECK(seen->calls == 1);
        CHECK(!seen->error);
    });
}

TEST_CASE("tokens: a lazy operation that starts when its socket or listener is gone ends with operation_aborted") {
    for_each_operation([](stage& s, auto begin) {
        auto operation = begin(lazy_token{});
        { const socket_type gone = std::move(s.client); }
        s.w.server.reset();
        s.w.net.run_for(1s);
        auto seen = std::make_shared<observed>();
        std::move(operation).start(immediate_handler{&s.w.context, seen});
        s.w.net.poll();
        CHECK(seen->calls == 1);
        if (s.name == "outcome") CHECK(seen->error == errc::cancelled);  // that is known
        else CHECK(seen->error == asio::error::operation_aborted);
    });
}

TEST_CASE("tokens: a connect that cannot be says so by its completion") {
    const std::map<std::string, errc> wrong{
        {"http://server.test/", errc::invalid_argument}, {"wss://server.test/", errc::tls_missing}, {url, errc::already_connecting}};
    for (const auto& [where, why] : wrong) {
        CAPTURE(where);
        stage s("receive");
        std::optional<std::error_code> error;
        CHECK_NOTHROW(s.client.async_connect(where, [&](std::error_code ec) { error = ec; }));
        CHECK(!error);
        s.w.net.poll();
        CHECK(error == why);
    }
}

TEST_CASE("tokens: use_future") {
    for_each_operation([](stage& s, auto begin) {
        auto future = begin(asio::use_future_t<>());
        s.finish();
        // The promise is kept on a thread of Asio's system_executor.
        REQUIRE(future.wait_for(10s) == std::future_status::ready);
        CHECK_NOTHROW((void)future.get());
    });
}

TEST_CASE("tokens: deferred") {
    for_each_operation([](stage& s, auto begin) {
        auto operation = begin(std::decay_t<decltype(deferred)>(deferred));
        s.w.net.poll();
        auto seen = std::make_shared<observed>();
        std::move(operation)(immediate_handler{&s.w.context, seen});
        CHECK(seen->calls == 0);
        s.finish();
        CHECK(seen->calls == 1);
        CHECK(!seen->error);
    });
}

TEST_CASE("tokens: use_awaitable, and as_tuple around it") {
    for_each_operation([](stage& s, auto begin) {
        int done = 0;
        asio::co_spawn(s.w.context, [&]() -> asio::awaitable<void> {
            (void)co_await begin(asio::use_awaitable_t<>());
            ++done;
        }, asio::detached);
        s.finish();
        CHECK(done == 1);
    });
    for_each_operation([](stage& s, auto begin) {
        std::error_code error = errc::closed;
        asio::co_spawn(s.w.context, [&]() -> asio::awaitable<void> {
            auto result = co_await begin(as_tuple(use_awaitable));
            error = std::get<0>(result);
        }, asio::detached);
        s.finish();
        CHECK(!error);
    });
}

TEST_CASE("tokens: the handler runs on its associated executor, which has work until then") {
    for (const bool erased : {false, true}) {
        CAPTURE(erased);
        for_each_operation([&](stage& s, auto begin) {
            asio::io_context other;
            const auto strand = asio::make_strand(other.get_executor());
            int calls = 0;
            auto handler = [&](std::error_code ec, auto&&...) {
                calls += strand.running_in_this_thread();
                CHECK(!ec);
            };
            if (erased) begin(asio::bind_executor(asio::any_io_executor(strand), handler));
            else begin(asio::bind_executor(strand, handler));
            other.poll();
            CHECK(!other.stopped());
            s.finish();
            CHECK(calls == 0);
            CHECK(other.run() > 0);
            CHECK(calls == 1);
        });
    }
}

TEST_CASE("tokens: without an executor of its own the handler runs on the socket's") {
    for_each_operation([](stage& s, auto begin) {
        int calls = 0;
        const auto executor = s.w.server->get_executor();
        begin([&](std::error_code, auto&&...) { calls += executor.running_in_this_thread(); });
        s.finish();
        CHECK(calls == 1);
    });
}

TEST_CASE("tokens: memory comes from the handler's allocator, and is back before its call") {
    for (const bool cancellable : {false, true}) {
        CAPTURE(cancellable);
        for_each_operation([&](stage& s, auto begin) {
            ledger book;
            asio::cancellation_signal signal;
            int calls = 0, outstanding = -1;
            auto handler = counted(book, [&](int left, std::error_code, auto&&...) {
                ++calls;
                outstanding = left;
            });
            if (cancellable) begin(asio::bind_cancellation_slot(signal.slot(), std::move(handler)));
            else begin(std::move(handler));
            s.finish();
            CHECK(calls == 1);
            CHECK(outstanding == 0);
            CHECK(book.given > 0);
            CHECK(book.outstanding == 0);
        });
    }
}

namespace {
// A handler that owns what its allocator allocates from: moved from, it has none.
struct arena {
    ~arena() {
        if (left_behind) *left_behind = blocks;
    }
    int blocks = 0;
    int* left_behind = nullptr;
};
template <class T>
struct arena_allocator {
    using value_type = T;
    explicit arena_allocator(arena* a) noexcept : from(a) {}
    template <class U>
    arena_allocator(const arena_allocator<U>& other) noexcept : from(other.from) {}
    T* allocate(std::size_t n) {
        ++from->blocks;
        return std::allocator<T>().allocate(n);
    }
    void deallocate(T* p, std::size_t n) noexcept {
        if (!from) std::abort();
        --from->blocks;
        std::allocator<T>().deallocate(p, n);
    }
    friend bool operator==(const arena_allocator&, const arena_allocator&) = default;
    arena* from;
};
struct owning_handler {
    using allocator_type = arena_allocator<char>;
    [[nodiscard]] allocator_type get_allocator() const noexcept { return allocator_type(memory.get()); }
    template <class... Args>
    void operator()(std::error_code, Args&&...) { *left = memory->blocks; }
    std::shared_ptr<arena> memory;
    int* left;
};
// The same, which is not moved but copied, by what might throw.
struct copied_owning_handler : owning_handler {
    copied_owning_handler(std::shared_ptr<arena> m, int* l) : owning_handler{std::move(m), l} {}
    copied_owning_handler(const copied_owning_handler& other) noexcept(false) : owning_handler(other) {}
};
struct alignas(64) aligned_content {
    char bytes[64] = {};
};
}  // namespace

TEST_CASE("tokens: memory goes back to the handler's allocator where the handler owns that") {
    world w;
    hawser::resilient_socket<> s(w.context, quick(hawser::options::plain()));
    int left = -1;
    s.async_wait_open(owning_handler{std::make_shared<arena>(), &left});
    s.close();
    w.net.run_for(1s);
    CHECK(left == 0);
}
TEMPLATE_TEST_CASE("tokens: memory goes back to an allocator that the handler owns before that is destroyed uncalled", "", owning_handler,
                   copied_owning_handler) {
    int left = -1, left_behind = -1;
    {
        stage s("accept");
        auto memory = std::make_shared<arena>();
        memory->left_behind = &left_behind;
        s.client.async_receive(TestType{std::move(memory), &left});
        s.w.net.poll();
    }
    CHECK(left == -1);
    CHECK(left_behind == 0);
}

namespace {
// Calls at once what it is asked to post, as another thread may have called it when `asio::post` returns.
struct swift_executor : inline_executor {
    [[nodiscard]] swift_executor require(asio::execution::blocking_t::never_t) const noexcept { return *this; }
};
// Has taken what it is asked to post when it says that there is no memory, as a strand may.
struct greedy_executor : inline_executor {
    [[nodiscard]] greedy_executor require(asio::execution::blocking_t::never_t) const noexcept { return *this; }
    template <class F>
    void execute(F f) const {
        taken->push_back([held = std::make_shared<F>(std::move(f))] { (*held)(); });
        throw std::bad_alloc();
    }
    std::vector<std::function<void()>>* taken = nullptr;
};
}  // namespace

TEST_CASE("tokens: memory is back before the call, however soon another thread calls") {
    for_each_operation([](stage& s, auto begin) {
        const auto memory = std::make_shared<arena>();
        int left = -1;
        asio::post(s.client.get_executor(), [&] { begin(asio::bind_executor(swift_executor{{&s.w.context}}, owning_handler{memory, &left})); });
        s.finish();
        CHECK(left == 0);
        CHECK(memory->blocks == 0);
    });
}

namespace {
// Takes nothing, and not for want of memory.
struct broken_executor : inline_executor {
    [[nodiscard]] broken_executor require(asio::execution::blocking_t::never_t) const noexcept { return *this; }
    template <class F>
    void execute(F) const {
        throw std::runtime_error("broken");
    }
};
}  // namespace

TEST_CASE("tokens: a handler whose executor takes nothing is destroyed uncalled, and its memory is back") {
    const auto memory = std::make_shared<arena>();
    int left = -1;
    {
        stage s("wait_open");
        s.client.async_wait_open(asio::bind_executor(broken_executor{{&s.w.context}}, owning_handler{memory, &left}));
        try {
            s.finish();
        } catch (const std::runtime_error&) {
            // It may leave run().
        }
        CHECK(memory->blocks == 0);
        CHECK(memory.use_count() == 1);
    }
    CHECK(left == -1);
}

TEST_CASE("tokens: an executor that had no memory, and has the handler all the same, is not given it twice") {
    for_each_operation([](stage& s, auto begin) {
        std::vector<std::function<void()>> taken;
        int calls = 0;
        asio::post(s.client.get_executor(), [&] {
            begin(asio::bind_executor(greedy_executor{{&s.w.context}, &taken}, [&](std::error_code, auto&&...) { ++calls; }));
        });
        REQUIRE_NOTHROW(s.finish());
        REQUIRE(taken.size() == 1);
        taken.front()();
        CHECK(calls == 1);
    });
}

TEST_CASE("tokens: an executor that calls at once, and cannot be asked not to, is never used inside of the initiating function") {
    for_each_operation([](stage& s, auto begin) {
        bool initiating = true;
        int calls = 0, inside = 0;
        asio::post(s.client.get_executor(), [&] {
            begin(asio::bind_executor(inline_executor{&s.w.context}, [&](std::error_code, auto&&...) {
                ++calls;
                inside += initiating;
            }));
            initiating = false;
        });
        s.finish();
        CHECK(calls == 1);
        CHECK(inside == 0);
    });
}

TEST_CASE("tokens: an exception of a handler that such an executor calls leaves run(), also that of memory") {
    stage s("wait_open");
    int calls = 0;
    s.client.async_wait_open(asio::bind_executor(inline_executor{&s.w.context}, [&](std::error_code) {
        ++calls;
        throw std::bad_alloc();
    }));
    CHECK_THROWS_AS(s.finish(), std::bad_alloc);
    CHECK_NOTHROW(s.finish());
    CHECK(calls == 1);
    CHECK(s.client.state() == connection_state::open);
}

TEST_CASE("tokens: a type-erased handler keeps its executor and its memory") {
    for (const bool own_executor : {true, false}) {
        CAPTURE(own_executor);
        for_each_operation([&](stage& s, auto begin) {
            asio::io_context other;
            const auto strand = asio::make_strand(other.get_executor());
            const auto of_socket = s.w.server->get_executor();  // with `accept` the socket is the listener's
            ledger book;
            int calls = 0, there = 0, outstanding = -1;
            auto handler = counted(book, [&](int left, std::error_code, auto&&...) {
                ++calls;
                outstanding = left;
                there += own_executor ? strand.running_in_this_thread() : of_socket.running_in_this_thread();
            });
            if (own_executor) begin(erased_token<asio::strand<asio::io_context::executor_type>, decltype(handler)>{strand, std::move(handler)});
            else begin(erased_token<void, decltype(handler)>{{}, std::move(handler)});
            CHECK(calls == 0);
            s.finish();
            CHECK(calls == (own_executor ? 0 : 1));
            other.run();
            CHECK(calls == 1);
            CHECK(there == 1);
            CHECK(outstanding == 0);
            CHECK(book.given > 0);
            CHECK(book.outstanding == 0);
        });
    }
}

TEST_CASE("tokens: a type-erased handler is cancelled by its slot, and destroyed uncalled with the io_context") {
    int calls = 0;
    std::error_code error;
    ledger book;
    {
        stage s("accept");
        asio::cancellation_signal signal;
        any_handler<void(std::error_code, message)> first = asio::bind_cancellation_slot(signal.slot(), [&](std::error_code ec, const message&) {
            ++calls;
            error = ec;
        });
        s.client.async_receive(std::move(first));
        s.w.net.poll();
        signal.emit(asio::cancellation_type::all);
        s.w.net.poll();
        CHECK(calls == 1);
        CHECK(error == asio::error::operation_aborted);
        any_handler<void(std::error_code, message)> second = counted(book, [&](int, std::error_code, const message&) { ++calls; });
        s.client.async_receive(std::move(second));
        s.w.net.poll();
        CHECK(book.outstanding == 2);  // its own, and the operation's
    }
    CHECK(calls == 1);
    CHECK(book.outstanding == 0);
}

namespace {
template <class F>
struct pmr_handler {
    using allocator_type = std::pmr::polymorphic_allocator<>;
    [[nodiscard]] allocator_type get_allocator() const noexcept { return allocator_type(resource); }
    template <class... Args>
    void operator()(std::error_code ec, Args&&...) { function(ec); }
    std::pmr::memory_resource* resource;
    F function;
};
// Counts blocks.
struct counting_resource final : std::pmr::memory_resource {
    void* do_allocate(std::size_t n, std::size_t alignment) override {
        ++given;
        ++outstanding;
        return std::pmr::new_delete_resource()->allocate(n, alignment);
    }
    void do_deallocate(void* p, std::size_t n, std::size_t alignment) override {
        --outstanding;
        std::pmr::new_delete_resource()->deallocate(p, n, alignment);
    }
    [[nodiscard]] bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }
    int given = 0, outstanding = 0;
};
}  // namespace

TEST_CASE("tokens: memory comes from a polymorphic allocator") {
    for (const bool elsewhere : {false, true}) {
        CAPTURE(elsewhere);
        for_each_operation([&](stage& s, auto begin) {
            counting_resource resource;
            asio::io_context other;
            int calls = 0, outstanding = -1;
            auto f = [&](std::error_code) {
                ++calls;
                outstanding = resource.outstanding;
            };
            pmr_handler<decltype(f)> handler{&resource, f};
            if (elsewhere) begin(asio::bind_executor(other.get_executor(), std::move(handler)));
            else begin(std::move(handler));
            s.finish();
            other.run();
            CHECK(calls == 1);
            CHECK(outstanding == 0);
            CHECK(resource.given > 0);
            CHECK(resource.outstanding == 0);
        });
    }
}

TEST_CASE("tokens: a handler with content that is aligned to a cache line") {
    world w;
    hawser::resilient_socket<> s(w.context, quick(hawser::options::plain()));
    bool is_aligned = false;
    s.async_wait_open([content = aligned_content(), &is_aligned](std::error_code) {
        is_aligned = reinterpret_cast<std::uintptr_t>(&content) % alignof(aligned_content) == 0;
    });
    s.close();
    w.net.run_for(1s);
    CHECK(is_aligned);
}
TEST_CASE("tokens: an operation that is destroyed with the io_context gives its memory back uncalled") {
    ledger book;
    int calls = 0;
    {
        stage s("wait_open");
        s.w.net.refuse_connections = true;
        s.w.net.last_connection().cut();
        s.w.net.run_for(5ms);
        (void)s.client.try_receive();
        s.client.async_wait_open(counted(book, [&](int, std::error_code) { ++calls; }));
        s.client.async_receive(counted(book, [&](int, std::error_code, const message&) { ++calls; }));
        s.client.async_send(message::text("m"), counted(book, [&](int, std::error_code, outcome) { ++calls; }));
        s.w.server->async_accept(counted(book, [&](int, std::error_code, const socket_type&) { ++calls; }));
        s.w.net.poll();
        CHECK(book.outstanding == 4);
    }
    CHECK(book.outstanding == 0);
    CHECK(calls == 0);
}

// ---- races ---------------------------------------------------------------------------------------

namespace {

using namespace asio::experimental::awaitable_operators;

// Two clients of one listener, open, with their peers.
struct two {
    explicit two(hawser::options o) : options(std::move(o)) {
        w.listen(options);
        for (auto* c : {&a, &b}) {
            c->connect(url);
            const std::size_t n = w.accepted.size() + 1;
            REQUIRE(w.net.run_until([&] { return w.accepted.size() == n && c->state() == connection_state::open; }, 5s));
        }
    }
    hawser::options options;
    world<> w{9};
    socket_type a{w.context, options}, b{w.context, options};
};

}  // namespace

TEST_CASE("races: a receive that loses swallows no message") {
    for (const bool in_session : {true, false}) {
        for (const int together : {0, 1, 2, 3}) {
            CAPTURE(in_session, together);
            two t(quick(in_session ? hawser::options::reliable() : hawser::options::plain()));
            std::vector<std::string> from_a, from_b;
            const auto race = [&]() -> asio::awaitable<void> {
                while (from_a.size() + from_b.size() < 40) {
                    auto either = co_await (t.a.async_receive(use_awaitable) || t.b.async_receive(use_awaitable));
                    if (either.index() == 0) from_a.emplace_back(std::get<0>(either).text());
                    else from_b.emplace_back(std::get<1>(either).text());
                }
            };
            if (together != 0) asio::co_spawn(t.w.context, race, asio::detached);
            std::vector<std::string> all;
            for (int i = 0; i < 20; ++i) {
                all.push_back(std::to_string(i));
                REQUIRE(t.w.accepted.front().try_send(all.back()));
                if (together == 1) t.w.net.poll();
                if (together == 2) t.w.net.run_for(1ms);
                REQUIRE(t.w.accepted.back().try_send(all.back()));
                if (together == 3) t.w.net.run_for(10ms);
            }
            t.w.net.run_for(1s);
            // All are there: both receives complete before the handler of one is called.
            if (together == 0) asio::co_spawn(t.w.context, race, asio::detached);
            t.w.net.run_for(10s);
            CHECK(from_a == all);
            CHECK(from_b == all);
        }
    }
}

TEST_CASE("races: an accept that loses leaves its socket to the next") {
    world<> w;
    std::vector<std::unique_ptr<hawser::listener<>>> listeners;
    std::vector<std::unique_ptr<socket_type>> clients;
    const auto o = quick(hawser::options::reliable());
    for (std::uint16_t i = 0; i < 2; ++i) {
        listeners.push_back(std::make_unique<hawser::listener<>>(w.context, hawser::listen_endpoint{.port = static_cast<std::uint16_t>(port + i)}, o));
        for (int n = 0; n < 5; ++n) {
            clients.push_back(std::make_unique<socket_type>(w.context, o));
            clients.back()->connect("ws://server.test:" + std::to_string(port + i) + "/");
        }
    }
    std::vector<socket_type> accepted;
    w.net.run_for(1s);  // all are there
    asio::co_spawn(w.context, [&]() -> asio::awaitable<void> {
        while (accepted.size() < 10) {
            auto either = co_await (listeners[0]->async_accept(use_awaitable) || listeners[1]->async_accept(use_awaitable));
            std::visit([&](socket_type& s) { accepted.push_back(std::move(s)); }, either);
        }
    }, asio::detached);
    w.net.run_for(10s);
    CHECK(accepted.size() == 10);
    for (const auto& s : accepted) CHECK(s.state() == connection_state::open);
    for (const auto& c : clients) CHECK(c->state() == connection_state::open);
    CHECK(w.net.connections().size() == 10);  // nobody had to come again
}

TEST_CASE("races: a send that loses was never written, or is delivered all the same") {
    for (const bool written : {true, false}) {
        CAPTURE(written);
        two t(quick(hawser::options::reliable()));
        auto& peer_of_a = t.w.accepted.front();
        if (!written) {
            t.w.net.refuse_connections = true;
            t.w.net.connections().front()->cut();
            t.w.net.run_for(1ms);
        }
        std::size_t winner = 9;
        asio::co_spawn(t.w.context, [&]() -> asio::awaitable<void> {
            const auto either = co_await (t.a.async_send(message::text("x"), use_awaitable) || t.b.async_receive(use_awaitable));
            winner = either.index();
        }, asio::detached);
        t.w.net.poll();
        REQUIRE(t.w.accepted.back().try_send("wins"));
        t.w.net.run_for(100ms);
        CHECK(winner == 1);
        std::vector<std::string> got;
        t.w.net.refuse_connections = false;
        peer_of_a.on_message([&](const hawser::message_view& m) { got.emplace_back(m.text()); });
        t.w.net.run_for(10s);
        CHECK(got == (written ? std::vector<std::string>{"x"} : std::vector<std::string>{}));
    }
}

TEST_CASE("races: both of two, and when one fails the other is cancelled and swallows nothing") {
    two t(quick(hawser::options::reliable()));
    std::string both;
    bool failed = false;
    asio::co_spawn(t.w.context, [&]() -> asio::awaitable<void> {
        const auto [first, second] = co_await (t.a.async_receive(use_awaitable) && t.b.async_receive(use_awaitable));
        both = std::string(first.text()) + std::string(second.text());
        try {
            (void)co_await (t.a.async_receive(use_awaitable) && t.b.async_receive(use_awaitable));
        } catch (const std::exception&) {
            failed = true;  // of one or of both, which Asio's versions tell by different types
        }
    }, asio::detached);
    REQUIRE(t.w.accepted.front().try_send("1"));
    t.w.net.run_for(1s);
    CHECK(both.empty());
    REQUIRE(t.w.accepted.back().try_send("2"));
    t.w.net.run_for(1s);
    CHECK(both == "12");
    t.w.accepted.back().close();
    t.w.net.run_for(1s);
    CHECK(failed);
    REQUIRE(t.w.accepted.front().try_send("3"));
    t.w.net.run_for(1s);
    const auto left = t.a.try_receive();
    REQUIRE(left);
    CHECK(left->text() == "3");
}

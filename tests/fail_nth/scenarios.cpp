// SPDX-License-Identifier: BSL-1.0
#include "fail_nth/scenarios.hpp"

#include "support/delaying_store.hpp"

namespace fail_nth {
namespace {

using world = stage<hawser::default_policies>;

hawser::options plain() { return world::quick(hawser::options::plain()); }
hawser::options reliable() { return world::quick(hawser::options::reliable()); }

void start(auto& w, const hawser::options& o, bool explain) {
    w.explain = explain;
    w.with_session = o.session != hawser::session_mode::off;
    w.listen(o);
    w.dial(o);
    w.connect(*w.client);
}

report plain_echo(bool explain) {
    world w;
    w.on_accept = [](world::side& s) { s.echo = true; };
    start(w, plain(), explain);
    (void)w.wait_open();
    for (int i = 0; i < 4; ++i)
        (void)w.try_send(*w.client, i == 3 ? 20'000 : 40);
    (void)w.wait([&] { return w.client->got.size() >= 4; }, 1s);
    for (auto& a : w.accepted)
        a.echo = false;
    w.on_accept = nullptr;
    w.client->got.clear();
    w.expect_recovery();
    return w.judge();
}

// Both ways, over a cut.
template <class World>
report exchange(World& w, bool explain) {
    start(w, reliable(), explain);
    (void)w.wait_open();
    for (int i = 0; i < 3; ++i) {
        (void)w.send(*w.client);
        if (!w.accepted.empty()) (void)w.send(w.accepted.back());
    }
    w.net.run_for(1ms);
    w.cut();
    for (int i = 0; i < 3; ++i) {
        (void)w.try_send(*w.client);
        if (!w.accepted.empty()) (void)w.try_send(w.accepted.back());
    }
    (void)w.wait([&] { return w.pending() == 0; }, 3s);
    w.expect_recovery();
    return w.judge();
}
report session_exchange(bool explain) {
    world w;
    return exchange(w, explain);
}

// Each is sent when the one before is acknowledged; the server takes them with `async_receive`.
struct receiver {
    world& w;
    world::side& s;
    void next() {
        if (!s.link) return;
        const bool started = w.attempt([&] {
            s.link->async_receive([this](std::error_code ec, message m) {
                const test_code t;
                if (ec && s.over()) return;
                if (ec) return w.net.after(5ms, [this] { next(); });
                w.take(s, std::string(m.text()));
                m = {};
                next();
            });
        });
        if (!started) w.net.after(5ms, [this] { next(); });
    }
};
report awaited_sends(bool explain) {
    world w;
    std::list<receiver> receivers;
    w.on_accept = [&](world::side& s) {
        if (!w.attempt([&] { s.link->on_message(nullptr); })) return;
        receivers.push_back({w, s});
        receivers.back().next();
    };
    w.on_sent = [&](world::side& s, account& a) {
        if (&s == &*w.client && a.number < 5 && s.link) (void)w.send(s);
    };
    start(w, reliable(), explain);
    (void)w.send(*w.client);
    (void)w.wait([&] { return w.client->book.sent.size() >= 5 && w.pending() == 0; }, 2s);
    w.on_sent = nullptr;
    w.expect_recovery();
    return w.judge();
}

report backpressure(bool explain) {
    world w;
    auto o = reliable();
    o.queue.high_watermark = 6000;
    o.queue.low_watermark = 1500;
    o.send_window_messages = 3;
    start(w, o, explain);
    for (int i = 0; i < 12; ++i)
        (void)w.enqueue(*w.client, 1000);
    (void)w.wait_open();
    (void)w.wait([&] { return w.pending() == 0; }, 3s);
    w.expect_recovery();
    return w.judge();
}

report orderly_close(bool explain) {
    world w;
    start(w, reliable(), explain);
    (void)w.wait_open();
    for (int i = 0; i < 3; ++i)
        (void)w.send(*w.client);
    (void)w.operation([&](auto done) { w.client->link->async_close(std::move(done)); });
    (void)w.wait([&] { return w.client->over(); }, 1s);
    faults::stop();
    if (!w.client->over()) w.client->link->close();  // the call threw
    const auto over = [&] {
        bool all = w.client->over();
        for (auto& a : w.accepted)
            all = all && a.over();
        return all;
    };
    if (!w.wait(over, 60s)) w.fail("an end does not close", verdict::hang);
    return w.judge();
}

report shutdown(bool explain) {
    world w;
    start(w, reliable(), explain);
    std::list<world::side> more;
    for (int i = 0; i < 2; ++i) {
        w.insist([&] { more.emplace_back(world::socket(w.context, reliable()), "more"); });
        w.insist([&] { more.back().link->connect("ws://server.test:9000/"); });
    }
    (void)w.wait([&] { return w.accepted.size() == 3; }, 2s);
    (void)w.send(*w.client);
    const account& closing = w.operation([&](auto done) { w.server->async_close(std::move(done)); });
    (void)w.wait([&] { return closing.completions > 0; }, 3s);
    faults::stop();
    if (closing.threw || closing.error) (void)w.operation([&](auto done) { w.server->async_close(std::move(done)); });
    const auto over = [&] {
        bool all = w.others.back().completions == 1;
        for (auto& a : w.accepted)
            all = all && a.over();
        return all;
    };
    if (!w.wait(over, 60s)) w.fail("the listener does not close", verdict::hang);
    for (auto& m : more)
        m.link.reset();
    w.client->link.reset();
    return w.judge();
}

report reconnect(bool explain) {
    world w;
    auto o = plain();
    o.on_connect = {message::text("1 hello")};
    w.net.refuses() = true;
    w.net.after(100ms, [&] { w.net.refuses() = false; });
    w.on_accept = [](world::side& s) { s.echo = true; };
    start(w, o, explain);
    (void)w.operation([&](auto done) { w.client->link->async_wait_open(std::move(done)); });
    (void)w.send(*w.client);  // waits for a connection
    (void)w.wait_open();
    (void)w.wait([&] { return w.client->got.size() >= 2; }, 1s);
    for (auto& a : w.accepted) {
        a.echo = false;
        a.got.clear();
    }
    w.on_accept = [](world::side& s) {
        s.on_number = [&s](int n) {
            if (n == 1) s.got.pop_back();
        };
    };
    w.client->got.clear();
    w.expect_recovery();
    return w.judge();
}

report destroy_inside(bool explain) {
    world w;
    w.on_accept = [](world::side& s) { s.echo = true; };
    start(w, reliable(), explain);
    w.client->on_number = [&](int n) {
        if (n != 2) return;
        w.client->on_number = nullptr;
        w.client->link.reset();
    };
    (void)w.wait_open();
    for (int i = 0; i < 4; ++i)
        (void)w.send(*w.client);
    (void)w.wait([&] { return !w.client->link; }, 1s);
    faults::stop();
    w.client->link.reset();
    const auto over = [&] {
        bool all = true;
        for (auto& a : w.accepted)
            all = all && a.over();
        return all;
    };
    if (!w.wait(over, 60s)) w.fail("the server's socket outlives its session", verdict::hang);
    return w.judge();
}

class failing_store {
public:
    // Not durable: this store gives nothing back. Those that do are in durable.cpp.
    static constexpr bool durable = false;
    static constexpr bool keeps_records = true;
    using transaction = hawser::store_transaction;
    explicit failing_store(std::shared_ptr<support::delaying_log> log = std::make_shared<support::delaying_log>())
        : inner_(log) {
        log->records.reserve(1000);  // a store must not throw when it is done
    }
    [[nodiscard]] std::unique_ptr<hawser::opened_store> open(hawser::driver& d, hawser::store_client& client, std::string_view name) {
        return std::make_unique<opened>(inner_, d, client, name);
    }
    [[nodiscard]] std::unique_ptr<hawser::store_catalog> open_catalog(hawser::driver& d, hawser::catalog_client& client) {
        return inner_.open_catalog(d, client);
    }

private:
    struct opened final : hawser::opened_store, hawser::store_client {
        opened(support::delaying_store& s, hawser::driver& d, hawser::store_client& c, std::string_view name)
            : client(c), inner(s.open(d, *this, name)) {}
        void load(const hawser::session::origin_id& fresh) override { inner->load(fresh); }
        void commit(std::vector<hawser::session::record> records) override { inner->commit(std::move(records)); }
        void on_loaded(std::error_code ec, hawser::store_image image) override {
            if (faults::due(kind::store)) ec = std::make_error_code(std::errc::io_error);
            client.on_loaded(ec, std::move(image));
        }
        void on_committed(std::error_code ec) override {
            if (faults::due(kind::store)) ec = std::make_error_code(std::errc::no_space_on_device);
            client.on_committed(ec);
        }
        hawser::store_client& client;
        std::unique_ptr<hawser::opened_store> inner;
    };
    support::delaying_store inner_;
};
struct slow : hawser::default_policies {
    using store = failing_store;
};
report slow_store(bool explain) {
    stage<slow> w;
    return exchange(w, explain);
}

constexpr scenario all[] = {
    {"plain_echo", plain_echo},     {"session_exchange", session_exchange}, {"awaited_sends", awaited_sends},
    {"backpressure", backpressure}, {"orderly_close", orderly_close},       {"shutdown", shutdown},
    {"reconnect", reconnect},       {"destroy_inside", destroy_inside},     {"slow_store", slow_store},
    {"durable_restarts", durable_restarts}, {"durable_ends", durable_ends},
};

}  // namespace

std::span<const scenario> scenarios() { return all; }

}  // namespace fail_nth

// SPDX-License-Identifier: BSL-1.0
// The C++ of the documents. Compiled, and compared with them by snippets_test.py.
#include <hawser/custom_policies.hpp>
#include <hawser/deflate.hpp>
#include <hawser/hawser.hpp>
#include <hawser/sqlite.hpp>
#include <hawser/testing/virtual_driver.hpp>
#include <hawser/tls.hpp>
#include <hawser/transfer.hpp>

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/use_future.hpp>

#include <iostream>
#include <list>
#include <stdexcept>

#if !defined(_WIN32)
#include <unistd.h>
#endif

using namespace std::chrono_literals;

namespace snippets {

void apply(std::string_view);
bool apply_order(std::string_view);

// ---- getting started ------------------------------------------------------------------------

asio::awaitable<void> client(hawser::resilient_socket<>& link) {
    co_await link.async_connect("ws://127.0.0.1:9001/", asio::use_awaitable);
    auto result = co_await link.async_send(hawser::message::text("order 17"), asio::use_awaitable);
    std::cout << to_string(result) << '\n';  // acknowledged
    hawser::message reply = co_await link.async_receive(asio::use_awaitable);
    std::cout << reply.text() << '\n';
    co_await link.async_close(asio::use_awaitable);
}

asio::awaitable<void> talk(hawser::resilient_socket<> peer) {
    for (;;) {
        hawser::message m = co_await peer.async_receive(asio::use_awaitable);
        co_await peer.async_send(std::move(m), asio::use_awaitable);
    }
}

asio::awaitable<void> server(hawser::listener<>& listener) {
    for (;;) {
        auto peer = co_await listener.async_accept(asio::use_awaitable);
        asio::co_spawn(listener.get_executor(), talk(std::move(peer)), asio::detached);
    }
}

void listen(asio::io_context& context) {
    hawser::listener<> listener{context, {.address = "0.0.0.0", .port = 9001}, hawser::options::reliable()};
    asio::co_spawn(listener.get_executor(), server(listener), asio::detached);
    context.run();
}

void feed(asio::io_context& context) {
    auto options = hawser::options::plain();
    options.on_connect = {hawser::message::text(R"({"op":"subscribe","channel":"trades"})")};
    hawser::resilient_socket<> link{context, options};
    link.on_message([](const hawser::message_view& m) { apply(m.text()); });
    link.connect("ws://feed.example:80/v1");
    context.run();
}

void authorize(asio::io_context& context) {
    hawser::listener_options options;
    options.socket = hawser::options::reliable();
    options.authorize = [](const hawser::ws::upgrade_request& request) -> hawser::authorization {
        const auto token = request.find_header("Authorization");
        if (token != "Bearer secret") return {.status = 401, .text = "who are you?"};
        return {.principal = "alice"};
    };
    hawser::listener<> listener{context, {.port = 9001}, options};
}

// ---- reconnection and breaker -------------------------------------------------------------------

void backoff(asio::io_context& context) {
    auto options = hawser::options::reliable();
    options.reconnect.base_delay = 500ms;
    options.reconnect.max_delay = 10s;
    options.reconnect.max_attempts = 0;  // for ever
    options.breaker.minimum_number_of_calls = 10;
    hawser::resilient_socket<> link{context, options};
    link.on_state([](const hawser::state_change& s) {
        if (s.to == hawser::connection_state::waiting)
            std::cerr << "down: " << s.reason.message() << ", attempt " << s.attempt << '\n';
    });
}

struct equal_jitter_policies : hawser::default_policies {
    using reconnect = hawser::exponential_backoff<hawser::equal_jitter>;
};

void shared_breaker(asio::io_context& context) {
    hawser::shared_circuit_breaker breaker{{.minimum_number_of_calls = 10}};
    hawser::resilient_socket<> orders{context, hawser::options::reliable(), {.breaker = breaker}};
    hawser::resilient_socket<> prices{context, hawser::options::plain(), {.breaker = breaker}};
}

// ---- delivery -----------------------------------------------------------------------------------

void outcomes(hawser::resilient_socket<>& link) {
    link.on_outcome([](hawser::ticket t, hawser::outcome o) {
        if (o == hawser::outcome::unknown) std::cerr << "message " << t.counter << " may have been lost\n";
    });
    const hawser::send_result sent = link.try_send(hawser::message::text("order 18"));
    if (!sent) std::cerr << "not taken: " << sent.error.message() << '\n';
}

asio::awaitable<void> worker(hawser::resilient_socket<>& peer) {
    // options.acceptance = hawser::acceptance_mode::on_processed
    for (;;) {
        hawser::message m = co_await peer.async_receive(asio::use_awaitable);
        apply(m.text());
        m.ack();  // from any thread, in any order
    }
}

void rejecting(hawser::resilient_socket<>& peer) {
    peer.on_message([&peer](const hawser::message_view& m) {
        if (!apply_order(m.text())) peer.reject(m);
    });
}

// ---- deploys ------------------------------------------------------------------------------------

asio::awaitable<void> hand_over(hawser::listener<>& server) {
    // Each client leaves at a moment of its own within 30 s, and connects to the next server.
    co_await server.async_drain({.window = std::chrono::seconds{30}}, asio::use_awaitable);
    co_await server.async_close(asio::use_awaitable);
}

asio::awaitable<void> restart_in_place(hawser::listener<>& server) {
    // The next process listens within 5 s. Clients keep the moment that they were told.
    server.async_drain({.window = std::chrono::seconds{30}, .first = std::chrono::seconds{5}}, asio::detached);
    co_await server.async_close(asio::use_awaitable);
}

void backpressure(hawser::resilient_socket<>& link, hawser::resilient_socket<>& source) {
    source.on_message([&](const hawser::message_view& m) {
        if (link.try_send(m)) return;
        source.pause_receiving();
        link.async_enqueue(hawser::message::copy(m.bytes, m.kind), [&](std::error_code ec, hawser::ticket) {
            if (!ec) source.resume_receiving();
        });
    });
}

// ---- writing a policy ---------------------------------------------------------------------------

// Always the same wait. A model of hawser::reconnect_policy.
class fixed_delay {
public:
    fixed_delay(const hawser::backoff_options& options, std::uint64_t /*seed*/) : delay_(options.base_delay) {}
    std::optional<hawser::duration> next_delay(hawser::time_point, std::optional<hawser::duration> hint = {}) {
        ++attempts_;
        return std::max<hawser::duration>(delay_, hint.value_or(hawser::duration{0}));
    }
    void on_connected(hawser::time_point) { attempts_ = 0; }
    void on_progress(hawser::time_point) {}
    void on_disconnected(hawser::time_point) {}
    std::uint64_t attempts() const { return attempts_; }

private:
    hawser::milliseconds delay_;
    std::uint64_t attempts_ = 0;
};

struct my_policies : hawser::default_policies {
    using reconnect = fixed_delay;
    using metrics = hawser::counting_metrics;
    using logger = hawser::callback_log;
};

void use_policies(asio::io_context& context) {
    hawser::counting_metrics metrics;
    hawser::callback_log log{[](const hawser::log_record& r) { std::cerr << hawser::format_record(r) << '\n'; }};
    hawser::resilient_socket<my_policies> link{context, hawser::options::reliable(), {.metrics = metrics, .logger = log}};
    std::cout << metrics.value(hawser::counter::reconnects) << '\n';
}

// ---- threading and lifetime ---------------------------------------------------------------------

void from_other_threads(hawser::resilient_socket<>& link) {
    hawser::sender sender = link.handle();  // copy it to any thread
    const std::error_code ec = sender.send(hawser::message::text("tick"));
    if (ec == hawser::errc::would_block) std::cerr << "the socket cannot keep up\n";
}

void with_futures(hawser::resilient_socket<>& link) {
    // In a thread that does not run the io_context:
    hawser::outcome o = link.async_send(hawser::message::text("hello"), asio::use_future).get();
    std::cout << to_string(o) << '\n';
}

#if !defined(_WIN32)
void forking(asio::io_context& context) {
    context.notify_fork(asio::io_context::fork_prepare);
    const pid_t child = ::fork();
    if (child == 0) {
        context.notify_fork(asio::io_context::fork_child);
        // The sockets that were copied are closed here; they may be destroyed, and new ones made.
    } else {
        context.notify_fork(asio::io_context::fork_parent);
    }
}
#endif

// ---- testing ------------------------------------------------------------------------------------

void in_virtual_time() {
    asio::io_context context;
    auto& net = hawser::install_driver<hawser::testing::virtual_driver>(context, /*seed*/ 7);

    hawser::listener<> listener{context, {.port = 9000}, hawser::options::reliable()};
    std::list<hawser::resilient_socket<>> peers;
    std::vector<std::string> received;
    listener.async_accept([&](std::error_code, hawser::resilient_socket<> s) {
        peers.push_back(std::move(s));
        peers.back().on_message([&](const hawser::message_view& m) { received.emplace_back(m.text()); });
    });
    hawser::resilient_socket<> link{context, hawser::options::reliable()};
    link.connect("ws://server:9000/");
    for (int i = 0; i < 100; ++i) {
        (void)link.try_send(std::to_string(i));
        net.run_for(10ms);
        if (i % 10 == 9 && !net.connections().empty()) net.last_connection().cut();
    }
    if (!net.run_until([&] { return received.size() == 100; }, 60s)) throw std::runtime_error("messages are missing");
}

// ---- compression ----------------------------------------------------------------------------

void compress_both(asio::io_context& context) {
    auto options = hawser::options::reliable();
    options.compression = hawser::deflate();
    hawser::listener<> listener{context, {.address = "0.0.0.0", .port = 9001}, options};
    hawser::resilient_socket<> link{context, options};
    link.connect("ws://127.0.0.1:9001/");
}

void compress_less(hawser::listener_options& options) {
    options.socket.compression = hawser::deflate({.level = 6, .window_bits = 12, .context_takeover = false});
    options.max_compression_memory = 64 * 1024 * 1024;
}

hawser::send_result keep_secret(hawser::resilient_socket<>& link, const std::string& token) {
    auto secret = hawser::message::text(token).forbid_compression();
    return link.try_send(std::move(secret));
}

// ---- TLS and endpoints ----------------------------------------------------------------------

void connect_by_tls(asio::io_context& context) {
    auto options = hawser::options::reliable();
    options.tls = hawser::tls();
    hawser::resilient_socket<> link{context, options};
    link.connect("wss://feed.example/prices");
}

void listen_by_tls(asio::io_context& context, std::shared_ptr<asio::ssl::context> renewed) {
    auto certificate = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
    certificate->use_certificate_chain_file("chain.pem");
    certificate->use_private_key_file("key.pem", asio::ssl::context::pem);
    auto tls = hawser::tls(certificate);
    hawser::listener<> listener{context, {.address = "0.0.0.0", .port = 443}, hawser::listener_options{.tls = tls}};
    tls->replace(renewed);
}

void ask_clients(std::shared_ptr<asio::ssl::context> certificate) {
    certificate->load_verify_file("clients.pem");
    certificate->set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert);
}

struct token_source {
    std::string current() const { return "t"; }
    void renew() {}
};

void renew_tokens(hawser::options& options, std::shared_ptr<token_source> tokens) {
    options.on_attempt = [tokens](hawser::connect_attempt& attempt) {
        attempt.headers.push_back({"Authorization", "Bearer " + tokens->current()});
        if (attempt.number >= 3) attempt.url = "wss://standby.example/feed";
    };
}

void use_proxy(hawser::options& options, const std::string& password) {
    options.proxy = {.host = "proxy.example", .port = 3128, .username = "me", .password = password};
}

void renew_refused(hawser::options& options, std::shared_ptr<token_source> tokens) {
    options.on_attempt = [tokens](hawser::connect_attempt& attempt) {
        if (attempt.last_error == hawser::errc::unauthorized) tokens->renew();
        attempt.headers.push_back({"Authorization", "Bearer " + tokens->current()});
    };
}

// ---- plain mode, callbacks ------------------------------------------------------------------

std::string_view trade_id(std::string_view);

void follow(asio::io_context& context) {
    auto options = hawser::options::plain();
    options.on_connect = {hawser::message::text(R"({"op":"subscribe","channel":"trades"})")};
    options.feed.confirm = [](const hawser::message_view& m) {
        if (m.text().starts_with(R"({"event":"subscribed")")) return hawser::subscription_answer::confirmed;
        if (m.text().starts_with(R"({"event":"error")")) return hawser::subscription_answer::failed;
        return hawser::subscription_answer::undecided;
    };
    options.feed.id = [](const hawser::message_view& m) { return trade_id(m.text()); };
    options.feed.stale_after = 30s;
    options.feed.useful = [](const hawser::message_view& m) { return !m.text().starts_with(R"({"event":"heartbeat")"); };
    options.feed.offline = hawser::offline_sends::refuse;
    hawser::resilient_socket<> link{context, options};
    link.on_message([](const hawser::message_view& m) { apply(m.text()); });
    link.connect("ws://feed.example:80/v1");
}

struct open_file {
    void write(hawser::byte_view);
    void finish();
};

void keep(hawser::resilient_socket<>& link, open_file& file) {
    link.on_message_piece([&](const hawser::message_piece& p) {
        file.write(p.bytes);
        if (p.last) file.finish();
    });
}

void book(std::string_view);
void put_aside(std::string_view);

void guard_callbacks(hawser::resilient_socket<>& link) {
    link.on_message([](const hawser::message_view& m) { book(m.text()); },
                    {.criticality = hawser::handler_criticality::critical,
                     .fallback = [](const hawser::message_view& m) { put_aside(m.text()); },
                     .breaker = hawser::breaker_options{.minimum_number_of_calls = 10},
                     .on_failure = [](const hawser::handler_failure& f) {
                         std::cerr << f.callback << ": " << (f.skipped ? "skipped" : f.what) << '\n';
                     }});
}

// ---- runbook --------------------------------------------------------------------------------

void page_somebody(const hawser::state_change& s) {
    if (s.reason == hawser::condition::retryable) return;  // hawser does that itself
    switch (hawser::cause_of(s.reason)) {
    case hawser::error_cause::authentication: std::cerr << "renew the credentials: "; break;
    case hawser::error_cause::resource: std::cerr << "look at this machine: "; break;
    default: std::cerr << "read the runbook: "; break;
    }
    std::cerr << s.reason.message() << ", HTTP status " << s.http_status << '\n';
}

void listen_on_file(asio::io_context& context) {
    hawser::listener<> listener{context, {.path = "/run/app/feed.sock", .permissions = 0660}, hawser::options::plain()};
}

// ---- durability -----------------------------------------------------------------------------

struct durable : hawser::default_policies {
    using store = hawser::sqlite_store;
};

asio::awaitable<void> send_durably(hawser::resilient_socket<durable>& link) {
    link.connect("ws://127.0.0.1:9001/");
    co_await link.async_wait_loaded(asio::use_awaitable);  // what an earlier process left is here
    for (auto n = link.last_ticket().counter + 1; n <= 1000; ++n)
        co_await link.async_enqueue(hawser::message::text(std::to_string(n)), asio::use_awaitable);
}

void receive_durably(hawser::resilient_socket<durable>& peer) {
    peer.on_message_transaction([](hawser::sqlite_transaction& tx, const hawser::message_view& m) -> std::error_code {
        sqlite3_stmt* insert = tx.statement("INSERT INTO received(body) VALUES(?1)");
        if (!insert) return tx.failure();
        sqlite3_bind_text(insert, 1, m.text().data(), static_cast<int>(m.size()), SQLITE_STATIC);
        return sqlite3_step(insert) == SQLITE_DONE ? std::error_code{} : tx.failure();
    });
}

// ---- transfers ------------------------------------------------------------------------------

asio::awaitable<void> send(hawser::transfers<>& transfers) {
    auto result = co_await transfers.async_send_file("report.pdf", asio::use_awaitable);
    std::cout << result.bytes << " bytes, " << result.resumed_from << " of them sent before\n";
}

void receive(hawser::resilient_socket<>& socket) {
    hawser::transfer_options options;
    options.on_offer = hawser::receive_into({.path = "/srv/inbox"});
    options.on_received = [](const hawser::transfer_report& r) {
        if (r.error) std::cerr << r.name << ": " << r.error.message() << '\n';
        else std::cout << r.place << '\n';
    };
    hawser::transfers<> transfers{socket, options};
}

// ---- the SQLite store -------------------------------------------------------------------------

struct on_disk : hawser::default_policies {
    using store = hawser::sqlite_store;
};

void connect_durably(asio::io_context& context) {
    hawser::sqlite_store store({.file = "orders.db"});
    hawser::resilient_socket<on_disk> link(context, hawser::options::reliable(), {.store = store});
    link.connect("ws://127.0.0.1:9001/");
    context.run();
}

hawser::sqlite_store open_store() {
    return hawser::sqlite_store({.file = "orders.db", .on_open = [](hawser::sqlite_transaction& tx) {
        sqlite3_stmt* create = tx.statement("CREATE TABLE IF NOT EXISTS orders(id INTEGER PRIMARY KEY, item TEXT)");
        return create && sqlite3_step(create) == SQLITE_DONE ? std::error_code{} : tx.failure();
    }});
}

// ---- queue ----------------------------------------------------------------------------------

void options_of_a_message(hawser::resilient_socket<>& link) {
    hawser::send_result sent = link.try_send(hawser::message::text("stop"), {.priority = hawser::message_priority::urgent});
    if (sent) sent = link.try_send(hawser::message::text("EURUSD 1.0841"), {.ttl = 2s, .coalesce_key = "EURUSD"});
    link.async_send(hawser::message::text("report"), hawser::send_options{.priority = hawser::message_priority::low, .key = "report-7"},
                    [](std::error_code, hawser::outcome o) { std::cout << to_string(o) << '\n'; });
}

struct ticker_policies : hawser::default_policies {
    using overflow = hawser::drop_oldest_overflow;
};
static_assert(hawser::socket_policies<ticker_policies>);

void pausing(hawser::resilient_socket<>& link, bool& producer_paused) {
    link.on_backpressure([&](bool paused) { producer_paused = paused; });
}

void batch(hawser::resilient_socket<>& link) {
    const std::vector<hawser::message> orders{hawser::message::text("buy"), hawser::message::text("sell")};
    const hawser::batch_result sent = link.try_send_batch(orders);
    if (sent) std::cout << "from ticket " << sent.tickets.first.counter << '\n';
}

}  // namespace snippets

// SPDX-License-Identifier: BSL-1.0
// A sender and a receiver whose processes may die while their stores live.
#pragma once

#include "support/world.hpp"

#include <hawser/testing/durable_store.hpp>

#include <set>

namespace support {

struct durable_policies : hawser::default_policies {
    using store = hawser::testing::durable_store;
    using metrics = hawser::counting_metrics;
};

// The client sends the numbers 1, 2, 3, ...; the server appends each to its table together with its position.
struct durable_pair {
    using socket = hawser::resilient_socket<durable_policies>;
    using streams = hawser::testing::stored_streams;

    explicit durable_pair(std::uint64_t seed = 1)
        : net(hawser::install_driver<hawser::testing::virtual_driver>(context, seed)), rng(seed) {}

    hawser::options client_options() const {
        hawser::options o = quick(hawser::options::reliable());
        o.send_window_messages = 4;
        return o;
    }
    void start_server() {
        hawser::options o = quick(hawser::options::reliable());
        o.session_ttl = session_ttl;
        server.emplace(context, hawser::listen_endpoint{.port = port}, hawser::listener_options{.socket = o},
                       hawser::policy_objects<durable_policies>{.store = hawser::testing::durable_store(server_store)});
        accept();
    }
    void accept() {
        server->async_accept([this](std::error_code ec, socket s) {
            if (ec) return;
            if (s.restored()) ++restored;
            peers.push_back(std::move(s));
            peers.back().on_message_transaction([this](hawser::testing::transaction& tx, const hawser::message_view& m) {
                tx.append(std::string(m.text()));
                if (failing_effects == 0) return std::error_code{};
                --failing_effects;
                return std::make_error_code(std::errc::io_error);
            });
            accept();
        });
    }
    void start_client(std::uint64_t count) {
        wanted = count;
        client.emplace(context, client_options(),
                       hawser::policy_objects<durable_policies>{.metrics = metrics, .store = hawser::testing::durable_store(client_store)});
        client->on_outcome([this](hawser::ticket t, outcome o) {
            outcomes[t.counter].insert(o);
            note(t, o);
        });
        client->on_state([this](const hawser::state_change& c) {
            client_end = c;
            if (c.to != connection_state::open) return;
            resumed += c.resumed;
        });
        if (!holding_)
            client->on_message([this](const hawser::message_view& m) { from_server.emplace_back(m.text()); });
        client->connect(url);
        client->async_wait_loaded([this](std::error_code ec) {
            if (!ec) send_next();
        });
    }
    void want(std::uint64_t count) {
        wanted = count;
        send_next();
    }
    // The ticket says how many the store has.
    void send_next() {
        if (!client || client->last_ticket().counter >= wanted) return;
        const std::string next = std::to_string(client->last_ticket().counter + 1);
        client->async_enqueue(message_of(next), [this](std::error_code ec, hawser::ticket t) {
            if (ec) return;
            accepted.insert(t.counter);
            send_next();
        });
    }
    static hawser::message message_of(const std::string& text) { return hawser::message::text(text); }
    void kill_client() { client.reset(); }
    void kill_server() {
        peers.clear();
        server.reset();
        net.run_for(std::chrono::milliseconds(1));
    }
    void client_holds() {
        holding_ = true;
        client->on_message(nullptr);
    }
    void client_takes() {
        holding_ = false;
        client->on_message([this](const hawser::message_view& m) { from_server.emplace_back(m.text()); });
    }
    void server_sends(int count) {
        for (int i = 1; i <= count; ++i)
            peers.back().async_enqueue(hawser::message::text("s" + std::to_string(i)), [this](std::error_code ec, hawser::ticket) {
                if (!ec) ++server_enqueued;
            });
    }
    void cut() {
        if (!net.connections().empty()) net.last_connection().cut();
    }
    void cut_at(std::uint64_t steps) {
        if (steps == 0) return;
        net.run_for(std::chrono::milliseconds(20 * steps));
        cut();
    }

    // At the Nth operation of one side's store its process dies, or both do.
    void crash_at(std::uint64_t n, bool at_server, bool both, hawser::testing::store_fault how) {
        streams& s = at_server ? *server_store : *client_store;
        s.on_operation = [this, n, at_server, both, how, &s] {
            if (s.operations != n) return hawser::testing::store_fault::none;
            crashed_ = true;
            client_dies_ = both || !at_server;
            server_dies_ = both || at_server;
            return how;
        };
    }
    [[nodiscard]] bool crashed() const noexcept { return crashed_; }
    void revive() {
        if (!client_dies_ && !server_dies_) return;
        net.run_for(std::chrono::milliseconds(2));  // the operation is under way
        const bool c = std::exchange(client_dies_, false), s = std::exchange(server_dies_, false);
        if (c) kill_client();
        if (s) kill_server();
        if (c) start_client(wanted);
        if (s) start_server();
    }

    template <class F>
    [[nodiscard]] bool run_until(F&& done) {
        for (int i = 0; i < 60'000 && !done(); ++i) {
            net.run_for(std::chrono::milliseconds(1));
            revive();
            // A socket or a listener that its store failed is made anew, as an application would do.
            if (client && client->state() == connection_state::failed && client_end.reason == errc::store_failed) {
                kill_client();
                start_client(wanted);
            }
        }
        return done();
    }
    [[nodiscard]] std::uint64_t epochs_lost() const { return metrics.snapshot()[hawser::counter::session_resumes_failed]; }
    [[nodiscard]] std::size_t rows() const { return server_store->rows().size(); }
    [[nodiscard]] std::uint64_t enqueued() const { return accepted.size(); }
    [[nodiscard]] bool all_acknowledged(std::uint64_t count) {
        const auto& i = client_store->image(std::string(hawser::client_stream));
        return i.next_counter == count + 1 && i.outbox.empty() && rows() >= count;
    }
    void note(hawser::ticket t, outcome o) {
        // Truthful: acknowledged only with its effect on disk.
        const auto& r = server_store->rows();
        const bool there = std::find(r.begin(), r.end(), std::to_string(t.counter)) != r.end();
        CHECK(o == outcome::acknowledged);
        CHECK(there);
    }
    void check(std::uint64_t count) {
        const auto& r = server_store->rows();
        REQUIRE(r.size() == count);
        for (std::uint64_t i = 0; i < count; ++i) REQUIRE(r[i] == std::to_string(i + 1));
        // What was accepted for sending was there once only.
        for (const auto& [counter, told] : outcomes) CHECK(told.size() == 1);
    }

    asio::io_context context;
    hawser::testing::virtual_driver& net;
    hawser::xoshiro256 rng;
    std::shared_ptr<streams> client_store = std::make_shared<streams>(), server_store = std::make_shared<streams>();
    std::optional<hawser::listener<durable_policies>> server;
    std::list<socket> peers;
    std::optional<socket> client;
    hawser::milliseconds session_ttl{120'000};
    std::uint64_t wanted = 0;
    std::set<std::uint64_t> accepted;
    std::map<std::uint64_t, std::set<outcome>> outcomes;
    std::vector<std::string> from_server;
    hawser::state_change client_end;
    hawser::counting_metrics metrics;  // of all clients
    int restored = 0, resumed = 0, server_enqueued = 0, failing_effects = 0;

private:
    bool crashed_ = false, holding_ = false;
    bool client_dies_ = false, server_dies_ = false;
};

}  // namespace support

// SPDX-License-Identifier: BSL-1.0
// Transfers with a peer that breaks the rules, with limits, and with applications that change their mind.
#include "support/catch.hpp"
#include "support/transfers.hpp"

using namespace support;
using hawser::message;
namespace transfer = hawser::transfer;
using strings = std::vector<std::string>;

namespace {

// A client that speaks by hand.
struct peer {
    explicit peer(receiving_world<>& w) : world(w), socket(w.context, with_transfers()), port(std::make_shared<recording_port>()) {
        hawser::detail::link_access::of(socket)->attach_transfers(port);
        socket.connect(url);
        REQUIRE(w.net.run_until([&] { return port->usable; }, 10s));
    }
    template <class Message>
    peer& say(const Message& m) {
        support::say(socket, m);
        world.net.run_for(50ms);
        return *this;
    }
    peer& offer(std::uint64_t id, std::optional<std::uint64_t> size, unsigned k = 1) { return say(transfer::offer{id, key(k), size, "x", {}}); }
    receiving_world<>& world;
    hawser::resilient_socket<> socket;
    std::shared_ptr<recording_port> port;
};
const hawser::byte_vector bytes = pattern(200'000);
hawser::byte_view first(std::size_t n) { return hawser::byte_view(bytes).first(n); }
const std::string window = std::to_string(1024 * 1024);

}  // namespace

TEST_CASE("transfer: a chunk beyond what was offered ends it, and not a byte more than offered is written") {
    receiving_world<> w;
    peer p(w);
    p.offer(7, 100).say(transfer::begin{7, 0}).say(transfer::chunk{7, 0, first(60)}).say(transfer::chunk{7, 60, first(41)});
    CHECK(p.port->heard == strings{"accept 0 " + window, "stop 2"});
    CHECK(w.folder.most_written == 60);
    REQUIRE(w.reports.size() == 1);
    CHECK(w.reports[0].error == errc::transfer_too_big);
    CHECK(w.folder.parts.empty());
    CHECK(w.receivers.front().receiving() == 0);
}

TEST_CASE("transfer: the receiver's limit holds for an offer, and for a stream whose length nobody told") {
    receiving_world<> w;
    w.settings.max_size = 1000;
    peer p(w);
    p.offer(1, 1001);
    CHECK(p.port->heard == strings{"refuse 2 at most 1000 bytes are taken"});
    CHECK(w.offers.empty());
    p.port->heard.clear();
    p.offer(2, std::nullopt).say(transfer::begin{2, 0}).say(transfer::chunk{2, 0, first(1000)}).say(transfer::chunk{2, 1000, first(1)});
    CHECK(p.port->heard == strings{"accept 0 " + window, "stop 2"});
    CHECK(w.folder.most_written == 1000);
}

TEST_CASE("transfer: what breaks a rule ends the transfer and nothing else") {
    receiving_world<> w;
    w.settings.receive_window = 1024;
    peer p(w);
    const std::string accepted = "accept 0 1024";
    SECTION("a chunk at another offset") {
        p.offer(1, 100).say(transfer::begin{1, 0}).say(transfer::chunk{1, 1, first(10)});
        CHECK(p.port->heard == strings{accepted, "stop 8"});
    }
    SECTION("a chunk before BEGIN") {
        p.offer(1, 100).say(transfer::chunk{1, 0, first(10)});
        CHECK(p.port->heard == strings{accepted, "stop 8"});
    }
    SECTION("more than the credit") {
        p.offer(1, 5000).say(transfer::begin{1, 0}).say(transfer::chunk{1, 0, first(1025)});
        CHECK(p.port->heard == strings{accepted, "stop 8"});
        CHECK(w.folder.most_written == 0);
    }
    SECTION("two offers with one id") {
        p.offer(1, 100).offer(1, 100);
        CHECK(p.port->heard == strings{accepted, "stop 8"});
    }
    SECTION("BEGIN twice") {
        p.offer(1, 100).say(transfer::begin{1, 0}).say(transfer::begin{1, 0});
        CHECK(p.port->heard == strings{accepted, "stop 8"});
    }
    SECTION("BEGIN where the receiver has nothing") {
        p.offer(1, 100).say(transfer::begin{1, 50});
        CHECK(p.port->heard == strings{accepted, "stop 8"});
    }
    SECTION("END with another size") {
        p.offer(1, 100).say(transfer::begin{1, 0}).say(transfer::chunk{1, 0, first(10)}).say(transfer::end{1, 10, {}});
        CHECK(p.port->heard == strings{accepted, "stop 8"});
    }
    CHECK(w.receivers.front().receiving() == 0);
    CHECK(w.folder.files.empty());
    REQUIRE(w.reports.size() == 1);
    CHECK(w.reports[0].error == errc::transfer_protocol);
    // The link lives.
    REQUIRE(p.socket.try_send(message::text("hello")));
    w.net.run_for(1s);
    CHECK(w.messages == strings{"hello"});
    CHECK(w.net.connections().size() == 1);
}

TEST_CASE("transfer: a wrong digest fails it, and what was received is removed") {
    receiving_world<> w;
    peer p(w);
    p.offer(1, 10).say(transfer::begin{1, 0}).say(transfer::chunk{1, 0, first(10)}).say(transfer::end{1, 10, {}});
    CHECK(p.port->heard == strings{"accept 0 " + window, "stop 5"});
    CHECK(w.folder.files.empty());
    CHECK(w.folder.parts.empty());
    REQUIRE(w.reports.size() == 1);
    CHECK(w.reports[0].error == errc::transfer_digest);
}

TEST_CASE("transfer: who speaks of a transfer that nobody knows is told so, once") {
    receiving_world<> w;
    peer p(w);
    for (int i = 0; i < 5; ++i) p.say(transfer::chunk{9, 0, first(10)});
    p.say(transfer::end{9, 10, {}});
    CHECK(p.port->heard == strings{"stop 9"});
    p.say(transfer::cancel{10, transfer::reason::cancelled, {}}).say(transfer::credit{11, 5}).say(transfer::done{12});
    CHECK(p.port->heard == strings{"stop 9"});
    p.say(transfer::accept{13, 0, {}, 100});
    CHECK(p.port->heard == strings{"stop 9", "cancel 9"});
}

TEST_CASE("transfer: a malformed message costs its sender the connection, once, and no session") {
    receiving_world<> w;
    peer p(w);
    w.net.run_for(50ms);
    const auto before = w.accepted.size();
    REQUIRE(p.socket.try_send(message::copy(hawser::as_bytes("nonsense"), hawser::message_kind::transfer)));
    REQUIRE(p.socket.try_send(message::text("after it")));
    w.net.run_for(10s);
    CHECK(p.socket.state() == connection_state::open);
    CHECK(w.accepted.size() == before);
    CHECK(w.messages == strings{"after it"});
}

TEST_CASE("transfer: no more are received at once than the limit") {
    receiving_world<> w;
    w.settings.max_receiving = 2;
    peer p(w);
    p.offer(1, 10, 1).offer(2, 10, 2).offer(3, 10, 3);
    CHECK(p.port->heard == strings{"accept 0 " + window, "accept 0 " + window, "refuse 11 too many transfers at once"});
}

TEST_CASE("transfer: the same source offered again takes the place of the older offer, and its part") {
    receiving_world<> w;
    peer p(w);
    p.offer(1, 100).say(transfer::begin{1, 0}).say(transfer::chunk{1, 0, first(40)}).offer(2, 100);
    CHECK(p.port->heard == strings{"accept 0 " + window, "stop 10", "accept 40 " + std::to_string(1024 * 1024 + 40)});
    REQUIRE(w.reports.size() == 1);
    CHECK(w.reports[0].error == errc::transfer_superseded);
}

TEST_CASE("transfer: offers that come before the application has attached its transfers wait for it, bounded") {
    receiving_world<> w;
    w.attach = false;
    peer p(w);
    p.offer(1, 10);
    CHECK(p.port->heard.empty());
    w.receivers.emplace_back(w.accepted.back(), w.settings);
    w.net.run_for(50ms);
    CHECK(p.port->heard == strings{"accept 0 " + window});

    SECTION("too many cost the connection") {
        hawser::detail::link_access::of(w.accepted.back())->attach_transfers(std::make_shared<hawser::detail::transfer_backlog>());
        for (unsigned i = 0; i < 70; ++i) support::say(p.socket, transfer::offer{100 + i, key(i), 1, "x", {}});
        int closed = 0;
        p.socket.on_state([&](const hawser::state_change& s) { closed += s.close.code == hawser::close_code::policy_violation; });
        w.net.run_for(1s);
        CHECK(closed > 0);
    }
}

TEST_CASE("transfer: a receiver that breaks a rule ends the transfer at its sender") {
    receiving_world<> w;
    w.attach = false;
    hawser::resilient_socket<> socket(w.context, with_transfers());
    hawser::transfers<> out(socket, inline_options());
    socket.connect(url);
    sent s;
    std::uint64_t id = 0;
    out.async_send_stream(std::make_unique<memory_source>(pattern(100)), {.name = "x", .key = key(1)}, s.handler());
    REQUIRE(w.net.run_until([&] { return !w.accepted.empty(); }, 10s));
    struct ids final : hawser::detail::transfer_port {
        explicit ids(std::uint64_t& i) : id(i) {}
        std::error_code on_message(hawser::byte_view b) override {
            const auto m = hawser::transfer::decode(b);
            std::visit([this](const auto& v) { id = v.id; }, *m);
            return {};
        }
        bool on_outcome(std::uint64_t, outcome) override { return true; }
        void on_link_open(bool, bool) override {}
        void on_link_detached() override {}
        void on_link_closed(std::error_code) override {}
        void hand_over(transfer_port&) override {}
        std::uint64_t& id;
    };
    auto& server = w.accepted.back();
    hawser::detail::link_access::of(server)->attach_transfers(std::make_shared<ids>(id));
    REQUIRE(w.net.run_until([&] { return id != 0; }, 10s));
    errc expected = errc::transfer_protocol;
    SECTION("it has more than there is") { say(server, transfer::accept{id, 101, {}, 1000}); }
    SECTION("done before the end") { say(server, transfer::done{id}); }
    SECTION("credit before it accepted") { say(server, transfer::credit{id, 1000}); }
    SECTION("it accepts twice") {
        say(server, transfer::accept{id, 0, {}, 1});
        say(server, transfer::accept{id, 0, {}, 1});
    }
    SECTION("it refuses, and says why") {
        say(server, transfer::refuse{id, transfer::reason::refused, "not today"});
        expected = errc::transfer_refused;
    }
    SECTION("it says nothing") {
        w.net.run_for(70s);
        expected = errc::transfer_timeout;
    }
    w.net.run_for(1s);
    REQUIRE(s.done);
    CHECK(s.error == expected);
    if (expected == errc::transfer_refused) CHECK(s.result.text == "not today");
    CHECK(socket.state() == connection_state::open);
}

TEST_CASE("transfer: each side may cancel it, and both are told") {
    receiving_world<> w;
    hawser::resilient_socket<> socket(w.context, with_transfers());
    hawser::transfers<> out(socket, inline_options());
    socket.connect(url);
    sent s;
    asio::cancellation_signal signal;
    out.async_send_stream(std::make_unique<memory_source>(pattern(3'000'000)), {.name = "x", .key = key(1)},
                          asio::bind_cancellation_slot(signal.slot(), s.handler()));
    REQUIRE(w.net.run_until([&] { return w.folder.most_written > 500'000; }, 60s));
    SECTION("the sender") {
        signal.emit(asio::cancellation_type::total);
        w.net.run_for(1s);
        CHECK(s.error == asio::error::operation_aborted);
        REQUIRE(w.reports.size() == 1);
        CHECK(w.reports[0].error == errc::transfer_cancelled);
    }
    SECTION("the receiver") {
        CHECK(w.receivers.front().cancel(w.offers[0].id, "no more of it"));
        CHECK(!w.receivers.front().cancel(w.offers[0].id));
        w.net.run_for(1s);
        CHECK(s.error == errc::transfer_cancelled);
        CHECK(s.result.text == "no more of it");
        REQUIRE(w.reports.size() == 1);
        CHECK(w.reports[0].error == errc::cancelled);
    }
    CHECK(w.folder.parts.empty());
    CHECK(w.folder.files.empty());
    CHECK(out.sending() == 0);
    CHECK(out.bytes_in_flight() == 0);
    CHECK(w.receivers.front().receiving() == 0);
}

TEST_CASE("transfer: a full disk is told to both sides") {
    receiving_world<> w;
    w.folder.room = 300'000;
    hawser::resilient_socket<> socket(w.context, with_transfers());
    hawser::transfers<> out(socket, inline_options());
    socket.connect(url);
    sent s;
    out.async_send_stream(std::make_unique<memory_source>(pattern(1'000'000)), {.name = "x", .key = key(1)}, s.handler());
    REQUIRE(w.net.run_until([&] { return s.done; }, 60s));
    CHECK(s.error == errc::transfer_no_space);
    REQUIRE(w.reports.size() == 1);
    CHECK(w.reports[0].error == errc::transfer_no_space);
    CHECK(w.folder.most_written <= 300'000);
}

TEST_CASE("transfer: without it on both sides a send fails at once, and no chunk reaches an application") {
    auto plain = with_transfers();
    plain.transfers = false;
    receiving_world<> w(1, plain);
    w.attach = false;
    hawser::resilient_socket<> socket(w.context, with_transfers());
    hawser::transfers<> out(socket, inline_options());
    sent early, late;
    out.async_send_stream(std::make_unique<memory_source>(pattern(10)), {.name = "x"}, early.handler());
    socket.connect(url);
    REQUIRE(w.net.run_until([&] { return early.done; }, 10s));
    CHECK(early.error == errc::transfer_unsupported);
    out.async_send_stream(std::make_unique<memory_source>(pattern(10)), {.name = "x"}, late.handler());
    w.net.run_for(1s);
    CHECK(late.error == errc::transfer_unsupported);
    CHECK(w.messages.empty());
    CHECK_THROWS_AS(hawser::transfers<>(w.accepted.back()), hawser::option_error);
}

TEST_CASE("transfer: the socket and the transfers may go at any moment; each send completes once") {
    for (int moment = 0; moment < 40; ++moment) {
        CAPTURE(moment);
        receiving_world<> w;
        sent s;
        auto socket = std::make_unique<hawser::resilient_socket<>>(w.context, with_transfers());
        auto out = std::make_unique<hawser::transfers<>>(*socket, inline_options());
        socket->connect(url);
        out->async_send_stream(std::make_unique<memory_source>(pattern(1'000'000)), {.name = "x", .key = key(1)}, s.handler());
        w.net.run_for(std::chrono::microseconds(moment * 700));
        if (moment % 2 == 0) out.reset();
        socket.reset();
        w.net.run_for(100ms);
        if (moment % 2 == 1) out.reset();
        w.net.run_for(1s);
        REQUIRE(s.done);
        if (s.error) CHECK(s.error == asio::error::operation_aborted);
        else CHECK(w.folder.files.size() == 1);
        CHECK(w.receivers.empty() == w.accepted.empty());
    }
}

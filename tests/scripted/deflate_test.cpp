// SPDX-License-Identifier: BSL-1.0
// Compression between whole sockets in virtual time.
#include <hawser/deflate.hpp>

#include "support/catch.hpp"
#include "support/deflate_peer.hpp"
#include "support/upgrade_feed.hpp"
#include "support/world.hpp"
#include "support/ws_frames.hpp"

using namespace support;
using hawser::message;
namespace ws = hawser::ws;

namespace {

hawser::options compressed(hawser::options o = hawser::options::plain(), const hawser::deflate_options& how = {}) {
    o = quick(std::move(o));
    o.compression = hawser::deflate(how);
    return o;
}

// Counts what each end writes; 0 is the end that dialled.
struct traffic_counter {
    explicit traffic_counter(world<>& w) {
        w.net.on_connection = [this](const auto& c) {
            c->tap = [this](int from, hawser::byte_vector& bytes) { written[from] += bytes.size(); };
        };
    }
    std::size_t written[2] = {};
};

struct echo_pair {
    explicit echo_pair(hawser::options server, hawser::options client_options)
        : count(w), client(w.context, std::move(client_options)) {
        w.listen(std::move(server));
        w.on_accept = [this](hawser::resilient_socket<>& s) {
            s.on_message([this, &s](const hawser::message_view& m) {
                at_server.push_back(message::copy(m.bytes, m.kind));
                REQUIRE(s.try_send(m));
            });
        };
        client.on_message(
            [this](const hawser::message_view& m) { at_client.push_back(message::copy(m.bytes, m.kind)); });
        client.connect(url);
        REQUIRE(w.net.run_until([&] { return client.state() == connection_state::open; }, 5s));
        count.written[0] = count.written[1] = 0;
    }
    // The bytes that the client and the server wrote for it, frames and all.
    std::pair<std::size_t, std::size_t> cost_of(const message& m) {
        const std::size_t before[] = {count.written[0], count.written[1]}, had = at_client.size();
        REQUIRE(client.try_send(m));
        REQUIRE(w.net.run_until([&] { return at_client.size() == had + 1; }, 5s));
        for (const message& got : {at_server.back(), at_client.back()}) {
            CHECK(got.is_text() == m.is_text());
            CHECK(got.text() == m.text());
        }
        return {count.written[0] - before[0], count.written[1] - before[1]};
    }

    world<> w;
    traffic_counter count;
    hawser::resilient_socket<> client;
    std::vector<message> at_server, at_client;
};

std::string upgrade(std::string_view offer) {
    return hawser_test::request_text(offer.empty() ? "" : "Sec-WebSocket-Extensions: " + std::string(offer) + "\r\n");
}
// The value of Sec-WebSocket-Extensions in an answer; "none" without.
std::string chosen(const std::string& answer) {
    constexpr std::string_view name = "Sec-WebSocket-Extensions: ";
    const auto at = answer.find(name);
    return at == std::string::npos ? "none"
                                   : answer.substr(at + name.size(), answer.find("\r\n", at) - at - name.size());
}

}  // namespace

TEST_CASE("compression: both directions of a plain connection, and takeover shows") {
    echo_pair p(compressed(), compressed());
    const auto text = message::text(deflate_test::feed_text(3000));
    const auto first = p.cost_of(text);
    CHECK((first.first < 1500 && first.second < 1500));
    const auto second = p.cost_of(text);
    CHECK((second.first < 150 && second.second < 150));
    // Small messages, and what does not shrink, go as they are; large ones too, which are written by reference.
    CHECK(p.cost_of(message::text("small")).first == 6 + 5);
    CHECK(p.cost_of(message::binary(deflate_test::noise(50'000))).second == 4 + 50'000);
    CHECK(p.cost_of(message::binary(deflate_test::noise(200'000))).second == 10 + 200'000);
    CHECK(p.cost_of(message::text(deflate_test::feed_text(200'000))).second < 100'000);
}

TEST_CASE("compression: without takeover each message stands alone") {
    const hawser::deflate_options how{.context_takeover = false, .peer_context_takeover = false};
    echo_pair p(compressed(hawser::options::plain(), how), compressed());
    const auto text = message::text(deflate_test::feed_text(3000));
    const auto first = p.cost_of(text);
    CHECK(first.first < 1500);
    CHECK(p.cost_of(text) == first);
}

TEST_CASE("compression: nothing is compressed unless both ends want it") {
    const auto text = message::text(deflate_test::feed_text(3000));
    for (const bool server : {false, true}) {
        echo_pair p(server ? compressed() : quick(hawser::options::plain()),
                    server ? quick(hawser::options::plain()) : compressed());
        CHECK(p.cost_of(text) == std::pair<std::size_t, std::size_t>{8 + 3000, 4 + 3000});
    }
}

TEST_CASE("D8: a message that forbids it is not compressed, and the next one is") {
    for (const auto& preset : {hawser::options::plain(), hawser::options::reliable()}) {
        echo_pair p(compressed(preset), compressed(preset));
        const std::string text = deflate_test::feed_text(3000);
        CHECK(p.cost_of(message::text(text).forbid_compression()).first > 3000);
        CHECK(p.cost_of(message::text(text)).first < 1500);
        CHECK(p.cost_of(message::text(text).forbid_compression()).first > 3000);
        CHECK(p.cost_of(message::text(text)).first < 200);
    }
}

TEST_CASE("D8: the compressor is never shown a frame of a session that carries its resume token") {
    std::vector<std::string> seen;
    struct spy_codec final : ws::message_codec {
        explicit spy_codec(std::vector<std::string>& s) : log(s) {}
        bool compress(ws::gather_buffer&, bool, hawser::byte_view head, hawser::byte_view body) noexcept override {
            log.push_back(std::string(hawser::as_text(head)) + std::string(hawser::as_text(body)));
            return false;
        }
        void discard() noexcept override {}
        errc inflate(ws::gather_buffer&, hawser::byte_view, bool, std::size_t) noexcept override {
            return errc::bad_compression;
        }
        std::size_t held_bytes() const noexcept override { return 0; }
        std::size_t reserved_bytes() const noexcept override { return 0; }
        std::vector<std::string>& log;
    };
    struct spy final : ws::compression {
        explicit spy(std::vector<std::string>& s) : log(s) {}
        std::string offer() const override { return "spy"; }
        errc confirm(std::span<const ws::extension>, std::unique_ptr<ws::message_codec>& codec) const override {
            codec = std::make_unique<spy_codec>(log);
            return {};
        }
        std::string accept(std::span<const ws::extension>, const std::shared_ptr<ws::compression_budget>&,
                           std::unique_ptr<ws::message_codec>& codec) const override {
            codec = std::make_unique<spy_codec>(log);
            return "spy";
        }
        std::vector<std::string>& log;
    };
    auto o = quick(hawser::options::reliable());
    o.compression = std::make_shared<spy>(seen);
    echo_pair p(o, o);
    p.w.net.last_connection().cut();  // and RESUME
    REQUIRE(p.w.net.run_until([&] { return p.client.state() != connection_state::open; }, 5s));
    REQUIRE(p.w.net.run_until([&] { return p.client.state() == connection_state::open; }, 5s));
    p.w.net.run_for(5s);
    CHECK(seen.empty());
    (void)p.cost_of(message::text("the only message"));
    REQUIRE(seen.size() == 2);  // there and back
    for (const auto& frame : seen)
        CHECK(frame.ends_with("the only message"));
}

TEST_CASE("compression: a session lives on a compressed connection, and resumes on the next") {
    echo_pair p(compressed(hawser::options::reliable()), compressed(hawser::options::reliable()));
    for (int i = 0; i < 5; ++i) {
        const auto cost = p.cost_of(message::text(deflate_test::feed_text(3000, static_cast<unsigned>(i))));
        CHECK(cost.first < 2000);
        p.w.net.last_connection().cut();
    }
    CHECK(p.at_client.size() == 5);
}

TEST_CASE("D7: new connections of a listener fall back to no takeover, then to none, and back") {
    world<> w;
    hawser::listener_options o{.socket = compressed()};
    o.max_compression_memory = 800'000;
    w.listen(o);
    std::vector<std::unique_ptr<hawser::testing::raw_peer>> peers;
    std::vector<std::string> answers;
    const auto connect = [&] {
        peers.push_back(w.net.dial(port));
        REQUIRE(w.net.run_until([&] { return peers.back()->connected; }, 5s));
        peers.back()->send(upgrade("permessage-deflate"));
        REQUIRE(w.net.run_until([&] { return peers.back()->received.ends_with("\r\n\r\n"); }, 5s));
        return chosen(peers.back()->received);
    };
    const std::string frugal = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    CHECK(connect() == "permessage-deflate");
    int without = 0;
    std::string answer = connect();
    for (; answer == frugal; answer = connect())
        ++without;
    CHECK(without >= 8);
    CHECK(answer == "none");
    CHECK(connect() == "none");
    peers.clear();
    REQUIRE(w.net.run_until([&] { return w.server->connections() == 0; }, 60s));
    w.net.run_for(10s);
    w.accepted.clear();
    CHECK(connect() == "permessage-deflate");
}

TEST_CASE("D7: a budget of 0 is no compression") {
    world<> w;
    hawser::listener_options o{.socket = compressed()};
    o.max_compression_memory = 0;
    w.listen(o);
    auto peer = w.net.dial(port);
    REQUIRE(w.net.run_until([&] { return peer->connected; }, 5s));
    peer->send(upgrade("permessage-deflate"));
    REQUIRE(w.net.run_until([&] { return peer->received.ends_with("\r\n\r\n"); }, 5s));
    CHECK(chosen(peer->received) == "none");
    o.max_compression_memory = (std::size_t{1} << 36) + 1;
    CHECK(o.problems().size() == 1);
}

TEST_CASE("D1, D2, D3: a listener ends a connection with 1009, 1007, 1002 and others go on") {
    world<> w;
    auto o = compressed();
    o.max_message_size = 100'000;
    w.listen(o);
    deflate_test::zlib_compressor zlib;
    const auto bomb = zlib.message(std::string(100'001, '\0'));
    const auto frame = [](ws::opcode op, hawser::byte_view payload) {
        return ws_test::frame(ws::role::server, op, payload, true, ws::compressed_bit);
    };
    const std::pair<hawser::byte_vector, unsigned> cases[] = {
        {frame(ws::opcode::binary, bomb), 1009},
        {frame(ws::opcode::text, ws_test::from_hex("07")), 1007},
        {frame(ws::opcode::text, deflate_test::zlib_compressor().message("not \xff UTF-8")), 1007},
        {frame(ws::opcode::ping, {}), 1002},
    };
    for (const auto& [bytes, code] : cases) {
        CAPTURE(code);
        auto peer = w.net.dial(port);
        REQUIRE(w.net.run_until([&] { return peer->connected; }, 5s));
        peer->send(upgrade("permessage-deflate"));
        REQUIRE(w.net.run_until([&] { return peer->received.ends_with("\r\n\r\n"); }, 5s));
        REQUIRE(chosen(peer->received) == "permessage-deflate");
        peer->received.clear();
        peer->send(hawser::as_text(bytes));
        REQUIRE(w.net.run_until([&] { return peer->received.size() >= 4; }, 5s));
        const std::string close{'\x88', '\x02', static_cast<char>(code >> 8), static_cast<char>(code & 255)};
        CHECK(peer->received == close);
    }
}

TEST_CASE("C6: a client drops a server whose answer its offer of compression does not allow") {
    for (const std::string_view answer :
         {"permessage-deflate; unknown", "permessage-deflate; client_max_window_bits",
          "permessage-deflate, permessage-deflate", "permessage-deflate; server_max_window_bits=7"}) {
        CAPTURE(answer);
        world<> w;
        std::unique_ptr<hawser::testing::raw_peer> server;
        const auto acceptor = w.net.listen_raw(
            port, [&](hawser::stream_ptr s) { server = std::make_unique<hawser::testing::raw_peer>(std::move(s)); });
        hawser::resilient_socket<> client(w.context, compressed());
        std::error_code why;
        client.on_state([&](const hawser::state_change& c) { why = c.reason ? c.reason : why; });
        client.connect(url);
        REQUIRE(w.net.run_until([&] { return server && server->received.ends_with("\r\n\r\n"); }, 5s));
        CHECK(chosen(server->received) == "permessage-deflate; client_max_window_bits");
        constexpr std::string_view name = "Sec-WebSocket-Key: ";
        const auto key = server->received.substr(server->received.find(name) + name.size(), 24);
        server->send(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
            ws::accept_key(key) + "\r\nSec-WebSocket-Extensions: " + std::string(answer) + "\r\n\r\n");
        REQUIRE(w.net.run_until([&] { return static_cast<bool>(why); }, 5s));
        CHECK(why == errc::bad_extension);
    }
}

// SPDX-License-Identifier: BSL-1.0
// Messages in pieces on whole sockets: how they come, how they are sent, and what ends them.
#include "support/bad_input_worlds.hpp"

using namespace support;
using hawser::message;
using hawser::message_kind;
using hawser::message_piece;
namespace raw = bad_input;

namespace {

hawser::options settings() {
    auto o = quick(hawser::options::plain());
    o.max_message_size = 10'000'000;
    return o;
}

std::string numbered(std::size_t size) {
    std::string text(size, 'x');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + (i * 7 + i / 1000) % 26);
    return text;
}

// A server whose sockets receive in pieces, and a peer that is the test.
struct piece_world {
    explicit piece_world(hawser::options o = settings()) {
        w.listen(std::move(o));
        w.on_accept = [this](hawser::resilient_socket<>& s) {
            s.on_message_piece([this, &s](const message_piece& p) { take(s, p); });
            s.on_state([this](const hawser::state_change& c) {
                if (c.to == connection_state::closed) why = c.reason;
            });
        };
        peer = w.net.dial(port);
        REQUIRE(w.net.run_until([&] { return peer->connected; }));
        peer->send(hawser_test::request_text());
        REQUIRE(w.net.run_until([&] { return peer->received.ends_with("\r\n\r\n"); }));
        peer->received.clear();
    }
    void take(hawser::resilient_socket<>& s, const message_piece& p) {
        log.push_back(std::to_string(p.offset) + ":" + std::string(p.text()) + (p.last ? "." : ""));
        if (on_piece) on_piece(s, p);
    }
    void send(std::string_view bytes) {
        peer->send(bytes);
        w.net.run_for(w.net.latency + 1ms);
    }
    hawser::resilient_socket<>& socket() { return w.accepted.front(); }
    world<> w;
    std::unique_ptr<hawser::testing::raw_peer> peer;
    std::vector<std::string> log;
    std::function<void(hawser::resilient_socket<>&, const message_piece&)> on_piece;
    std::error_code why;
};
using log_type = std::vector<std::string>;

const std::string begin = raw::frame(raw::text, "one", true), middle = raw::frame(raw::continuation, "two", true),
                  end = raw::frame(raw::fin | raw::continuation, "three", true),
                  whole = raw::frame(raw::fin | raw::text, "whole", true);

}  // namespace

TEST_CASE("pieces: they come as their bytes do, and a whole message is one") {
    piece_world s;
    s.send(begin);
    CHECK(s.log == log_type{"0:one"});
    s.send(middle.substr(0, middle.size() - 1));
    CHECK(s.log == log_type{"0:one", "3:tw"});
    s.send(middle.substr(middle.size() - 1) + raw::frame(raw::fin | raw::ping, "p", true) + end + whole);
    CHECK(s.log == log_type{"0:one", "3:tw", "5:o", "6:three.", "0:whole."});
    CHECK(s.peer->received == raw::frame(raw::fin | raw::pong, "p", false));
}

TEST_CASE("pieces: both sides in pieces, echoed as they come, arrive complete over a link that stalls") {
    for (const std::size_t size : {std::size_t{1}, std::size_t{65'537}, std::size_t{3'000'000}}) {
        CAPTURE(size);
        world<> w;
        auto o = settings();
        o.max_write_buffer = 100'000;
        w.listen(o);
        std::string rest;  // a piece for which there was no room
        int waits = 0;
        w.on_accept = [&](hawser::resilient_socket<>& s) {
            s.on_message_piece([&](const message_piece& p) {
                const auto ec = s.try_send_piece(p);
                if (!ec) return;
                CHECK(ec == errc::would_block);
                ++waits;
                s.pause_receiving();
                rest = p.text();
                s.async_wait_writable([&, p = message_piece(p)](std::error_code e) mutable {
                    REQUIRE(!e);
                    p.bytes = hawser::as_bytes(rest);
                    CHECK(!s.try_send_piece(p));
                    s.resume_receiving();
                });
            });
        };
        hawser::resilient_socket<> client(w.context, o);
        std::string got;
        bool complete = false;
        client.on_message_piece([&](const message_piece& p) {
            CHECK(p.offset == got.size());
            CHECK(p.kind == message_kind::text);
            got += p.text();
            complete = p.last;
        });
        client.connect(url);
        const std::string text = numbered(size);
        REQUIRE(client.try_send(message::text(text)));
        if (size > 1'000'000) {
            REQUIRE(w.net.run_until([&] { return !got.empty(); }, 60s));
            w.net.last_connection().hold_towards(0, true);
            w.net.run_for(1s);
            CHECK(!complete);
            w.net.last_connection().hold_towards(0, false);
        }
        CHECK(w.net.run_until([&] { return complete; }, 60s));
        CHECK((got == text));
        CHECK((waits > 0) == (size > 1'000'000));
    }
}

TEST_CASE("pieces: other messages wait for the last one, and leave then in order") {
    piece_world s;
    s.w.net.run_for(1ms);
    auto& socket = s.socket();
    const auto send = [&](std::string_view text, std::uint64_t offset, bool last) {
        return socket.try_send_piece({hawser::as_bytes(text), message_kind::text, offset, last});
    };
    CHECK(send("", 0, false) == errc::invalid_argument);
    CHECK(send("x", 5, false) == errc::connection_lost);  // of a message that is not here
    CHECK(!send("one", 0, false));
    CHECK(send("x", 0, false) == errc::invalid_state);
    CHECK(socket.try_send("first"));
    CHECK(socket.try_send("second"));
    s.send(raw::frame(raw::fin | raw::ping, "p", true));
    CHECK(!send("two", 3, true));
    CHECK(send("x", 0, false) == errc::would_block);  // they come first
    s.w.net.run_for(10ms);
    CHECK(s.peer->received == raw::frame(raw::text, "one", false) + raw::frame(raw::fin | raw::pong, "p", false) +
                                  raw::frame(raw::fin | raw::continuation, "two", false) +
                                  raw::frame(raw::fin | raw::text, "first", false) + raw::frame(raw::fin | raw::text, "second", false));
    CHECK(!send("alone", 0, true));
    s.w.net.run_for(10ms);
    CHECK(s.peer->received.ends_with(raw::frame(raw::fin | raw::text, "alone", false)));
}

TEST_CASE("pieces: pausing stops the reading at once, in the middle of what was read") {
    piece_world s;
    s.on_piece = [](hawser::resilient_socket<>& socket, const message_piece&) { socket.pause_receiving(); };
    s.send(begin + middle + end + whole);
    CHECK(s.log == log_type{"0:one"});
    s.w.net.run_for(1s);
    CHECK(s.log == log_type{"0:one"});
    s.on_piece = nullptr;
    s.socket().resume_receiving();
    s.w.net.run_for(1ms);
    CHECK(s.log == log_type{"0:one", "3:two", "6:three.", "0:whole."});
}

TEST_CASE("pieces: what came before the function was set is one piece, and reading goes on after it") {
    world<> w;
    w.listen(settings());
    const auto peer = w.net.dial(port);
    REQUIRE(w.net.run_until([&] { return peer->connected; }));
    peer->send(hawser_test::request_text() + begin + middle + end + begin);
    REQUIRE(w.net.run_until([&] { return !w.accepted.empty(); }));
    w.net.run_for(10ms);
    log_type log;
    w.accepted.front().on_message_piece([&](const message_piece& p) {
        log.push_back(std::to_string(p.offset) + ":" + std::string(p.text()) + (p.last ? "." : ""));
    });
    peer->send(end + begin + end);
    w.net.run_for(10ms);
    // The message that had begun was being gathered.
    CHECK(log == log_type{"0:onetwothree.", "0:onethree.", "0:one", "3:three."});
}

TEST_CASE("pieces: another function in the middle of a message gets the next one") {
    piece_world s;
    std::vector<std::string> messages;
    s.send(begin);
    s.socket().on_message([&](const hawser::message_view& m) { messages.emplace_back(m.text()); });
    s.send(end + begin + end);
    CHECK(s.log == log_type{"0:one"});
    CHECK(messages == std::vector<std::string>{"onethree"});
}

TEST_CASE("F7, F15: pieces have the limits of their message, and each has its time") {
    auto o = settings();
    o.max_message_size = 10;
    o.message_timeout = 1s;
    piece_world s(o);
    s.send(begin);
    s.w.net.run_for(900ms);
    s.send(middle);
    s.w.net.run_for(900ms);
    CHECK(s.log == log_type{"0:one", "3:two"});
    SECTION("its time") {
        s.w.net.run_for(200ms);
        CHECK(s.why == errc::message_timeout);
    }
    SECTION("its size") {
        s.send(end);
        CHECK(s.why == errc::message_too_big);
    }
    CHECK(s.log == log_type{"0:one", "3:two"});
}

TEST_CASE("pieces: a message ends with its connection, and the next connection begins another one") {
    world<> w;
    w.listen(settings());
    log_type log;
    w.on_accept = [&](hawser::resilient_socket<>& s) {
        s.on_message_piece([&](const message_piece& p) { log.push_back(std::to_string(p.offset) + ":" + std::string(p.text()) + (p.last ? "." : "")); });
    };
    hawser::resilient_socket<> client(w.context, settings());
    client.connect(url);
    REQUIRE(w.net.run_until([&] { return client.state() == connection_state::open; }));
    const auto piece = [](std::string_view text, std::uint64_t offset, bool last) {
        return message_piece{hawser::as_bytes(text), message_kind::binary, offset, last};
    };
    CHECK(!client.try_send_piece(piece("one", 0, false)));
    CHECK(client.try_send("later"));
    w.net.run_for(10ms);
    CHECK(log == log_type{"0:one"});
    w.net.last_connection().cut();
    REQUIRE(w.net.run_until([&] { return client.state() == connection_state::waiting; }));
    CHECK(client.try_send_piece(piece("two", 3, true)) == errc::not_connected);
    std::error_code waited;
    client.async_wait_writable([&](std::error_code ec) { waited = ec; });
    w.net.run_for(1ms);
    CHECK(waited == errc::not_connected);
    REQUIRE(w.net.run_until([&] { return client.state() == connection_state::open; }));
    w.net.run_for(10ms);
    CHECK(client.try_send_piece(piece("two", 3, true)) == errc::connection_lost);
    CHECK(!client.try_send_piece(piece("new", 0, true)));
    w.net.run_for(10ms);
    CHECK(log == log_type{"0:one", "0:later.", "0:new."});
}

TEST_CASE("pieces: a wait for room ends when the connection is lost, when it is cancelled and with the socket") {
    for (const std::string how : {"lost", "cancelled", "closed", "destroyed"}) {
        CAPTURE(how);
        auto o = settings();
        o.max_write_buffer = 65'536;
        piece_world s(o);
        s.w.net.latency = 10s;
        const std::string text = numbered(100'000);
        std::uint64_t offset = 0;
        std::error_code ec;
        while (!(ec = s.socket().try_send_piece({hawser::as_bytes(text), message_kind::binary, offset, false}))) offset += text.size();
        CHECK(ec == errc::would_block);
        std::error_code waited;
        asio::cancellation_signal signal;
        s.socket().async_wait_writable(asio::bind_cancellation_slot(signal.slot(), [&](std::error_code e) { waited = e; }));
        s.w.net.run_for(1ms);
        CHECK(!waited);
        if (how == "lost") s.peer->reset();
        if (how == "cancelled") signal.emit(asio::cancellation_type::total);
        if (how == "closed") s.socket().close();
        if (how == "destroyed") s.w.accepted.clear();
        s.w.net.run_for(20s);
        CHECK(waited == (how == "lost" || how == "closed" ? s.why : std::error_code(asio::error::operation_aborted)));
        CHECK(waited);
    }
}

TEST_CASE("pieces: in a session messages come whole, and cannot be sent in pieces") {
    world<> w;
    w.listen(hawser::options::reliable());
    log_type log;
    w.on_accept = [&](hawser::resilient_socket<>& s) {
        s.on_message_piece([&](const message_piece& p) { log.push_back(std::to_string(p.offset) + ":" + std::string(p.text()) + (p.last ? "." : "")); });
    };
    hawser::resilient_socket<> client(w.context, hawser::options::reliable());
    client.connect(url);
    REQUIRE(client.try_send("one"));
    CHECK(w.net.run_until([&] { return client.unacknowledged() == 0; }, 5s));
    CHECK(log == log_type{"0:one."});
    CHECK(client.try_send_piece({hawser::as_bytes("x"), message_kind::text, 0, true}) == errc::invalid_state);
}

TEST_CASE("pieces: a message that began is ended before a close") {
    piece_world s;
    s.w.net.run_for(1ms);
    CHECK(!s.socket().try_send_piece({hawser::as_bytes("one"), message_kind::text, 0, false}));
    s.socket().close();
    s.w.net.run_for(10ms);
    CHECK(s.socket().try_send_piece({hawser::as_bytes("new"), message_kind::text, 0, false}) == errc::invalid_state);
    CHECK(!s.socket().try_send_piece({hawser::as_bytes("two"), message_kind::text, 3, true}));
    s.w.net.run_for(10ms);
    CHECK(s.peer->received == raw::frame(raw::text, "one", false) + raw::frame(raw::fin | raw::continuation, "two", false) +
                                  raw::frame(raw::fin | raw::close_frame, "\x03\xe8", false));
}

TEST_CASE("pieces: a connection that is not read from its beginning opens, and is neither dead nor idle") {
    auto o = settings();
    o.heartbeat.ping_interval = 1s;
    o.heartbeat.pong_timeout = 1s;
    o.idle_timeout = 5s;
    client_world e(o);
    e.client.on_message_piece([&e](const message_piece& p) { e.messages.emplace_back(p.text()); });
    e.client.pause_receiving();
    e.upgraded().send(raw::frame(raw::fin | raw::text, "early", false));
    e.w.net.run_for(20s);
    CHECK(e.ends.empty());
    CHECK(e.messages.empty());
    e.client.resume_receiving();
    e.w.net.run_for(100ms);
    CHECK(e.messages == log_type{"early"});
}

TEST_CASE("F15: the time for a message stands still while it is not read, and begins anew") {
    auto o = settings();
    o.message_timeout = 10s;
    piece_world s(o);
    s.send(begin);
    s.w.net.run_for(9s);
    s.socket().pause_receiving();
    s.w.net.run_for(60s);
    CHECK_FALSE(s.why);
    s.socket().resume_receiving();
    s.w.net.run_for(9s);
    CHECK_FALSE(s.why);
    s.send(middle);
    CHECK(s.log == log_type{"0:one", "3:two"});
    s.w.net.run_for(11s);
    CHECK(s.why == errc::message_timeout);
}

TEST_CASE("pieces: they do not overtake a message that waits") {
    world<> w;
    w.listen(settings());
    const auto peer = w.net.dial(port);
    REQUIRE(w.net.run_until([&] { return peer->connected; }));
    log_type log;
    hawser::resilient_socket<>* socket = nullptr;
    w.on_accept = [&](hawser::resilient_socket<>& s) { socket = &s; };
    peer->send(hawser_test::request_text() + whole + whole);
    w.net.run_for(10ms);
    REQUIRE(socket != nullptr);
    socket->on_message_piece([&](const message_piece& p) {
        log.push_back(std::to_string(p.offset) + ":" + std::string(p.text()) + (p.last ? "." : ""));
        if (log.size() == 1) socket->pause_receiving();
    });
    peer->send(begin);
    w.net.run_for(10ms);
    CHECK(log == log_type{"0:whole."});
    socket->resume_receiving();
    w.net.run_for(10ms);
    peer->send(end + begin + end);
    w.net.run_for(10ms);
    CHECK(log == log_type{"0:whole.", "0:whole.", "0:one", "3:three.", "0:one", "3:three."});
}

TEST_CASE("pieces: where messages are gathered, pieces leave at once") {
    auto o = settings();
    o.gather_delay = 1s;
    piece_world s(o);
    s.w.net.run_for(1ms);
    std::error_code waited = errc::closed;
    s.socket().async_wait_writable([&](std::error_code ec) { waited = ec; });
    CHECK(!s.socket().try_send_piece({hawser::as_bytes("one"), message_kind::text, 0, false}));
    s.w.net.run_for(10ms);
    CHECK(!waited);
    CHECK(s.peer->received == raw::frame(raw::text, "one", false));
}

TEST_CASE("pieces: another function for pieces has no message without its beginning") {
    piece_world s;
    log_type other;
    s.send(begin);
    s.socket().on_message_piece([&](const message_piece& p) { other.push_back(std::to_string(p.offset) + ":" + std::string(p.text()) + (p.last ? "." : "")); });
    s.send(middle);
    s.send(end + begin);
    s.send(end);
    CHECK(s.log == log_type{"0:one"});
    CHECK(other == log_type{"0:one", "3:three."});
}

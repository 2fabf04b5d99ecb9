// SPDX-License-Identifier: BSL-1.0
// A whole server in virtual time: several peers that send anything, vanish at any moment and read what they get.
// What the server writes is always well-formed, what it delivers is valid, and in the end nothing is left.
#include "fuzz.hpp"
#include "http_plain.hpp"

#include <hawser/deflate.hpp>
#include <hawser/hawser.hpp>
#include <hawser/protocol/session/decode.hpp>
#include <hawser/protocol/session/encode.hpp>
#include <hawser/testing/virtual_driver.hpp>

#include "../support/utf8_reference.hpp"
#include "../support/ws_frames.hpp"

#include <array>
#include <list>
#include <memory>

namespace ws = hawser::ws;
namespace session = hawser::session;
using namespace std::chrono_literals;

const fuzz::bug fuzz::planted = bug::handshake_without_deadline;

namespace {

constexpr std::uint16_t port = 9000;
constexpr std::size_t peers = 4, message_limit = 2000;

hawser::listener_options settings() {
    static const auto compression = hawser::deflate();
    hawser::listener_options o;
    o.socket.session = hawser::session_mode::preferred;
    o.socket.compression = compression;
    o.socket.max_message_size = message_limit;
    o.socket.max_fragments = 8;
    o.socket.max_control_frames_per_second = 20;
    o.socket.session_ttl = 30s;
    o.max_connections = 3;
    o.max_compression_memory = 1'000'000;
    o.authorize = [](const ws::upgrade_request& r) {
        if (r.path() == "/throws") throw 1;
        return r.path() == "/no" ? hawser::authorization{.status = 403} : hawser::authorization{};
    };
    return o;
}

std::string upgrade(unsigned kind) {
    static constexpr const char* paths[] = {"/", "/no", "/throws", "/a?b"};
    std::string out = std::string("GET ") + (kind < 0xf0u ? "/" : paths[kind % 4]) +
                      " HTTP/1.1\r\nHost: server.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
    if ((kind & 1u) != 0) out += "Sec-WebSocket-Protocol: hawser.v1\r\n";
    if ((kind & 2u) != 0) out += "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    return out + "\r\n";
}

// Frames of hawser.v1 that a real client could send.
hawser::byte_vector session_frame(unsigned kind, fuzz::input& in, const session::resume_token& token,
                                  const session::epoch_id& epoch) {
    hawser::byte_vector out;
    const std::uint64_t a = in.below(8), b = in.below(8);
    switch (kind % 6) {
        case 0: {
            session::hello f;
            f.max_message_size = message_limit;
            f.credit_messages = a;
            f.credit_bytes = b * 100;
            session::encode(out, f, false);
            return out;
        }
        case 1: {
            session::resume f;
            f.token = token;
            f.epoch = epoch;
            f.attempt = (std::uint64_t{1} << 32) + a;
            f.accepted = b;
            f.first_retained = 1;
            f.next_seq = 1 + in.below(8);
            session::encode(out, f, false);
            return out;
        }
        case 2: {
            session::data f;
            f.seq = a;
            f.text = b > 3;
            f.ack_now = b == 2;
            const auto payload = in.take(in.below(40));
            session::encode(out, f, payload, false);
            hawser::append(out, payload);
            return out;
        }
        default:
            session::encode(out,
                            kind % 6 == 3   ? session::frame_type::ack
                            : kind % 6 == 4 ? session::frame_type::ping
                                            : session::frame_type::pong,
                            session::ack_fields{a, b * 4, b * 1000}, false);
            return out;
    }
}

// All that a peer was sent: one answer, then frames until Close, and nothing behind it.
void judge_output(const std::string& received, session::resume_token& token, session::epoch_id& epoch) {
    using fuzz::require;
    const auto end = received.find("\r\n\r\n");
    if (end == std::string::npos) return require(received.empty(), "an answer is written in one piece");
    const fuzz::plain_head head(received.substr(0, end + 4));
    require(head.well_formed && head.first.starts_with("HTTP/1.1 "), "the answer is clean");
    if (!head.first.starts_with("HTTP/1.1 101 ")) {
        const auto length = head.values("content-length");
        require(length.size() == 1, "a refusal has a length");
        const std::size_t body = received.size() - end - 4;
        return require(std::to_string(body) == length[0] || body == 0, "a refusal is the last that is said");
    }
    auto frames = ws_test::bytes(std::string_view(received).substr(end + 4));
    ws::reader_limits limits{.max_message_size = std::size_t{1} << 30};
    if (!head.values("sec-websocket-extensions").empty()) limits.permitted_rsv = ws::compressed_bit;
    ws::reader reader(ws::role::client, limits);
    reader.feed(frames);
    for (ws::event e = reader.next(); e.kind != ws::event_kind::need_more; e = reader.next()) {
        require(e.kind != ws::event_kind::error, "the server's frames are well-formed");
        if (e.kind == ws::event_kind::close) return require(reader.unread() == 0, "nothing is sent after Close");
        session::envelope envelope;
        session::welcome welcome;
        if (!session::decode(e.payload, envelope) && envelope.type == session::frame_type::welcome &&
            session::decode(envelope, welcome)) {
            token = welcome.token;
            epoch = welcome.epoch;
        }
    }
}

class world {
public:
    world()
        : net_(hawser::install_driver<hawser::testing::virtual_driver>(context_)),
          server_(std::in_place, context_, hawser::listen_endpoint{.port = port}, settings()) {
        accept();
    }

    void step(fuzz::input& in) {
        const unsigned what = in.number();
        const std::size_t who = in.below(peers);
        auto& peer = peers_[who];
        if (!peer) {
            peer = net_.dial(port);
            net_.run_for(1ms);
        }
        switch (what % 12) {
            case 0:
                return peer->send(upgrade(in.number()));
            case 1:
                return peer->send(hawser::as_text(in.take(in.number())));
            case 2:
            case 3:
                return send_frame(*peer, in);
            case 4: {
                judge_output(peer->received, token_, epoch_);
                const auto frame = session_frame(in.number(), in, token_, epoch_);
                return peer->send(hawser::as_text(ws_test::frame(ws::role::server, ws::opcode::binary, frame)));
            }
            case 5:
                return net_.run_for(std::chrono::milliseconds(in.number()));
            case 6:
                return net_.run_for(std::chrono::seconds(in.below(64)));
            case 7:
                return net_.poll();
            case 8:
                return part(who, false);
            case 9:
                return part(who, true);
            default:
                return act(in);
        }
    }
    // Some peers leave and the others say nothing any more; long after that nothing is left.
    void end() {
        for (auto& s : sockets_)
            s.resume_receiving();
        net_.run_for(1s);
        for (std::size_t who = 0; who < peers / 2; ++who)
            part(who, who % 2 != 0);
        net_.run_for(600s);
        fuzz::require(server_->connections() == 0, "no connection is left");
        for (std::size_t who = 0; who < peers; ++who) {
            fuzz::require(!peers_[who] || peers_[who]->closed, "who is silent is cut");
            part(who, false);
        }
        fuzz::require(alive_ == 0, "each socket was told its end");
        server_.reset();
        net_.run_for(1s);
    }

private:
    void accept() {
        server_->async_accept([this](std::error_code ec, hawser::resilient_socket<> accepted) {
            if (ec) return;
            sockets_.push_back(std::move(accepted));
            auto& s = sockets_.back();
            if (s.state() != hawser::connection_state::closed && s.state() != hawser::connection_state::failed)
                ++alive_;
            s.on_message([&s](const hawser::message_view& m) {
                fuzz::require(m.bytes.size() <= message_limit, "a message is within the limit");
                fuzz::require(m.kind != hawser::message_kind::text || utf8_test::judge_plainly(m.text()).whole,
                              "text is UTF-8");
                (void)s.try_send(m);
            });
            s.on_state([this](const hawser::state_change& change) {
                if (change.to == hawser::connection_state::closed || change.to == hawser::connection_state::failed)
                    --alive_;
            });
            accept();
        });
    }
    static void send_frame(hawser::testing::raw_peer& peer, fuzz::input& in) {
        const unsigned first = in.number(), size = in.number();
        const auto op = static_cast<ws::opcode>(first & 15u);
        const auto rsv = static_cast<std::uint8_t>((first & 0x60u) == 0x60u ? 4 : 0);
        auto bytes = ws_test::frame(ws::role::server, op, in.take(size), (first & 0x80u) != 0, rsv);
        if ((first & 0x70u) == 0x10u) bytes.resize(bytes.size() / 2);  // the rest comes later, or never
        peer.send(hawser::as_text(bytes));
    }
    void act(fuzz::input& in) {
        const unsigned what = in.number();
        if (sockets_.empty()) return;
        auto& s = *std::next(sockets_.begin(), static_cast<std::ptrdiff_t>(what / 8 % sockets_.size()));
        switch (what % 8) {
            case 0:
                return s.pause_receiving();
            case 1:
                return s.resume_receiving();
            case 2:
                return s.close(hawser::close_code::normal, "enough");
            case 3:
                return s.close(hawser::close_code::policy_violation);
            default: {
                const std::string text(what % 8 == 4 ? 1500 : what, 'm');
                (void)s.try_send(hawser::message::text(text));
            }
        }
    }
    void part(std::size_t who, bool abruptly) {
        auto& peer = peers_[who];
        if (!peer) return;
        judge_output(peer->received, token_, epoch_);
        if (abruptly) peer->reset();
        peer.reset();
    }

    asio::io_context context_;
    hawser::testing::virtual_driver& net_;
    std::list<hawser::resilient_socket<>> sockets_;
    std::optional<hawser::listener<>> server_;
    std::array<std::unique_ptr<hawser::testing::raw_peer>, peers> peers_;
    session::resume_token token_{};
    session::epoch_id epoch_{};
    int alive_ = 0;
};

}  // namespace

void fuzz::run(byte_view data) {
    input in(data);
    world w;
    for (int i = 0; i < 100 && !in.empty(); ++i)
        w.step(in);
    w.end();
}

// SPDX-License-Identifier: BSL-1.0
#include "wire_audit.hpp"

namespace ws = hawser::ws;
namespace session = hawser::session;

namespace sim {

void wire_audit::on_bytes(int from, hawser::byte_view bytes) {
    direction& d = ways_[from];
    hawser::append(d.input, bytes);
    if (!d.upgraded) {
        const auto head = hawser::as_text(d.input).find("\r\n\r\n");
        if (head == std::string_view::npos) return;
        session_ = session_ || hawser::as_text(d.input).substr(0, head).find(session::subprotocol) != std::string_view::npos;
        d.upgraded = hawser::as_text(d.input).starts_with("GET ") || hawser::as_text(d.input).starts_with("HTTP/1.1 101");
        if (from == 1) session_ = hawser::as_text(d.input).substr(0, head).find(session::subprotocol) != std::string_view::npos;
        d.input.erase(d.input.begin(), d.input.begin() + static_cast<std::ptrdiff_t>(head + 4));
        if (!d.upgraded) return d.input.clear();
    }
    std::size_t used = 0;
    for (;;) {
        ws::frame_header h;
        const auto rest = hawser::byte_view(d.input).subspan(used);
        const auto r = ws::decode(rest, h);
        if (r.what == ws::decode_result::status::error) return world_.fail("a frame of a length that must not be sent");
        if (r.what != ws::decode_result::status::done || rest.size() < r.size + h.length) break;
        const auto payload = rest.subspan(r.size, static_cast<std::size_t>(h.length));
        on_frame(from, h, hawser::byte_vector(payload.begin(), payload.end()));
        used += r.size + static_cast<std::size_t>(h.length);
    }
    d.input.erase(d.input.begin(), d.input.begin() + static_cast<std::ptrdiff_t>(used));
}

void wire_audit::on_frame(int from, const ws::frame_header& h, hawser::byte_vector payload) {
    direction& d = ways_[from];
    world_.check(!d.closed, "a frame after Close");
    world_.check(h.masked == (from == 0), from == 0 ? "an unmasked frame of a client" : "a masked frame of a server");
    if (h.masked) {
        world_.check(h.key != d.last_key, "a masking key was used twice");
        d.last_key = h.key;
        for (std::size_t i = 0; i < payload.size(); ++i) payload[i] ^= h.key[i % 4];
    }
    if (h.op == ws::opcode::close) d.closed = true;
    if (session_ && h.op == ws::opcode::binary) on_session_frame(from, payload);
}

void wire_audit::on_session_frame(int from, hawser::byte_view payload) {
    direction& d = ways_[from];
    session::envelope e;
    if (session::decode(payload, e)) return world_.fail("a session frame that its own side could not read");
    switch (e.type) {
    case session::frame_type::data: {
        session::data f;
        hawser::byte_view body;
        world_.check(session::decode(e, f, body), "a DATA that its own side could not read");
        // A part has no number before the last one, and where it is sent again all have the same.
        const bool same = f.offset > 0 && f.seq == d.highest_sent;
        if (f.seq == 0) world_.check(f.more, "a message without a number");
        else world_.check(d.highest_sent == 0 || same || f.seq == d.highest_sent + 1, "numbers do not follow each other on a connection");
        if (f.seq != 0) d.highest_sent = f.seq;
        if (f.has_ack) on_position(from, f.ack.accepted);
        break;
    }
    case session::frame_type::ack:
    case session::frame_type::ping:
    case session::frame_type::pong: {
        session::ack_fields f;
        if (session::decode(e, f)) on_position(from, f.accepted);
        break;
    }
    case session::frame_type::resume: {
        session::resume f;
        if (session::decode(e, f)) d.accepted = f.accepted, d.base = f.next_seq - 1;
        break;
    }
    case session::frame_type::resumed: {
        session::resumed f;
        if (session::decode(e, f)) d.accepted = f.accepted, d.base = f.next_seq - 1;
        break;
    }
    case session::frame_type::hello:
        d.accepted = d.base = d.highest_sent = 0;
        ways_[1 - from].accepted = ways_[1 - from].base = ways_[1 - from].highest_sent = 0;
        break;
    default: break;
    }
}

void wire_audit::on_position(int from, std::uint64_t accepted) {
    direction& d = ways_[from];
    const direction& other = ways_[1 - from];
    world_.check(accepted >= d.accepted, "an acknowledgement went back");
    world_.check(accepted <= std::max(other.highest_sent, other.base), "an acknowledgement of what was never sent");
    d.accepted = accepted;
}

}  // namespace sim

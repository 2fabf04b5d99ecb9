// SPDX-License-Identifier: BSL-1.0
// Frames and actions of hawser.v1 as text, so that a test compares whole sequences, and one
// endpoint whose peer is the test.
#pragma once

#include <hawser/protocol/session/endpoint.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace session_test {

namespace session = hawser::session;
using hawser::byte_vector;
using hawser::byte_view;
using texts = std::vector<std::string>;

inline std::string hex(byte_view view) {
    std::string out;
    for (const std::byte b : view) {
        out += "0123456789abcdef"[std::to_integer<unsigned>(b) >> 4];
        out += "0123456789abcdef"[std::to_integer<unsigned>(b) & 15U];
    }
    return out;
}
inline byte_vector from_hex(std::string_view text) {
    const auto digit = [](char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10); };
    byte_vector out;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2)
        out.push_back(static_cast<std::byte>(digit(text[i]) << 4 | digit(text[i + 1])));
    return out;
}
template <std::size_t N>
std::array<std::byte, N> filled(unsigned value) {
    std::array<std::byte, N> a;
    a.fill(static_cast<std::byte>(value));
    return a;
}
inline std::string number(std::uint64_t v) { return std::to_string(v); }
inline std::string credit_text(std::uint64_t messages, std::uint64_t bytes) {
    return " credit=" + number(messages) + "/" + number(bytes);
}

inline std::string exceptions_text(session::exception_view list) {
    std::string s;
    session::exception_reader r(list);
    while (const auto e = r.next()) s += (s.empty() ? " except " : ",") + number(e->seq) + (e->what == hawser::outcome::rejected ? "r" : "d");
    return s;
}
inline std::string data_text(const session::data& d, byte_view payload) {
    std::string s = "data " + number(d.seq) + " '" + std::string(hawser::as_text(payload)) + "'";
    if (d.more || d.last_part) s += (d.more ? " part@" : " last@") + number(d.offset);
    if (d.id_delta != 0) s += " delta=" + std::to_string(d.id_delta);
    if (d.text) s += " text";
    if (d.ack_now) s += " ack_now";
    if (!d.key.empty()) s += " key=" + std::string(d.key);
    if (d.has_ack) s += " ack=" + number(d.ack.accepted);
    return s;
}
inline std::string frame_text(byte_view frame) {
    session::envelope e;
    if (auto ec = session::decode(frame, e)) return "bad: " + ec.message();
    using type = session::frame_type;
    session::hello h;
    session::welcome w;
    session::resume r;
    session::resumed rd;
    session::resume_failed f;
    session::ack_fields a;
    session::data d;
    byte_view payload;
    if (e.type == type::hello && session::decode(e, h))
        return "hello base=" + number(h.id_base) + credit_text(h.credit_messages, h.credit_bytes);
    if (e.type == type::welcome && session::decode(e, w))
        return "welcome base=" + number(w.id_base) + credit_text(w.credit_messages, w.credit_bytes);
    if (e.type == type::resume && session::decode(e, r))
        return "resume attempt=" + number(r.attempt >> 32) + "." + number(r.attempt & 0xffffffff) +
               " accepted=" + number(r.accepted) + " first=" + number(r.first_retained) + " next=" + number(r.next_seq) +
               exceptions_text(r.exceptions);
    if (e.type == type::resumed && session::decode(e, rd))
        return "resumed accepted=" + number(rd.accepted) + " first=" + number(rd.first_retained) +
               " next=" + number(rd.next_seq) + credit_text(rd.credit_messages, rd.credit_bytes) +
               exceptions_text(rd.exceptions);
    if (e.type == type::resume_failed && session::decode(e, f))
        return "resume_failed " + number(static_cast<unsigned>(f.reason)) +
               (f.has_position ? " accepted=" + number(f.accepted) : std::string()) + exceptions_text(f.exceptions);
    const char* const position = e.type == type::ack    ? "ack "
                                 : e.type == type::ping ? "ping "
                                 : e.type == type::pong ? "pong "
                                                        : nullptr;
    if (position && session::decode(e, a))
        return position + number(a.accepted) + credit_text(a.credit_messages, a.credit_bytes) +
               exceptions_text(a.exceptions) + (a.known != 0 ? " known=" + number(a.known) : std::string());
    if (e.type == type::data && session::decode(e, d, payload)) return data_text(d, payload);
    session::goaway g;
    if (e.type == type::goaway && session::decode(e, g))
        return "goaway in " + number(g.delay_ms) + " of " + number(g.window_ms) + " to '" + std::string(g.target) + "'";
    if (e.type == type::datagram) return "datagram '" + std::string(hawser::as_text(e.body)) + "'";
    return "bad body";
}
inline std::string action_text(const session::action& a) {
    using kind = session::action::kind;
    const std::string why = a.error.message() + " " + number(static_cast<unsigned>(a.code));
    switch (a.what) {
    case kind::none: return "none";
    case kind::deliver:
        return "deliver " + number(a.seq) + " '" + std::string(hawser::as_text(a.payload)) +
               "' id=" + number(a.id.counter) + (a.key.empty() ? "" : " key=" + std::string(a.key));
    case kind::datagram: return "datagram '" + std::string(hawser::as_text(a.payload)) + "'";
    case kind::established: return "established";
    case kind::resumed: return "resumed";
    case kind::epoch_lost: return "epoch_lost";
    case kind::pong: return "pong";
    case kind::goaway: return "goaway in " + number(static_cast<std::uint64_t>(a.delay.count())) + " to '" + std::string(a.key) + "'";
    case kind::close_link: return "close_link: " + why;
    case kind::end_session: return "end_session: " + why;
    }
    return "?";
}

/// One endpoint. `in` gives it a frame, `out` makes its journal durable and takes what it writes.
struct one_end {
    static session::endpoint_options defaults(session::side side) {
        session::endpoint_options o;
        o.side = side;
        o.checksum = false;
        o.origin = filled<16>(side == session::side::client ? 0xc1 : 0x5e);
        o.receive.window_messages = 8;
        o.receive.window_bytes = 1000;
        return o;
    }
    explicit one_end(session::side side = session::side::client) : ep(defaults(side)) {}
    explicit one_end(const session::endpoint_options& o) : ep(o) {}

    void commit() {
        while (ep.wants_commit()) {
            (void)ep.begin_commit();
            ep.end_commit();
        }
    }
    /// What it writes without a commit.
    texts take() {
        ep.assign(100'000);
        texts all;
        while (const auto f = ep.next_frame()) {
            byte_vector bytes(f->head.begin(), f->head.end());
            hawser::append(bytes, f->payload);
            all.push_back(frame_text(bytes));
            last = std::move(bytes);
        }
        return all;
    }
    texts out() {
        ep.assign(100'000);
        commit();
        return take();
    }
    std::string in(byte_view frame) { return action_text(ep.on_frame(frame, now)); }
    std::string in_data(std::uint64_t seq, std::string_view text, bool ack_now = false, std::int64_t delta = 0) {
        session::data d;
        d.seq = seq;
        d.ack_now = ack_now;
        d.id_delta = delta;
        session::encode(buffer, d, hawser::as_bytes(text), false);
        hawser::append(buffer, hawser::as_bytes(text));
        return in(buffer);
    }
    std::string in_position(session::frame_type t, std::uint64_t accepted, std::uint64_t messages = 100,
                            std::uint64_t bytes = 100'000) {
        session::encode(buffer, t, session::ack_fields{accepted, messages, bytes}, false);
        return in(buffer);
    }
    std::string in_ack(std::uint64_t accepted, std::uint64_t messages = 100, std::uint64_t bytes = 100'000) {
        return in_position(session::frame_type::ack, accepted, messages, bytes);
    }
    template <class Frame>
    std::string in_frame(const Frame& f) {
        session::encode(buffer, f, false);
        return in(buffer);
    }
    std::string in_welcome(std::uint64_t messages = 100, std::uint64_t bytes = 100'000) {
        session::welcome w;
        w.max_message_size = 1 << 20;
        w.credit_messages = messages;
        w.credit_bytes = bytes;
        w.epoch = filled<16>(0xe1);
        w.token = filled<32>(0x70);
        w.origin = filled<16>(0x5e);
        w.id_base = 40;
        return in_frame(w);
    }
    /// Client: an attached link of a new session.
    void open(std::uint64_t messages = 100, std::uint64_t bytes = 100'000) {
        ep.attach_client();
        (void)out();
        (void)in_welcome(messages, bytes);
        (void)out();
    }
    /// Server: the same.
    void accept(std::uint64_t messages = 100, std::uint64_t bytes = 100'000) {
        session::hello h;
        h.max_message_size = 1 << 20;
        h.credit_messages = messages;
        h.credit_bytes = bytes;
        h.origin = filled<16>(0xc1);
        (void)ep.attach_hello(h, filled<16>(0xe1), filled<32>(0x70));
        (void)out();
        (void)in_ack(0, messages, bytes);
    }
    std::uint64_t send(std::string_view text, const hawser::send_options& how = {}) {
        return ep.out().enqueue(hawser::message::text(text), how, nullptr, now);
    }
    void finish(std::uint64_t seq, hawser::outcome result = hawser::outcome::acknowledged) {
        ep.finish(ep.epoch_serial(), seq, now, result);
    }
    /// Outcomes known and durable since the last call, as "counter:outcome".
    texts outcomes() {
        texts all;
        while (const auto f = ep.out().pop_finished()) all.push_back(number(f->counter) + ":" + to_string(f->result));
        return all;
    }

    session::endpoint ep;
    hawser::time_point now = hawser::time_point{} + hawser::seconds(1000);
    byte_vector buffer, last;
};

}  // namespace session_test

// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/session_frames.hpp"
#include "support/source_dir.hpp"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <string>
#include <type_traits>

using namespace session_test;
using simdjson::dom::element;

namespace {

template <class T>
T value_at(element o, const char* key) {
    T value{};
    REQUIRE(o[key].get(value) == simdjson::SUCCESS);
    return value;
}
std::uint64_t number_at(element o, const char* key) { return value_at<std::uint64_t>(o, key); }
std::uint8_t small_at(element o, const char* key) { return static_cast<std::uint8_t>(number_at(o, key)); }
bool flag_at(element o, const char* key) { return value_at<bool>(o, key); }
byte_vector hex_at(element o, const char* key) { return from_hex(value_at<std::string_view>(o, key)); }
bool has(element o, const char* key) { return o[key].error() == simdjson::SUCCESS; }
template <std::size_t N>
std::array<std::byte, N> array_at(element o, const char* key) {
    const byte_vector v = hex_at(o, key);
    std::array<std::byte, N> a{};
    REQUIRE(v.size() == N);
    std::copy(v.begin(), v.end(), a.begin());
    return a;
}

// A list of exceptions; `value` keeps its bytes.
session::exception_view exceptions_at(element o, byte_vector& value) {
    value.clear();
    if (!has(o, "exceptions")) return {};
    std::uint64_t previous = 0;
    for (const element e : simdjson::dom::array(o["exceptions"])) {
        const std::uint64_t seq = e.at(0);
        const std::uint64_t rejected = e.at(1);
        session::put_exception(value, previous, {seq, rejected != 0 ? hawser::outcome::rejected : hawser::outcome::duplicate});
        previous = seq;
    }
    return session::exception_view(value);
}

// What HELLO and WELCOME have in common.
template <class F>
void read_limits(element o, F& f) {
    f.features = number_at(o, "features");
    f.max_message_size = number_at(o, "max_message_size");
    f.credit_messages = number_at(o, "credit_messages");
    f.credit_bytes = number_at(o, "credit_bytes");
    f.origin = array_at<16>(o, "origin");
    f.id_base = number_at(o, "id_base");
    f.durable = flag_at(o, "durable");
}
void read(element o, session::hello& f) {
    f.version_min = small_at(o, "version_min");
    f.version_max = small_at(o, "version_max");
    read_limits(o, f);
}
void read(element o, session::welcome& f) {
    f.version = small_at(o, "version");
    read_limits(o, f);
    f.epoch = array_at<16>(o, "epoch");
    f.token = array_at<32>(o, "token");
    f.session_ttl_ms = number_at(o, "session_ttl_ms");
    f.dedup_kept = flag_at(o, "dedup_kept");
}
// What RESUME and RESUMED have in common.
template <class F>
void read_positions(element o, F& f) {
    f.token = array_at<32>(o, "token");
    f.accepted = number_at(o, "accepted");
    f.first_retained = number_at(o, "first_retained");
    f.next_seq = number_at(o, "next_seq");
}
void read(element o, session::resume& f) {
    f.version = small_at(o, "version");
    f.epoch = array_at<16>(o, "epoch");
    f.attempt = number_at(o, "attempt");
    read_positions(o, f);
}
void read(element o, session::resumed& f) {
    read_positions(o, f);
    f.credit_messages = number_at(o, "credit_messages");
    f.credit_bytes = number_at(o, "credit_bytes");
}
void read(element o, session::resume_failed& f) {
    f.reason = static_cast<session::resume_failure>(number_at(o, "reason"));
    f.has_position = has(o, "accepted");
    if (f.has_position) f.accepted = number_at(o, "accepted");
}
void read(element o, session::ack_fields& f) {
    f = {number_at(o, "accepted"), number_at(o, "credit_messages"), number_at(o, "credit_bytes")};
    if (has(o, "known")) f.known = number_at(o, "known");
}
void read(element o, session::goaway& f) {
    f.reason = static_cast<session::goaway_reason>(number_at(o, "reason"));
    f.delay_ms = number_at(o, "delay_ms");
    f.window_ms = number_at(o, "window_ms");
    f.target = value_at<std::string_view>(o, "target");
}
void read(element o, session::data& f) {
    f.seq = number_at(o, "seq");
    f.id_delta = value_at<std::int64_t>(o, "id_delta");
    f.text = flag_at(o, "text");
    f.ack_now = flag_at(o, "ack_now");
    f.more = has(o, "more");
    f.last_part = has(o, "last_part");
    if (has(o, "offset")) f.offset = number_at(o, "offset");
    f.has_ack = has(o, "ack");
    if (!f.has_ack) return;
    std::array<std::uint64_t, 3> n{};
    std::size_t i = 0;
    for (const std::uint64_t x : simdjson::dom::array(o["ack"])) n.at(i++) = x;
    f.ack = {n[0], n[1], n[2]};
}

/// One vector, from bytes to fields and back.
struct vector_check {
    explicit vector_check(element one)
        : v(one), fields(one["fields"]), frame(hex_at(one, "hex")), sum(flag_at(one, "checksum")) {}

    template <class F>
    void plain() {
        F expected, got;
        read(fields, expected);
        byte_vector list;
        if constexpr (requires { expected.exceptions; }) expected.exceptions = exceptions_at(fields, list);
        REQUIRE(session::decode(e, got));
        CHECK(got == expected);
        CHECK(session::checksum_matches(frame, e, {}));
        if constexpr (std::is_same_v<F, session::ack_fields>) session::encode(out, e.type, expected, sum);
        else session::encode(out, expected, sum);
        compare();
    }
    void data() {
        const byte_vector body = hex_at(v, "payload");
        const byte_vector key = has(fields, "key") ? hex_at(fields, "key") : byte_vector();
        session::data expected, got;
        read(fields, expected);
        expected.key = hawser::as_text(key);
        expected.transfer = has(fields, "transfer") && flag_at(fields, "transfer");
        byte_view payload;
        REQUIRE(session::decode(e, got, payload));
        CHECK(got == expected);
        CHECK(hex(payload) == hex(body));
        CHECK(session::checksum_matches(frame, e, payload));
        session::encode(out, expected, body, sum);
        hawser::append(out, body);
        compare();
    }
    void datagram() {
        const byte_vector body = hex_at(v, "payload");
        CHECK(hex(e.body) == hex(body));
        CHECK(e.has(session::flag::text) == flag_at(fields, "text"));
        CHECK(session::checksum_matches(frame, e, e.body));
        session::encode_datagram(out, e.has(session::flag::text), body, sum);
        hawser::append(out, body);
        compare();
    }
    void compare() const {
        if (!has(v, "decode_only")) CHECK(hex(out) == hex(frame));
    }
    void run() {
        REQUIRE_FALSE(session::decode(frame, e));
        CHECK(e.has(session::flag::checksum) == sum);
        const auto type = value_at<std::string_view>(v, "type");
        if (type == "hello") plain<session::hello>();
        else if (type == "welcome") plain<session::welcome>();
        else if (type == "resume") plain<session::resume>();
        else if (type == "resumed") plain<session::resumed>();
        else if (type == "resume_failed") plain<session::resume_failed>();
        else if (type == "data") data();
        else if (type == "datagram") datagram();
        else if (type == "goaway") plain<session::goaway>();
        else plain<session::ack_fields>();
    }

    element v, fields;
    byte_vector frame, out;
    bool sum;
    session::envelope e;
};

std::string error_of(byte_view frame) {
    session::envelope e;
    if (auto ec = session::decode(frame, e))
        return ec == hawser::errc::unknown_extension ? "unknown_extension" : "malformed";
    byte_view payload;
    session::data d;
    const bool is_data = e.type == session::frame_type::data;
    if (is_data ? !session::decode(e, d, payload) : frame_text(frame) == "bad body") return "malformed";
    return session::checksum_matches(frame, e, payload) ? "none" : "bad_checksum";
}

}  // namespace

TEST_CASE("the vectors of session_frames.json, from bytes to fields and back", "[session][vectors]") {
    simdjson::dom::parser parser;
    const element file = parser.load(source_file("tests/vectors/session_frames.json"));
    std::size_t good = 0, bad = 0;
    for (const element v : simdjson::dom::array(file["vectors"])) {
        INFO(value_at<std::string_view>(v, "name"));
        if (has(v, "error")) {
            CHECK(error_of(hex_at(v, "hex")) == value_at<std::string_view>(v, "error"));
            ++bad;
        } else {
            vector_check(v).run();
            ++good;
        }
    }
    CHECK(good >= 40);
    CHECK(bad >= 30);
}

TEST_CASE("the example of docs/protocol.md, byte by byte", "[session][vectors]") {
    const auto counting = [](auto a, unsigned from) {
        for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<std::byte>(from + i);
        return a;
    };
    session::endpoint_options o;
    o.checksum = false;
    o.features = 0;
    o.origin = counting(session::origin_id{}, 0);
    o.side = session::side::client;
    one_end c(o);
    o.side = session::side::server;
    one_end s(o);
    const auto epoch = counting(session::epoch_id{}, 0x10);
    const auto token = counting(session::resume_token{}, 0x20), fresh = counting(session::resume_token{}, 0x40);
    const auto write = [](one_end& e) {
        REQUIRE(e.out().size() == 1);
        return hex(e.last);
    };
    const std::string origin = hex(o.origin);

    c.ep.attach_client();
    CHECK(write(c) == "0100010100808040800880808002" + origin + "00");
    session::envelope e;
    session::hello h;
    REQUIRE_FALSE(session::decode(c.last, e));
    REQUIRE(session::decode(e, h));
    REQUIRE_FALSE(s.ep.attach_hello(h, epoch, token));
    CHECK(write(s) == "02040100808040800880808002" + hex(epoch) + hex(token) + origin + "00c0a907");
    CHECK(c.in(s.last) == "established");
    CHECK(write(c) == "070000800880808002");
    CHECK(s.in(c.last) == "established");
    c.send("hello");
    CHECK(write(c) == "060a010068656c6c6f");
    CHECK(s.in(c.last) == "deliver 1 'hello' id=1");
    s.finish(1);
    CHECK(write(s) == "070001810885808002");
    CHECK(c.in(s.last) == "none");
    c.send("world");
    CHECK(write(c) == "060a0200776f726c64");

    c.ep.detach();
    s.ep.detach();
    c.ep.attach_client();
    CHECK(write(c) == "030001" + hex(token) + hex(epoch) + "8180808010000203");
    session::resume r;
    REQUIRE_FALSE(session::decode(c.last, e));
    REQUIRE(session::decode(e, r));
    s.ep.attach_resume(r, fresh);
    CHECK(write(s) == "0400010101" + hex(fresh) + "810885808002");
    CHECK(c.in(s.last) == "resumed");
    const byte_vector first = [&] {
        c.commit();
        const auto f = c.ep.next_frame();
        REQUIRE(f);
        return byte_vector(f->head.begin(), f->head.end());
    }();
    CHECK(hex(first) == "070000800880808002");
    CHECK(s.in(first) == "resumed");
    CHECK(write(c) == "060a0200776f726c64");
    CHECK(s.in(c.last) == "deliver 2 'world' id=2");
    s.finish(2);
    CHECK(write(s) == "07000282088a808002");
}

// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/session_frames.hpp"

#include <hawser/protocol/session/session_table.hpp>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

using namespace session_test;
using hawser::errc;
using session::frame_type;

namespace {

constexpr std::uint64_t huge = ~std::uint64_t{0};

// One frame of each type, with every field present and different.
std::vector<byte_vector> one_of_each(bool sum) {
    std::vector<byte_vector> all;
    byte_vector out;
    const auto add = [&] { all.push_back(out); };
    session::hello h;
    h.features = 1, h.max_message_size = 1 << 20, h.credit_messages = 1000, h.credit_bytes = huge;
    h.origin = filled<16>(1), h.id_base = 300, h.durable = true;
    session::encode(out, h, sum), add();
    session::welcome w;
    w.features = 1, w.max_message_size = 5, w.credit_messages = 6, w.credit_bytes = 7, w.epoch = filled<16>(2);
    w.token = filled<32>(3), w.origin = filled<16>(4), w.id_base = 8, w.session_ttl_ms = 120'000;
    w.durable = w.dedup_kept = true;
    session::encode(out, w, sum), add();
    session::resume r;
    r.token = filled<32>(5), r.epoch = filled<16>(6), r.attempt = (1ULL << 32) + 9;
    r.accepted = 200, r.first_retained = 3, r.next_seq = session::max_seq;
    session::encode(out, r, sum), add();
    session::resumed rd;
    rd.accepted = 1, rd.first_retained = 2, rd.next_seq = 300, rd.token = filled<32>(7);
    rd.credit_messages = 400, rd.credit_bytes = 500;
    session::encode(out, rd, sum), add();
    session::encode(out, session::resume_failed{session::resume_failure::lost, true, 70'000}, sum), add();
    session::encode(out, session::resume_failed{}, sum), add();
    for (const auto t : {frame_type::ack, frame_type::ping, frame_type::pong})
        session::encode(out, t, session::ack_fields{128, 256, 1 << 20}, sum), add();
    session::data d;
    d.seq = 129, d.id_delta = -65, d.text = d.ack_now = d.has_ack = true, d.ack = {1, 2, 3}, d.key = "key";
    session::encode(out, d, hawser::as_bytes("payload"), sum);
    hawser::append(out, hawser::as_bytes("payload")), add();
    session::encode_datagram(out, true, hawser::as_bytes("gram"), sum);
    hawser::append(out, hawser::as_bytes("gram")), add();
    return all;
}

// Whether the whole frame is well formed, checksum included. Reads from memory of its exact size.
bool well_formed(byte_view bytes) {
    const auto copy = std::make_unique<std::byte[]>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), copy.get());
    const byte_view frame(copy.get(), bytes.size());
    session::envelope e;
    if (session::decode(frame, e)) return false;
    const std::string text = frame_text(frame);
    byte_view payload;
    session::data d;
    if (e.type == frame_type::data && session::decode(e, d, payload)) return session::checksum_matches(frame, e, payload);
    if (e.type == frame_type::datagram) return session::checksum_matches(frame, e, e.body);
    return text.find("bad") == std::string::npos && session::checksum_matches(frame, e, {});
}

// What an endpoint does with a frame, in each phase it may be in.
void feed_to_all_phases(byte_view frame) {
    const auto copy = std::make_unique<std::byte[]>(frame.size());
    std::copy(frame.begin(), frame.end(), copy.get());
    const byte_view view(copy.get(), frame.size());
    one_end detached, asking, open, answering(session::side::server), accepted(session::side::server);
    asking.ep.attach_client();
    (void)asking.out();
    open.open();
    session::hello h;
    (void)answering.ep.attach_hello(h, {}, {});
    (void)answering.out();
    accepted.accept();
    for (auto* end : {&detached, &asking, &open, &answering, &accepted}) {
        (void)end->in(view);
        (void)end->out();
    }
}

}  // namespace

TEST_CASE("frames: every truncation of every frame is malformed, or DATA with less payload", "[session]") {
    for (const bool sum : {false, true})
        for (const auto& frame : one_of_each(sum)) {
            CHECK(well_formed(frame));
            const auto type = static_cast<frame_type>(frame[0]);
            for (std::size_t n = 0; n < frame.size(); ++n) {
                const byte_view cut = byte_view(frame).first(n);
                feed_to_all_phases(cut);
                INFO(frame_text(frame) << " cut to " << n);
                const bool payload_only = !sum && session::carries_payload(type) && n + 7 >= frame.size();
                if (!payload_only) CHECK_FALSE(well_formed(cut));
            }
        }
}
TEST_CASE("frames: bytes behind the last field are malformed", "[session]") {
    for (auto frame : one_of_each(false)) {
        frame.push_back(std::byte{0});
        CHECK(well_formed(frame) == session::carries_payload(static_cast<frame_type>(frame[0])));
    }
}
TEST_CASE("rule 8: the checksum notices every flipped bit of every frame", "[session]") {
    for (const auto& frame : one_of_each(true))
        for (std::size_t bit = 0; bit < frame.size() * 8; ++bit) {
            auto damaged = frame;
            damaged[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
            // The flag of the checksum itself: a peer that agreed on checksums misses it.
            if (bit == 15) continue;
            INFO(frame_text(frame) << " bit " << bit);
            CHECK_FALSE(well_formed(damaged));
        }
}
TEST_CASE("rule 8: where checksums were agreed, no damaged frame has an effect", "[session]") {
    auto options = one_end::defaults(session::side::client);
    options.checksum = true;
    for (auto frame : one_of_each(true)) {
        for (std::size_t bit = 0; bit < frame.size() * 8; ++bit) {
            one_end c(options);
            c.ep.attach_client();
            (void)c.out();
            session::welcome w;
            w.features = session::feature::checksum;
            session::encode(c.buffer, w, true);
            REQUIRE(c.in(c.buffer) == "established");
            (void)c.out();
            auto damaged = frame;
            damaged[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
            INFO(frame_text(frame) << " bit " << bit);
            CHECK(c.in(damaged).rfind("close_link", 0) == 0);
        }
    }
}
TEST_CASE("frames: random bytes never crash, in any phase", "[session]") {
    std::mt19937_64 random(1);
    const auto seeds = one_of_each(false);
    for (int i = 0; i < 3000; ++i) {
        byte_vector frame = i % 2 == 0 ? seeds[random() % seeds.size()] : byte_vector(random() % 90);
        const std::size_t changes = i % 2 == 0 ? 1 + random() % 4 : frame.size();
        for (std::size_t n = 0; n < changes; ++n) {
            const std::size_t at = i % 2 == 0 ? random() % frame.size() : n;
            frame[at] = static_cast<std::byte>(random());
        }
        if (i % 2 != 0 && !frame.empty()) frame[0] = static_cast<std::byte>(random() % 14);
        feed_to_all_phases(frame);
    }
}
TEST_CASE("frames: a flag without a meaning is malformed", "[session]") {
    for (const auto& frame : one_of_each(false))
        for (unsigned bit = 1; bit < 0x80; bit <<= 1) {
            auto changed = frame;
            changed[1] |= static_cast<std::byte>(bit);
            session::envelope e;
            const auto type = static_cast<frame_type>(frame[0]);
            if ((session::known_flags(type) & bit) == 0) CHECK(session::decode(changed, e) == errc::session_malformed);
        }
}
TEST_CASE("rule 8: an unknown extension is skipped, unless it is critical", "[session]") {
    // ACK with one extension of id 5 and two bytes: id 5 is encoded as 10, or 11 if critical.
    const byte_vector skipped = from_hex("0701" "04" "0a02aabb" "010203");
    const byte_vector critical = from_hex("0701" "04" "0b02aabb" "010203");
    session::envelope e;
    session::ack_fields a;
    REQUIRE_FALSE(session::decode(skipped, e));
    REQUIRE(session::decode(e, a));
    CHECK(a == session::ack_fields{1, 2, 3});
    CHECK(session::decode(critical, e) == errc::unknown_extension);
    one_end c;
    c.open();
    CHECK(c.in(critical) == "close_link: unknown critical extension 1002");
    // A block that is longer than the frame, and one that ends inside an extension.
    CHECK(session::decode(from_hex("0701050a02aabb"), e) == errc::session_malformed);
    CHECK(session::decode(from_hex("0701030a02aa010203"), e) == errc::session_malformed);
}
TEST_CASE("frames: limits of key, head and control frames", "[session]") {
    byte_vector out;
    session::envelope e;
    session::data d;
    byte_view payload;
    d.seq = 1;
    const std::string key(session::max_key_size, 'k');
    d.key = key;
    session::encode(out, d, {}, false);
    REQUIRE_FALSE(session::decode(out, e));
    CHECK(e.key == key);
    CHECK(session::decode(e, d, payload));
    CHECK(session::decode(from_hex("0601830202" "8002" + hex(byte_vector(256)) + "0100"), e) == errc::session_malformed);
    // A head of 512 bytes, then one byte more, of an extension that is skipped.
    const auto with_extension = [](std::size_t n) {
        byte_vector f = from_hex("0601");
        session::put_varint(f, n + 3);
        f.push_back(std::byte{0x0a});
        session::put_varint(f, n);
        f.resize(f.size() + n);
        hawser::append(f, from_hex("0100"));
        return f;
    };
    const byte_vector longest = with_extension(503), longer = with_extension(504);
    REQUIRE_FALSE(session::decode(longest, e));
    CHECK(session::decode(e, d, payload));
    REQUIRE_FALSE(session::decode(longer, e));
    CHECK_FALSE(session::decode(e, d, payload));
    byte_vector control = from_hex("4000");
    control.resize(session::max_control_size);
    CHECK_FALSE(session::decode(control, e));
    control.push_back(std::byte{0});
    CHECK(session::decode(control, e) == errc::session_malformed);
}
TEST_CASE("frames: values outside their range are malformed", "[session]") {
    const auto refused = [](auto frame) {
        byte_vector out;
        session::encode(out, frame, false);
        return frame_text(out) == "bad body";
    };
    session::resume r;
    r.first_retained = r.next_seq = 1;
    CHECK_FALSE(refused(r));
    r.next_seq = 0;
    CHECK(refused(r));
    r.next_seq = session::max_seq + 1;
    CHECK(refused(r));
    r = {.version = 2, .first_retained = 1, .next_seq = 1};
    CHECK(refused(r));
    r = {.accepted = session::max_seq, .first_retained = 1, .next_seq = 1};
    CHECK(refused(r));
    r = {.first_retained = 3, .next_seq = 2};
    CHECK(refused(r));
    session::hello h;
    h.version_min = 2;
    CHECK(refused(h));
    h = {.id_base = session::max_seq};
    CHECK(refused(h));
    byte_vector out;
    session::encode(out, session::data{}, {}, false);
    CHECK(frame_text(out) == "bad body");
    session::data last;
    last.seq = session::max_seq;
    session::encode(out, last, {}, false);
    CHECK(frame_text(out) == "bad body");
}

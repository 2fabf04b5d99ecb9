// SPDX-License-Identifier: BSL-1.0
// Peers that do not know all: fewer features either way, other versions, extensions of the future.
#include "support/catch.hpp"
#include "support/session_ends.hpp"

using namespace session_test;
namespace feature = hawser::session::feature;

namespace {

// Adds an extension block to a frame without checksum and extensions.
byte_vector with_extension(byte_view frame, std::uint64_t key, byte_view value) {
    byte_vector block;
    session::put_varint(block, key);
    session::put_varint(block, value.size());
    hawser::append(block, value);
    byte_vector out{frame[0], frame[1] | std::byte{session::flag::extensions}};
    session::put_varint(out, block.size());
    hawser::append(out, block);
    hawser::append(out, frame.subspan(2));
    return out;
}
byte_vector ack_of_nothing() {
    byte_vector out;
    session::encode(out, session::frame_type::ack, session::ack_fields{0, 100, 1000}, false);
    return out;
}

}  // namespace

TEST_CASE("rule 10: each subset of features, on either side, carries messages both ways and through a cut", "[session][mixed]") {
    for (std::uint64_t client = 0; client <= feature::all; ++client)
        for (std::uint64_t server = 0; server <= feature::all; ++server) {
            CAPTURE(client, server);
            two_ends t(client, server, 4);
            t.open();
            CHECK(t.c.ep.speaks(feature::parts) == ((client & server & feature::parts) != 0));
            CHECK(t.s.ep.speaks(feature::exceptions) == ((client & server & feature::exceptions) != 0));
            t.c.send("from the client");
            t.s.send("from the server");
            t.exchange();
            CHECK(t.at_server.back() == "deliver 1 'from the client' id=1");
            CHECK(t.at_client.back() == "deliver 1 'from the server' id=1");
            t.s.finish(1, hawser::outcome::rejected);
            t.c.finish(1);
            t.cut();
            (void)t.resume();
            t.c.commit();
            t.s.commit();
            const bool named = (client & server & feature::exceptions) != 0;
            CHECK(t.c.outcomes() == texts{named ? "1:rejected" : "1:acknowledged"});
            CHECK(t.s.outcomes() == texts{"1:acknowledged"});
        }
}
TEST_CASE("rule 10: a feature of the future that is offered is not agreed on", "[session][mixed]") {
    one_end s(session::side::server);
    session::hello h;
    h.features = ~std::uint64_t{0};
    h.max_message_size = h.credit_messages = h.credit_bytes = 100;
    REQUIRE_FALSE(s.ep.attach_hello(h, {}, {}));
    (void)s.out();
    session::envelope e;
    session::welcome w;
    REQUIRE_FALSE(session::decode(s.last, e));
    REQUIRE(session::decode(e, w));
    CHECK(w.features == (feature::all & ~feature::checksum));
}
TEST_CASE("rule 10: versions: the highest in common, a lower range of the peer is refused by name", "[session][mixed]") {
    const auto answer = [](unsigned least, unsigned most) {
        one_end s(session::side::server);
        session::hello h;
        h.version_min = static_cast<std::uint8_t>(least);
        h.version_max = static_cast<std::uint8_t>(most);
        return s.ep.attach_hello(h, {}, {});
    };
    CHECK_FALSE(answer(0, 1));  // a peer that speaks an older version too
    CHECK_FALSE(answer(1, 9));  // and one that speaks newer ones
    CHECK(answer(0, 0) == hawser::errc::session_version);
    CHECK(answer(2, 9) == hawser::errc::session_version);
    // A server that answers with a lower version than was offered.
    one_end c;
    c.ep.attach_client();
    (void)c.out();
    session::welcome w;
    w.version = 0;
    CHECK(c.in_frame(w) == "close_link: no hawser version in common 4006");
}
TEST_CASE("rule 10: an unknown extension is skipped, and a critical one ends the link, on each type of frame", "[session][mixed]") {
    const byte_vector value = from_hex("0102");
    constexpr const char* refused = "close_link: unknown critical extension 1002";
    one_end c;
    c.open();
    CHECK(c.in(with_extension(ack_of_nothing(), 20 << 1, value)) == "none");
    CHECK(c.in(with_extension(ack_of_nothing(), 20 << 1 | 1, value)) == refused);
    const auto data = from_hex("06000100");
    CHECK(c.in(with_extension(data, 20 << 1 | 1, value)) == refused);
    CHECK(c.ep.in().received() == 0);
    CHECK(c.in(with_extension(data, 20 << 1, value)) == "deliver 1 '' id=41");
    CHECK(c.in(with_extension(from_hex("0a00"), 20 << 1, value)) == "datagram ''");
    CHECK(c.in(with_extension(from_hex("0a00"), 20 << 1 | 1, value)) == refused);
    // Also on a frame that would be skipped, and before the link is attached.
    CHECK(c.in(with_extension(from_hex("4000"), 20 << 1, value)) == "none");
    CHECK(c.in(with_extension(from_hex("4000"), 20 << 1 | 1, value)) == refused);
    c.ep.detach();
    c.ep.attach_client();
    (void)c.out();
    CHECK(c.in(with_extension(from_hex("050001"), 20 << 1 | 1, value)) == refused);
    CHECK(c.in(with_extension(from_hex("050001"), 20 << 1, value)) == "epoch_lost");
}
TEST_CASE("rule 11: once RESUME is written nothing is taken but its answer", "[session]") {
    one_end c;
    c.open();
    c.send("a");
    (void)c.out();
    c.ep.detach();
    c.ep.attach_client();
    (void)c.out();
    // As of an older link: what it still brings has no effect.
    CHECK(c.in_data(1, "late").starts_with("close_link"));
    CHECK(c.in_ack(1).starts_with("close_link"));
    CHECK(c.ep.in().received() == 0);
    CHECK(c.ep.out().acked() == 0);
}
TEST_CASE("rule 23: GOAWAY is for clients that know it, on an attached link", "[session][mixed]") {
    two_ends t;
    t.open();
    CHECK(t.s.ep.announce_goaway(session::goaway_reason::moved, hawser::milliseconds(1500), hawser::milliseconds(10'000), "ws://b/"));
    t.exchange();
    CHECK(t.at_client.back() == "goaway in 1500 to 'ws://b/'");
    // A client sends none.
    byte_vector frame;
    session::encode(frame, session::goaway{}, true);
    CHECK(t.s.in(frame) == "close_link: the peer broke a rule of hawser.v1 1002");
    // Nor is it announced when the link is gone.
    t.cut();
    CHECK_FALSE(t.s.ep.announce_goaway(session::goaway_reason::restart, {}, {}, {}));
    two_ends old(feature::all & ~feature::goaway);
    old.open();
    CHECK_FALSE(old.s.ep.announce_goaway(session::goaway_reason::restart, {}, {}, {}));
    CHECK(old.c.in(frame) == "close_link: the peer broke a rule of hawser.v1 1002");
}
TEST_CASE("rule 23: a moment beyond a day is taken for a day", "[session]") {
    two_ends t;
    t.open();
    session::goaway g;
    g.delay_ms = UINT64_MAX;
    byte_vector frame;
    session::encode(frame, g, true);
    CHECK(t.c.in(frame) == "goaway in 86400000 to ''");
}

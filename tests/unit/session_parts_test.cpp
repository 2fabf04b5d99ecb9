// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/session_ends.hpp"

using namespace session_test;
namespace feature = hawser::session::feature;

namespace {
byte_vector padded(std::string_view head, std::size_t more) {
    byte_vector frame = from_hex(head);
    frame.resize(frame.size() + more);
    return frame;
}
}  // namespace

TEST_CASE("rule 8: a large message leaves in parts and gets its number with the last", "[session]") {
    two_ends t(feature::all, feature::all, 4);
    t.open();
    t.c.send("0123456789");
    const auto said = two_ends::frames(t.c);
    // Its number is durable before the last part, which alone could complete it.
    CHECK(two_ends::words(said) == texts{"data 0 '0123' part@0", "data 0 '4567' part@4"});
    const auto rest = two_ends::frames(t.c);
    CHECK(two_ends::words(rest) == texts{"data 1 '89' last@8 text ack_now"});
    CHECK(t.s.in(said[0]) == "none");
    CHECK(t.s.in(said[1]) == "none");
    CHECK(t.s.ep.in().received() == 0);
    CHECK(t.s.in(rest[0]) == "deliver 1 '0123456789' id=1");
    t.s.finish(1);
    t.exchange();
    CHECK(t.c.outcomes() == texts{"1:acknowledged"});
}
TEST_CASE("rule 8: session control passes between the parts", "[session]") {
    two_ends t(feature::all, feature::all, 4);
    t.open();
    t.c.send("0123456789");
    t.c.ep.assign(1'000'000);
    t.c.commit();
    REQUIRE(t.c.ep.next_frame());
    t.c.ep.request_ping();
    const auto f = t.c.ep.next_frame();
    REQUIRE(f);
    CHECK(frame_text(f->head).starts_with("ping 0"));
    CHECK(frame_text(t.c.ep.datagram_head(hawser::message::text(""))) == "datagram ''");
}
TEST_CASE("rule 8: messages with numbers pass between the parts at the receiver", "[session]") {
    // As a sender does whose small message is more urgent than its large one.
    one_end s(session::side::server);
    session::hello h;
    h.features = feature::parts;
    h.credit_messages = h.credit_bytes = h.max_message_size = 1000;
    REQUIRE_FALSE(s.ep.attach_hello(h, {}, {}));
    (void)s.out();
    (void)s.in_ack(0);
    const auto part = [&](bool more, std::uint64_t seq, std::uint64_t offset, std::string_view text) {
        session::data d;
        d.more = more;
        d.last_part = !more;
        d.seq = seq;
        d.offset = offset;
        session::encode(s.buffer, d, hawser::as_bytes(text), false);
        hawser::append(s.buffer, hawser::as_bytes(text));
        return s.in(s.buffer);
    };
    CHECK(part(true, 0, 0, "large ") == "none");
    CHECK(s.in_data(1, "small") == "deliver 1 'small' id=1");
    CHECK(part(false, 2, 6, "one") == "deliver 2 'large one' id=2");
    SECTION("an offset of zero begins anew") {
        CHECK(part(true, 0, 0, "given up") == "none");
        CHECK(part(true, 0, 0, "another") == "none");
        CHECK(part(false, 3, 7, "!") == "deliver 3 'another!' id=3");
    }
    SECTION("a part that does not follow the one before is a protocol error") {
        CHECK(part(true, 0, 0, "abc") == "none");
        CHECK(part(true, 0, 4, "e") == "close_link: the peer broke a rule of hawser.v1 1002");
    }
    SECTION("a last part without the others is one too") {
        CHECK(part(false, 3, 7, "!") == "close_link: the peer broke a rule of hawser.v1 1002");
    }
    SECTION("parts stay within the credit") {
        s.finish(1);  // the second is still in processing, so nothing is always allowed
        CHECK(part(true, 0, 0, std::string(500, 'x')) == "none");
        CHECK(part(true, 0, 500, std::string(500, 'x')) == "close_link: the peer broke a rule of hawser.v1 1002");
    }
    SECTION("parts of a copy are not kept, and the last one is answered") {
        s.finish(1);
        s.finish(2);
        (void)s.out();
        CHECK(part(true, 2, 0, "large ") == "none");
        CHECK(part(false, 2, 6, "one") == "none");
        CHECK(s.out() == texts{"ack 2 credit=10/1014"});
    }
    SECTION("a gap is found at the last part") {
        CHECK(part(true, 0, 0, "abc") == "none");
        CHECK(part(false, 4, 3, "d") == "close_link: a sequence number was skipped 4002");
    }
}
TEST_CASE("rule 8: no message in parts is larger than max_message_size", "[session]") {
    auto o = one_end::defaults(session::side::server);
    o.max_message_size = 10;
    one_end s(o);
    session::hello h;
    h.features = feature::parts;
    h.credit_messages = h.credit_bytes = h.max_message_size = 1000;
    REQUIRE_FALSE(s.ep.attach_hello(h, {}, {}));
    (void)s.out();
    (void)s.in_ack(0);
    CHECK(s.in(padded("06040000", 10)) == "none");
    CHECK(s.in(padded("0604000a", 1)) == "close_link: message over max_message_size 1009");
    CHECK(s.in(padded("0604000b", 1)) == "close_link: message over max_message_size 1009");
}
TEST_CASE("rule 8: what a link left unfinished is dropped, and the message begins anew on the next", "[session]") {
    two_ends t(feature::all, feature::all, 4);
    t.open();
    t.c.send("0123456789");
    SECTION("before it has a number") {
        t.c.ep.assign(1'000'000);
        t.c.commit();
        const auto f = t.c.ep.next_frame();
        REQUIRE(f);
        byte_vector bytes(f->head.begin(), f->head.end());
        hawser::append(bytes, f->payload);
        CHECK(t.s.in(bytes) == "none");
        t.cut();
        // Nothing that could be complete was written: it may still be withdrawn.
        SECTION("and is cancelled") {
            CHECK(t.c.ep.out().cancel(1));
            (void)t.resume();
            CHECK(t.at_server.back() == "resumed");
            CHECK(t.c.outcomes() == texts{"1:cancelled"});
        }
        SECTION("and goes on") {
            (void)t.resume();
            CHECK(t.at_server.back() == "deliver 1 '0123456789' id=1");
        }
    }
    SECTION("with its number, which its parts then carry") {
        (void)two_ends::frames(t.c);
        (void)two_ends::frames(t.c);
        t.cut();
        t.c.ep.attach_client();
        CHECK(two_ends::words(two_ends::frames(t.c)) == texts{"resume attempt=1.1 accepted=0 first=1 next=2"});
        session::resumed r;
        r.first_retained = r.next_seq = 1;
        r.credit_messages = r.credit_bytes = 1000;
        session::encode(t.c.buffer, r, true);
        CHECK(t.c.in(t.c.buffer) == "resumed");
        CHECK(two_ends::words(two_ends::frames(t.c)) ==
              texts{"ack 0 credit=1024/100000", "data 1 '0123' part@0", "data 1 '4567' part@4", "data 1 '89' last@8 text ack_now"});
    }
}
TEST_CASE("rule 8: a message that is sent again in parts takes nobody's turn", "[session][queue]") {
    two_ends t(feature::all, feature::all, 4);
    t.open();
    // The classes take turns from here on, and the first turn is that of the urgent one.
    t.c.send("x", {.priority = hawser::message_priority::low});
    t.c.send("y", {.priority = hawser::message_priority::urgent});
    t.exchange();
    t.s.finish(1);
    t.s.finish(2);
    t.exchange();
    const auto order_of_small = [&t] {
        for (int i = 0; i < 24; ++i) t.c.send("u", {.priority = hawser::message_priority::urgent});
        for (int i = 0; i < 3; ++i) t.c.send("l", {.priority = hawser::message_priority::low});
        std::string order;
        for (const auto& f : two_ends::frames(t.c)) {
            const std::string word = frame_text(f);
            if (word.find("'u'") != std::string::npos) order += 'u';
            if (word.find("'l'") != std::string::npos) order += 'l';
        }
        return order;
    };
    SECTION("as when nothing is sent again") { CHECK(order_of_small() == "uuuuuuuuluuuuuuuuluuuuuuuul"); }
    SECTION("one of many parts") {
        t.c.send(std::string(39, '-'), {.priority = hawser::message_priority::urgent});
        while (!two_ends::frames(t.c).empty()) {}
        t.cut();
        t.c.ep.attach_client();
        (void)two_ends::frames(t.c);
        session::resumed r;
        r.accepted = 2;
        r.first_retained = r.next_seq = 1;
        r.credit_messages = r.credit_bytes = 1000;
        session::encode(t.c.buffer, r, true);
        REQUIRE(t.c.in(t.c.buffer) == "resumed");
        CHECK(two_ends::frames(t.c).size() == 11);  // a position, and ten parts
        CHECK(order_of_small() == "uuuuuuluuuuuuuuluuuuuuuuluu");  // after its own ten turns
    }
}
TEST_CASE("rule 8: each part has its checksum", "[session]") {
    two_ends t(feature::all, feature::all, 4);
    t.open();
    t.c.send("0123456789");
    auto said = two_ends::frames(t.c);
    said[1].back() ^= std::byte{1};
    CHECK(t.s.in(said[0]) == "none");
    CHECK(t.s.in(said[1]) == "close_link: checksum of a hawser.v1 frame does not match 4003");
}
TEST_CASE("rule 8: a peer that does not know parts gets whole messages, and may not send parts", "[session][mixed]") {
    const bool old_client = GENERATE(true, false);
    const std::uint64_t older = feature::all & ~feature::parts;
    two_ends t(old_client ? older : feature::all, old_client ? feature::all : older, 4);
    t.open();
    t.c.send("0123456789");
    t.s.send("abcdefghij");
    CHECK(two_ends::words(two_ends::frames(t.c)) == texts{"data 1 '0123456789' text ack_now"});
    CHECK(two_ends::words(two_ends::frames(t.s)) == texts{"data 1 'abcdefghij' text ack_now"});
    session::data d;
    d.more = true;
    byte_vector frame;
    session::encode(frame, d, hawser::as_bytes("x"), true);
    hawser::append(frame, hawser::as_bytes("x"));
    CHECK(t.s.in(frame) == "close_link: the peer broke a rule of hawser.v1 1002");
}
TEST_CASE("rule 8: a session that comes from a store sends parts to a peer that knows them, and whole messages to another", "[session]") {
    const bool knows_parts = GENERATE(true, false);
    auto o = two_ends::options(session::side::client, feature::all, 4);
    o.keep_records = true;
    one_end first(o), second(o);
    two_ends t(feature::all, knows_parts ? feature::all : feature::all & ~feature::parts, 4);
    first.ep.attach_client();
    session::envelope e;
    session::hello h;
    const auto asked = two_ends::frames(first);
    REQUIRE_FALSE(session::decode(asked.at(0), e));
    REQUIRE(session::decode(e, h));
    REQUIRE_FALSE(t.s.ep.attach_hello(h, filled<16>(0xe1), filled<32>(0x70)));
    for (const auto& f : two_ends::frames(t.s)) REQUIRE(first.in(f) == "established");
    hawser::store_image image{.phase = hawser::epoch_phase::alive, .epoch = filled<16>(0xe1)};
    image.state = first.ep.begin_commit().at(0).state;
    // One has its number, the other waits.
    image.next_counter = 3;
    image.assigned = 1;
    image.assigned_bytes = 10;
    image.outbox.push_back({.counter = 1, .seq = 1, .bytes = 10, .written = true, .body = hawser::message::text("0123456789")});
    image.outbox.push_back({.counter = 2, .body = hawser::message::text("abcdefghij")});
    REQUIRE_FALSE(second.ep.restore(image, second.now));
    second.ep.attach_client();
    (void)two_ends::frames(second);
    session::resumed r;
    r.first_retained = r.next_seq = 1;
    r.credit_messages = r.credit_bytes = 1000;
    session::encode(second.buffer, r, true);
    REQUIRE(second.in(second.buffer) == "resumed");
    texts said;
    for (auto more = two_ends::frames(second); !more.empty(); more = two_ends::frames(second))
        for (auto& word : two_ends::words(more)) said.push_back(std::move(word));
    if (knows_parts)
        CHECK(said == texts{"ack 0 credit=1024/100000", "data 1 '0123' part@0", "data 1 '4567' part@4", "data 1 '89' last@8 text",
                            "data 0 'abcd' part@0", "data 0 'efgh' part@4", "data 2 'ij' last@8 text ack_now"});
    else
        CHECK(said == texts{"ack 0 credit=1024/100000", "data 1 '0123456789' text", "data 2 'abcdefghij' text ack_now"});
}

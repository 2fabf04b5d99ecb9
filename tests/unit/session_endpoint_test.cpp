// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/session_frames.hpp"

using namespace session_test;
using session::frame_type;

namespace {
constexpr const char* broke = "close_link: the peer broke a rule of hawser.v1 1002";

session::resumed resumed_at(std::uint64_t accepted, std::uint64_t first, std::uint64_t next) {
    session::resumed r;
    r.accepted = accepted;
    r.first_retained = first;
    r.next_seq = next;
    r.token = filled<32>(0x71);
    r.credit_messages = 100;
    r.credit_bytes = 100'000;
    return r;
}
session::resume resume_at(std::uint64_t attempt, std::uint64_t accepted, std::uint64_t first, std::uint64_t next) {
    session::resume r;
    r.attempt = attempt;
    r.accepted = accepted;
    r.first_retained = first;
    r.next_seq = next;
    return r;
}
}  // namespace

TEST_CASE("rule 9: one HELLO, nothing until WELCOME, then an ACK first", "[session]") {
    one_end c;
    c.send("a");
    CHECK(c.out().empty());
    c.ep.attach_client();
    CHECK(c.out() == texts{"hello base=0 credit=8/1000"});
    c.ep.request_ping();
    c.ep.flush_ack();
    CHECK(c.out().empty());
    CHECK(c.ep.datagram_head(hawser::message::text("d")).empty());
    CHECK(c.in_welcome() == "established");
    // Token and epoch are not durable yet: not even a datagram may come before the ACK.
    CHECK(c.take().empty());
    CHECK(c.ep.datagram_head(hawser::message::text("d")).empty());
    CHECK(c.out() == texts{"ack 0 credit=8/1000", "data 1 'a' text ack_now"});
    CHECK_FALSE(c.ep.datagram_head(hawser::message::text("d")).empty());
}
TEST_CASE("rule 9: the server confirms an attach by the first ACK and by nothing else", "[session]") {
    one_end s(session::side::server);
    session::hello h;
    h.credit_messages = h.credit_bytes = h.max_message_size = 100;
    CHECK_FALSE(s.ep.attach_hello(h, filled<16>(1), filled<32>(2)));
    s.send("early");
    // WELCOME waits for the journal, and an ACK before it confirms nothing.
    CHECK(s.take().empty());
    CHECK(s.in_ack(0) == broke);
    CHECK(s.out() == texts{"welcome base=0 credit=8/1000"});
    CHECK(s.in_data(1, "x") == broke);
    CHECK(s.in_position(frame_type::ping, 0) == broke);
    CHECK(s.in(from_hex("0a00")) == broke);
    CHECK(s.in(from_hex("4000")) == broke);
    CHECK(s.out().empty());
    CHECK(s.ep.awaiting_confirm());
    CHECK(s.in_ack(0) == "established");
    CHECK(s.out() == texts{"data 1 'early' text ack_now"});
}
TEST_CASE("rule 9: an answer that was not asked for is a protocol error", "[session]") {
    one_end c;
    c.ep.attach_client();
    CHECK(c.in_welcome() == broke);  // before HELLO was written
    CHECK(c.out() == texts{"hello base=0 credit=8/1000"});
    CHECK(c.in_frame(resumed_at(0, 1, 1)) == broke);
    CHECK(c.in_frame(session::resume_failed{}) == broke);
    CHECK(c.in_data(1, "x") == broke);
    CHECK(c.in_ack(0) == broke);
    CHECK(c.in_welcome() == "established");
    CHECK(c.in_welcome() == broke);
    (void)c.out();
    CHECK(c.in_frame(session::hello{}) == broke);
    CHECK(c.in_frame(resume_at(1, 0, 1, 1)) == broke);
    CHECK(c.in(from_hex("0b0001000000")) == broke);  // GOAWAY, not agreed on
    CHECK(c.in(from_hex("4000")) == "none");
    one_end gone;
    CHECK(gone.in_ack(0) == broke);
}
TEST_CASE("rule 10: versions and features", "[session]") {
    one_end s(session::side::server), c;
    session::hello h;
    h.version_min = 2;
    h.version_max = 3;
    CHECK(s.ep.attach_hello(h, {}, {}) == hawser::errc::session_version);
    h.version_min = 0;
    CHECK_FALSE(s.ep.attach_hello(h, {}, {}));
    c.ep.attach_client();
    (void)c.out();
    session::welcome w;
    w.version = 2;
    CHECK(c.in_frame(w) == "close_link: no hawser version in common 4006");
    w.version = 1;
    w.features = 1U << 20;  // not offered
    CHECK(c.in_frame(w) == broke);
}
TEST_CASE("rule 6, S4: an acknowledgement beyond what was sent is a protocol error", "[session]") {
    one_end c;
    c.open(1);
    c.send("a");
    c.send("b");
    CHECK(c.out() == texts{"data 1 'a' text ack_now"});
    CHECK(c.in_ack(2) == broke);
    CHECK(c.ep.out().acked() == 0);
    CHECK(c.out().empty());
}
TEST_CASE("rule 6, S4: the same in DATA, whose message is then not taken", "[session]") {
    one_end c;
    c.open();
    session::data d;
    d.seq = 1;
    d.has_ack = true;
    d.ack = {1, 100, 100};
    session::encode(c.buffer, d, {}, false);
    CHECK(c.in(c.buffer) == broke);
    CHECK(c.ep.in().received() == 0);
}
TEST_CASE("rule 6, S5: an acknowledgement that goes back or repeats is ignored", "[session]") {
    one_end c;
    c.open();
    for (const char* text : {"a", "b", "c"}) c.send(text);
    (void)c.out();
    CHECK(c.in_ack(2) == "none");
    CHECK(c.in_ack(1) == "none");
    CHECK(c.in_ack(2) == "none");
    CHECK(c.ep.out().acked() == 2);
    c.commit();
    CHECK(c.outcomes() == texts{"1:acknowledged", "2:acknowledged"});
}
TEST_CASE("rule 14: after RESUMED the client sends an ACK, then again what is missing, in order", "[session]") {
    one_end c;
    c.open();
    for (const char* text : {"a", "b", "c"}) c.send(text);
    (void)c.out();
    CHECK(c.in_ack(1) == "none");
    CHECK(c.in_data(1, "x", false, -40) == "deliver 1 'x' id=1");
    c.finish(1);
    c.commit();
    c.ep.detach();
    CHECK(c.out().empty());
    c.ep.attach_client();
    CHECK(c.out() == texts{"resume attempt=1.1 accepted=1 first=2 next=4"});
    CHECK(c.in_frame(resumed_at(2, 1, 2)) == "resumed");
    CHECK(c.take().empty());
    CHECK(c.out() == texts{"ack 1 credit=9/1001", "data 3 'c' text ack_now"});
    CHECK(c.outcomes() == texts{"1:acknowledged", "2:acknowledged"});
    c.ep.detach();
    c.ep.attach_client();
    CHECK(c.out() == texts{"resume attempt=1.2 accepted=1 first=3 next=4"});
}
TEST_CASE("rule 7: replay goes as far as the credit, which RESUMED states again", "[session]") {
    one_end c;
    c.open(3, 3);
    for (const char* text : {"a", "b", "c", "d"}) c.send(text);
    (void)c.out();
    c.ep.detach();
    c.ep.attach_client();
    (void)c.out();
    auto r = resumed_at(0, 1, 1);
    r.credit_messages = r.credit_bytes = 3;
    CHECK(c.in_frame(r) == "resumed");
    CHECK(c.out() == texts{"ack 0 credit=8/1000", "data 1 'a' text", "data 2 'b' text", "data 3 'c' text ack_now"});
}
TEST_CASE("rule 14: an answer that cannot be true ends the session and completes nothing", "[session]") {
    const auto answer = [](std::uint64_t accepted, std::uint64_t first, std::uint64_t next) {
        one_end c;
        c.open(2);
        for (const char* text : {"a", "b", "c"}) c.send(text);
        (void)c.out();
        (void)c.in_data(1, "x");
        c.ep.detach();
        c.ep.attach_client();
        (void)c.out();
        const std::string result = c.in_frame(resumed_at(accepted, first, next));
        c.commit();
        if (result != "resumed") CHECK(c.outcomes().empty());
        return result.substr(0, result.find(':'));
    };
    CHECK(answer(3, 1, 2) == "end_session");  // accepted what was never written
    CHECK(answer(0, 2, 2) == "end_session");  // dropped what was not accepted here
    CHECK(answer(0, 1, 1) == "end_session");  // never sent what was received here
    CHECK(answer(2, 1, 2) == "resumed");
}
TEST_CASE("rule 14: a position beyond what was written completes nothing", "[session]") {
    one_end c;
    c.open(1);
    c.send("a");
    c.send("b");
    (void)c.out();
    c.ep.detach();
    c.ep.attach_client();
    (void)c.out();
    CHECK(c.in_frame(session::resume_failed{session::resume_failure::lost, true, 2}) == "epoch_lost");
    c.commit();
    CHECK(c.outcomes() == texts{"1:unknown"});
    CHECK(c.ep.out().queued() == 1);
}
TEST_CASE("rule 14: HELLO waits until the end of the old epoch is durable, on this link and on the next", "[session]") {
    one_end c;
    c.open();
    c.send("a");
    (void)c.out();
    c.ep.detach();
    c.ep.attach_client();
    (void)c.out();
    CHECK(c.in_frame(session::resume_failed{}) == "epoch_lost");
    CHECK(c.take().empty());
    c.ep.detach();
    c.ep.attach_client();
    CHECK(c.take().empty());
    CHECK(c.out() == texts{"hello base=1 credit=8/1000"});
}
TEST_CASE("rules 9 and 13: the server goes on after the confirmation, from the client's position", "[session]") {
    one_end s(session::side::server);
    s.accept();
    for (const char* text : {"a", "b", "c"}) s.send(text);
    CHECK(s.out() == texts{"data 1 'a' text", "data 2 'b' text", "data 3 'c' text ack_now"});
    (void)s.in_data(1, "x");
    s.finish(1);
    s.ep.detach();
    s.commit();
    s.ep.attach_resume(resume_at(1, 1, 1, 2), filled<32>(3));
    CHECK(s.take().empty());  // the rotated token is not durable yet
    CHECK(s.out() == texts{"resumed accepted=1 first=2 next=4 credit=9/1001"});
    CHECK(s.out().empty());
    CHECK(s.in_ack(2) == "resumed");
    CHECK(s.out() == texts{"data 3 'c' text ack_now"});
    CHECK(s.outcomes() == texts{"1:acknowledged", "2:acknowledged"});
}
TEST_CASE("rule 13: a tombstone can still tell the position after the epoch has ended", "[session]") {
    one_end s(session::side::server);
    s.accept();
    (void)s.in_data(1, "x");
    s.finish(1);
    s.commit();
    s.ep.end_epoch(std::nullopt);
    CHECK(s.ep.in().durable_accepted() == 1);
}
TEST_CASE("rule 12: attempts rise over the links of a session, the boot counter above them", "[session]") {
    auto o = one_end::defaults(session::side::client);
    o.boot = 7;
    one_end c(o);
    c.open();
    for (unsigned i = 1; i <= 3; ++i) {
        c.ep.detach();
        c.ep.attach_client();
        CHECK(c.out() == texts{"resume attempt=7." + number(i) + " accepted=0 first=1 next=1"});
    }
}
TEST_CASE("rule 1: the session ends before the numbers do", "[session]") {
    CHECK(session::max_seq == std::uint64_t{1} << 63);
    auto o = one_end::defaults(session::side::client);
    o.sequence_end = 3;
    one_end c(o);
    c.open();
    for (const char* text : {"a", "b", "c"}) c.send(text);
    CHECK(c.out() == texts{"data 1 'a' text", "data 2 'b' text ack_now"});
    CHECK(c.in_ack(1) == "none");
    CHECK(c.in_ack(2) == "end_session: sequence numbers are exhausted 1000");
    c.ep.end_epoch(std::nullopt);
    c.ep.detach();
    c.commit();
    CHECK(c.outcomes() == texts{"1:acknowledged", "2:acknowledged"});
    c.open();
    CHECK(c.ep.out().written_through() == 1);
}
TEST_CASE("rule 1: the session ends also when the last acknowledgement comes with something else", "[session]") {
    auto o = one_end::defaults(session::side::client);
    o.sequence_end = 3;
    constexpr const char* over = "end_session: sequence numbers are exhausted ";
    const auto sent = [](one_end& e) {
        for (const char* text : {"a", "b", "c"}) e.send(text);
        (void)e.out();
    };
    SECTION("RESUMED") {
        one_end c(o);
        c.open();
        sent(c);
        c.ep.detach();
        c.ep.attach_client();
        (void)c.out();
        CHECK(c.in_frame(resumed_at(2, 1, 1)) == "resumed");
        CHECK(c.out() == texts{"ack 0 credit=8/1000", "ping 0 credit=8/1000"});
        CHECK(c.in_position(frame_type::pong, 2) == std::string(over) + "1000");
    }
    SECTION("DATA") {
        one_end c(o);
        c.open();
        sent(c);
        session::data d;
        d.seq = 1;
        d.has_ack = true;
        d.ack = {2, 100, 100'000};
        session::encode(c.buffer, d, {}, false);
        CHECK(c.in(c.buffer) == "deliver 1 '' id=41");
        CHECK(c.out() == texts{"ping 0 credit=8/1000"});
        CHECK(c.in_position(frame_type::pong, 2) == std::string(over) + "1000");
    }
    SECTION("RESUME") {
        o.side = session::side::server;
        one_end s(o);
        s.accept();
        sent(s);
        s.ep.detach();
        s.ep.attach_resume(resume_at(1, 2, 1, 1), filled<32>(0x71));
        (void)s.out();
        CHECK(s.in_ack(2) == "resumed");
        CHECK(s.out() == texts{"ping 0 credit=8/1000"});
        CHECK(s.in_position(frame_type::pong, 2).starts_with(over));
    }
}
TEST_CASE("rule 8: with checksums agreed, a frame without one is refused", "[session]") {
    auto o = one_end::defaults(session::side::server);
    o.checksum = true;
    one_end s(o);
    session::hello h;
    h.features = session::feature::checksum;
    REQUIRE_FALSE(s.ep.attach_hello(h, {}, {}));
    (void)s.out();
    CHECK(s.in_ack(0) == "close_link: checksum of a hawser.v1 frame does not match 4003");
    session::encode(s.buffer, frame_type::ack, session::ack_fields{}, true);
    CHECK(s.in(s.buffer) == "established");
    // A damaged type must not make a frame vanish, as one that may be skipped would.
    session::encode(s.buffer, frame_type::ack, session::ack_fields{}, true);
    s.buffer[0] |= std::byte{0x40};
    CHECK(s.in(s.buffer) == "close_link: checksum of a hawser.v1 frame does not match 4003");
}
TEST_CASE("rule 1: a datagram has no number and changes no position", "[session]") {
    one_end s(session::side::server);
    s.accept();
    CHECK(s.in(from_hex("0a026869")) == "datagram 'hi'");
    CHECK(s.ep.in().received() == 0);
    CHECK(s.out().empty());
    const auto head = s.ep.datagram_head(hawser::message::text("hi"));
    CHECK(hex(head) == "0a02");
    SECTION("as a text it is UTF-8, as bytes it need not be") {
        CHECK(s.in(from_hex("0a00c3")) == "datagram '\xc3'");
        CHECK(s.in(from_hex("0a02c3")) == "close_link: text is not valid UTF-8 1007");
    }
}

// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/session_frames.hpp"

using namespace session_test;
using hawser::milliseconds;
using session::frame_type;

namespace {
std::string message_of(std::size_t size) { return std::string(size, 'm'); }
}  // namespace

TEST_CASE("rule 5: accepted is the contiguous prefix of what the application has finished", "[session]") {
    one_end s(session::side::server);
    s.accept();
    for (std::uint64_t seq = 1; seq <= 3; ++seq) CHECK(s.in_data(seq, "x", true).rfind("deliver", 0) == 0);
    s.finish(3);
    s.finish(2);
    CHECK(s.ep.in().accepted() == 0);
    CHECK(s.out().empty());
    s.finish(1);
    CHECK(s.out() == texts{"ack 3 credit=11/1003"});
    s.finish(1);
    s.finish(9);
    CHECK(s.out().empty());
}
TEST_CASE("rule 5: a position is not on the wire before it is durable", "[session]") {
    one_end s(session::side::server);
    s.accept();
    CHECK(s.in_data(1, "x", true) == "deliver 1 'x' id=1");
    s.finish(1);
    CHECK(s.take().empty());
    (void)s.ep.begin_commit();
    CHECK(s.in_data(2, "y", true) == "deliver 2 'y' id=2");
    s.finish(2);
    CHECK(s.take().empty());
    s.ep.end_commit();
    CHECK(s.take() == texts{"ack 1 credit=9/1001"});
    CHECK(s.out() == texts{"ack 2 credit=10/1002"});
}
TEST_CASE("rule 6: an ACK waits 200 ms at most", "[session]") {
    one_end s(session::side::server);
    s.accept();
    CHECK(s.ep.deadline() == hawser::never);
    CHECK(s.in_data(1, "x") == "deliver 1 'x' id=1");
    s.finish(1);
    CHECK(s.out().empty());
    CHECK(s.ep.deadline() == s.now + milliseconds(200));
    s.now += milliseconds(199);
    s.ep.on_time(s.now);
    CHECK(s.out().empty());
    s.now += milliseconds(1);
    s.ep.on_time(s.now);
    // It is wanted now; a timer would only spin.
    CHECK(s.ep.deadline() == hawser::never);
    CHECK(s.out() == texts{"ack 1 credit=9/1001"});
    CHECK(s.ep.deadline() == hawser::never);
}
TEST_CASE("rule 6: an ACK leaves at half the window, in messages or in bytes", "[session]") {
    one_end s(session::side::server);
    s.accept();
    for (std::uint64_t seq = 1; seq <= 4; ++seq) {
        CHECK(s.out().empty());
        (void)s.in_data(seq, "x");
        s.finish(seq);
    }
    CHECK(s.out() == texts{"ack 4 credit=12/1004"});
    (void)s.in_data(5, message_of(499));
    s.finish(5);
    CHECK(s.out().empty());
    (void)s.in_data(6, "x");
    s.finish(6);
    CHECK(s.out() == texts{"ack 6 credit=14/1504"});
}
TEST_CASE("rule 6: ack_now is answered at the end of the batch in which it was accepted", "[session]") {
    one_end s(session::side::server);
    s.accept();
    (void)s.in_data(1, "x");
    (void)s.in_data(2, "y", true);
    s.finish(1);
    CHECK(s.out().empty());
    s.finish(2);
    CHECK(s.out() == texts{"ack 2 credit=10/1002"});
}
TEST_CASE("rule 6: ack_now on a copy counts, because the first one may not have had it", "[session]") {
    one_end s(session::side::server);
    s.accept();
    CHECK(s.in_data(1, "x", false) == "deliver 1 'x' id=1");
    CHECK(s.in_data(1, "x", true) == "none");
    CHECK(s.out().empty());
    s.finish(1);
    CHECK(s.out() == texts{"ack 1 credit=9/1001"});
}
TEST_CASE("rule 6: ack_now is set where nothing can follow before an answer", "[session]") {
    one_end c;
    c.open(2);
    for (const char* text : {"a", "b", "c"}) c.send(text);
    // Not by the end of the queue but by that of the credit.
    CHECK(c.out() == texts{"data 1 'a' text", "data 2 'b' text ack_now"});
}
TEST_CASE("rule 6: a position travels with DATA and PING", "[session]") {
    one_end s(session::side::server);
    s.accept();
    (void)s.in_data(1, "x");
    s.finish(1);
    s.commit();
    s.send("answer");
    CHECK(s.out() == texts{"data 1 'answer' text ack_now ack=1"});
    CHECK(s.ep.deadline() == hawser::never);
    (void)s.in_data(2, "y");
    s.finish(2);
    s.commit();
    s.ep.request_ping();
    CHECK(s.out() == texts{"ping 2 credit=10/1002"});
    CHECK(s.ep.deadline() == hawser::never);
    CHECK(s.in_position(frame_type::ping, 1) == "none");
    CHECK(s.out() == texts{"pong 2 credit=10/1002"});
    CHECK(s.in_position(frame_type::pong, 1) == "pong");
}
TEST_CASE("rule 6: before a close the position is said once more", "[session]") {
    one_end s(session::side::server);
    s.accept();
    (void)s.in_data(1, "x");
    s.finish(1);
    CHECK(s.ep.commit_pending());
    s.commit();
    CHECK_FALSE(s.ep.commit_pending());
    s.ep.flush_ack();
    CHECK(s.out() == texts{"ack 1 credit=9/1001"});
}
TEST_CASE("rule 15: a number seen before is dropped and acknowledged again", "[session]") {
    one_end s(session::side::server);
    s.accept();
    (void)s.in_data(1, "x", true);
    CHECK(s.in_data(1, "x", true) == "none");
    CHECK(s.out().empty());
    s.finish(1);
    CHECK(s.out() == texts{"ack 1 credit=9/1001"});
    CHECK(s.in_data(1, "x") == "none");
    CHECK(s.in_data(1, "x") == "none");
    CHECK(s.out() == texts{"ack 1 credit=9/1001"});
}
TEST_CASE("rule 7: more than the credit is a protocol error, one message when nothing is outstanding is not", "[session]") {
    one_end s(session::side::server);
    s.accept();
    CHECK(s.in_data(1, message_of(5000)).rfind("deliver 1", 0) == 0);
    CHECK(s.in_data(2, "x") == "close_link: the peer broke a rule of hawser.v1 1002");
    s.finish(1);
    for (std::uint64_t seq = 2; seq <= 9; ++seq) CHECK(s.in_data(seq, "x").rfind("deliver", 0) == 0);
    CHECK(s.in_data(10, "x") == "close_link: the peer broke a rule of hawser.v1 1002");
}
TEST_CASE("rule 8: more, the flag of later, is refused, as is a message over the limit", "[session]") {
    auto o = one_end::defaults(session::side::server);
    o.max_message_size = 3;
    one_end s(o);
    s.accept();
    CHECK(s.in(from_hex("06040100ff")) == "close_link: the peer broke a rule of hawser.v1 1002");
    CHECK(s.in_data(1, "abcd") == "close_link: message over max_message_size 1009");
    CHECK(s.in(from_hex("0a0061626364")) == "close_link: message over max_message_size 1009");
    CHECK(s.in_data(1, "abc") == "deliver 1 'abc' id=1");
    CHECK(s.in(from_hex("0a00616263")) == "datagram 'abc'");
}
TEST_CASE("rule 15: a gap closes the link once, and the session if nothing came in between", "[session]") {
    one_end s(session::side::server);
    s.accept();
    const auto again = [&](std::uint64_t attempt) {
        s.ep.detach();
        session::resume r;
        r.attempt = attempt;
        r.first_retained = r.next_seq = 1;
        s.ep.attach_resume(r, filled<32>(1));
        (void)s.out();
        CHECK(s.in_ack(0) == "resumed");
    };
    CHECK(s.in_data(2, "x") == "close_link: a sequence number was skipped 4002");
    again(1);
    CHECK(s.in_data(1, "x") == "deliver 1 'x' id=1");
    CHECK(s.in_data(3, "x") == "close_link: a sequence number was skipped 4002");
    again(2);
    CHECK(s.in_data(3, "x") == "end_session: a sequence number was skipped 4002");
}
TEST_CASE("rule 5: what is finished after the end of its epoch changes nothing", "[session]") {
    one_end c;
    c.open();
    (void)c.in_data(1, "x");
    const auto serial = c.ep.epoch_serial();
    c.ep.detach();
    c.ep.end_epoch(0);
    c.ep.finish(serial, 1, c.now);
    CHECK(c.ep.in().accepted() == 0);
    c.open();
    (void)c.in_data(1, "y");
    c.ep.finish(serial, 1, c.now);
    CHECK(c.ep.in().accepted() == 0);
}

// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/session_frames.hpp"

using namespace session_test;
using hawser::outcome;
using session::frame_type;

namespace {
struct flag_waiter final : session::outcome_waiter {};
}  // namespace

TEST_CASE("rule 3: a number is given just before the first write", "[session]") {
    one_end c;
    c.send("a");
    c.send("b");
    CHECK(c.ep.out().next_seq() == 1);
    c.open();
    CHECK(c.ep.out().next_seq() == 3);
    CHECK(c.ep.out().queued() == 0);
}
TEST_CASE("rules 3 and 4: a message with a number cannot be cancelled, one without can", "[session]") {
    one_end c;
    c.open(1);
    const auto a = c.send("a"), b = c.send("b");
    CHECK(c.out() == texts{"data 1 'a' text ack_now"});
    CHECK_FALSE(c.ep.out().cancel(a));
    CHECK(c.ep.out().cancel(b));
    CHECK_FALSE(c.ep.out().cancel(b));
    CHECK_FALSE(c.ep.out().cancel(99));
    c.commit();
    CHECK(c.outcomes() == texts{"2:cancelled"});
}
TEST_CASE("rule 4: the written flag stays on when a message returns to the queue", "[session]") {
    one_end c;
    c.open();
    const auto a = c.send("a"), b = c.send("b");
    CHECK(c.out() == texts{"data 1 'a' text", "data 2 'b' text ack_now"});
    c.ep.detach();
    c.ep.end_epoch(0);
    CHECK(c.ep.out().queued() == 2);
    CHECK_FALSE(c.ep.out().cancel(a));
    CHECK_FALSE(c.ep.out().cancel(b));
    const auto fresh = c.send("c");
    CHECK(c.ep.out().cancel(fresh));
    c.ep.out().finish_all(outcome::cancelled);
    c.commit();
    CHECK(c.outcomes() == texts{"3:cancelled", "1:unknown", "2:unknown"});
}
TEST_CASE("rule 4: what the peer cannot take ends refused, or unknown if it was written once", "[session]") {
    one_end c;
    c.send("much too long");
    c.ep.attach_client();
    (void)c.out();
    session::welcome w;
    w.max_message_size = 3;
    w.credit_messages = w.credit_bytes = 100;
    CHECK(c.in_frame(w) == "established");
    c.send("abc");
    CHECK(c.out() == texts{"ack 0 credit=8/1000", "data 1 'abc' delta=1 text ack_now"});
    CHECK(c.outcomes() == texts{"1:refused"});
    c.ep.detach();
    c.ep.end_epoch(0);
    c.ep.attach_client();
    (void)c.out();
    w.max_message_size = 2;
    CHECK(c.in_frame(w) == "established");
    (void)c.out();
    c.commit();
    CHECK(c.outcomes() == texts{"2:unknown"});
}
TEST_CASE("rule 14: with a position the rest is sent again first, in old order, under its ids", "[session]") {
    one_end c;
    c.open(3);
    for (const char* text : {"a", "b", "c", "d"}) c.send(text);
    CHECK(c.out() == texts{"data 1 'a' text", "data 2 'b' text", "data 3 'c' text ack_now"});
    c.ep.detach();
    c.ep.attach_client();
    CHECK(c.out() == texts{"resume attempt=1.1 accepted=0 first=1 next=4"});
    CHECK(c.in_frame(session::resume_failed{session::resume_failure::lost, true, 1}) == "epoch_lost");
    c.send("e");
    CHECK(c.out() == texts{"hello base=1 credit=8/1000"});
    CHECK(c.in_welcome() == "established");
    CHECK(c.out() == texts{"ack 0 credit=8/1000", "data 1 'b' text", "data 2 'c' text", "data 3 'd' text",
                           "data 4 'e' text ack_now"});
    CHECK(c.outcomes() == texts{"1:acknowledged"});
}
TEST_CASE("rule 14: without a position what was written ends unknown, and only that", "[session]") {
    one_end c;
    c.open(2);
    for (const char* text : {"a", "b", "c"}) c.send(text);
    CHECK(c.out() == texts{"data 1 'a' text", "data 2 'b' text ack_now"});
    CHECK(c.in_ack(1, 3) == "none");
    c.ep.assign(1000);  // c has its number, but was not written
    CHECK(c.ep.out().in_flight() == 2);
    c.ep.detach();
    c.ep.end_epoch(std::nullopt);
    c.commit();
    CHECK(c.outcomes() == texts{"1:acknowledged", "2:unknown"});
    CHECK(c.ep.out().queued() == 1);
    CHECK(c.ep.out().cancel(3));
}
TEST_CASE("rule 14: a message that was written in an older epoch only is not lost with a newer one", "[session]") {
    one_end c;
    c.open();
    c.send("a");
    (void)c.out();
    c.ep.detach();
    c.ep.end_epoch(0);
    c.open(0);
    c.ep.detach();
    c.ep.end_epoch(0);
    c.ep.attach_client();
    (void)c.out();
    (void)c.in_welcome();
    c.ep.assign(1000);
    c.ep.detach();
    c.ep.end_epoch(std::nullopt);
    c.commit();
    CHECK(c.outcomes().empty());
    CHECK(c.ep.out().queued() == 1);
}
TEST_CASE("rule 2: ids stay the same over epochs, whatever is cancelled meanwhile", "[session]") {
    one_end c;
    const auto a = c.send("a");
    c.send("b");
    c.ep.attach_client();
    CHECK(c.out() == texts{"hello base=0 credit=8/1000"});
    CHECK(c.ep.out().cancel(a));
    CHECK(c.in_welcome() == "established");
    // seq 1 + base 0 + delta 1 is the second message.
    CHECK(c.out() == texts{"ack 0 credit=8/1000", "data 1 'b' delta=1 text ack_now"});
}
TEST_CASE("rule 2: the sum of seq, base and delta wraps as unsigned numbers do", "[session]") {
    one_end c;
    c.open();
    CHECK(c.in_data(1, "x", false, -41) == "deliver 1 'x' id=0");
    CHECK(c.in_data(2, "y", false, -43) == "deliver 2 'y' id=" + number(~std::uint64_t{0}));
    CHECK(c.in_data(3, "z", false, INT64_MAX) == "deliver 3 'z' id=" + number((std::uint64_t{1} << 63) + 42));
}
TEST_CASE("rule 7: credit is absolute, in messages and in bytes; one message always goes", "[session]") {
    one_end c;
    c.open(2, 4);
    for (const char* text : {"aa", "bb", "cc", "long enough", "d"}) c.send(text);
    CHECK(c.out() == texts{"data 1 'aa' text", "data 2 'bb' text ack_now"});
    CHECK(c.in_ack(0, 3, 5) == "none");
    CHECK(c.out().empty());
    CHECK(c.in_ack(0, 3, 6) == "none");
    CHECK(c.out() == texts{"data 3 'cc' text ack_now"});
    CHECK(c.in_ack(2, 3, 6) == "none");
    CHECK(c.out().empty());
    CHECK(c.in_ack(3, 3, 6) == "none");
    CHECK(c.out() == texts{"data 4 'long enough' text ack_now"});
    // Less than before is ignored.
    CHECK(c.in_ack(3, 1, 1) == "none");
    CHECK(c.in_ack(4, 5, 18) == "none");
    CHECK(c.out() == texts{"data 5 'd' text ack_now"});
}
TEST_CASE("rule 7: the window of the sender is bounded in messages and in bytes, whatever the peer grants", "[session]") {
    auto o = one_end::defaults(session::side::client);
    o.send_window = 2;
    o.send_window_bytes = 5;
    one_end c(o);
    c.open();
    for (const char* text : {"aa", "bb", "c", "long enough", "d"}) c.send(text);
    CHECK(c.out() == texts{"data 1 'aa' text", "data 2 'bb' text ack_now"});
    CHECK(c.in_ack(2) == "none");
    CHECK(c.out() == texts{"data 3 'c' text ack_now"});
    CHECK(c.in_ack(3) == "none");
    CHECK(c.out() == texts{"data 4 'long enough' text ack_now"});
    CHECK(c.ep.out().in_flight_bytes() == 11);
    CHECK(c.in_ack(4) == "none");
    CHECK(c.out() == texts{"data 5 'd' text ack_now"});
}
TEST_CASE("disk before report: an outcome is pending until its record is durable", "[session]") {
    one_end c;
    c.open();
    const auto a = c.send("a");
    CHECK(c.out() == texts{"data 1 'a' text ack_now"});
    CHECK(c.in_ack(1) == "none");
    CHECK(c.outcomes().empty());
    CHECK(c.ep.out().lookup(a, outcome::acknowledged) == outcome::pending);
    // Who asks now is told with the others.
    CHECK(c.ep.out().add_waiter(a, std::make_unique<flag_waiter>()) == nullptr);
    c.commit();
    auto f = c.ep.out().pop_finished();
    REQUIRE(f);
    CHECK(f->waiters != nullptr);
    CHECK(c.ep.out().lookup(a, outcome::acknowledged) == outcome::acknowledged);
    CHECK(c.ep.out().add_waiter(a, std::make_unique<flag_waiter>()) != nullptr);
    CHECK_FALSE(c.ep.out().pop_finished());
}
TEST_CASE("outcomes: the last exceptions are remembered, older ones cannot be told", "[session]") {
    one_end c;
    for (std::size_t i = 0; i < session::outcome_log::max_remembered + 1; ++i)
        CHECK(c.ep.out().cancel(c.send("x")));
    c.commit();
    (void)c.outcomes();
    CHECK_FALSE(c.ep.out().lookup(1, outcome::acknowledged));
    CHECK(c.ep.out().lookup(2, outcome::acknowledged) == outcome::cancelled);
    CHECK_FALSE(c.ep.out().lookup(0, outcome::acknowledged));
    CHECK_FALSE(c.ep.out().lookup(2000, outcome::acknowledged));
}
TEST_CASE("limits: messages that were cancelled while they waited hold no memory", "[session]") {
    one_end c;
    c.send("stays");
    const std::string large(1000, 'x');
    for (int i = 0; i < 10'000; ++i) CHECK(c.ep.out().cancel(c.send(large)));
    CHECK(c.ep.out().queued() == 1);
    CHECK(c.ep.out().queue_slots() < 100);
    CHECK(c.ep.out().queued_bytes() == session::footprint(hawser::message::text("stays")));
    CHECK(c.ep.out().cancel(1));
    CHECK(c.ep.out().drained());
    CHECK(c.ep.out().id_base() == 10'001);
}
TEST_CASE("disk before wire: DATA waits until its number is durable", "[session]") {
    one_end c;
    c.open();
    c.send("a");
    CHECK(c.take().empty());
    (void)c.ep.begin_commit();
    c.send("b");
    CHECK(c.take().empty());
    c.ep.end_commit();
    CHECK(c.take() == texts{"data 1 'a' text"});
    CHECK(c.out() == texts{"data 2 'b' text ack_now"});
}

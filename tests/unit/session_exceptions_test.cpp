// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/session_ends.hpp"

#include <hawser/protocol/session/session_table.hpp>

using namespace session_test;
using hawser::outcome;
namespace feature = hawser::session::feature;

namespace {

// Messages a, b, c from the client; the server gives them these outcomes, in this order of numbers.
void send_and_finish(two_ends& t, std::initializer_list<outcome> results) {
    std::uint64_t seq = t.s.ep.in().received();
    for (std::size_t i = 0; i < results.size(); ++i) t.c.send("m");
    for (const auto& f : two_ends::frames(t.c)) (void)t.s.in(f);
    for (const outcome o : results) t.s.finish(++seq, o);
}

}  // namespace

TEST_CASE("rule 6: a rejected message is named, and those behind it are acknowledged", "[session]") {
    two_ends t;
    t.open();
    send_and_finish(t, {outcome::acknowledged, outcome::rejected, outcome::duplicate, outcome::acknowledged});
    const auto said = two_ends::frames(t.s);
    CHECK(two_ends::words(said) == texts{"ping 4 credit=1028/100004 except 2r,3d"});
    CHECK(t.c.in(said[0]) == "none");
    t.c.commit();
    CHECK(t.c.outcomes() == texts{"1:acknowledged", "2:rejected", "3:duplicate", "4:acknowledged"});
    // Told again until the answer says that it is known.
    t.s.ep.flush_ack();
    CHECK(two_ends::words(two_ends::frames(t.s)) == texts{"ack 4 credit=1028/100004 except 2r,3d"});
    for (const auto& f : two_ends::frames(t.c)) (void)t.s.in(f);
    t.s.ep.flush_ack();
    CHECK(two_ends::words(two_ends::frames(t.s)) == texts{"ack 4 credit=1028/100004"});
}
TEST_CASE("rule 6: exceptions go before DATA, which has no room for them and tells no position meanwhile", "[session]") {
    two_ends t;
    t.open();
    send_and_finish(t, {outcome::rejected});
    t.s.send("answer");
    CHECK(two_ends::words(two_ends::frames(t.s)) ==
          texts{"ping 1 credit=1025/100001 except 1r", "data 1 'answer' text ack_now"});
    for (int i = 0; i < 2; ++i) send_and_finish(t, {outcome::acknowledged});
    t.s.send("another");
    const auto said = two_ends::words(two_ends::frames(t.s));
    CHECK(said.at(0) == "data 2 'another' text ack_now");
}
TEST_CASE("rule 6: the first decision about a message stands", "[session]") {
    two_ends t;
    t.open();
    for (int i = 0; i < 3; ++i) t.c.send("m");
    for (const auto& f : two_ends::frames(t.c)) (void)t.s.in(f);
    t.s.finish(2, outcome::rejected);
    t.s.finish(2);
    t.s.finish(3);
    t.s.finish(3, outcome::rejected);
    t.s.finish(1);
    t.exchange();
    CHECK(t.c.outcomes() == texts{"1:acknowledged", "2:rejected", "3:acknowledged"});
}
TEST_CASE("rule 6: an exception whose ACK was lost is told again in RESUMED, until it is known", "[session]") {
    two_ends t;
    t.open();
    send_and_finish(t, {outcome::acknowledged, outcome::rejected});
    (void)two_ends::frames(t.s);  // lost with the link
    t.cut();
    CHECK(t.resume() == texts{"resume attempt=1.1 accepted=0 first=1 next=3", "resumed accepted=2 first=1 next=1 credit=1026/100002 except 2r"});
    CHECK(t.c.outcomes() == texts{"1:acknowledged", "2:rejected"});
    CHECK(t.s.ep.in().exceptions_kept() == 0);  // a PING asked
    t.cut();
    // The client says that it knows: first_retained is beyond it.
    CHECK(t.resume() == texts{"resume attempt=1.2 accepted=0 first=3 next=3", "resumed accepted=2 first=1 next=1 credit=1026/100002"});
    CHECK(t.s.ep.in().exceptions_kept() == 0);
}
TEST_CASE("rule 6: the same from the client, in RESUME", "[session]") {
    two_ends t;
    t.open();
    t.s.send("a");
    for (const auto& f : two_ends::frames(t.s)) (void)t.c.in(f);
    t.c.finish(1, outcome::rejected);
    (void)two_ends::frames(t.c);  // lost with the link
    t.cut();
    const auto said = t.resume();
    CHECK(said[0] == "resume attempt=1.1 accepted=1 first=1 next=1 except 1r");
    CHECK(said[1].starts_with("resumed accepted=0 first=2 next=2"));
    t.s.commit();
    CHECK(t.s.outcomes() == texts{"1:rejected"});
    CHECK(t.c.ep.in().exceptions_kept() == 0);
}
TEST_CASE("rule 6: a PONG that knows lets exceptions be forgotten", "[session]") {
    two_ends t;
    t.open();
    send_and_finish(t, {outcome::rejected});
    const auto ping = two_ends::frames(t.s);
    CHECK(two_ends::words(ping) == texts{"ping 1 credit=1025/100001 except 1r"});
    (void)t.c.in(ping[0]);
    CHECK(t.s.ep.in().exceptions_kept() == 1);
    const auto pong = two_ends::frames(t.c);
    CHECK(two_ends::words(pong) == texts{"pong 0 credit=1024/100000 known=1"});
    (void)t.s.in(pong[0]);
    CHECK(t.s.ep.in().exceptions_kept() == 0);
    // Said once; without exceptions nothing is said at all.
    t.c.ep.request_ping();
    CHECK(two_ends::words(two_ends::frames(t.c)) == texts{"ping 0 credit=1024/100000"});
}
TEST_CASE("rule 6: the list is bounded; rejected messages wait for room in it, which a PING asks for", "[session]") {
    two_ends t;
    t.open();
    constexpr std::uint64_t n = 600;
    for (std::uint64_t i = 0; i < n; ++i) t.c.send("p");
    for (const auto& f : two_ends::frames(t.c)) (void)t.s.in(f);
    for (std::uint64_t seq = 1; seq <= n; ++seq) t.s.finish(seq, outcome::rejected);
    CHECK(t.s.ep.in().accepted() == session::max_exceptions);
    CHECK(t.s.ep.in().exceptions_kept() == session::max_exceptions);
    t.exchange();
    CHECK(t.s.ep.in().accepted() == n);
    std::size_t rejected = 0;
    for (const auto& o : t.c.outcomes()) rejected += o.ends_with(":rejected") ? 1U : 0U;
    CHECK(rejected == n);
}
TEST_CASE("rule 6: duplicates beyond the list are told acknowledged, which is true as well", "[session]") {
    two_ends t;
    t.open();
    for (std::uint64_t i = 0; i < 300; ++i) t.c.send("p");
    for (const auto& f : two_ends::frames(t.c)) (void)t.s.in(f);
    for (std::uint64_t seq = 1; seq <= 300; ++seq) t.s.finish(seq, outcome::duplicate);
    CHECK(t.s.ep.in().accepted() == 300);
    CHECK(t.s.ep.in().exceptions_kept() == session::max_exceptions);
}
TEST_CASE("rule 6: a peer that does not know exceptions gets plain acknowledgements", "[session][mixed]") {
    const bool old_client = GENERATE(true, false);
    const std::uint64_t older = feature::checksum;
    two_ends t(old_client ? older : feature::all, old_client ? feature::all : older);
    t.open();
    send_and_finish(t, {outcome::acknowledged, outcome::rejected, outcome::duplicate});
    CHECK(two_ends::words(two_ends::frames(t.s)) == texts{"ack 3 credit=1027/100003"});
    CHECK(t.s.ep.in().exceptions_kept() == 0);
    // One that names some all the same breaks the protocol.
    byte_vector list;
    session::put_exception(list, 0, {1, outcome::rejected});
    session::ack_fields f{1, 1000, 1000};
    f.exceptions = session::exception_view(list);
    byte_vector frame;
    session::encode(frame, session::frame_type::ack, f, true);
    CHECK(t.c.in(frame) == "close_link: unknown critical extension 1002");
}
TEST_CASE("rule 17: a tombstone names what was rejected, and RESUME_FAILED tells it", "[session]") {
    two_ends t;
    t.open();
    session::session_table table(4);
    auto* record = table.add(filled<16>(0xe1), filled<32>(0x70), "somebody", &t.s.ep, nullptr);
    table.confirm(*record);
    send_and_finish(t, {outcome::acknowledged, outcome::rejected});
    t.s.commit();
    t.cut();
    const auto now = t.s.now;
    t.s.ep.end_epoch(std::nullopt);
    table.bury(*record, t.s.ep.in().durable_accepted(), now + hawser::seconds(10));
    t.c.ep.attach_client();
    const auto asked = two_ends::frames(t.c);
    session::envelope e;
    session::resume r;
    REQUIRE_FALSE(session::decode(asked.at(0), e));
    REQUIRE(session::decode(e, r));
    const auto d = table.decide(r, "somebody", now);
    byte_vector frame;
    session::encode(frame, d.answer, true);
    CHECK(frame_text(frame) == "resume_failed 3 accepted=2 except 2r");
    CHECK(t.c.in(frame) == "epoch_lost");
    t.c.commit();
    CHECK(t.c.outcomes() == texts{"1:acknowledged", "2:rejected"});
}
TEST_CASE("rule 6: a rejection is in the record of its position, until it is known, and the next process tells it", "[session]") {
    auto o = two_ends::options(session::side::server, feature::all, 64 * 1024);
    o.keep_records = true;
    two_ends t;
    one_end first(o), second(o);
    t.c.ep.attach_client();
    session::envelope e;
    session::hello h;
    const auto hello = two_ends::frames(t.c);
    REQUIRE_FALSE(session::decode(hello.at(0), e));
    REQUIRE(session::decode(e, h));
    REQUIRE_FALSE(first.ep.attach_hello(h, filled<16>(0xe1), filled<32>(0x70)));
    hawser::store_image image{.phase = hawser::epoch_phase::alive, .epoch = filled<16>(0xe1)};
    image.state = first.ep.begin_commit().at(0).state;
    first.ep.end_commit();
    for (const auto& f : two_ends::frames(first)) (void)t.c.in(f);
    for (int i = 0; i < 3; ++i) t.c.send("m");
    for (const auto& f : two_ends::frames(t.c)) (void)first.in(f);
    first.finish(1);
    first.finish(2, outcome::rejected);
    first.finish(3, outcome::duplicate);
    for (auto& r : first.ep.begin_commit()) {
        image.accepted = r.seq;
        image.exceptions = r.exceptions;
    }
    first.ep.end_commit();
    t.c.ep.detach();

    SECTION("it is told in RESUMED") {
        REQUIRE_FALSE(second.ep.restore(image, second.now));
        t.c.ep.attach_client();
        session::resume r;
        const auto asked = two_ends::frames(t.c);
        REQUIRE_FALSE(session::decode(asked.at(0), e));
        REQUIRE(session::decode(e, r));
        second.ep.attach_resume(r, filled<32>(0x71), {}, second.now);
        const auto said = two_ends::frames(second);
        CHECK(two_ends::words(said) == texts{"resumed accepted=3 first=1 next=1 credit=1027/100000 except 2r,3d"});
        CHECK(t.c.in(said.at(0)) == "resumed");
        t.c.commit();
        CHECK(t.c.outcomes() == texts{"1:acknowledged", "2:rejected", "3:duplicate"});
        for (const auto& f : two_ends::frames(t.c)) (void)second.in(f);
        for (const auto& f : two_ends::frames(second)) (void)t.c.in(f);
        for (const auto& f : two_ends::frames(t.c)) (void)second.in(f);
        CHECK(second.ep.in().exceptions_kept() == 0);
        t.c.send("m");
        for (const auto& f : two_ends::frames(t.c)) (void)second.in(f);
        second.finish(4);
        CHECK(second.ep.begin_commit().back().exceptions.empty());
    }
    SECTION("a list beyond its position is damage") {
        image.accepted = 2;
        CHECK(second.ep.restore(image, second.now) == hawser::errc::store_corrupt);
    }
}
TEST_CASE("rule 17: a tombstone whose position counts what is being committed names its exceptions too", "[session]") {
    two_ends t;
    t.open();
    session::session_table table(4);
    auto* record = table.add(filled<16>(0xe1), filled<32>(0x70), "somebody", &t.s.ep, nullptr);
    send_and_finish(t, {outcome::acknowledged, outcome::rejected});
    REQUIRE(t.s.ep.in().durable_accepted() == 0);
    table.bury(*record, t.s.ep.in().accepted(), t.s.now + hawser::seconds(10));
    const session::exception_view kept(record->exceptions);
    CHECK(exceptions_text(kept) == " except 2r");
}
TEST_CASE("rule 6: a list that does not rise, is beyond the position or too long is malformed", "[session]") {
    one_end c;
    c.open();
    const auto ack_with = [&](const byte_vector& value, std::uint64_t accepted) {
        session::ack_fields f{accepted, 100, 100};
        f.exceptions = session::exception_view(value);
        session::encode(c.buffer, session::frame_type::ack, f, false);
        return c.in(c.buffer);
    };
    constexpr const char* malformed = "close_link: malformed hawser.v1 frame 1002";
    CHECK(ack_with(from_hex("0301"), 9) == malformed);  // twice the same number
    CHECK(ack_with(from_hex("05"), 1) == malformed);    // 2, beyond 1
    CHECK(ack_with(from_hex("80"), 9) == malformed);    // cut short
    byte_vector many(session::max_exceptions + 1, std::byte{3});
    CHECK(ack_with(many, 1000) == malformed);
}

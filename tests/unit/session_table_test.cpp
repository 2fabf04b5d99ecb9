// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/session_frames.hpp"

#include <hawser/protocol/session/session_table.hpp>

#include <memory>
#include <vector>

using namespace session_test;
using hawser::seconds;
using kind = session::resume_decision::kind;
using reason = session::resume_failure;

namespace {

/// A session in a table: it sent two messages, of which the first is acknowledged, and has
/// received three, of which it has accepted two.
struct in_table {
    explicit in_table(std::size_t max_sessions = 4) : table(max_sessions) {
        end.accept();
        end.send("a");
        end.send("b");
        (void)end.out();
        (void)end.in_ack(1);
        for (std::uint64_t seq = 1; seq <= 3; ++seq) (void)end.in_data(seq, "x");
        end.finish(1);
        end.finish(2);
        (void)end.out();
        record = table.add(filled<16>(0xe1), filled<32>(0x70), "anna", &end.ep, this);
        record->attached = true;
        table.confirm(*record);
    }
    // What an honest client would say.
    static session::resume honest(std::uint64_t attempt = 1) {
        session::resume r;
        r.token = filled<32>(0x70);
        r.epoch = filled<16>(0xe1);
        r.attempt = attempt;
        r.accepted = 1;
        r.first_retained = 1;
        r.next_seq = 4;
        return r;
    }
    session::resume_decision decide(const session::resume& r, std::string_view who = "anna") {
        return table.decide(r, who, end.now);
    }

    one_end end{session::side::server};
    session::session_table table;
    session::session_record* record = nullptr;
};

void check_failed(const session::resume_decision& d, kind what, reason why, std::optional<std::uint64_t> accepted) {
    CHECK(d.what == what);
    CHECK(d.answer.reason == why);
    CHECK(d.answer.has_position == accepted.has_value());
    if (accepted) CHECK(d.answer.accepted == *accepted);
}

}  // namespace

TEST_CASE("rule 13, row 1, and S1: a token that is unknown, or another's, leaves all sessions untouched", "[session]") {
    in_table t;
    auto r = in_table::honest();
    r.token = filled<32>(0x99);
    check_failed(t.decide(r), kind::failed, reason::unknown, std::nullopt);
    check_failed(t.decide(in_table::honest(), "bert"), kind::failed, reason::unknown, std::nullopt);
    CHECK(t.record->highest_attempt == 0);
    CHECK(t.decide(in_table::honest()).what == kind::resume);
}
TEST_CASE("rule 13, row 2: a stale RESUME leaves the session untouched, before all other rows", "[session]") {
    in_table t;
    CHECK(t.decide(in_table::honest(5)).what == kind::resume);
    auto r = in_table::honest(5);
    r.epoch = filled<16>(0);
    r.next_seq = 1;
    CHECK(t.decide(r).what == kind::stale);
    CHECK(t.decide(in_table::honest(4)).what == kind::stale);
    CHECK(t.record->alive);
    CHECK(t.decide(in_table::honest(6)).what == kind::resume);
}
TEST_CASE("rule 13, row 3: a tombstone answers with its position, until it has served", "[session]") {
    in_table t;
    t.table.bury(*t.record, 2, t.end.now + seconds(10));
    auto r = in_table::honest();
    r.epoch = filled<16>(0);  // row 3 comes before row 4
    check_failed(t.decide(r), kind::failed, reason::ended, 2);
    CHECK(t.decide(r).what == kind::stale);
    t.end.now += seconds(10);
    check_failed(t.decide(in_table::honest(9)), kind::failed, reason::unknown, std::nullopt);
    t.table.expire(t.end.now, [](session::session_record&) { FAIL("a tombstone is not alive"); });
    CHECK(t.table.size() == 0);
}
TEST_CASE("rule 13, row 4: another epoch", "[session]") {
    in_table t;
    auto r = in_table::honest();
    r.epoch = filled<16>(0);
    r.accepted = 99;  // row 4 comes before row 5
    check_failed(t.decide(r), kind::failed, reason::epoch, std::nullopt);
    CHECK(t.record->alive);
}
TEST_CASE("rule 13, row 5: the client accepted what was never sent, which acknowledges nothing", "[session]") {
    in_table t;
    auto r = in_table::honest();
    r.accepted = 3;
    r.next_seq = 1;  // row 5 comes before row 6
    const auto d = t.decide(r);
    check_failed(d, kind::ended, reason::regressed, 2);
    CHECK_FALSE(d.own_position);
    CHECK(d.owner == &t);
    check_failed(t.decide(in_table::honest(2)), kind::failed, reason::ended, 2);
}
TEST_CASE("rule 13, row 5: a message with a number that was never written counts as never sent", "[session]") {
    in_table t;
    t.end.send("c");
    t.end.ep.assign(1000);
    CHECK(t.end.ep.out().next_seq() == 4);
    auto r = in_table::honest();
    r.accepted = 3;
    check_failed(t.decide(r), kind::ended, reason::regressed, 2);
}
TEST_CASE("rule 13, row 6: the client forgot what it had sent, and gets no position", "[session]") {
    in_table t;
    auto r = in_table::honest();
    r.next_seq = 3;  // but 3 was received
    r.first_retained = 3;
    const auto d = t.decide(r);
    check_failed(d, kind::ended, reason::regressed, std::nullopt);
    CHECK(d.own_position == std::optional<std::uint64_t>(1));
}
TEST_CASE("rule 13, row 7, and S7: one side has dropped what the other still needs", "[session]") {
    {
        in_table t;
        auto r = in_table::honest();
        r.first_retained = 4;  // but only 2 are accepted
        const auto d = t.decide(r);
        check_failed(d, kind::ended, reason::lost, 2);
        CHECK(d.own_position == std::optional<std::uint64_t>(1));
    }
    {
        in_table t;
        auto r = in_table::honest();
        r.accepted = 0;  // but 1 is dropped
        check_failed(t.decide(r), kind::ended, reason::lost, 2);
    }
}
TEST_CASE("rule 13, row 8: the session goes on, and the generation rises", "[session]") {
    in_table t;
    auto r = in_table::honest();
    r.first_retained = 3;
    const auto d = t.decide(r);
    CHECK(d.what == kind::resume);
    CHECK(d.owner == &t);
    CHECK(d.record == t.record);
    CHECK(t.record->generation == 1);
    t.table.rotate(*d.record, r.token, filled<32>(0x71));
    CHECK(t.record->generation == 2);
    CHECK(t.record->attached);
    CHECK_FALSE(t.record->confirmed);
}
TEST_CASE("rules 12 and 18: the previous token is good until the confirmation, others never", "[session]") {
    in_table t;
    std::uint64_t attempt = 0;
    const auto with = [&](unsigned token) {
        auto r = in_table::honest(++attempt);
        r.token = filled<32>(token);
        const auto d = t.decide(r);
        if (d.what == kind::resume) t.table.rotate(*d.record, r.token, filled<32>(0x71 + static_cast<unsigned>(attempt)));
        return d.what == kind::resume;
    };
    CHECK(with(0x70));        // fresh: 0x72
    CHECK(with(0x70));        // RESUMED was lost; fresh: 0x73
    CHECK_FALSE(with(0x72));  // never confirmed, superseded
    CHECK(with(0x73));        // the fresh one arrived; fresh: 0x75
    CHECK_FALSE(with(0x70));
    CHECK(with(0x73));        // fresh: 0x77
    t.table.confirm(*t.record);
    CHECK_FALSE(with(0x73));
    CHECK(with(0x77));
}
TEST_CASE("rule 16: the time to live runs only while detached", "[session]") {
    in_table t;
    int expired = 0;
    const auto count = [&](session::session_record&) { ++expired; };
    t.end.now += seconds(1000);
    t.table.expire(t.end.now, count);
    CHECK(expired == 0);
    t.table.detach(*t.record, t.end.now + seconds(120));
    t.end.now += seconds(119);
    t.table.expire(t.end.now, count);
    CHECK(expired == 0);
    CHECK(t.decide(in_table::honest()).what == kind::resume);
    t.table.rotate(*t.record, filled<32>(0x70), filled<32>(0x71));
    t.end.now += seconds(1000);
    t.table.expire(t.end.now, count);
    CHECK(expired == 0);
}
TEST_CASE("rule 17: a session that ran out and was not swept yet ends with its position", "[session]") {
    in_table t;
    t.table.detach(*t.record, t.end.now + seconds(1));
    t.end.now += seconds(1);
    const auto d = t.decide(in_table::honest());
    check_failed(d, kind::ended, reason::ended, 2);
    CHECK(d.own_position == std::optional<std::uint64_t>(1));
    CHECK(d.owner == &t);
}
TEST_CASE("limits: a full table forgets the oldest tombstone, and refuses when all are alive", "[session]") {
    session::session_table table(3);
    one_end ends[5] = {one_end(session::side::server), one_end(session::side::server), one_end(session::side::server),
                       one_end(session::side::server), one_end(session::side::server)};
    const auto now = ends[0].now;
    std::vector<session::session_record*> records;
    for (unsigned i = 0; i < 3; ++i)
        records.push_back(table.add(filled<16>(i), filled<32>(i), "anna", &ends[i].ep, nullptr));
    CHECK(table.add(filled<16>(3), filled<32>(3), "anna", &ends[3].ep, nullptr) == nullptr);
    table.bury(*records[2], 0, now + seconds(10));
    table.bury(*records[0], 0, now + seconds(20));
    table.bury(*records[0], 7, now + seconds(20));  // twice is once
    CHECK(table.add(filled<16>(3), filled<32>(3), "anna", &ends[3].ep, nullptr) != nullptr);
    session::resume r;
    r.attempt = 1;
    r.first_retained = r.next_seq = 1;
    r.token = filled<32>(2);
    check_failed(table.decide(r, "anna", now), kind::failed, reason::unknown, std::nullopt);
    r.token = filled<32>(0);
    check_failed(table.decide(r, "anna", now), kind::failed, reason::ended, 7);
    CHECK(table.add(filled<16>(4), filled<32>(4), "anna", &ends[4].ep, nullptr) != nullptr);
    CHECK(table.size() == 3);
    CHECK(table.add(filled<16>(5), filled<32>(5), "anna", &ends[4].ep, nullptr) == nullptr);
}
TEST_CASE("rule 17: a tombstone made while sessions expire serves its whole time", "[session]") {
    in_table t;
    one_end other{session::side::server};
    auto* second = t.table.add(filled<16>(0xe2), filled<32>(0x80), "anna", &other.ep, &other);
    t.table.detach(*t.record, t.end.now);
    t.table.detach(*second, t.end.now);
    // The first one's end makes the application end the second.
    t.table.expire(t.end.now, [&](session::session_record&) {
        t.table.bury(*t.record, 2, t.end.now + seconds(120));
        t.table.bury(*second, 2, t.end.now + seconds(120));
    });
    CHECK(t.table.size() == 2);
    check_failed(t.decide(in_table::honest()), kind::failed, reason::ended, 2);
}

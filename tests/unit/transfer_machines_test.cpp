// SPDX-License-Identifier: BSL-1.0
// The state machines of a transfer, and the rules for names of files.
#include "support/catch.hpp"

#include <hawser/transfer/file_name.hpp>
#include <hawser/transfer/receiving.hpp>
#include <hawser/transfer/sending.hpp>

#include <string>

namespace transfer = hawser::transfer;
using hawser::errc;
using sending = transfer::sending;
using receiving = transfer::receiving;

namespace {

const hawser::digest128 right{std::byte{1}}, wrong{std::byte{2}};
receiving accepted(std::optional<std::uint64_t> size, transfer::receiving_limits limits, std::uint64_t kept = 0) {
    receiving r(transfer::offer{1, {}, size, "n", {}}, limits);
    (void)r.prepared(kept, right);
    return r;
}

}  // namespace

TEST_CASE("transfer sender: from the offer to the end, within the credit") {
    sending s(100);
    CHECK(s.sendable() == 0);
    REQUIRE(!s.on_accept({1, 0, {}, 30}));
    CHECK(s.sendable() == 30);
    s.sent(30);
    CHECK(s.sendable() == 0);
    REQUIRE(!s.on_credit({1, 200}));
    CHECK(s.sendable() == 70);
    REQUIRE(!s.on_credit({1, 50}));  // credit never shrinks
    CHECK(s.sendable() == 70);
    CHECK(s.source_ended() == errc::transfer_source);  // it was offered as longer
    s.sent(70);
    CHECK(s.all_sent());
    REQUIRE(!s.source_ended());
    CHECK(s.sendable() == 0);
    REQUIRE(!s.on_done());
    CHECK(s.at() == sending::phase::finished);
}

TEST_CASE("transfer sender: goes on behind the receiver's bytes only if the digest of its own is the same") {
    for (const bool same : {true, false}) {
        sending s(100);
        REQUIRE(!s.on_accept({1, 40, right, 60}));
        CHECK(s.at() == sending::phase::checking);
        CHECK(s.sendable() == 0);
        s.prefix_checked(same ? right : wrong);
        CHECK(s.from() == (same ? 40 : 0));
        CHECK(s.offset() == s.from());
        // Credit is what the receiver has room for, wherever it begins.
        CHECK(s.sendable() == 20);
    }
    sending shorter(std::nullopt);
    REQUIRE(!shorter.on_accept({1, 40, right, 60}));
    shorter.prefix_checked(std::nullopt);
    CHECK(shorter.from() == 0);
}

TEST_CASE("transfer sender: what may not come in a phase is a protocol error") {
    sending s(100);
    CHECK(s.on_credit({1, 5}) == errc::transfer_protocol);
    CHECK(s.on_done() == errc::transfer_protocol);
    CHECK(s.on_accept({1, 101, {}, 200}) == errc::transfer_protocol);
    REQUIRE(!s.on_accept({1, 50, right, 60}));
    CHECK(s.on_credit({1, 70}) == errc::transfer_protocol);  // it grants nothing before BEGIN
    s.prefix_checked(right);
    CHECK(s.on_accept({1, 0, {}, 60}) == errc::transfer_protocol);
    CHECK(s.on_done() == errc::transfer_protocol);
}

TEST_CASE("transfer receiver: takes what follows, grants credit as it writes down, and compares at the end") {
    auto r = accepted(100, {1000, 40});
    REQUIRE(!r.on_begin({1, 0}));
    REQUIRE(!r.on_chunk(0, 40));
    CHECK(r.on_chunk(40, 1) == errc::transfer_protocol);  // no credit
    CHECK(!r.written(10));                                // too little for a message
    const auto more = r.written(15);
    REQUIRE(more);
    CHECK(more->limit == 65);
    REQUIRE(!r.on_chunk(40, 25));
    (void)r.written(40);
    REQUIRE(!r.on_chunk(65, 35));
    CHECK(!r.complete());
    REQUIRE(!r.on_end({1, 100, right}));
    CHECK(!r.complete());
    (void)r.written(35);
    CHECK(r.complete());
    CHECK(!r.judge(right));
    CHECK(r.judge(wrong) == errc::transfer_digest);
}

TEST_CASE("transfer receiver: every split of a size into chunks gives the same") {
    constexpr unsigned size = 10;
    for (unsigned cuts = 0; cuts < (1u << (size - 1)); ++cuts) {
        auto r = accepted(size, {size, size});
        REQUIRE(!r.on_begin({1, 0}));
        unsigned begin = 0;
        for (unsigned at = 1; at <= size; ++at)
            if (at == size || (cuts >> (at - 1) & 1u) != 0) {
                REQUIRE(!r.on_chunk(begin, at - begin));
                (void)r.written(at - begin);
                begin = at;
            }
        REQUIRE(!r.on_end({1, size, right}));
        REQUIRE(r.complete());
    }
}

TEST_CASE("transfer receiver: chunks in any wrong order are refused") {
    for (const std::uint64_t offset : {std::uint64_t{9}, std::uint64_t{11}, std::uint64_t{0}, transfer::max_size}) {
        auto r = accepted(100, {});
        REQUIRE(!r.on_begin({1, 0}));
        REQUIRE(!r.on_chunk(0, 10));
        CHECK(r.on_chunk(offset, 1) == errc::transfer_protocol);
    }
}

TEST_CASE("transfer receiver: sizes are checked before and while, without overflow") {
    CHECK(receiving::check({1, {}, 11, "n", {}}, {10, 100}) == errc::transfer_too_big);
    CHECK(!receiving::check({1, {}, 10, "n", {}}, {10, 100}));
    CHECK(!receiving::check({1, {}, {}, "n", {}}, {10, 100}));
    auto r = accepted({}, {10, 100});
    REQUIRE(!r.on_begin({1, 0}));
    REQUIRE(!r.on_chunk(0, 10));
    CHECK(r.on_chunk(10, 1) == errc::transfer_too_big);
    auto offered = accepted(5, {10, 100});
    REQUIRE(!offered.on_begin({1, 0}));
    CHECK(offered.on_chunk(0, 6) == errc::transfer_too_big);
    auto huge = accepted({}, {transfer::max_size, UINT64_MAX});
    REQUIRE(!huge.on_begin({1, 0}));
    CHECK(huge.on_chunk(0, UINT64_MAX) == errc::transfer_too_big);
}

TEST_CASE("transfer receiver: what it kept is told, unless it cannot be of this offer") {
    receiving r(transfer::offer{1, {}, 100, "n", {}}, {1000, 50});
    const auto a = r.prepared(60, right);
    CHECK((a.from == 60 && a.digest == right && a.limit == 110));
    REQUIRE(!r.on_begin({1, 60}));
    CHECK(r.received() == 60);
    receiving smaller(transfer::offer{1, {}, 59, "n", {}}, {1000, 50});
    CHECK(smaller.prepared(60, right).from == 0);
    receiving none(transfer::offer{1, {}, 100, "n", {}}, {1000, 50});
    CHECK(none.prepared(0, right).digest == hawser::digest128{});
    // Thrown away: the window begins at 0.
    auto again = accepted(100, {1000, 50}, 60);
    REQUIRE(!again.on_begin({1, 0}));
    CHECK(again.on_chunk(0, 51) == errc::transfer_protocol);
    CHECK(!again.on_chunk(0, 50));
}

TEST_CASE("transfer: names that may become files") {
    using hawser::file_name_problem;
    for (const char* good : {"a", "report.pdf", "with space.txt", "a..b", "\xc3\xa4.txt", "CONSOLE.txt", "COM10", "data.tar.gz"})
        CHECK(file_name_problem(good) == "");
    for (const std::string& bad : {std::string(""), std::string("."), std::string(".."), std::string("../x"), std::string("a/b"),
                                   std::string("a\\b"), std::string("/etc/passwd"), std::string("C:x"), std::string("a\0b", 3),
                                   std::string("a\nb"), std::string(".hidden"), std::string("x."), std::string("x "), std::string("nul"),
                                   std::string("CON.txt"), std::string("lpt1.tar.gz"), std::string("\xff"), std::string(201, 'x'), std::string("a\x7f")})
        CHECK(file_name_problem(bad) != "");
}

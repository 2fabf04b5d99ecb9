// SPDX-License-Identifier: BSL-1.0
// The demo's verifier finds each kind of damage, and none where there is none.
#include "../../examples/demo/audit.hpp"

#include "support/catch.hpp"

namespace {

using demo::ledger_line;
using hawser::outcome;

constexpr std::uint32_t sender = 6;

std::string piece_of(std::uint32_t number) { return "piece " + std::to_string(number * number); }

demo::message_head head_of(std::uint32_t number) {
    const auto piece = piece_of(number);
    return {number, sender, piece.size(), hawser::xxh3_64(hawser::as_bytes(piece))};
}

// One direction of one client, in which all went well until a test changes something.
struct run {
    std::vector<ledger_line> ledger;
    std::vector<std::byte> received;

    void send(std::uint32_t number) { ledger.push_back({number, ledger_line::handed}); }
    void decide(std::uint32_t number, outcome what) { ledger.push_back({number, static_cast<std::uint32_t>(what)}); }
    void receive(std::uint32_t number) {
        const auto head = head_of(number);
        const auto piece = piece_of(number);
        const auto size = static_cast<std::uint32_t>(sizeof head + piece.size());
        hawser::append(received, demo::bytes_of(size));
        hawser::append(received, demo::bytes_of(head));
        hawser::append(received, hawser::as_bytes(piece));
    }
    void all_well(std::uint32_t from, std::uint32_t to) {
        for (std::uint32_t n = from; n <= to; ++n)
            send(n), receive(n), decide(n, outcome::acknowledged);
    }
    [[nodiscard]] demo::audit check() const { return demo::auditor("test", head_of).run(ledger, received); }
};

}  // namespace

TEST_CASE("demo audit: a run in which all went well has no findings") {
    run r;
    r.all_well(1, 20);
    const auto a = r.check();
    CHECK(a.sent == 20);
    CHECK(a.delivered == 20);
    CHECK(a.acknowledged == 20);
    CHECK(a.unknown + a.lost + a.duplicated + a.out_of_order + a.corrupted == 0);
    CHECK(a.findings.empty());
}

TEST_CASE("demo audit: an acknowledged message that did not arrive is lost") {
    run r;
    r.all_well(1, 3);
    r.send(4), r.decide(4, outcome::acknowledged);
    r.all_well(5, 6);
    const auto a = r.check();
    CHECK(a.lost == 1);
    CHECK(a.delivered == 5);
    CHECK(a.findings.size() == 1);
}

TEST_CASE("demo audit: a message of unknown outcome may have arrived or not") {
    run r;
    r.send(1), r.receive(1), r.decide(1, outcome::unknown);
    r.send(2), r.decide(2, outcome::unknown);
    r.send(3);  // its sender was killed before it could tell
    const auto a = r.check();
    CHECK(a.unknown == 3);
    CHECK(a.delivered == 1);
    CHECK(a.lost == 0);
}

TEST_CASE("demo audit: a cancelled message that did not arrive is lost") {
    run r;
    r.send(1), r.decide(1, outcome::cancelled);
    CHECK(r.check().lost == 1);
}

TEST_CASE("demo audit: duplicates and wrong order are told apart") {
    run r;
    r.all_well(1, 2);
    r.receive(1);
    for (const std::uint32_t n : {3u, 4u})
        r.send(n), r.decide(n, outcome::acknowledged);
    r.receive(4), r.receive(3);
    const auto a = r.check();
    CHECK(a.duplicated == 1);
    CHECK(a.out_of_order == 1);
    CHECK(a.delivered == 4);
}

TEST_CASE("demo audit: each changed byte of a message is found") {
    run good;
    good.all_well(1, 1);
    for (std::size_t i = 4; i < good.received.size(); ++i) {
        run r = good;
        r.received[i] ^= std::byte{1};
        const auto a = r.check();
        INFO("byte " << i);
        CHECK(a.corrupted == 1);
        CHECK(a.delivered == 0);
    }
}

TEST_CASE("demo audit: a piece that fits its digest but is not what was sent is corrupted") {
    run r;
    r.all_well(1, 2);
    auto head = head_of(1);
    head.number = 2;
    std::memcpy(r.received.data() + 4, &head, sizeof head);
    CHECK(r.check().corrupted == 1);
}

TEST_CASE("demo audit: a torn record and a message that nobody sent are corrupted") {
    run torn;
    torn.all_well(1, 2);
    torn.received.pop_back();
    CHECK(torn.check().corrupted == 1);

    run foreign;
    foreign.all_well(1, 2);
    foreign.receive(9);
    CHECK(foreign.check().corrupted == 1);
}

// SPDX-License-Identifier: BSL-1.0
// Transfers between whole sockets in virtual time: cuts, restarts, limits, cancelling.
#include "support/catch.hpp"
#include "support/transfers.hpp"

using namespace support;
using hawser::message;

namespace {

struct client {
    explicit client(receiving_world<>& w, hawser::transfer_options o = inline_options(), hawser::options s = with_transfers())
        : socket(w.context, std::move(s)), out(socket, std::move(o)) {
        socket.connect(url);
    }
    void send(hawser::byte_vector bytes, sent& result, const std::string& name = "data.bin", unsigned k = 1, bool file = true) {
        out.async_send_stream(std::make_unique<memory_source>(std::move(bytes), file), {.name = name, .key = key(k)}, result.handler());
    }
    hawser::resilient_socket<> socket;
    hawser::transfers<> out;
};

hawser::digest128 digest_of(const hawser::byte_vector& bytes) {
    hawser::xxh3_128_stream h;
    h.update(bytes);
    return h.digest();
}

}  // namespace

TEST_CASE("transfer: a file arrives complete, under its name, with its digest") {
    for (const std::size_t size : {0UL, 1UL, 65'517UL, 65'518UL, 3'000'001UL}) {
        CAPTURE(size);
        receiving_world<> w;
        client c(w);
        const auto bytes = pattern(size);
        sent s;
        c.send(bytes, s);
        REQUIRE(w.net.run_until([&] { return s.done; }, 60s));
        CHECK(s.error == std::error_code{});
        CHECK(s.result.bytes == size);
        CHECK(s.result.digest == digest_of(bytes));
        REQUIRE(w.folder.files.count("data.bin") == 1);
        CHECK((w.folder.files["data.bin"] == bytes));
        CHECK(w.folder.parts.empty());
        REQUIRE(w.reports.size() == 1);
        CHECK(!w.reports[0].error);
        CHECK(w.reports[0].result.digest == digest_of(bytes));
        CHECK(w.messages.empty());
        CHECK(c.out.sending() == 0);
        CHECK(c.out.bytes_in_flight() == 0);
    }
}

TEST_CASE("transfer: a stream of unknown length arrives, and its length is told at the end") {
    receiving_world<> w;
    client c(w);
    const auto bytes = pattern(700'000);
    sent s;
    c.send(bytes, s, "stream", 1, false);
    REQUIRE(w.net.run_until([&] { return s.done; }, 60s));
    CHECK(!s.error);
    CHECK((w.folder.files["stream"] == bytes));
    CHECK(!w.offers.at(0).size);
}

TEST_CASE("transfer: over cuts of the link it goes on where it was, and nothing is offered twice") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        CAPTURE(seed);
        receiving_world<> w(seed);
        hawser::xoshiro256 rng(seed);
        client c(w);
        const auto bytes = pattern(4'000'000, seed);
        sent s;
        c.send(bytes, s, "cut", 1, seed % 2 == 0);
        for (int cuts = 0; !s.done && cuts < 30; ++cuts) {
            w.net.run_for(std::chrono::microseconds(hawser::uniform(rng, 500, 20'000)));
            for (auto& conn : w.net.connections()) conn->cut();
        }
        REQUIRE(w.net.run_until([&] { return s.done; }, 120s));
        CHECK(s.error == std::error_code{});
        CHECK((w.folder.files["cut"] == bytes));
        CHECK(w.offers.size() == 1);
    }
}

TEST_CASE("transfer: after a restart of the receiver it goes on from what is on its disk") {
    receiving_world<> w;
    client c(w);
    const auto bytes = pattern(3'000'000);
    sent s;
    c.send(bytes, s);
    REQUIRE(w.net.run_until([&] { return w.folder.most_written > 1'000'000; }, 60s));
    w.stop();
    const std::size_t kept = w.folder.parts.begin()->second.bytes.size();
    REQUIRE(kept > 1'000'000);
    w.net.run_for(1s);
    w.start();
    REQUIRE(w.net.run_until([&] { return s.done; }, 60s));
    CHECK(s.error == std::error_code{});
    CHECK((w.folder.files["data.bin"] == bytes));
    CHECK(s.result.resumed_from == kept);
    CHECK(s.result.digest == digest_of(bytes));
    CHECK(w.offers.size() == 2);
}

TEST_CASE("transfer: after a restart of the sender it goes on from what the receiver has") {
    receiving_world<> w;
    const auto bytes = pattern(3'000'000);
    sent aborted;
    {
        client first(w);
        first.send(bytes, aborted);
        REQUIRE(w.net.run_until([&] { return w.folder.most_written > 1'000'000; }, 60s));
        // The process dies: the server still has its session, and hears of its end much later.
        for (auto& conn : w.net.connections()) conn->cut();
    }
    client second(w);
    sent s;
    second.send(bytes, s);
    REQUIRE(w.net.run_until([&] { return s.done; }, 60s));
    CHECK(s.error == std::error_code{});
    CHECK(s.result.resumed_from > 1'000'000);
    CHECK(aborted.error == asio::error::operation_aborted);
    CHECK((w.folder.files["data.bin"] == bytes));
}

TEST_CASE("transfer: a source that has changed since is noticed by the digest of the prefix, and sent from the beginning") {
    receiving_world<> w;
    client c(w);
    w.folder.parts[key(1)].bytes = pattern(2'000'000, 1);
    const auto changed = pattern(3'000'000, 2);
    sent s;
    c.send(changed, s);
    REQUIRE(w.net.run_until([&] { return s.done; }, 60s));
    CHECK(s.error == std::error_code{});
    CHECK(s.result.resumed_from == 0);
    CHECK((w.folder.files["data.bin"] == changed));

    SECTION("also where it has become shorter than what the receiver has") {
        w.folder.parts[key(2)].bytes = pattern(2'000'000, 1);
        sent shorter;
        c.send(pattern(10, 3), shorter, "short", 2);
        REQUIRE(w.net.run_until([&] { return shorter.done; }, 60s));
        CHECK(shorter.error == std::error_code{});
        CHECK((w.folder.files["short"] == pattern(10, 3)));
    }
}

TEST_CASE("transfer: a stream that cannot be read again ends with its session, and says so") {
    receiving_world<> w;
    client c(w);
    sent s;
    c.send(pattern(3'000'000), s, "stream", 1, false);
    REQUIRE(w.net.run_until([&] { return w.folder.most_written > 1'000'000; }, 60s));
    w.stop();
    w.net.run_for(1s);
    w.start();
    REQUIRE(w.net.run_until([&] { return s.done; }, 60s));
    CHECK(s.error == errc::transfer_interrupted);
    CHECK(w.folder.files.empty());
}

TEST_CASE("transfer: many at once are all complete, bounded in number and in bytes, in turn") {
    receiving_world<> w;
    auto o = inline_options();
    o.max_sending = 3;
    o.max_bytes_in_flight = 200'000;
    std::size_t most = 0;
    client* self = nullptr;
    std::map<std::string, std::uint64_t> told;
    bool fair = true;
    o.on_progress = [&](const hawser::transfer_progress& p) {
        most = std::max(most, self->out.bytes_in_flight());
        told[std::string(p.name)] = p.bytes;
        // The first three have the same size: none is far ahead of another.
        if (told.size() == 3)
            for (const auto& [name, bytes] : told) fair = fair && p.bytes <= bytes + 500'000;
    };
    client c(w, o);
    self = &c;
    std::list<sent> all;
    for (unsigned i = 0; i < 8; ++i) c.send(pattern(1'000'000, i), all.emplace_back(), "file " + std::to_string(i), i);
    CHECK(c.out.sending() <= 8);
    REQUIRE(w.net.run_until([&] { return std::all_of(all.begin(), all.end(), [](auto& s) { return s.done; }); }, 120s));
    for (const auto& s : all) CHECK(s.error == std::error_code{});
    for (unsigned i = 0; i < 8; ++i) CHECK((w.folder.files["file " + std::to_string(i)] == pattern(1'000'000, i)));
    CHECK(most <= 200'000);
    CHECK(most > 100'000);
    CHECK(fair);
}

TEST_CASE("transfer: messages of the application go between the chunks, in order, and are not mixed up with them") {
    receiving_world<> w;
    client c(w);
    sent s;
    c.send(pattern(5'000'000), s);
    int sent_messages = 0;
    while (!s.done) {
        REQUIRE(c.socket.try_send(message::text("m" + std::to_string(sent_messages))).error == std::error_code{});
        ++sent_messages;
        w.net.run_for(1ms);
        REQUIRE(sent_messages < 100'000);
    }
    w.net.run_for(1s);
    CHECK(!s.error);
    REQUIRE(w.messages.size() == static_cast<std::size_t>(sent_messages));
    for (int i = 0; i < sent_messages; ++i) REQUIRE(w.messages[static_cast<std::size_t>(i)] == "m" + std::to_string(i));
}

TEST_CASE("transfer: its messages are of the lowest class, and those of the application pass them by the weights of theirs") {
    std::string order(30, 'c');  // by the number of each message; those that are not the application's are chunks
    world<> w;
    w.on_accept = [&](hawser::resilient_socket<>& s) {
        s.on_message([&](const hawser::message_view& m) { order.at(m.seq - 1) = m.text().front(); });
    };
    w.listen(with_transfers());
    hawser::resilient_socket<> socket(w.context, with_transfers());
    socket.connect(url);
    REQUIRE(w.net.run_until([&] { return socket.state() == connection_state::open; }));
    const auto link = hawser::detail::link_access::of(socket);
    const auto chunk = hawser::message::copy(pattern(1000), hawser::message_kind::transfer);
    {
        const hawser::driver::turn together(w.net);
        for (int i = 0; i < 12; ++i) (void)link->send_transfer(chunk);
        for (int i = 0; i < 8; ++i) REQUIRE(socket.try_send("n"));
        for (int i = 0; i < 8; ++i) REQUIRE(socket.try_send(message::text("u"), {.priority = hawser::message_priority::urgent}));
        for (int i = 0; i < 2; ++i) REQUIRE(socket.try_send(message::text("l"), {.priority = hawser::message_priority::low}));
    }
    w.net.run_for(1s);
    // Turns of a class that has nothing are the next one's. A message of the application's lowest class stands behind the chunks.
    CHECK(order == "uunuucuunuu" "ncnncnncn" "cccccccc" "ll");
}

TEST_CASE("transfer: outcomes of its messages are not told to the application") {
    receiving_world<> w;
    client c(w);
    int outcomes = 0;
    c.socket.on_outcome([&](hawser::ticket, outcome) { ++outcomes; });
    sent s;
    c.send(pattern(1'000'000), s);
    REQUIRE(w.net.run_until([&] { return s.done; }, 60s));
    w.net.run_for(1s);
    CHECK(outcomes == 0);
    CHECK(!s.error);
}

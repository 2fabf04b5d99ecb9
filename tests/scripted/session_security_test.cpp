// SPDX-License-Identifier: BSL-1.0
// Rule 18 on whole sockets: who may resume, and what never leaves a frame. Rows S.
#include "support/catch.hpp"
#include "support/policies.hpp"
#include "support/session_frames.hpp"
#include "support/world.hpp"

#include <algorithm>
#include <map>
#include <variant>

using namespace support;
using hawser::seconds;
using hawser::message;

namespace {

// Says who it is with each attempt, as a proxy or a login would.
hawser::options named(std::shared_ptr<std::string> who) {
    auto o = quick(hawser::options::reliable());
    o.on_attempt = [who](hawser::connect_attempt& a) { a.headers = {{"X-User", *who}}; };
    return o;
}
hawser::listener_options by_name() {
    hawser::listener_options o{.socket = quick(hawser::options::reliable())};
    o.authorize = [](const hawser::ws::upgrade_request& r) {
        const auto user = r.find_header("X-User");
        return user ? hawser::authorization{.principal = std::string(*user)} : hawser::authorization{.status = 401};
    };
    return o;
}
void cut_and_wait(world<>& w, hawser::resilient_socket<>& c) {
    w.net.last_connection().cut();
    REQUIRE(w.net.run_until([&] { return c.state() != connection_state::open; }, 5s));
    REQUIRE(w.net.run_until([&] { return c.state() == connection_state::open; }, 60s));
    w.net.run_for(1s);  // in which the server learns of it too
}

// The secrets of each WELCOME and RESUMED that passes, taken from the bytes of the wire.
struct eavesdropper {
    void watch(hawser::testing::connection& c) {
        c.tap = [this](int from, hawser::byte_vector& bytes) {
            auto& stream = from == 0 ? from_client : from_server;
            stream += hawser::as_text(bytes);
        };
    }
    // Frames of the server are not masked: 82, length, payload.
    std::vector<std::string> secrets() const {
        std::vector<std::string> found;
        std::size_t at = from_server.find("\r\n\r\n");
        for (at += 4; at + 2 <= from_server.size();) {
            std::size_t size = static_cast<unsigned char>(from_server[at + 1]), head = 2;
            if (size == 126) {
                size = static_cast<unsigned char>(from_server[at + 2]) * 256U + static_cast<unsigned char>(from_server[at + 3]);
                head = 4;
            }
            const auto payload = hawser::as_bytes(std::string_view(from_server).substr(at + head, size));
            hawser::session::envelope e;
            hawser::session::welcome welcome;
            hawser::session::resumed resumed;
            if (!hawser::session::decode(payload, e)) {
                if (e.type == hawser::session::frame_type::welcome && hawser::session::decode(e, welcome)) {
                    found.emplace_back(hawser::as_text(welcome.token));
                    found.emplace_back(hawser::as_text(welcome.epoch));
                }
                if (e.type == hawser::session::frame_type::resumed && hawser::session::decode(e, resumed))
                    found.emplace_back(hawser::as_text(resumed.token));
            }
            at += head + size;
        }
        return found;
    }
    std::string from_client, from_server;
};

using logged = support::watched;

}  // namespace

TEST_CASE("S1: another principal's token is refused like one that does not exist, and its session is untouched") {
    world<> w;
    w.listen(by_name());
    auto who = std::make_shared<std::string>("alice");
    hawser::resilient_socket<> c(w.context, named(who));
    c.connect(url);
    REQUIRE(w.net.run_until([&] { return w.accepted.size() == 1; }));
    *who = "mallory";
    cut_and_wait(w, c);
    REQUIRE(w.accepted.size() == 2);
    CHECK(w.accepted.back().principal() == "mallory");
    CHECK(w.accepted.front().principal() == "alice");
    CHECK(w.accepted.front().state() == connection_state::detached);
}

TEST_CASE("S1: authentication comes first, before any token is looked at") {
    world<> w;
    w.listen(by_name());
    auto who = std::make_shared<std::string>("alice");
    auto o = named(who);
    o.on_attempt = [who](hawser::connect_attempt& a) {
        if (!who->empty()) a.headers = {{"X-User", *who}};
    };
    hawser::resilient_socket<> c(w.context, o);
    c.connect(url);
    REQUIRE(w.net.run_until([&] { return w.accepted.size() == 1; }));
    who->clear();
    w.net.last_connection().cut();
    REQUIRE(w.net.run_until([&] { return c.state() == connection_state::failed; }, 30s));
    CHECK(w.accepted.size() == 1);
    CHECK(w.accepted.front().state() == connection_state::detached);
}

TEST_CASE("S1: a token has a lifetime where the listener gives it one, and each resumption a new one") {
    world<> w;
    hawser::listener_options l{.socket = quick(hawser::options::reliable())};
    l.token_lifetime = 60s;
    w.listen(l);
    hawser::resilient_socket<> c(w.context, quick(hawser::options::reliable()));
    c.connect(url);
    REQUIRE(w.net.run_until([&] { return w.accepted.size() == 1; }));
    for (int i = 0; i < 3; ++i) {
        w.net.run_for(40s);
        cut_and_wait(w, c);
        CHECK(w.accepted.size() == 1);  // resumed, 40 s after its token was made
    }
    w.net.run_for(61s);
    cut_and_wait(w, c);
    CHECK(w.accepted.size() == 2);  // too old: a new session
    l.token_lifetime = seconds(-1);
    CHECK(l.problems().size() == 1);
}

TEST_CASE("S1: attempts are limited per principal, whatever its address") {
    world<> w;
    auto l = by_name();
    l.max_resume_failures_per_principal = 1;
    w.listen(l);
    // Each listener forgets the sessions of the one before, so each resumption brings a token that is unknown.
    auto alice = std::make_shared<std::string>("alice"), bob = std::make_shared<std::string>("bob");
    std::list<hawser::resilient_socket<>> clients;
    std::map<std::string, int> refused;
    for (const auto& who : {alice, alice, bob}) {
        clients.emplace_back(w.context, named(who));
        clients.back().on_state([&refused, who](const hawser::state_change& s) {
            if (s.close.code == hawser::close_code::try_again_later) ++refused[*who];
        });
        clients.back().connect(url);
    }
    REQUIRE(w.net.run_until([&] { return w.accepted.size() == 3; }));
    w.server.reset();
    w.accepted.clear();
    w.net.poll();
    w.listen(l);
    for (auto& each : w.net.connections()) each->cut();
    REQUIRE(w.net.run_until([&] { return w.accepted.size() == 3; }, 200s));
    // The second of alice's, until her minute is over; bob has a limit of his own.
    CHECK(refused["alice"] >= 1);
    CHECK(refused["bob"] == 0);
    l.max_resume_failures_per_principal = 0;
    CHECK(l.problems().size() == 1);
}

TEST_CASE("rule 18: neither token nor epoch nor credentials are in logs, state changes, close reasons or URLs") {
    world<logged> w;
    std::string told;
    const hawser::callback_log log([&](const hawser::log_record& r) {
        told += std::string(r.event) + "\n";
        for (const auto& f : r.fields) {
            told += std::string(f.name) + "=";
            if (const auto* text = std::get_if<std::string_view>(&f.value)) told += *text;
            told += "\n";
        }
    }, hawser::log_level::trace);
    const auto listen = [&] {
        hawser::listener_options l{.socket = quick(hawser::options::reliable())};
        l.authorize = [](const hawser::ws::upgrade_request& r) {
            return r.find_header("Authorization") ? hawser::authorization{.principal = "alice"} : hawser::authorization{.status = 401};
        };
        w.server.emplace(w.context, hawser::listen_endpoint{.port = port}, l, hawser::policy_objects<logged>{.logger = log});
        w.accept();
    };
    listen();
    auto o = quick(hawser::options::reliable());
    o.headers = {{"Authorization", "Bearer s3cr3t-credential"}};
    eavesdropper ear;
    hawser::resilient_socket<logged> c(w.context, o, {.logger = log});
    const auto note = [&](const hawser::state_change& s) {
        told += s.reason.message() + "\n" + s.close.reason + "\n" + s.refusal + "\n";
    };
    c.on_state(note);
    w.on_accept = [&](hawser::resilient_socket<logged>& s) { s.on_state(note); };
    w.net.on_connection = [&](const std::shared_ptr<hawser::testing::connection>& made) {
        if (ear.from_server.empty()) ear.watch(*made);
    };
    c.connect(url);
    REQUIRE(w.net.run_until([&] { return w.accepted.size() == 1; }));
    const std::vector<std::string> secrets = ear.secrets();
    REQUIRE(secrets.size() == 2);
    // A session that goes on, one that is not known any more, a refusal, damage, and the end.
    w.net.last_connection().cut();
    REQUIRE(w.net.run_until([&] { return c.state() != connection_state::open; }, 5s));
    REQUIRE(w.net.run_until([&] { return c.state() == connection_state::open; }, 60s));
    w.server.reset();
    w.accepted.clear();
    w.net.poll();
    listen();
    w.net.last_connection().cut();
    REQUIRE(w.net.run_until([&] { return c.state() != connection_state::open; }, 5s));
    REQUIRE(w.net.run_until([&] { return c.state() == connection_state::open; }, 60s));
    w.net.last_connection().tap = [](int, hawser::byte_vector& bytes) { bytes.back() ^= std::byte{1}; };
    REQUIRE(c.try_send("damaged on its way"));
    w.net.run_for(5s);
    c.close();
    w.net.run_for(10s);

    for (const auto name : hawser::counter_names) told += std::string(name) + "\n";
    CHECK(told.find("session_lost") != std::string::npos);  // something was logged at all
    CHECK(told.find("s3cr3t") == std::string::npos);
    for (const auto& secret : secrets) {
        const std::string digits = session_test::hex(hawser::as_bytes(secret));
        CHECK(told.find(secret) == std::string::npos);
        CHECK(told.find(digits) == std::string::npos);
        CHECK(told.find(digits.substr(0, 16)) == std::string::npos);  // nor a part of it
        CHECK(ear.from_client.substr(0, ear.from_client.find("\r\n\r\n")).find(secret) == std::string::npos);
    }
    const std::string request = ear.from_client.substr(0, ear.from_client.find("\r\n"));
    CHECK(request == "GET / HTTP/1.1");
}

TEST_CASE("S7: a client whose state went back is told its session is lost, and what is not known is unknown") {
    // A window that was given up: the server forgets, and the client is told by outcomes, not by silence.
    world<> w;
    w.listen(quick(hawser::options::reliable()));
    hawser::resilient_socket<> c(w.context, quick(hawser::options::reliable()));
    std::vector<outcome> outcomes;
    c.on_outcome([&](hawser::ticket, outcome o) { outcomes.push_back(o); });
    c.connect(url);
    REQUIRE(w.net.run_until([&] { return w.accepted.size() == 1; }));
    for (int i = 0; i < 5; ++i) REQUIRE(c.try_send("nobody takes it"));
    w.net.run_for(1s);
    w.server.reset();
    w.accepted.clear();
    w.net.poll();
    w.listen(quick(hawser::options::reliable()));
    w.net.last_connection().cut();
    REQUIRE(w.net.run_until([&] { return outcomes.size() == 5; }, 60s));
    CHECK(std::count(outcomes.begin(), outcomes.end(), outcome::unknown) == 5);
}

TEST_CASE("S9: a flood of ids stays within the dedup table, and new messages go on being handed over") {
    world<> w;
    auto o = quick(hawser::options::reliable());
    o.dedup.max_entries = 64;
    w.listen(o);
    int got = 0;
    w.on_accept = [&](hawser::resilient_socket<>& s) { s.on_message([&](const hawser::message_view&) { ++got; }); };
    hawser::resilient_socket<> c(w.context, quick(hawser::options::reliable()));
    c.connect(url);
    REQUIRE(w.net.run_until([&] { return c.state() == connection_state::open; }));
    for (int i = 0; i < 1000; ++i) {
        REQUIRE(c.try_send("m"));
        if (i % 100 == 99) w.net.run_for(1s);
    }
    w.net.run_for(1s);
    CHECK(got == 1000);
    CHECK(c.unacknowledged() == 0);
}

TEST_CASE("rule 25: an idle session never ages out, and its keepalives carry positions") {
    world<> w;
    auto o = quick(hawser::options::reliable());
    o.session_ttl = 10s;
    w.listen(o);
    hawser::resilient_socket<> c(w.context, quick(hawser::options::reliable()));
    c.connect(url);
    REQUIRE(w.net.run_until([&] { return w.accepted.size() == 1; }));
    w.net.run_for(1h);
    CHECK(c.state() == connection_state::open);
    cut_and_wait(w, c);
    CHECK(w.accepted.size() == 1);
    session_test::one_end e;
    e.open();
    (void)e.in_data(1, "x");
    e.finish(1);
    e.commit();
    e.ep.request_ping();
    CHECK(e.out() == session_test::texts{"ping 1 credit=9/1001"});
}

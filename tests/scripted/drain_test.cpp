// SPDX-License-Identifier: BSL-1.0
// The planned end of a server: rule 23.
#include "support/catch.hpp"
#include "support/world.hpp"

#include <algorithm>
#include <vector>

using namespace support;
using hawser::message;

namespace {

struct mover {
    mover(world<>& w, hawser::options o, const std::string& where = url) : socket(w.context, std::move(o)) {
        socket.on_state([this, &w](const hawser::state_change& c) {
            if (c.to == connection_state::connecting) attempts.push_back(w.net.now());
            if (c.to == connection_state::waiting) reasons.push_back(c.reason);
            if (c.to == connection_state::open) ++opened;
        });
        socket.on_outcome([this](hawser::ticket, outcome result) { outcomes.push_back(result); });
        socket.connect(where);
    }
    hawser::resilient_socket<> socket;
    std::vector<hawser::time_point> attempts;
    std::vector<std::error_code> reasons;
    std::vector<outcome> outcomes;
    int opened = 0;
};

// Two servers; the one that goes is `w.server`, the other takes over.
struct two_servers : world<> {
    two_servers() {
        listen(quick(hawser::options::reliable()));
        next.emplace(context, hawser::listen_endpoint{.port = 9001}, hawser::listener_options{.socket = quick(hawser::options::reliable())});
        take();
    }
    void take() {
        next->async_accept([this](std::error_code ec, hawser::resilient_socket<> s) {
            if (ec) return;
            s.on_message([this](const hawser::message_view& m) { got.emplace_back(m.text()); });
            moved.push_back(std::move(s));
            take();
        });
    }
    std::optional<hawser::listener<>> next;
    std::list<hawser::resilient_socket<>> moved;
    std::vector<std::string> got;
};

}  // namespace

TEST_CASE("rule 23: each client gets its own moment in the window, goes then and loses nothing") {
    two_servers w;
    w.on_accept = [&](hawser::resilient_socket<>& s) {
        s.on_message([&](const hawser::message_view& m) { w.got.emplace_back(m.text()); });
    };
    auto o = quick(hawser::options::reliable());
    o.follow_target = true;
    std::list<mover> clients;
    constexpr int n = 20;
    for (int i = 0; i < n; ++i) clients.emplace_back(w, o);
    REQUIRE(w.net.run_until([&] { return w.accepted.size() == n; }));
    for (auto& c : clients) c.attempts.clear();
    const auto began = w.net.now();
    std::optional<std::error_code> drained;
    w.server->async_drain({.window = 10s, .target = "ws://server.test:9001/"}, [&](std::error_code ec) { drained = ec; });
    int sent = 0;
    // Messages all the while: none may be lost or unknown.
    for (int step = 0; step < 60; ++step) {
        for (auto& c : clients) sent += c.socket.try_send("m") ? 1 : 0;
        w.net.run_for(200ms);
    }
    REQUIRE(drained);
    CHECK_FALSE(*drained);
    CHECK(w.server->connections() == 0);
    CHECK(w.moved.size() == n);
    std::vector<hawser::duration> moments;
    for (auto& c : clients) {
        REQUIRE(c.attempts.size() == 1);
        REQUIRE(c.reasons.size() == 1);
        CHECK(c.reasons[0] == errc::going_away);
        moments.push_back(c.attempts[0] - began);
    }
    std::sort(moments.begin(), moments.end());
    for (int i = 0; i < n; ++i) {
        CHECK(moments[static_cast<std::size_t>(i)] >= i * 500ms);
        CHECK(moments[static_cast<std::size_t>(i)] <= (i + 1) * 500ms + 50ms);
    }
    w.net.run_for(1s);
    int acknowledged = 0;
    for (auto& c : clients)
        for (const outcome result : c.outcomes) {
            CHECK(result == outcome::acknowledged);
            ++acknowledged;
        }
    CHECK(acknowledged == sent);
    CHECK(static_cast<int>(w.got.size()) == sent);
}

TEST_CASE("H22: while it drains, a server answers 503 with Retry-After") {
    world<> w;
    w.listen(quick(hawser::options::reliable()));
    mover here(w, quick(hawser::options::reliable()));
    REQUIRE(w.net.run_until([&] { return here.opened == 1; }));
    w.server->async_drain({.window = 20s}, [](std::error_code) {});
    w.net.poll();
    hawser::resilient_socket<> late(w.context, quick(hawser::options::reliable()));
    unsigned status = 0;
    hawser::duration wait{};
    late.on_state([&](const hawser::state_change& c) {
        if (c.to != connection_state::waiting || status != 0) return;
        status = c.http_status;
        wait = c.retry_in;
    });
    late.connect(url);
    REQUIRE(w.net.run_until([&] { return status != 0; }, 5s));
    CHECK(status == 503);
    CHECK(wait >= 20s);  // not before the window is over
}

TEST_CASE("rule 23: a restart in place: clients keep the moment that they were told, also when the server is gone before") {
    world<> w;
    w.listen(quick(hawser::options::reliable()));
    std::list<mover> clients;
    for (int i = 0; i < 5; ++i) clients.emplace_back(w, quick(hawser::options::reliable()));
    REQUIRE(w.net.run_until([&] { return w.accepted.size() == 5; }));
    for (auto& c : clients) c.attempts.clear();
    const auto began = w.net.now();
    std::optional<std::error_code> drained;
    w.server->async_drain({.window = 10s, .first = 5s}, [&](std::error_code ec) { drained = ec; });
    bool closed = false;
    w.server->async_close([&](std::error_code) { closed = true; });
    REQUIRE(w.net.run_until([&] { return closed; }, 6s));
    CHECK(drained);
    w.accepted.clear();
    w.server.reset();
    w.net.run_for(3s);
    w.listen(quick(hawser::options::reliable()));
    REQUIRE(w.net.run_until([&] { return w.accepted.size() == 5; }, 15s));
    for (auto& c : clients) {
        CHECK(c.attempts.size() == 1);
        CHECK(c.attempts[0] - began >= 5s);
        CHECK(c.attempts[0] - began <= 10s + 50ms);
    }
}

TEST_CASE("rule 23: who was not told is closed at its moment: plain clients, and sessions without the feature") {
    world<> w;
    w.listen([] {
        auto o = quick(hawser::options::reliable());
        o.session = hawser::session_mode::preferred;
        return o;
    }());
    auto older = quick(hawser::options::reliable());
    older.session_features = hawser::session::feature::all & ~hawser::session::feature::goaway;
    mover plain(w, quick(hawser::options::plain())), old(w, older);
    REQUIRE(w.net.run_until([&] { return w.accepted.size() == 2; }));
    std::optional<std::error_code> drained;
    w.server->async_drain({.window = 4s}, [&](std::error_code ec) { drained = ec; });
    REQUIRE(w.net.run_until([&] { return drained.has_value(); }, 10s));
    CHECK(w.server->connections() == 0);
    for (auto* c : {&plain, &old}) {
        REQUIRE_FALSE(c->reasons.empty());
        CHECK(c->reasons[0] != errc::going_away);
        CHECK(c->opened == 1);
    }
}

TEST_CASE("rule 23: a target is followed by choice only, and never to a weaker scheme") {
    two_servers w;
    mover stays(w, quick(hawser::options::reliable()));  // follow_target is off
    REQUIRE(w.net.run_until([&] { return w.accepted.size() == 1; }));
    w.server->async_drain({.window = 1s, .target = "ws://server.test:9001/"}, [](std::error_code) {});
    w.net.run_for(10s);
    CHECK(w.moved.empty());
}

TEST_CASE("rule 23: the headers of the application do not go to another host") {
    two_servers w;
    std::vector<std::string> seen;
    w.next.reset();
    w.net.poll();
    w.next.emplace(w.context, hawser::listen_endpoint{.port = 9001}, hawser::listener_options{
        .socket = quick(hawser::options::reliable()),
        .authorize = [&](const hawser::ws::upgrade_request& r) {
            seen.emplace_back(r.find_header("Authorization") ? "with" : "without");
            return hawser::authorization{};
        }});
    w.take();
    auto o = quick(hawser::options::reliable());
    o.follow_target = true;
    o.headers = {{"Authorization", "Bearer of-the-first-host"}};
    mover c(w, o);
    REQUIRE(w.net.run_until([&] { return w.accepted.size() == 1; }));
    w.server->async_drain({.window = 1s, .target = "ws://server.test:9001/"}, [](std::error_code) {});
    REQUIRE(w.net.run_until([&] { return w.moved.size() == 1; }, 10s));
    CHECK(seen == std::vector<std::string>{"without"});
}

TEST_CASE("rule 23: a server that sends its clients away again and again meets their backoff") {
    world<> w;
    w.listen(quick(hawser::options::reliable()));
    std::vector<hawser::duration> waits;
    hawser::resilient_socket<> c(w.context, hawser::options::reliable());
    c.on_state([&](const hawser::state_change& s) {
        if (s.to == connection_state::waiting) waits.push_back(s.retry_in);
    });
    c.connect(url);
    for (int i = 0; i < 3; ++i) {
        REQUIRE(w.net.run_until([&] { return c.state() == connection_state::open && !w.accepted.empty(); }, 60s));
        w.server->async_drain({.window = 1ms}, [](std::error_code) {});
        REQUIRE(w.net.run_until([&] { return c.state() != connection_state::open; }, 5s));
        w.accepted.clear();
        w.server.reset();
        w.net.poll();
        w.listen(quick(hawser::options::reliable()));
    }
    REQUIRE(waits.size() >= 3);
    CHECK(waits[0] == hawser::duration{0});
    CHECK(waits[1] > hawser::duration{0});
    CHECK(waits[2] > hawser::duration{0});
}

TEST_CASE("rule 23: detached sessions end when draining begins, and draining ends without clients") {
    world<> w;
    w.listen(quick(hawser::options::reliable()));
    mover c(w, quick(hawser::options::reliable()));
    REQUIRE(w.net.run_until([&] { return w.accepted.size() == 1; }));
    std::error_code why;
    w.accepted.front().on_state([&](const hawser::state_change& s) {
        if (s.to == connection_state::closed) why = s.reason;
    });
    w.net.refuse_connections = true;
    w.net.last_connection().cut();
    w.net.run_for(1s);
    REQUIRE(w.accepted.front().state() == connection_state::detached);
    std::optional<std::error_code> drained, again;
    w.server->async_drain({.window = 10s}, [&](std::error_code ec) { drained = ec; });
    w.server->async_drain({.window = 10s}, [&](std::error_code ec) { again = ec; });
    REQUIRE(w.net.run_until([&] { return drained.has_value(); }, 2s));
    CHECK(why == errc::session_expired);
    CHECK(again == make_error_code(errc::operation_in_progress));
    std::optional<std::error_code> wrong;
    w.server->async_drain({.window = 0ms}, [&](std::error_code ec) { wrong = ec; });
    w.net.poll();
    CHECK(wrong == make_error_code(errc::invalid_argument));
    CHECK(hawser::drain_options{.window = 1s, .first = 2s}.problems().size() == 1);
    CHECK(hawser::drain_options{.target = "http://x/"}.problems().size() == 1);
}

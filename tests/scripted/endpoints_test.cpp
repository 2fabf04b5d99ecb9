// SPDX-License-Identifier: BSL-1.0
// Where a socket connects to: what the application says before each attempt, and proxies.
#include <hawser/tls.hpp>

#include "support/catch.hpp"
#include "support/certificates.hpp"
#include "support/world.hpp"

using namespace support;
using hawser::connect_attempt;

TEST_CASE("rule 24: on_attempt: URL and headers are made anew for each attempt, beginning with those of the socket") {
    world<> w;
    std::vector<std::string> hosts, tokens;
    hawser::listener_options o{.socket = quick(hawser::options::plain())};
    o.authorize = [&](const hawser::ws::upgrade_request& r) {
        hosts.push_back(std::string(r.target));
        tokens.push_back(std::string(r.find_header("Authorization").value_or("")));
        return hawser::authorization{.status = hosts.size() < 3 ? 503U : 101U};
    };
    w.listen(std::move(o));
    auto settings = quick(hawser::options::plain());
    settings.headers.push_back({"X-Constant", "1"});
    std::vector<std::uint64_t> numbers;
    settings.on_attempt = [&](connect_attempt& a) {
        CHECK(a.url == url);
        CHECK(a.headers.size() == 1);
        numbers.push_back(a.number);
        a.url += "try" + std::to_string(numbers.size());
        a.headers.push_back({"Authorization", "Bearer " + std::to_string(numbers.size())});
    };
    hawser::resilient_socket<> client(w.context, settings);
    client.connect(url);
    REQUIRE(w.net.run_until([&] { return client.state() == connection_state::open; }, 60s));
    CHECK(numbers == std::vector<std::uint64_t>{0, 1, 2});
    CHECK(hosts == std::vector<std::string>{"/try1", "/try2", "/try3"});
    CHECK(tokens == std::vector<std::string>{"Bearer 1", "Bearer 2", "Bearer 3"});
}

TEST_CASE("on_attempt: an exception is contained: critical fails the socket, non_critical the attempt") {
    for (const bool critical : {true, false}) {
        world<> w;
        w.listen(quick(hawser::options::plain()));
        auto settings = quick(hawser::options::plain());
        settings.handler_errors = critical ? hawser::handler_criticality::critical : hawser::handler_criticality::non_critical;
        int calls = 0;
        settings.on_attempt = [&](connect_attempt&) {
            if (++calls < 3) throw std::runtime_error("no token");
        };
        hawser::resilient_socket<> client(w.context, settings);
        hawser::state_change last;
        client.on_state([&](const hawser::state_change& s) { last = s; });
        client.connect(url);
        const auto expected = critical ? connection_state::failed : connection_state::open;
        REQUIRE(w.net.run_until([&] { return client.state() == expected; }, 60s));
        CHECK(calls == (critical ? 1 : 3));
        if (critical) CHECK(last.reason == errc::handler_failed);
    }
}

TEST_CASE("on_attempt: a URL that is none, or that needs what is not there, is final") {
    const std::pair<std::string, errc> cases[] = {{"http://server.test/", errc::invalid_argument}, {"wss://server.test/", errc::tls_missing}};
    for (const auto& [bad, expected] : cases) {
        world<> w;
        auto settings = quick(hawser::options::plain());
        settings.on_attempt = [&, where = bad](connect_attempt& a) { a.url = where; };
        hawser::resilient_socket<> client(w.context, settings);
        hawser::state_change last;
        client.on_state([&](const hawser::state_change& s) { last = s; });
        client.connect(url);
        REQUIRE(w.net.run_until([&] { return client.state() == connection_state::failed; }, 5s));
        CHECK(last.reason == expected);
    }
}

TEST_CASE("on_attempt: the socket may be closed and destroyed inside of it") {
    for (const bool destroy : {true, false}) {
        world<> w;
        w.listen(quick(hawser::options::plain()));
        std::optional<hawser::resilient_socket<>> client;
        auto settings = quick(hawser::options::plain());
        settings.on_attempt = [&](connect_attempt&) {
            if (destroy) client.reset();
            else client->close();
        };
        client.emplace(w.context, settings);
        client->connect(url);
        CHECK(w.net.run_until([&] { return !client || client->state() == connection_state::closed; }, 5s));
        w.net.run_for(5s);
        CHECK(w.accepted.empty());
    }
}

namespace {

// A proxy on port 3128 that answers `reply` and then passes on bytes to the listener.
struct proxy_world : world<> {
    explicit proxy_world(std::string answer) : reply(std::move(answer)) {
        acceptor = net.listen_raw(3128, [this](hawser::stream_ptr s) { tunnels.push_back(std::make_unique<tunnel>(*this, std::move(s))); });
    }
    struct tunnel final : hawser::stream_sink {
        tunnel(proxy_world& p, hawser::stream_ptr s) : proxy(p), client(std::move(s)) { client->set_sink(*this); }
        void on_connected(std::error_code) override {}
        void on_bytes(hawser::byte_span chunk) override {
            if (server) return send(*server, hawser::as_text(chunk));
            request += hawser::as_text(chunk);
            if (!request.ends_with("\r\n\r\n")) return;
            proxy.requests.push_back(request);
            back = std::make_unique<way_back>(*this);
            if (proxy.reply.starts_with("HTTP/1.1 2")) server = proxy.net.connect("localhost", port, *back);
            for (const char c : proxy.reply) send(*client, {&c, 1});
            if (!server) client->shutdown();
        }
        void on_writable() override {}
        void on_closed(std::error_code) override { server.reset(); }
        static void send(hawser::stream& to, std::string_view text) {
            const hawser::byte_view piece[] = {hawser::as_bytes(text)};
            CHECK(to.write_some(piece).bytes == text.size());
        }
        struct way_back final : hawser::stream_sink {
            explicit way_back(tunnel& t) : owner(t) {}
            void on_connected(std::error_code ec) override { CHECK(!ec); }
            void on_bytes(hawser::byte_span chunk) override { send(*owner.client, hawser::as_text(chunk)); }
            void on_writable() override {}
            void on_closed(std::error_code) override { owner.client.reset(); }
            tunnel& owner;
        };
        proxy_world& proxy;
        hawser::stream_ptr client, server;
        std::unique_ptr<way_back> back;
        std::string request;
    };
    std::string reply;
    std::vector<std::string> requests;
    hawser::acceptor_ptr acceptor;
    std::vector<std::unique_ptr<tunnel>> tunnels;
};

hawser::options through_proxy() {
    auto o = quick(hawser::options::plain());
    o.proxy = {.host = "proxy.test", .port = 3128, .username = "user", .password = "pass:word"};
    return o;
}

}  // namespace

TEST_CASE("proxy: ws and wss pass through a tunnel of CONNECT, with Basic credentials") {
    for (const bool secure : {false, true}) {
        proxy_world w("HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n");
        hawser::listener_options o{.socket = quick(hawser::options::plain())};
        if (secure) o.tls = hawser::tls(server_context());
        w.listen(std::move(o));
        std::string echo;
        w.on_accept = [](hawser::resilient_socket<>& s) {
            s.on_message([&s](const hawser::message_view& m) { CHECK(s.try_send(m)); });
        };
        auto settings = through_proxy();
        if (secure) settings.tls = hawser::tls(trusting(authority()));
        hawser::resilient_socket<> client(w.context, settings);
        client.on_message([&](const hawser::message_view& m) { echo = hawser::as_text(m.bytes); });
        client.connect(secure ? "wss://server.test:9000/" : url);
        REQUIRE(w.net.run_until([&] { return client.state() == connection_state::open; }, 5s));
        CHECK(client.try_send("hello"));
        CHECK(w.net.run_until([&] { return echo == "hello"; }, 5s));
        REQUIRE(w.requests.size() == 1);
        CHECK(w.requests[0] == "CONNECT server.test:9000 HTTP/1.1\r\nHost: server.test:9000\r\n"
                               "Proxy-Authorization: Basic dXNlcjpwYXNzOndvcmQ=\r\n\r\n");
    }
}

TEST_CASE("proxy: 407 is final, other refusals and answers that are none are tried again") {
    const std::pair<std::string, errc> cases[] = {
        {"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", errc::proxy_unauthorized},
        {"HTTP/1.1 502 Bad Gateway\r\n\r\n", errc::proxy_failed},
        {"HTTP/1.1 403 Forbidden\r\n\r\n", errc::proxy_failed},
        {"SSH-2.0-OpenSSH\r\n\r\n", errc::proxy_failed},
        {"HTTP/1.1 200 OK\r\n folded: no\r\n\r\n", errc::proxy_failed},
        {"", errc::proxy_failed}};
    for (const auto& [reply, expected] : cases) {
        proxy_world w(reply);
        hawser::resilient_socket<> client(w.context, through_proxy());
        hawser::state_change last;
        client.on_state([&](const hawser::state_change& s) { last = s; });
        client.connect(url);
        const auto next = expected == errc::proxy_unauthorized ? connection_state::failed : connection_state::waiting;
        REQUIRE(w.net.run_until([&] { return last.to == next; }, 5s));
        CHECK(last.reason == expected);
    }
}

TEST_CASE("proxy: its options are checked") {
    auto o = hawser::options::plain();
    o.proxy = {.host = "bad host", .port = 0, .username = "a:b"};
    CHECK(o.problems().size() == 3);
    o.proxy = {.host = "::1", .port = 3128};
    CHECK(o.problems().empty());
}

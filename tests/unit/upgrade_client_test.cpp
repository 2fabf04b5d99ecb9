// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/upgrade_feed.hpp"

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

using namespace hawser;
using hawser_test::at_every_split;
using hawser_test::feed_pieces;
using hawser_test::response_text;
using hawser_test::sample_nonce;
using hawser_test::started_client;
using ws::client_upgrade;
using ws::header;
using status = client_upgrade::status;
using namespace std::chrono_literals;

namespace {

struct attempt {
    std::error_code ec;
    std::string why, request;
};
attempt try_start(std::string_view where, std::vector<std::string> subprotocols = {},
                  std::vector<header> headers = {}) {
    client_upgrade client;
    url parsed;
    REQUIRE_FALSE(parse_url(where, parsed));
    byte_vector out;
    attempt result;
    result.ec = client.start(out, parsed, subprotocols, headers, sample_nonce(), &result.why);
    result.request = as_text(out);
    return result;
}
client_upgrade answered(std::string_view text) {
    auto client = started_client();
    feed_pieces(client, {text});
    return client;
}
bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

}  // namespace

TEST_CASE("RFC 6455 4.1: the request", "[upgrade]") {
    const auto got = try_start("wss://example.com:8443/feed?a=b", {"x", "y"}, {{"Authorization", "Bearer t"}});
    REQUIRE_FALSE(got.ec);
    CHECK(got.request ==
          "GET /feed?a=b HTTP/1.1\r\nHost: example.com:8443\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
          "Sec-WebSocket-Protocol: x, y\r\nAuthorization: Bearer t\r\n\r\n");
    CHECK(contains(try_start("ws://[::1]/").request, "\r\nHost: [::1]\r\n"));
}

TEST_CASE("upgrade: what the client writes, the server takes, and the other way round", "[upgrade]") {
    client_upgrade client;
    ws::server_upgrade server;
    url where;
    REQUIRE_FALSE(parse_url("ws://example.com/a?b=c", where));
    REQUIRE_FALSE(client.offer_extensions("permessage-deflate; client_max_window_bits"));
    byte_vector request;
    const std::vector<std::string> offered{"hawser.v1", "plain"};
    REQUIRE_FALSE(client.start(request, where, offered, std::vector<header>{{"X", "y"}}, sample_nonce()));
    std::size_t consumed = 0;
    REQUIRE(server.feed(request, consumed) == ws::server_upgrade::status::ready);
    CHECK(consumed == request.size());
    byte_vector response;
    REQUIRE_FALSE(
        server.accept(response, "plain", std::vector<header>{{"Sec-WebSocket-Extensions", "permessage-deflate"}}));
    REQUIRE(client.feed(response, consumed) == status::ready);
    CHECK(consumed == response.size());
    CHECK(client.subprotocol() == "plain");
    REQUIRE(client.extensions().size() == 1);
    CHECK(client.extensions()[0].name == "permessage-deflate");
}

TEST_CASE("upgrade response: ready at every split, frames behind the head are left alone", "[upgrade]") {
    const auto head = "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" + response_text("A: b\r\n");
    at_every_split(
        head + "\x81\x01x", [] { return started_client(); },
        [&](client_upgrade& client, std::size_t consumed) {
            const bool right = client.state() == status::ready && consumed == head.size() &&
                               client.http_status() == 101 && !client.error() && client.head().find("a") == "b" &&
                               client.body_head().empty();
            if (!right) CHECK(right);
        });
}

TEST_CASE("C1: status and head of the body are kept", "[upgrade]") {
    const auto client = answered("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>");
    CHECK(client.error() == errc::refused);
    CHECK(client.http_status() == 200);
    CHECK(client.body_head() == "<html>");
    CHECK(client.head().find("content-type") == "text/html");
    CHECK(answered("HTTP/1.1 500 X\r\n\r\n" + std::string(5000, 'b')).body_head() == std::string(1024, 'b'));
}

TEST_CASE("C1: only the head of a refusal is consumed", "[upgrade]") {
    const std::string head = "HTTP/1.1 503 Busy\r\n\r\n";
    at_every_split(
        head + "body", [] { return started_client(); },
        [&](client_upgrade& client, std::size_t consumed) {
            const bool right =
                client.error() == errc::refused && consumed == head.size() && client.http_status() == 503;
            if (!right) CHECK(right);
        });
}

TEST_CASE("C1: Retry-After in seconds, of 429 and 503 only", "[upgrade]") {
    const auto wait = [](std::string status_text, std::string value) {
        return answered("HTTP/1.1 " + status_text + " X\r\nRetry-After: " + value + "\r\n\r\n").retry_after();
    };
    CHECK(wait("503", "120") == 120s);
    CHECK(wait("429", "0") == 0s);
    CHECK(wait("503", "99999999999999999999999999") == 2147483647s);
    for (const char* bad :
         {"Fri, 31 Dec 1999 23:59:59 GMT", "-1", "1.5", "", "1s", "+1", "1, 2", "1\r\nRetry-After: 2"})
        CHECK_FALSE(wait("503", bad));
    CHECK_FALSE(wait("404", "5"));
    CHECK_FALSE(answered("HTTP/1.1 503 X\r\n\r\n").retry_after());
    CHECK_FALSE(started_client().retry_after());
}

TEST_CASE("C4: a redirect is reported with its location and not followed", "[upgrade]") {
    const auto client = answered("HTTP/1.1 307 X\r\nLocation: ws://other.example/\r\n\r\n");
    CHECK(client.error() == errc::redirected);
    CHECK(client.location() == "ws://other.example/");
    CHECK(answered("HTTP/1.1 200 X\r\nLocation: ws://other.example/\r\n\r\n").location().empty());
    CHECK(answered("HTTP/1.1 304 X\r\nLocation: /\r\n\r\n").error() == errc::refused);
}

TEST_CASE("C6: extensions are among those offered, once each", "[upgrade]") {
    const auto error_of = [](std::string_view chosen) {
        auto client = started_client({}, "foo, bar; x");
        feed_pieces(client, {response_text("Sec-WebSocket-Extensions: " + std::string(chosen) + "\r\n")});
        return client.error();
    };
    CHECK_FALSE(error_of("foo"));
    CHECK_FALSE(error_of("bar; y=1, foo"));
    for (const char* bad : {"baz", "foo, baz", "foo, foo", "Foo", "foo;"})
        CHECK(error_of(bad) == errc::bad_extension);
    client_upgrade client;
    for (const char* bad : {"a;", "a\r\nX: y", "\""})
        CHECK(client.offer_extensions(bad) == errc::invalid_argument);
}

TEST_CASE("C8: bytes that would split the request are refused, by the name of the header", "[upgrade]") {
    const auto nul = std::string("b\0c", 3);
    for (const auto& value :
         {std::string("b\r\nX: y"), std::string("b\nc"), std::string("b\rc"), nul, std::string("\x7f")}) {
        const auto got = try_start("ws://h", {}, {{"X-Token", value}});
        CHECK(got.ec == errc::invalid_argument);
        CHECK(got.why == "the value of the header \"X-Token\" has a control byte such as CR, LF or NUL");
        CHECK(got.request.empty());
    }
    const auto name = try_start("ws://h", {}, {{"X\r\nY", "z"}});
    CHECK(name.ec == errc::invalid_argument);
    CHECK(contains(name.why, "\"X\\x0d\\x0aY\" is not a token"));
    for (const char* bad : {"", "a b", "a:", "\xc3\xa4", "a\t"})
        CHECK(try_start("ws://h", {}, {{bad, "v"}}).ec == errc::invalid_argument);
}

TEST_CASE("C8: a url whose fields were set by hand is checked again", "[upgrade]") {
    const url good{"ws", "h", "/", 80, false};
    const auto start = [](const url& where) {
        client_upgrade client;
        byte_vector out;
        std::string why;
        const auto ec = client.start(out, where, {}, {}, sample_nonce(), &why);
        CHECK(out.empty() == !why.empty());
        return ec;
    };
    CHECK_FALSE(start(good));
    for (const char* target : {"/a\r\nX: y", "/a b", "", "x", "/\xc3\xa4", "/%zz", "/#"}) {
        auto bad = good;
        bad.target = target;
        CHECK(start(bad) == errc::invalid_argument);
    }
    for (const char* host : {"", "h\r\nX: y", "a b", "h:1", "u@h", "::1"}) {
        auto bad = good;
        bad.host = host;
        CHECK(start(bad) == errc::invalid_argument);
    }
    CHECK(start({"http", "h", "/", 80, false}) == errc::invalid_argument);
    CHECK(start({"ws", "h", "/", 0, false}) == errc::invalid_argument);
    CHECK(start({"ws", "h", "/", 80, true}) == errc::invalid_argument);
    CHECK(start({"ws", "h", "/" + std::string(8192, 'a'), 80, false}) == errc::invalid_argument);
}

TEST_CASE("C8: headers that the upgrade writes itself are refused by name", "[upgrade]") {
    for (const char* own : {"Host", "host", "Upgrade", "CONNECTION", "Sec-WebSocket-Key", "sec-websocket-anything",
                            "Sec-WebSocket-Protocol", "Content-Length", "Transfer-Encoding"}) {
        const auto got = try_start("ws://h", {}, {{own, "x"}});
        CHECK(got.ec == errc::invalid_argument);
        CHECK(got.why == "the header \"" + std::string(own) + "\" is written by the upgrade itself and may not be set");
    }
    CHECK_FALSE(try_start("ws://h", {}, {{"Origin", "http://a"}, {"Sec-WebSocketX", "y"}, {"Hos", "t"}}).ec);
}

TEST_CASE("C6: subprotocols to offer are tokens without repetition", "[upgrade]") {
    for (const char* bad : {"", "a b", "a,b", "a\r\n", "\xc3\xa4"}) {
        const auto got = try_start("ws://h", {"ok", bad});
        CHECK(got.ec == errc::invalid_argument);
        CHECK(contains(got.why, "is not a token"));
    }
    CHECK(contains(try_start("ws://h", {"a", "b", "a"}).why, "\"a\" is offered twice"));
    CHECK_FALSE(try_start("ws://h", {"a", "A"}).ec);
    CHECK(contains(try_start("ws://h", std::vector<std::string>(33, "a")).why, "the limit is 32"));
}

TEST_CASE("upgrade request: its size is limited", "[upgrade]") {
    CHECK(contains(try_start("ws://h", {}, {{"A", std::string(20000, 'b')}}).why, "the limit is 16384"));
    CHECK(contains(try_start("ws://h", {}, std::vector<header>(101, {"A", "b"})).why, "the limit is 100"));
}

TEST_CASE("C5: what is not HTTP is refused at its first wrong byte", "[upgrade]") {
    CHECK(answered("\x15").error() == errc::bad_response);
    CHECK(answered("HTTP/1").state() == status::need_more);
    CHECK(answered("HTTP/1.").state() == status::need_more);
    CHECK(answered("HTTP/2").error() == errc::bad_response);
    CHECK(answered("SSH-2.0").error() == errc::bad_response);
}

TEST_CASE("H10 of a response: 20 MB in one chunk or byte by byte fail at the limit", "[upgrade]") {
    const std::string text = "HTTP/1.1 101 X\r\nA: " + std::string(20'000'000, 'a');
    auto client = started_client();
    CHECK(feed_pieces(client, {text}) == ws::http_limits{}.max_head_bytes + 1);
    CHECK(client.error() == errc::header_too_large);
    auto bytewise = started_client();
    std::size_t taken = 0;
    for (const char c : text) {
        std::size_t consumed = 0;
        (void)bytewise.feed(as_bytes({&c, 1}), consumed);
        taken += consumed;
    }
    CHECK(taken == ws::http_limits{}.max_head_bytes + 1);
    CHECK(bytewise.error() == errc::header_too_large);
}

TEST_CASE("upgrade: a client is used again for the next attempt", "[upgrade]") {
    auto client = answered("HTTP/1.1 503 X\r\nRetry-After: 1\r\n\r\nbody");
    url where;
    REQUIRE_FALSE(parse_url("ws://h", where));
    byte_vector out;
    REQUIRE_FALSE(client.start(out, where, {}, {}, sample_nonce()));
    CHECK(client.state() == status::need_more);
    CHECK_FALSE(client.error());
    CHECK(client.http_status() == 0);
    CHECK(client.body_head().empty());
    CHECK_FALSE(client.retry_after());
    feed_pieces(client, {"HTTP/1.1 101 X\r\nA: \x01"});
    CHECK(client.error() == errc::bad_response);
    REQUIRE_FALSE(client.start(out, where, {}, {}, sample_nonce()));
    feed_pieces(client, {response_text()});
    CHECK(client.state() == status::ready);
}

TEST_CASE("upgrade: a client that was not started, or failed to, takes nothing", "[upgrade]") {
    client_upgrade client;
    std::size_t consumed = 5;
    CHECK(client.feed(as_bytes(response_text()), consumed) == status::need_more);
    CHECK(consumed == 0);
}

// SPDX-License-Identifier: BSL-1.0
// The corners of the upgrade that other tests pass by: each branch of a rule, by the smallest input that takes it.
#include "support/catch.hpp"
#include "support/upgrade_feed.hpp"

#include <hawser/protocol/ws/extension_list.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace hawser;
using hawser_test::feed_pieces;
using hawser_test::request_text;
using ws::server_upgrade;

namespace {

unsigned status_of(const std::string& text) {
    server_upgrade server;
    feed_pieces(server, {text});
    return server.state() == server_upgrade::status::ready ? 101 : server.failure().http_status;
}
unsigned status_of_line(const std::string& line) { return status_of(request_text({}, line)); }

}  // namespace

TEST_CASE("reject: the reason phrase of RFC 9110 section 15 stands in the first line, and in the body where there is no other",
          "[upgrade]") {
    const std::pair<unsigned, std::string> phrases[] = {
        {301u, "Moved Permanently"}, {302u, "Found"}, {303u, "See Other"}, {307u, "Temporary Redirect"},
        {308u, "Permanent Redirect"}, {400u, "Bad Request"}, {401u, "Unauthorized"}, {403u, "Forbidden"},
        {404u, "Not Found"}, {405u, "Method Not Allowed"}, {408u, "Request Timeout"}, {409u, "Conflict"},
        {410u, "Gone"}, {413u, "Content Too Large"}, {414u, "URI Too Long"}, {421u, "Misdirected Request"},
        {426u, "Upgrade Required"}, {429u, "Too Many Requests"}, {431u, "Request Header Fields Too Large"}, {500u, "Internal Server Error"},
        {502u, "Bad Gateway"}, {503u, "Service Unavailable"}, {504u, "Gateway Timeout"}, {505u, "HTTP Version Not Supported"},
        {499u, "Refused"}};
    for (const auto& [status, phrase] : phrases) {
        server_upgrade server;
        byte_vector out;
        REQUIRE_FALSE(server.reject(out, status, ""));
        CHECK(as_text(out).starts_with("HTTP/1.1 " + std::to_string(status) + " " + phrase + "\r\n"));
        CHECK(as_text(out).ends_with("\r\n\r\n" + phrase));
    }
}

TEST_CASE("H2: a version that has not the form of one gets 400, another version 505", "[upgrade]") {
    for (const std::string version : {"HTTP/1", "HTTP/1.", "HTTP/a.1", "HTTP/1.a", "HTTP/1,1", "HTTQ/1.1", "http/1.1", "HTTP/11.1", "HTTP/1.11"}) {
        CAPTURE(version);
        CHECK(status_of_line("GET / " + version) == 400);
    }
    for (const std::string version : {"HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/9.9"})
        CHECK(status_of_line("GET / " + version) == 505);
}

TEST_CASE("H1: what is no token is no method", "[upgrade]") {
    for (const std::string line : {"G(T / HTTP/1.1", "GE\"T / HTTP/1.1", "GET", "G,T / HTTP/1.1"}) CHECK(status_of_line(line) == 400);
}

TEST_CASE("H20: %-escapes that are none stay as they are; each hostile byte of a path is refused, of a query ends of lines",
          "[upgrade]") {
    for (const std::string path : {"/%", "/a%", "/a%4", "/%4g", "/%g4", "/%25", "/%41"}) {
        CAPTURE(path);
        const bool hidden = path == "/%25" || path == "/%41";
        CHECK(status_of_line("GET " + path + " HTTP/1.1") == (hidden ? 101 : 400));
        CHECK(status_of_line("GET /?" + path + " HTTP/1.1") == 101);
    }
    for (const std::string hex : {"00", "09", "0a", "0d", "1f", "7f", "c0", "c1", "f5", "ff", "0A", "C1"}) {
        CAPTURE(hex);
        CHECK(status_of_line("GET /a%" + hex + " HTTP/1.1") == 400);
        const bool line_end = hex == "0a" || hex == "0d" || hex == "0A";
        CHECK(status_of_line("GET /?a%" + hex + " HTTP/1.1") == (line_end ? 400 : 101));
    }
    for (const std::string hex : {"20", "7e", "80", "bf", "c2", "f4"}) CHECK(status_of_line("GET /a%" + hex + " HTTP/1.1") == 101);
}

TEST_CASE("H6: a key of 24 characters that are no base64, or not 16 bytes", "[upgrade]") {
    const auto with_key = [](const std::string& key) {
        std::string text = request_text();
        const std::string old(hawser_test::sample_key);
        return text.replace(text.find(old), old.size(), key);
    };
    CHECK(status_of(with_key("dGhlIHNhbXBsZSBub25jZQ==")) == 101);
    for (const std::string key : {"dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZ~==", "{GhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZTE=",
                                  "dGhlIHNhbXBsZSBub25jZTEy", "dGhlIHNhbXBsZSBub25jZR=="}) {
        CAPTURE(key);
        CHECK(status_of(with_key(key)) == 400);
    }
}

TEST_CASE("C5: a status line is three digits behind the version, then a space or nothing", "[upgrade]") {
    for (const auto& [line, status] : {std::pair<std::string, unsigned>{"HTTP/1.1 404", 404}, {"HTTP/1.1 404 ", 404}, {"HTTP/1.1 404 x", 404},
                                       {"HTTP/1.1 40", 0}, {"HTTP/1.1 4040", 0}, {"HTTP/1.1 404x", 0}, {"HTTP/1.1 4a4 x", 0}, {"HTTP/1.1  404", 0}}) {
        CAPTURE(line);
        auto client = hawser_test::started_client();
        feed_pieces(client, {line + "\r\n\r\n"});
        CHECK(client.error() == (status == 0 ? errc::bad_response : errc::refused));
        CHECK((status == 0 || client.http_status() == status));
    }
}

TEST_CASE("C8: an argument that is refused needs nobody who asks why", "[upgrade]") {
    ws::client_upgrade client;
    byte_vector out;
    url where;
    REQUIRE_FALSE(parse_url("ws://example.com/", where));
    where.scheme = "http";
    CHECK(client.start(out, where, {}, {}, hawser_test::sample_nonce()) == errc::invalid_argument);
    CHECK(out.empty());
    where.scheme = "ws+unix";
    CHECK_FALSE(client.start(out, where, {}, {}, hawser_test::sample_nonce()));
}

TEST_CASE("H19: an allow-list can only name what a browser sends as Origin: null, or a scheme and an authority", "[upgrade]") {
    for (const std::string good : {"null", "https://example.com", "http://localhost:8080", "http://[::1]:80", "chrome-extension://abc"}) {
        CAPTURE(good);
        CHECK(ws::is_origin(good));
    }
    for (const std::string bad : {"", "example.com", "Null", "://example.com", "ht tp://example.com", "https://", "https://example.com/path", "https://a b"}) {
        CAPTURE(bad);
        CHECK_FALSE(ws::is_origin(bad));
    }
}

TEST_CASE("RFC 9112 3.2.2: absolute-form of each scheme that can carry an upgrade, and of no other", "[upgrade]") {
    for (const std::string scheme : {"http", "https", "ws", "wss", "WSS", "Http"}) CHECK(status_of_line("GET " + scheme + "://example.com/ HTTP/1.1") == 101);
    for (const std::string scheme : {"", "ftp", "w", "wsss", "htt", "https:"}) CHECK(status_of_line("GET " + scheme + "://example.com/ HTTP/1.1") == 400);
}

TEST_CASE("reject: a text that has no beginning of a character where it would be cut is left out", "[upgrade]") {
    server_upgrade server;
    byte_vector out;
    REQUIRE_FALSE(server.reject(out, 400, std::string(2 * ws::max_refusal_body_bytes, '\x80')));
    CHECK(as_text(out).ends_with("Content-Length: 0\r\n\r\n"));
}

TEST_CASE("reject: the media type is not the caller's to choose", "[upgrade]") {
    server_upgrade server;
    byte_vector out;
    for (const std::string name : {"Content-Type", "content-type", "Content-Length", "Connection", "Sec-WebSocket-Version", "Bad Name"})
        CHECK(server.reject(out, 400, "x", std::vector<ws::header>{{name, "text/html"}}) == errc::invalid_argument);
    CHECK(out.empty());
    CHECK_FALSE(server.reject(out, 400, "x", std::vector<ws::header>{{"Content-Language", "en"}}));
}

TEST_CASE("headers: places in two heads are never the same", "[upgrade]") {
    ws::http_head a, b;
    REQUIRE(a.parse("x\r\nA: 1\r\nB: 2\r\n\r\n"));
    REQUIRE(b.parse("x\r\nA: 1\r\nB: 2\r\n\r\n"));
    CHECK(a.begin() == a.begin());
    CHECK(a.begin() != b.begin());
    CHECK(a.begin() != a.end());
    auto at = a.begin();
    CHECK((*at++).name == "A");
    CHECK((*at).name == "B");
    CHECK(++at == a.end());
}

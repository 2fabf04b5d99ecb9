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
using hawser_test::request_text;
using ws::header;
using ws::server_upgrade;
using status = server_upgrade::status;

namespace {

server_upgrade fed(std::string_view text) {
    server_upgrade server;
    feed_pieces(server, {text});
    return server;
}
std::string failure_response(std::string_view text) {
    auto server = fed(text);
    byte_vector out;
    REQUIRE(server.state() == status::failed);
    REQUIRE_FALSE(server.write_failure(out));
    return std::string(as_text(out));
}
bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

}  // namespace

TEST_CASE("upgrade request: ready at every split, and frames behind the head are left alone", "[upgrade]") {
    const auto head = request_text(
        "Origin: https://a.example\r\nSec-WebSocket-Protocol: x, y\r\nCookie: a=b\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n");
    at_every_split(
        head + "\x81\x80\r\n\r\n", [] { return server_upgrade(); },
        [&](server_upgrade& server, std::size_t consumed) {
            REQUIRE(server.state() == status::ready);
            const auto& r = server.request();
            const bool right = consumed == head.size() && r.target == "/feed?x=1" && r.path() == "/feed" &&
                               r.query() == "x=1" && r.host == "example.com" && r.origin == "https://a.example" &&
                               r.subprotocols == std::vector<std::string>{"x", "y"} &&
                               r.find_header("cookie") == "a=b" &&
                               r.extensions == "permessage-deflate; client_max_window_bits" && r.head.size() == 9;
            if (!right) CHECK(right);
        });
}

TEST_CASE("upgrade request: the request survives being moved out", "[upgrade]") {
    auto server = fed(request_text("A: b\r\n"));
    const auto request = server.take_request();
    CHECK(request.find_header("a") == "b");
    CHECK(request.query() == "x=1");
}

TEST_CASE("upgrade request: absolute-form is reduced to path and query", "[upgrade]") {
    CHECK(fed(request_text({}, "GET ws://example.com/a?b HTTP/1.1")).request().target == "/a?b");
    CHECK(fed(request_text({}, "GET HTTPS://Example.com?b HTTP/1.1")).request().target == "/?b");
    CHECK(fed(request_text({}, "GET http://example.com HTTP/1.1")).request().target == "/");
}

TEST_CASE("RFC 6455 4.2.2: the 101 has the accept key and nothing that was not asked for", "[upgrade]") {
    auto server = fed(request_text("Sec-WebSocket-Protocol: x, y\r\n"));
    byte_vector out;
    REQUIRE_FALSE(server.accept(out, "y", std::vector<header>{{"Set-Cookie", "a=b"}}));
    CHECK(as_text(out) ==
          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: y\r\n"
          "Set-Cookie: a=b\r\n\r\n");
    CHECK(server.answered());
    CHECK(server.accept(out) == errc::invalid_state);
    CHECK(server.reject(out, 503, "late") == errc::invalid_state);
}

TEST_CASE("C6: accept refuses subprotocols and extensions that were not offered, and writes nothing", "[upgrade]") {
    auto server = fed(request_text("Sec-WebSocket-Protocol: x\r\nSec-WebSocket-Extensions: foo; a, bar\r\n"));
    byte_vector out;
    const auto choose = [&](std::string value) {
        return server.accept(out, "x", std::vector<header>{{"Sec-WebSocket-Extensions", value}});
    };
    CHECK(server.accept(out, "y") == errc::invalid_argument);
    CHECK(server.accept(out, "X") == errc::invalid_argument);
    for (const char* bad : {"baz", "foo, baz", "", "foo;", "foo\r\nX: y"})
        CHECK(choose(bad) == errc::invalid_argument);
    const std::vector<header> twice{{"Sec-WebSocket-Extensions", "foo"}, {"sec-websocket-extensions", "bar"}};
    CHECK(server.accept(out, "x", twice) == errc::invalid_argument);
    CHECK(out.empty());
    CHECK_FALSE(choose("foo; a=1"));
    CHECK(contains(as_text(out), "\r\nSec-WebSocket-Extensions: foo; a=1\r\n"));
}

TEST_CASE("C8: a response cannot be split by a name or a value", "[upgrade]") {
    const std::vector<header> hostile = {{"A\r\nB", "c"},
                                         {"A", "b\r\nC: d"},
                                         {"A", "b\nc"},
                                         {"A", "b\rc"},
                                         {"A", std::string("b\0c", 3)},
                                         {"", "b"},
                                         {"A:", "b"},
                                         {"A ", "b"},
                                         {"Connection", "close"},
                                         {"upgrade", "h2c"},
                                         {"Content-Length", "5"},
                                         {"Transfer-Encoding", "chunked"},
                                         {"sec-websocket-accept", "x"},
                                         {"Sec-WebSocket-Protocol", "x"}};
    for (const auto& one : hostile) {
        INFO(one.name << ": " << one.value);
        auto server = fed(request_text());
        byte_vector out;
        CHECK(server.accept(out, {}, std::span(&one, 1)) == errc::invalid_argument);
        CHECK(server.reject(out, 403, "no", std::span(&one, 1)) == errc::invalid_argument);
        CHECK(out.empty());
        CHECK_FALSE(server.answered());
    }
}

TEST_CASE("reject: status, text, extra headers", "[upgrade]") {
    auto server = fed(request_text());
    byte_vector out;
    REQUIRE_FALSE(server.reject(out, 401, "who are you?\n", std::vector<header>{{"WWW-Authenticate", "Bearer"}}));
    CHECK(as_text(out) ==
          "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n"
          "X-Content-Type-Options: nosniff\r\nContent-Length: 13\r\nWWW-Authenticate: Bearer\r\n\r\n"
          "who are you?\n");
}

TEST_CASE("H12, H22: a refusal is possible before the request is complete", "[upgrade]") {
    server_upgrade server;
    feed_pieces(server, {"GET / HT"});
    byte_vector out;
    CHECK(server.accept(out) == errc::invalid_state);
    CHECK(server.write_failure(out) == errc::invalid_state);
    CHECK(out.empty());
    REQUIRE_FALSE(server.reject(out, 408, ""));
    CHECK(as_text(out).starts_with("HTTP/1.1 408 Request Timeout\r\n"));
    CHECK(as_text(out).ends_with("\r\n\r\nRequest Timeout"));
}

TEST_CASE("reject: only statuses that refuse; a long text is cut at a character", "[upgrade]") {
    server_upgrade server;
    byte_vector out;
    for (const unsigned bad : {0u, 99u, 101u, 200u, 299u, 600u, 4000000000u})
        CHECK(server.reject(out, bad, "x") == errc::invalid_argument);
    std::string text(ws::max_refusal_body_bytes - 1, 'a');
    text += "\xc3\xa4 and more";
    REQUIRE_FALSE(server.reject(out, 599, text));
    CHECK(as_text(out).starts_with("HTTP/1.1 599 Refused\r\n"));
    CHECK(as_text(out).ends_with("aaa"));
    CHECK(contains(as_text(out), "Content-Length: 1023\r\n"));
}

TEST_CASE("H1: method is not GET -> 405 with Allow; HEAD gets no body", "[upgrade]") {
    const auto post = failure_response(request_text({}, "POST / HTTP/1.1"));
    CHECK(post.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"));
    CHECK(contains(post, "\r\nAllow: GET\r\n"));
    CHECK(failure_response(request_text({}, "HEAD / HTTP/1.1")).ends_with("\r\n\r\n"));
}

TEST_CASE("H4, H7: not websocket or version is not 13 -> 426 with Upgrade and Sec-WebSocket-Version: 13", "[upgrade]") {
    auto other_version = request_text();
    other_version.replace(other_version.find(": 13"), 4, ": 12");
    for (const auto& text : {other_version, std::string("GET / HTTP/1.1\r\nHost: a\r\n\r\n")}) {
        const auto response = failure_response(text);
        CHECK(
            response.starts_with("HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n"
                                 "Sec-WebSocket-Version: 13\r\n"));
    }
}

TEST_CASE("H8: a first byte that begins no method, or TLS, is refused at once", "[upgrade]") {
    CHECK(fed("\x16").failure().text == "TLS was sent to a port without TLS");
    CHECK(fed("\x16").failure().http_status == 400);
    for (const char* first : {"\n", " ", "\x80", "{", "\x7f", "\t"})
        CHECK(fed(first).failure().code == errc::bad_request);
    CHECK(fed(std::string_view("\0", 1)).state() == status::failed);
    CHECK(fed("").state() == status::need_more);
    CHECK(fed("G").state() == status::need_more);
}

TEST_CASE("RFC 9112 2.2: one empty line before the request line is passed over at every split, a second one is not",
          "[upgrade]") {
    const std::string text = "\r\n" + request_text();
    at_every_split(text + "\x81\x80", [] { return server_upgrade(); }, [&](server_upgrade& server, std::size_t consumed) {
        CHECK(server.state() == status::ready);
        CHECK(consumed == text.size());
        CHECK(server.request().target == "/feed?x=1");
        CHECK(server.request().head.first_line() == "GET /feed?x=1 HTTP/1.1");
        byte_vector out;
        CHECK_FALSE(server.accept(out));
    });
    at_every_split("\r\n" + text, [] { return server_upgrade(); }, [](server_upgrade& server, std::size_t consumed) {
        CHECK(server.failure().http_status == 400);
        CHECK(consumed == 4);
    });
    at_every_split("\r\n\x16\x03\x01", [] { return server_upgrade(); }, [](server_upgrade& server, std::size_t consumed) {
        CHECK(server.failure().http_status == 400);
        CHECK(consumed == 3);
    });
    for (const char* bad : {"\rG", "\r\r", "\r\n\n", "\r\n ", "\r\n\t"}) CHECK(fed(bad).failure().code == errc::bad_request);
    for (const char* begun : {"\r", "\r\n", "\r\nG"}) CHECK(fed(begun).state() == status::need_more);
}

TEST_CASE("H10: the empty line before a request counts as bytes of its head, and not as a field", "[upgrade]") {
    ws::http_limits limits;
    limits.max_head_bytes = request_text().size() + 2;
    limits.max_headers = 5;
    server_upgrade exact(limits);
    feed_pieces(exact, {"\r\n" + request_text()});
    CHECK(exact.state() == status::ready);
    --limits.max_head_bytes;
    server_upgrade over(limits);
    feed_pieces(over, {"\r\n" + request_text()});
    CHECK(over.failure().http_status == 431);
}

TEST_CASE("H1: an empty line before a HEAD request does not give its refusal a body", "[upgrade]") {
    auto server = fed("\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    byte_vector out;
    REQUIRE_FALSE(server.write_failure(out));
    CHECK(as_text(out).starts_with("HTTP/1.1 405 "));
    CHECK(as_text(out).ends_with("\r\n\r\n"));
}

TEST_CASE("H10: 20 MB of header, byte by byte -> 431 after 16 KiB and nothing is consumed after it", "[upgrade]") {
    server_upgrade server;
    feed_pieces(server, {"GET / HTTP/1.1\r\nX: "});
    std::size_t taken = 19;
    for (std::size_t i = 0; i < 20'000'000; ++i) {
        std::size_t consumed = 0;
        (void)server.feed(as_bytes("a"), consumed);
        taken += consumed;
    }
    CHECK(server.failure().http_status == 431);
    CHECK(taken == ws::http_limits{}.max_head_bytes + 1);
}

TEST_CASE("H10: 20 MB in one chunk are not read beyond the limit", "[upgrade]") {
    server_upgrade server;
    const auto consumed = feed_pieces(server, {"GET / HTTP/1.1\r\nX: " + std::string(20'000'000, 'a')});
    CHECK(server.failure().http_status == 431);
    CHECK(consumed == ws::http_limits{}.max_head_bytes + 1);
}

TEST_CASE("H20: a target without an end -> 414 at its limit", "[upgrade]") {
    server_upgrade server;
    const auto consumed = feed_pieces(server, {"GET /" + std::string(20'000'000, 'a')});
    CHECK(server.failure().http_status == 414);
    CHECK(consumed < ws::http_limits{}.max_target + 64);
    CHECK(failure_response("GET /" + std::string(9000, 'a')).starts_with("HTTP/1.1 414 URI Too Long\r\n"));
}

TEST_CASE("H9, H20: the limits are options", "[upgrade]") {
    ws::http_limits limits;
    limits.max_headers = 5;
    limits.max_target = 9;
    limits.max_list_elements = 1;
    const auto state_of = [&](std::string_view text) {
        server_upgrade server(limits);
        feed_pieces(server, {text});
        return server.failure().http_status;
    };
    CHECK(state_of(request_text()) == 0);
    CHECK(state_of(request_text("A: b\r\n")) == 431);
    CHECK(state_of(request_text({}, "GET /feed?x=12 HTTP/1.1")) == 414);
    limits.max_headers = 6;
    CHECK(state_of(request_text("Sec-WebSocket-Protocol: a\r\n")) == 0);
    CHECK(state_of(request_text("Sec-WebSocket-Protocol: a, b\r\n")) == 400);
    CHECK(state_of(request_text("Sec-WebSocket-Extensions: a, b\r\n")) == 400);
    limits.max_head_bytes = 10;
    CHECK(state_of(request_text()) == 414);
}

TEST_CASE("upgrade request: nothing is consumed after the end, and the answer to each failure is written once",
          "[upgrade]") {
    auto server = fed(request_text({}, "PUT / HTTP/1.1"));
    std::size_t consumed = 7;
    CHECK(server.feed(as_bytes("more"), consumed) == status::failed);
    CHECK(consumed == 0);
    CHECK(server.failure().error() == errc::method_not_allowed);
    byte_vector out;
    CHECK_FALSE(server.write_failure(out));
    CHECK(server.write_failure(out) == errc::invalid_state);
    CHECK_FALSE(fed(request_text()).failure());
    CHECK_FALSE(fed(request_text()).failure().error());
}

TEST_CASE("a refusal has a Date where the time is known, once, and that of the application goes first", "[upgrade]") {
    const std::chrono::sys_seconds now(std::chrono::seconds{784'111'777});
    const auto refusal = [&](bool known, std::vector<header> extra) {
        auto server = fed(request_text());
        if (known) server.set_date(now);
        byte_vector out;
        REQUIRE_FALSE(server.reject(out, 403, "no", extra));
        return std::string(as_text(out));
    };
    CHECK(contains(refusal(true, {}), "\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
    CHECK_FALSE(contains(refusal(false, {}), "Date:"));
    const auto own = refusal(true, {{"date", "Mon, 07 Nov 1994 08:49:37 GMT"}});
    CHECK(contains(own, "\r\ndate: Mon, 07 Nov 1994 08:49:37 GMT\r\n"));
    CHECK_FALSE(contains(own, "Date: "));
    auto bad = fed("GET\r\n\r\n");
    bad.set_date(now);
    byte_vector out;
    REQUIRE_FALSE(bad.write_failure(out));
    CHECK(contains(as_text(out), "\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
}

TEST_CASE("the date of HTTP: each part, and the years that it cannot name", "[upgrade]") {
    using std::chrono::seconds;
    using std::chrono::sys_days;
    using std::chrono::year;
    const auto at = [](sys_days day, seconds of_day = {}) { return ws::http_date(day + of_day); };
    CHECK(at(year{1970} / 1 / 1) == "Thu, 01 Jan 1970 00:00:00 GMT");
    CHECK(at(year{2024} / 2 / 29, seconds{86'399}) == "Thu, 29 Feb 2024 23:59:59 GMT");
    CHECK(at(year{2026} / 12 / 31, seconds{3'661}) == "Thu, 31 Dec 2026 01:01:01 GMT");
    CHECK(at(year{1969} / 12 / 31, seconds{86'399}) == "Wed, 31 Dec 1969 23:59:59 GMT");
    CHECK(at(year{9999} / 12 / 31, seconds{86'399}) == "Fri, 31 Dec 9999 23:59:59 GMT");
    CHECK(at(year{0} / 1 / 1) == "Sat, 01 Jan 0000 00:00:00 GMT");
    CHECK(at(year{10'000} / 1 / 1).empty());
    CHECK(ws::http_date(std::chrono::sys_seconds::max()).empty());
    CHECK(ws::http_date(std::chrono::sys_seconds::min()).empty());
    constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    for (unsigned m = 1; m <= 12; ++m) CHECK(contains(at(year{2026} / std::chrono::month(m) / 9), std::string(" 09 ") + months[m - 1] + " 2026 "));
}

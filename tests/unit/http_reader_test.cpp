// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <hawser/protocol/ws/http.hpp>

#include <string>
#include <string_view>

using namespace hawser::ws;
using hawser::as_bytes;
using status = head_reader::status;
using fault = head_reader::fault;

namespace {

head_reader reader(http_limits limits = {}, std::size_t max_first_line = 1024) { return {limits, max_first_line}; }

http_head head_of(std::string text) {
    http_head head;
    REQUIRE(head.parse(std::move(text)));
    return head;
}

}  // namespace

TEST_CASE("head reader: takes the head and leaves what follows, at every split", "[http]") {
    const std::string head = "GET / HTTP/1.1\r\nA: b\r\n\r\n";
    const std::string text = head + "\r\n\r\nframes";
    for (std::size_t at = 0; at <= text.size(); ++at) {
        auto r = reader();
        std::size_t first = 0;
        std::size_t second = 0;
        if (r.feed(as_bytes(std::string_view(text).substr(0, at)), first) == status::need_more)
            CHECK(r.feed(as_bytes(std::string_view(text).substr(at)), second) == status::complete);
        CHECK(first + second == head.size());
        CHECK(r.text() == head);
    }
}

TEST_CASE("H8: bare CR, bare LF, controls and folding fail at the byte that breaks the rule", "[http]") {
    for (const char* bad : {"GET / HTTP/1.1\r", "GET / HTTP/1.1\r\nA: b\r", "A\r\n", ""}) {
        auto r = reader();
        std::size_t consumed = 0;
        REQUIRE(r.feed(as_bytes(bad), consumed) == status::need_more);
        const bool line_start = std::string_view(bad).ends_with("\n") || *bad == '\0';
        CHECK(r.feed(as_bytes(line_start ? " x" : "xx"), consumed) == status::failed);
        CHECK(consumed == 1);
        CHECK(r.why() == fault::malformed);
    }
    for (int c = 0; c < 256; ++c) {
        auto r = reader();
        std::size_t consumed = 0;
        const std::string text = "A: b" + std::string(1, static_cast<char>(c)) + "c\r\n\r\n";
        const bool allowed = c == '\t' || (c >= 0x20 && c != 0x7f);
        INFO(c);
        CHECK(r.feed(as_bytes(text), consumed) == (allowed ? status::complete : status::failed));
    }
}

TEST_CASE("H10: 20 MB byte by byte are refused at the limit; no byte is kept or looked at after it", "[http]") {
    http_limits limits;
    auto r = reader(limits);
    std::size_t consumed = 0;
    REQUIRE(r.feed(as_bytes("GET / HTTP/1.1\r\nA: "), consumed) == status::need_more);
    std::size_t fed = consumed;
    status last = status::need_more;
    for (; last == status::need_more && fed < 20'000'000; ++fed)
        last = r.feed(as_bytes("a"), consumed);
    CHECK(last == status::failed);
    CHECK(r.why() == fault::too_large);
    CHECK(fed == limits.max_head_bytes + 1);
    CHECK(r.text().capacity() <= 2 * (limits.max_head_bytes + 1));
}

TEST_CASE("H10: a head of exactly the limit is taken", "[http]") {
    http_limits limits;
    limits.max_head_bytes = 64;
    const std::string exact = "GET / HTTP/1.1\r\nA: " + std::string(64 - 23, 'b') + "\r\n\r\n";
    REQUIRE(exact.size() == 64);
    auto r = reader(limits);
    std::size_t consumed = 0;
    CHECK(r.feed(as_bytes(exact), consumed) == status::complete);
    auto over = reader(limits);
    CHECK(over.feed(as_bytes("B" + exact), consumed) == status::failed);
    CHECK(over.why() == fault::too_large);
}

TEST_CASE("H9: the line over max_headers fails at its first byte", "[http]") {
    http_limits limits;
    limits.max_headers = 2;
    std::size_t consumed = 0;
    auto r = reader(limits);
    CHECK(r.feed(as_bytes("GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\n"), consumed) == status::need_more);
    CHECK(r.feed(as_bytes("C"), consumed) == status::failed);
    CHECK(r.why() == fault::too_large);
    auto exact = reader(limits);
    CHECK(exact.feed(as_bytes("GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\n\r\n"), consumed) == status::complete);
}

TEST_CASE("H20: a first line without an end fails at its limit", "[http]") {
    auto r = reader({}, 10);
    std::size_t consumed = 0;
    CHECK(r.feed(as_bytes("0123456789"), consumed) == status::need_more);
    CHECK(r.feed(as_bytes("a"), consumed) == status::failed);
    CHECK(r.why() == fault::first_line_too_long);
}

TEST_CASE("head: lookup in any case, order and white space", "[http]") {
    const auto head = head_of("GET / HTTP/1.1\r\nHost: h\r\nX-A:  one \t\r\nx-a:two\r\nEmpty:\r\n\r\n");
    CHECK(head.first_line() == "GET / HTTP/1.1");
    CHECK(head.size() == 4);
    CHECK(head.find("HOST") == "h");
    CHECK(head.find("x-A") == "one");
    CHECK(head.count("X-a") == 2);
    CHECK(head.find("Empty") == "");
    CHECK_FALSE(head.find("Hos"));
    CHECK(head.joined("X-A") == "one, two");
    std::string names;
    for (const auto field : head)
        names += std::string(field.name) + ";";
    CHECK(names == "Host;X-A;x-a;Empty;");
}

TEST_CASE("head: copies and moves do not look into their source", "[http]") {
    auto original = head_of("G\r\nA: b\r\n\r\n");
    const auto copy = original;
    const auto moved = std::move(original);
    CHECK(copy.find("a") == "b");
    CHECK(moved.find("a") == "b");
    CHECK(http_head{}.size() == 0);
    CHECK(http_head{}.first_line().empty());
}

TEST_CASE("head: tokens of lists, over commas and lines", "[http]") {
    const auto head = head_of("G\r\nConnection: keep-alive ,, Upgrade\r\nConnection: x\r\nOther: upgraded\r\n\r\n");
    CHECK(head.has_token("connection", "UPGRADE"));
    CHECK(head.has_token("Connection", "x"));
    CHECK_FALSE(head.has_token("Connection", "alive"));
    CHECK_FALSE(head.has_token("Other", "upgrade"));
    CHECK_FALSE(head.has_token("Connection", ""));
}

TEST_CASE("H8: names that are no tokens are refused", "[http]") {
    for (const char* line : {"A : b", " A: b", "A", ": b", "A(: b", "A\t: b", "A B: c", "\xc3\x84: b", "\"A\": b"}) {
        INFO(line);
        http_head head;
        CHECK_FALSE(head.parse("G\r\n" + std::string(line) + "\r\n\r\n"));
    }
    http_head head;
    CHECK_FALSE(head.parse(""));
    CHECK_FALSE(head.parse("G"));
    CHECK_FALSE(head.parse("G\r\nA: b\r\n"));
}

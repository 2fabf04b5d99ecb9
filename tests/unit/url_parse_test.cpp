// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <hawser/core/url.hpp>

#include <string>
#include <string_view>

using hawser::errc;
using hawser::parse_url;
using hawser::url;

namespace {

url parsed(std::string_view text) {
    url out;
    std::string why;
    INFO(text);
    const auto ec = parse_url(text, out, &why);
    INFO(why);
    REQUIRE_FALSE(ec);
    return out;
}

std::string refusal(std::string_view text) {
    url out{"before", "", "", 1, false};
    std::string why;
    INFO(text);
    CHECK(parse_url(text, out, &why) == errc::invalid_argument);
    CHECK(parse_url(text, out) == errc::invalid_argument);
    CHECK(out == url{"before", "", "", 1, false});
    return why;
}

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

}  // namespace

TEST_CASE("url: parts and defaults", "[url]") {
    CHECK(parsed("ws://example.com") == url{"ws", "example.com", "/", 80, false});
    CHECK(parsed("wss://example.com/feed?a=b&c=%20") == url{"wss", "example.com", "/feed?a=b&c=%20", 443, false});
    CHECK(parsed("WSS://Example.COM:8443/Feed") == url{"wss", "example.com", "/Feed", 8443, false});
    CHECK(parsed("ws://example.com?x=1").target == "/?x=1");
    CHECK(parsed("ws://h/a?b?c/d://e@f").target == "/a?b?c/d://e@f");
    CHECK(parsed("ws://127.0.0.1:9001/").host == "127.0.0.1");
    CHECK(parsed("ws://my_service.internal.:80/").host == "my_service.internal.");
    CHECK(parsed("ws://xn--bcher-kva.example/").host == "xn--bcher-kva.example");
    CHECK(parsed("ws://h/?q={a|b}[c]\\").target == "/?q={a|b}[c]\\");
}

TEST_CASE("url: IPv6 literals", "[url]") {
    CHECK(parsed("ws://[::1]:8080/x") == url{"ws", "::1", "/x", 8080, true});
    for (const char* good : {"::", "::1", "1::", "2001:DB8::1", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8",
                             "::ffff:1.2.3.4", "1:2:3:4:5:6:1.2.3.4", "64:ff9b::1.2.3.4"}) {
        INFO(good);
        CHECK(parsed("ws://[" + std::string(good) + "]/").ipv6_literal);
    }
    for (const char* bad :
         {"", ":", ":::", "1", "1:2", "1::2::3", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "12345::", "g::", "::1.2.3",
          "::1.2.3.256", "1:2:3:4:5:6:7:1.2.3.4", "1.2.3.4", "fe80::1%25eth0", "::1:", "v1.x"}) {
        INFO(bad);
        CHECK(contains(refusal("ws://[" + std::string(bad) + "]/"), "is not an IPv6 address in brackets"));
    }
    CHECK(contains(refusal("ws://[::1"), "is not an IPv6 address"));
    CHECK(contains(refusal("ws://[::1]8080/"), "\"8080\" behind the IPv6 address"));
    CHECK(contains(refusal("ws://::1/"), "host \"\" is empty"));
}

TEST_CASE("url: the Host header omits the default port and keeps brackets", "[url]") {
    CHECK(parsed("ws://h:80/").authority() == "h");
    CHECK(parsed("ws://h:443/").authority() == "h:443");
    CHECK(parsed("wss://h:443/").authority() == "h");
    CHECK(parsed("wss://h:80/").authority() == "h:80");
    CHECK(parsed("wss://[::1]").authority() == "[::1]");
    CHECK(parsed("ws://[::1]:81").authority() == "[::1]:81");
    CHECK(parsed("wss://h").secure());
    CHECK_FALSE(parsed("ws://h").secure());
}

TEST_CASE("url: other schemes are refused by name", "[url]") {
    CHECK(refusal("http://example.com/") == "bad URL: the scheme \"http\" is not supported; ws, wss and ws+unix are");
    CHECK(contains(refusal("example.com"), "\"example.com\" is not followed by \"://\""));
    CHECK(contains(refusal("localhost:9001"), "\"localhost\""));
    CHECK(contains(refusal("ws:/h"), "begins with ws:// or wss://"));
    CHECK(contains(refusal(""), "begins with ws://"));
    CHECK(contains(refusal("://h"), "scheme \"\""));
    CHECK(contains(refusal("w%73://h"), "is not supported"));
}

TEST_CASE("url: a socket file, and its target behind a colon", "[url]") {
    const auto whole = parsed("ws+unix:///run/app.sock:/feed?a=b:c");
    CHECK(whole.socket_path == "/run/app.sock");
    CHECK(whole.target == "/feed?a=b:c");
    CHECK(whole.authority() == "localhost");
    CHECK_FALSE(whole.secure());
    CHECK(whole.text() == "ws+unix:///run/app.sock:/feed?a=b:c");
    CHECK(parsed("WS+UNIX:///run/app.sock").target == "/");
    CHECK(parsed("ws+unix:///run/app.sock:").target == "/");
    CHECK(parsed("ws+unix:///run/app.sock:?q").target == "/?q");
    const auto escaped = parsed("ws+unix:///a%3ab%20c/%41:/x");
    CHECK(escaped.socket_path == "/a:b c/A");
    CHECK(parsed(escaped.text()) == escaped);
    CHECK(contains(refusal("ws+unix://run/app.sock"), "does not begin with '/'"));
    CHECK(contains(refusal("ws+unix://"), "does not begin with '/'"));
    for (const char* bad : {"/a%", "/a%4", "/a%zz", "/a%00b"}) CHECK(contains(refusal("ws+unix://" + std::string(bad)), "bad %-escape"));
    CHECK(parsed("ws+unix:///" + std::string(106, 'x')).socket_path.size() == 107);
    CHECK(contains(refusal("ws+unix:///" + std::string(107, 'x')), "has 108 bytes; the limit is 107"));
    CHECK(contains(refusal("ws+unix:///a:/b#c"), "fragment"));
    CHECK(contains(refusal("ws+unix:///a:/b%zz"), "%"));
}

TEST_CASE("url: the normal form is read as the same URL", "[url]") {
    for (const char* text : {"ws://Example.com:80/a?b", "wss://[::1]:8443", "wss://h", "ws://127.0.0.1:1/%41"})
        CHECK(parsed(parsed(text).text()) == parsed(text));
}

TEST_CASE("url: credentials are refused and never repeated", "[url]") {
    const auto why = refusal("wss://user:secret@example.com/");
    CHECK(contains(why, "credentials before \"@example.com\""));
    CHECK(contains(why, "Authorization"));
    for (const char* text : {"ws://user:secret@h", "ws://secret@h", "ws://a@secret@h", "user:secret@h/", "secret@h",
                             "http://secret@h", "ws://user:secret@h:99999/", "a:secret@b://h", "ws://user:secret@h/\n"})
        CHECK_FALSE(contains(refusal(text), "user:secret"));
    CHECK_FALSE(contains(refusal("user:secret@h/"), "secret"));
    CHECK_FALSE(contains(refusal("a:secret@b://h"), "secret"));
}

TEST_CASE("url: a fragment is refused (RFC 6455 section 3)", "[url]") {
    CHECK(contains(refusal("ws://h/a#b"), "fragment"));
    CHECK(contains(refusal("ws://h#"), "%23"));
    CHECK(contains(refusal("ws://h/?#"), "fragment"));
}

TEST_CASE("C8: CR, LF, spaces, controls and bytes over 127 are refused and shown escaped", "[url]") {
    CHECK(contains(refusal("ws://h/a\r\nX: y"), "the byte \"\\x0d\" at position 8"));
    CHECK(contains(refusal(std::string_view("ws://h/\0", 8)), "\"\\x00\""));
    CHECK(contains(refusal(" ws://h/"), "the byte \" \" at position 0"));
    for (int c = 0; c < 256; ++c) {
        if (c > 0x20 && c < 0x7f) continue;
        for (const char* where : {"ws://h/a?b", "ws://h/", "ws://h", "ws://", "w"})
            (void)refusal(where + std::string(1, static_cast<char>(c)));
    }
}

TEST_CASE("url: ports", "[url]") {
    CHECK(refusal("ws://h:99999/") == "bad URL: the port \"99999\" is not a number from 1 to 65535");
    CHECK(parsed("ws://h:65535/").port == 65535);
    CHECK(parsed("ws://h:00080/").port == 80);
    for (const char* bad :
         {"0", "00000", "65536", "000080", "-1", "+1", "8o", "0x50", "80:80", "123456789012345678901"})
        CHECK(contains(refusal("ws://h:" + std::string(bad) + "/"), "is not a number from 1 to 65535"));
    CHECK(contains(refusal("ws://h:/"), "no port follows"));
}

TEST_CASE("url: hosts", "[url]") {
    CHECK(contains(refusal("ws:///feed"), "is empty"));
    CHECK(contains(refusal("ws://"), "is empty"));
    for (const char* bad : {"a..b", ".a", ".", "-a", "a-", "a.-b", "a,b", "a%41", "a*b", "a!b", "a~b", "a\\b", "a\"b"})
        (void)refusal("ws://" + std::string(bad) + "/");
    CHECK(contains(refusal("ws://h\\x/"), "xn--"));
    CHECK_FALSE(parsed("ws://" + std::string(63, 'a') + "/").host.empty());
    (void)refusal("ws://" + std::string(64, 'a') + "/");
    std::string longest;
    for (int i = 0; i < 126; ++i)
        longest += "a.";
    CHECK(parsed("ws://" + longest + "b/").host.size() == 253);
    (void)refusal("ws://" + longest + "bb/");
}

TEST_CASE("url: a host that resolvers read as different addresses is refused", "[url]") {
    for (const char* bad : {"127.1", "2130706433", "0x7f000001", "0x7f.1", "010.0.0.1", "1.2.3.4.5", "1.2.3.256",
                            "1.2.3.4.", "a.1", "a.0x", "1.2.3"})
        CHECK(contains(refusal("ws://" + std::string(bad) + "/"), "is not an IPv4 address"));
    CHECK(parsed("ws://1.2.3.4a/").host == "1.2.3.4a");
}

TEST_CASE("url: bad escapes and forbidden bytes of the target", "[url]") {
    for (const char* bad : {"/%", "/%2", "/%zz", "/?a=%", "/?a=%4", "/?100%!"})
        CHECK(contains(refusal("ws://h" + std::string(bad)), "is not '%' and two hexadecimal digits"));
    for (const char* bad : {"/\"", "/<", "/>", "/a\\b", "/?\"", "/?<"})
        CHECK(contains(refusal("ws://h" + std::string(bad)), "percent-encode it"));
}

TEST_CASE("H20: the target of a URL is at most 8 KiB", "[url]") {
    CHECK(parsed("ws://h/" + std::string(8191, 'a')).target.size() == 8192);
    CHECK(contains(refusal("ws://h/" + std::string(8192, 'a')), "8193 bytes; the limit is 8192"));
    (void)refusal("ws://h?" + std::string(8191, 'a'));
    CHECK(refusal("ws://" + std::string(1 << 20, 'a')).size() < 200);
}

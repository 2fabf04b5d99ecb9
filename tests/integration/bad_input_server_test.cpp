// SPDX-License-Identifier: BSL-1.0
// Raw bytes against a listener: the HTTP status or the close code that arrives, what the socket
// says, and that the next client is served.
#include "bad_input_sockets.hpp"

using namespace bad_input;

namespace {

/// What arrives for these bytes, up to the end of the connection.
std::string answer_to(const echo_host& host, std::string_view bytes) {
    raw_socket s = raw_socket::connect(host.port());
    s.send(bytes);
    return s.read_to_end();
}

/// The good request with one line replaced; empty: without it.
std::string request_with(const std::string& line_start, const std::string& replacement) {
    std::string all = echo_host::request();
    const auto at = all.find(line_start);
    REQUIRE(at != std::string::npos);
    return all.replace(at, all.find("\r\n", at) + 2 - at, replacement);
}

struct bad_request {
    std::string row;
    std::string bytes;
    unsigned status;
    std::string also{};  // a header field of the answer
};

std::vector<bad_request> all_bad_requests() {
    std::vector<bad_request> all;
    for (const std::string method : {"POST", "HEAD", "PUT", "OPTIONS", "get"})
        all.push_back({"H1: method " + method, request_with("GET", method + " / HTTP/1.1\r\n"), 405, "Allow: GET"});
    all.push_back({"H2: HTTP/1.0", request_with("GET", "GET / HTTP/1.0\r\n"), 400});
    all.push_back({"H3: no Host", request_with("Host", ""), 400});
    all.push_back({"H3: Host twice", request_with("Host", "Host: a\r\nHost: a\r\n"), 400});
    all.push_back({"H4: Upgrade is not websocket", request_with("Upgrade", "Upgrade: h2c\r\n"), 426, "Upgrade: websocket"});
    all.push_back({"H4: no Upgrade", request_with("Upgrade", ""), 426, "Upgrade: websocket"});
    all.push_back({"H5: Connection lacks upgrade", request_with("Connection", "Connection: keep-alive\r\n"), 400});
    all.push_back({"H5: no Connection", request_with("Connection", ""), 400});
    all.push_back({"H6: no key", request_with("Sec-WebSocket-Key", ""), 400});
    for (const std::string key : {"dGhlIHNhbXBsZSBub25j", "dGhlIHNhbXBsZSBub25jZSE=", "dGhlIHNhbXBsZSBub25jZQ=!", ""})
        all.push_back({"H6: key '" + key + "'", request_with("Sec-WebSocket-Key", "Sec-WebSocket-Key: " + key + "\r\n"), 400});
    for (const std::string version : {"8", "14", "013", ""})
        all.push_back({"H7: version '" + version + "'",
                       request_with("Sec-WebSocket-Version", "Sec-WebSocket-Version: " + version + "\r\n"), 426,
                       "Sec-WebSocket-Version: 13"});
    all.push_back({"H8: space before the colon", echo_host::request("A : b\r\n"), 400});
    all.push_back({"H8: folded line", echo_host::request("A: b\r\n c\r\n"), 400});
    all.push_back({"H8: NUL", echo_host::request("A: b\0c\r\n"s), 400});
    all.push_back({"H8: bare CR", echo_host::request("A: b\rc\r\n"), 400});
    all.push_back({"H8: bare LF", echo_host::request("A: b\n"), 400});
    std::string many;
    for (int i = 0; i < 101; ++i) many += "X: y\r\n";
    all.push_back({"H9: over 100 headers", echo_host::request(many), 431});
    all.push_back({"H14: Content-Length", echo_host::request("Content-Length: 5\r\n") + "hello", 413});
    all.push_back({"H14: chunked", echo_host::request("Transfer-Encoding: chunked\r\n") + "0\r\n\r\n", 413});
    all.push_back({"H20: target over 8 KiB", request_with("GET", "GET /" + std::string(8192, 'a') + " HTTP/1.1\r\n"), 414});
    for (const std::string path : {"/a%0d%0aSet-Cookie:x", "/../etc", "/a/..", "/%2e%2e/a", "/a%00", "/%252e%252e/"})
        all.push_back({"H20: target " + path, request_with("GET", "GET " + path + " HTTP/1.1\r\n"), 400});
    all.push_back({"TLS to a port without it", "\x16\x03\x01\x02\x00\x01"s, 400});
    return all;
}

}  // namespace

TEST_CASE("H1 to H9, H14, H20: a bad request gets its status, and the next client is served", "[bad_input]") {
    echo_host host;
    for (const auto& bad : all_bad_requests()) {
        INFO(bad.row);
        const std::string answer = answer_to(host, bad.bytes);
        INFO(answer);
        CHECK(answer.starts_with("HTTP/1.1 " + std::to_string(bad.status) + " "));
        CHECK(answer.find("close\r\n") != std::string::npos);
        CHECK(answer.find("\r\nDate: ") != std::string::npos);
        CHECK((bad.also.empty() || answer.find(bad.also + "\r\n") != std::string::npos));
        host.check_serves();
    }
}

TEST_CASE("H10: a header of 20 MB gets 431 when its limit is passed, not at its end", "[bad_input]") {
    echo_host host;
    raw_socket s = raw_socket::connect(host.port());
    std::string begin = echo_host::request();
    begin.resize(begin.size() - 2);
    s.send(begin + "X: " + std::string(16 * 1024, 'x'));
    CHECK(s.read_until("\r\n").starts_with("HTTP/1.1 431 "));
    const std::string more(64 * 1024, 'x');
    const auto started = std::chrono::steady_clock::now();
    std::size_t sent = 0;
    while (sent < 20'000'000 && s.send(more)) sent += more.size();
    CHECK(std::chrono::steady_clock::now() - started < std::chrono::seconds(10));
    host.check_serves();
}

TEST_CASE("H12: a handshake that does not end is ended at its deadline with 408", "[bad_input]") {
    auto o = test_options();
    o.handshake_timeout = std::chrono::milliseconds(100);
    echo_host host({.socket = o});
    const std::string request = echo_host::request();
    for (const std::size_t sent : {std::size_t{0}, std::size_t{1}, request.size() - 1}) {
        INFO(sent << " bytes of the request");
        const std::string answer = answer_to(host, std::string_view(request).substr(0, sent));
        CHECK(answer.starts_with("HTTP/1.1 408 "));
    }
    host.check_serves();
}

TEST_CASE("H19: authorize answers 403 to a foreign origin, before anything is said", "[bad_input]") {
    echo_host host({.socket = test_options(), .authorize = [](const hawser::ws::upgrade_request& r) {
                        if (r.origin.empty() || r.origin == "https://ours.example") return hawser::authorization{};
                        return hawser::authorization{.status = 403, .text = "foreign origin"};
                    }});
    const auto answer = answer_to(host, echo_host::request("Origin: https://evil.example\r\n"));
    CHECK(answer.starts_with("HTTP/1.1 403 "));
    CHECK(answer.ends_with("foreign origin"));
    host.check_serves();
}

TEST_CASE("H22: over max_connections a client gets 503 with Retry-After, and room comes back", "[bad_input]") {
    echo_host host({.socket = test_options(), .max_connections = 1, .retry_after = std::chrono::seconds(7)});
    {
        raw_socket only = host.upgraded();
        const auto answer = answer_to(host, echo_host::request());
        CHECK(answer.starts_with("HTTP/1.1 503 "));
        CHECK(answer.find("Retry-After: 7\r\n") != std::string::npos);
        only.send(frame(fin | text, "not disturbed", true));
        CHECK(only.read_frame().payload == "not disturbed");
    }
    (void)host.ended();
    host.check_serves();
}

TEST_CASE("F1 to F4, F7 to F11, F17, F21 to F23: a server answers bad frames with their close code", "[bad_input]") {
    echo_host host;
    for (const auto& bad : all_bad_frames(true)) {
        INFO(bad.row);
        raw_socket s = host.upgraded();
        s.send(bad.bytes);
        const auto answer = s.read_close();
        CHECK(answer.code() == static_cast<unsigned>(bad.code));
        CHECK_FALSE(answer.masked);
        CHECK(s.read_to_end().empty());
        const auto end = host.ended();
        CHECK(end.reason == bad.error);
        CHECK(end.close.code == bad.code);
        host.check_serves();
    }
}

TEST_CASE("F12, F18: a server answers a ping between fragments, and joins split characters", "[bad_input]") {
    echo_host host;
    raw_socket s = host.upgraded();
    s.send(frame(text, "a\xe2", true) + frame(fin | ping, "now", true));
    const auto answer = s.read_frame();
    CHECK(answer.first == (fin | pong));
    CHECK(answer.payload == "now");
    s.send(frame(continuation, "\x82", true) + frame(continuation, "", true) + frame(fin | continuation, "\xac", true));
    const auto echo = s.read_frame();
    CHECK(echo.first == (fin | text));
    CHECK(echo.payload == "a\xe2\x82\xac");
}

TEST_CASE("F15: a server ends a message that is not finished by its deadline with 1008", "[bad_input]") {
    auto o = test_options();
    o.message_timeout = std::chrono::milliseconds(100);
    echo_host host({.socket = o});
    raw_socket s = host.upgraded();
    s.send(frame(text, "begun", true));
    CHECK(s.read_close().code() == 1008);
    CHECK(host.ended().reason == errc::message_timeout);
    host.check_serves();
}

TEST_CASE("F19: a server coalesces pongs, and ends a flood of pings with 1008", "[bad_input]") {
    echo_host host;
    raw_socket s = host.upgraded();
    std::string some, flood;
    for (int i = 0; i < 500; ++i) some += frame(fin | ping, std::to_string(i), true);
    for (int i = 0; i < 20'000; ++i) flood += frame(fin | ping, std::string(125, 'p'), true);
    s.send(some);
    int pongs = 0;
    received_frame last;
    while (last.payload != "499" && last.first != (fin | close_frame)) {
        last = s.read_frame();
        REQUIRE(last.first != 0);
        ++pongs;
    }
    CHECK(last.first == (fin | pong));
    CHECK(pongs < 500);
    s.send(flood);
    CHECK(s.read_close().code() == 1008);
    CHECK(host.ended().reason == errc::control_flood);
    host.check_serves();
}

TEST_CASE("a peer that ends its side without a close frame gets what was sent to it before, and an end without a reset", "[bad_input]") {
    auto o = test_options();
    o.max_message_size = 100'000;
    echo_host host({.socket = o});
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    raw_socket s(fd);
    const int little = 4096;  // so that most of the answer is still on the server's side when the end comes there
    REQUIRE(::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof little) == 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(host.port());
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
    s.send(echo_host::request());
    REQUIRE(s.read_until("\r\n\r\n").starts_with("HTTP/1.1 101 "));
    const std::string text_of_it(20'000, 'x');
    const std::string expected = frame(fin | text, text_of_it, false);
    SECTION("after the answer") {
        s.send(frame(fin | text, text_of_it, true));
        pollfd answer{.fd = fd, .events = POLLIN, .revents = 0};
        REQUIRE(::poll(&answer, 1, 20'000) == 1);
        REQUIRE(::shutdown(fd, SHUT_WR) == 0);
    }
    SECTION("together with the request") {
        s.send(frame(fin | text, text_of_it, true));
        REQUIRE(::shutdown(fd, SHUT_WR) == 0);
    }
    const hawser::state_change end = host.ended();  // the server is done with it before anything is read
    CHECK(end.reason == errc::connection_lost);
    CHECK(end.close.code == close_code::abnormal);
    std::string got;
    ssize_t n = 0;
    for (char buffer[4096]; (n = ::recv(fd, buffer, sizeof buffer, 0)) > 0;) got.append(buffer, static_cast<std::size_t>(n));
    CHECK(n == 0);
    CHECK(got.size() == expected.size());
    CHECK((got == expected));
    host.check_serves();
}

TEST_CASE("R3: a peer that reads late gets everything, through a server that stopped listening to it", "[bad_input]") {
    auto o = test_options();
    o.max_message_size = 20'000;
    echo_host host({.socket = o});
    raw_socket s = host.upgraded();
    const std::string payload(20'000, 'm'), one = frame(fin | binary, payload, true);
    constexpr int messages = 2'000;
    std::string all;
    for (int i = 0; i < messages; ++i) all += one;
    const std::size_t taken = s.send_until_stuck(all);
    CHECK(taken < all.size());
    std::jthread writer([&] { s.send(std::string_view(all).substr(taken)); });
    int good = 0;
    while (good < messages && s.read_frame().payload == payload) ++good;
    writer.join();
    CHECK(good == messages);
    host.check_serves();
}

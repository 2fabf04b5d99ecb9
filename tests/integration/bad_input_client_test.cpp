// SPDX-License-Identifier: BSL-1.0
// A server of raw bytes against a client: the close code that it sends, the error that it reports,
// and that it goes on with a server that behaves.
#include "bad_input_sockets.hpp"

using namespace bad_input;

namespace {

std::string refusal(unsigned status, const std::string& more = {}, const std::string& body = "no") {
    return "HTTP/1.1 " + std::to_string(status) + " Because\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
           more + "\r\n" + body;
}

}  // namespace

TEST_CASE("C1: a status that may pass is tried again; status and body are told", "[bad_input]") {
    for (const unsigned status : {200U, 408U, 429U, 500U, 502U, 503U}) {
        INFO(status);
        raw_server server;
        client_host client(server.url());
        (void)server.accept_and_answer(refusal(status, {}, "the reason"));
        const auto change = client.wait_for(connection_state::waiting);
        CHECK(change.reason == errc::refused);
        CHECK(change.reason == hawser::condition::retryable);
        CHECK(change.http_status == status);
        CHECK(change.refusal == "the reason");
        client.check_recovers(server);
    }
}

TEST_CASE("C1: Retry-After of a 503 is waited for", "[bad_input]") {
    raw_server server;
    client_host client(server.url());
    (void)server.accept_and_answer(refusal(503, "Retry-After: 7\r\n"));
    const auto change = client.wait_for(connection_state::waiting);
    CHECK(change.reason == errc::refused);
    CHECK(change.retry_in >= std::chrono::seconds(7));
    CHECK(change.retry_in < std::chrono::seconds(8));
}

TEST_CASE("C1: a status that will not pass is final", "[bad_input]") {
    for (const auto& [status, error] : {std::pair{404U, errc::refused_for_good}, {400U, errc::refused_for_good}, {426U, errc::refused_for_good},
                                        {401U, errc::unauthorized}, {403U, errc::unauthorized}}) {
        INFO(status);
        raw_server server;
        client_host client(server.url());
        (void)server.accept_and_answer(refusal(status));
        const auto change = client.wait_for(connection_state::failed);
        CHECK(change.reason == error);
        CHECK(change.http_status == status);
    }
}

TEST_CASE("C4: a redirect is reported and not followed", "[bad_input]") {
    for (const unsigned status : {301U, 302U, 303U, 307U, 308U}) {
        INFO(status);
        raw_server server;
        client_host client(server.url());
        (void)server.accept_and_answer(refusal(status, "Location: " + server.url("/elsewhere") + "\r\n"));
        const auto change = client.wait_for(connection_state::failed);
        CHECK(change.reason == errc::redirected);
        CHECK(change.http_status == status);
    }
}

TEST_CASE("C5, C6: an answer that was not asked for drops the connection", "[bad_input]") {
    const std::string wrong_accept =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    const std::string no_accept = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    const std::string no_upgrade = "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: ACCEPT\r\n\r\n";
    const std::string not_http = "SSH-2.0-OpenSSH_9.2\r\n\r\n";
    for (const auto& [answer, error] : {
             std::pair{wrong_accept, errc::bad_accept},
             {no_accept, errc::bad_accept},
             {no_upgrade, errc::bad_response},
             {not_http, errc::bad_response},
             {raw_server::good_answer("Sec-WebSocket-Protocol: two\r\n"), errc::bad_subprotocol},
             {raw_server::good_answer("Sec-WebSocket-Protocol: ONE\r\n"), errc::bad_subprotocol},
             {raw_server::good_answer("Sec-WebSocket-Extensions: permessage-deflate\r\n"), errc::bad_extension},
             {raw_server::good_answer("X: " + std::string(20'000, 'x') + "\r\n"), errc::header_too_large},
         }) {
        INFO(answer.substr(0, 300));
        raw_server server;
        auto o = test_options();
        o.subprotocols = {"one"};
        client_host client(server.url(), o);
        raw_socket s = server.accept_and_answer(answer);
        CHECK(s.read_to_end().empty());
        CHECK(client.wait_for(connection_state::waiting).reason == error);
        client.check_recovers(server);
    }
}

TEST_CASE("C8: bytes that HTTP cannot carry are an invalid argument", "[bad_input]") {
    support::host_context context;
    for (const std::string target : {"/a\r\nX: y", "/a b", "/a\n", "/\x01"}) {
        hawser::resilient_socket<> s(context);
        std::string why;
        CHECK(s.try_connect("ws://127.0.0.1:1" + target, why) == errc::invalid_argument);
        CHECK_FALSE(why.empty());
    }
    for (const auto& [name, value] : {std::pair{"X"s, "a\r\nY: z"s}, {"X\r\nY"s, "a"s}, {"X"s, "a\0b"s}, {"Host"s, "a"s}}) {
        auto o = test_options();
        o.headers = {{name, value}};
        raw_server server;
        client_host client(server.url(), o);
        CHECK(client.wait_for(connection_state::failed).reason == errc::invalid_argument);
    }
}

TEST_CASE("F1 to F4, F7 to F11, F17, F21 to F23: a client answers bad frames with their close code", "[bad_input]") {
    for (const auto& bad : all_bad_frames(false)) {
        INFO(bad.row);
        raw_server server;
        client_host client(server.url());
        {
            raw_socket s = server.accept_and_answer(raw_server::good_answer());
            s.send(bad.bytes);
            const auto answer = s.read_close();
            CHECK(answer.code() == static_cast<unsigned>(bad.code));
            CHECK(answer.masked);
        }
        const auto change = client.wait_for(connection_state::waiting);
        CHECK(change.from == connection_state::open);
        CHECK(change.reason == bad.error);
        CHECK(change.close.code == bad.code);
        client.check_recovers(server);
    }
}

TEST_CASE("F12, F18: a client answers a ping between fragments, and joins split characters", "[bad_input]") {
    raw_server server;
    client_host client(server.url());
    raw_socket s = server.accept_and_answer(raw_server::good_answer());
    s.send(frame(text, "a\xe2", false) + frame(fin | ping, "now", false));
    const auto answer = s.read_frame();
    CHECK(answer.first == (fin | pong));
    CHECK(answer.payload == "now");
    CHECK(answer.masked);
    s.send(frame(continuation, "\x82", false) + frame(continuation, "", false) + frame(fin | continuation, "\xac", false));
    client.wait_for_message("a\xe2\x82\xac");
}

TEST_CASE("F15: a client ends a message that is not finished by its deadline with 1008", "[bad_input]") {
    auto o = test_options();
    o.message_timeout = std::chrono::milliseconds(100);
    raw_server server;
    client_host client(server.url(), o);
    {
        raw_socket s = server.accept_and_answer(raw_server::good_answer());
        s.send(frame(text, "begun", false));
        CHECK(s.read_close().code() == 1008);
    }
    CHECK(client.wait_for(connection_state::waiting).reason == errc::message_timeout);
    client.check_recovers(server);
}

TEST_CASE("F19: a client ends a flood of pings with 1008", "[bad_input]") {
    raw_server server;
    client_host client(server.url());
    {
        raw_socket s = server.accept_and_answer(raw_server::good_answer());
        std::string flood;
        for (int i = 0; i < 20'000; ++i) flood += frame(fin | ping, std::string(125, 'p'), false);
        s.send(flood);
        CHECK(s.read_close().code() == 1008);
    }
    CHECK(client.wait_for(connection_state::waiting).reason == errc::control_flood);
    client.check_recovers(server);
}

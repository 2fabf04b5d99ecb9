// SPDX-License-Identifier: BSL-1.0
// What every consumer builds and runs: a message over a real socket, there and back.
#include <hawser/hawser.hpp>

#include <asio/io_context.hpp>

#include <chrono>
#include <cstdio>
#include <optional>
#include <string>

int main() {
    asio::io_context context;
    hawser::listener<> listener(context, {.address = "127.0.0.1", .port = 0}, hawser::options::reliable());
    std::optional<hawser::resilient_socket<>> accepted;
    listener.async_accept([&](std::error_code ec, hawser::resilient_socket<> s) {
        if (ec) return;
        accepted.emplace(std::move(s));
        accepted->on_message([&](const hawser::message_view& m) { (void)accepted->try_send(m); });
    });

    hawser::resilient_socket<> link{context, hawser::options::reliable()};
    std::string received;
    link.on_message([&](const hawser::message_view& m) {
        received = m.text();
        listener.async_close([](std::error_code) {});
        link.close();
    });
    link.connect("ws://127.0.0.1:" + std::to_string(listener.port()) + "/");
    (void)link.try_send("hello");
    context.run_for(std::chrono::seconds(20));

#if defined(HAWSER_SEPARATE_COMPILATION)
    const char* const mode = "separately compiled";
#else
    const char* const mode = "header-only";
#endif
    std::printf("hawser %s, %s: received '%s'\n", HAWSER_VERSION_STRING, mode, received.c_str());
    return received == "hello" ? 0 : 1;
}

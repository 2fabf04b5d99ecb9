// SPDX-License-Identifier: BSL-1.0
#include <hawser/hawser.hpp>

#include <iostream>

int main() {
    asio::io_context context;
    hawser::resilient_socket<> link{context, hawser::options::reliable()};

    link.on_state([](const hawser::state_change& s) { std::cout << to_string(s.to) << '\n'; });
    link.on_message([&](const hawser::message_view& m) {
        std::cout << "received " << m.text() << '\n';
        link.close();
    });
    link.connect("ws://127.0.0.1:9001/");
    link.async_send(hawser::message::text("hello"), [](std::error_code ec, hawser::outcome o) {
        std::cout << (ec ? ec.message() : to_string(o)) << '\n';  // acknowledged
    });
    context.run();
}

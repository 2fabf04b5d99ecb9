// SPDX-License-Identifier: BSL-1.0
// A terminal in a chat room: says each line of standard input, prints what the others say.
#include <hawser/hawser.hpp>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/read_until.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>

#include <unistd.h>

#include <iostream>

asio::awaitable<void> say(hawser::resilient_socket<>& link, asio::posix::stream_descriptor& input) {
    std::error_code ec;
    std::string text;
    for (;;) {
        const auto size = co_await asio::async_read_until(input, asio::dynamic_buffer(text), '\n',
                                                          asio::redirect_error(asio::use_awaitable, ec));
        if (ec) break;
        // Without a connection it waits in the queue, and leaves as soon as there is one again.
        co_await link.async_enqueue(hawser::message::text(text.substr(0, size - 1)),
                                    asio::redirect_error(asio::use_awaitable, ec));
        text.erase(0, size);
    }
    link.close();  // after everything said was acknowledged
}

asio::awaitable<void> hear(hawser::resilient_socket<>& link, asio::posix::stream_descriptor& input) {
    std::error_code ec;
    for (;;) {
        const auto m = co_await link.async_receive(asio::redirect_error(asio::use_awaitable, ec));
        if (ec) break;
        std::cout << m.text() << std::endl;
    }
    input.close();  // the socket has ended
}

void print_state(const hawser::state_change& s) {
    std::cout << "-- " << to_string(s.to) << (s.resumed ? " again" : "");
    if (s.reason) std::cout << ": " << s.reason.message();
    std::cout << std::endl;
}

int main(int argc, char** argv) try {
    asio::io_context context(1);
    hawser::resilient_socket<> link(context, hawser::options::reliable());
    asio::posix::stream_descriptor input(context, ::dup(STDIN_FILENO));
    link.on_state(print_state);
    link.connect(argc > 1 ? argv[1] : "ws://127.0.0.1:9001/somebody");
    asio::co_spawn(link.get_executor(), say(link, input), asio::detached);
    asio::co_spawn(link.get_executor(), hear(link, input), asio::detached);
    context.run();
    return link.state() == hawser::connection_state::closed ? 0 : 1;
} catch (const std::exception& e) {
    std::cerr << "chat_client: " << e.what() << '\n';
    return 2;
}

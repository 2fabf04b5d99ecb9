// SPDX-License-Identifier: BSL-1.0
// A chat room in coroutines: what one says, all others hear. Who is cut off and comes back missed nothing.
//   chat_server 9001, then in other terminals: chat_client ws://127.0.0.1:9001/NAME
#include <hawser/hawser.hpp>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/use_awaitable.hpp>

#include <cstdlib>
#include <iostream>
#include <set>

using chat_socket = hawser::resilient_socket<>;
using chat_room = std::set<chat_socket*>;

void tell_others(chat_room& room, chat_socket& speaker, const std::string& line) {
    std::cout << line << std::endl;
    const auto m = hawser::message::text(line);  // one copy of the bytes for all
    for (chat_socket* other : room)
        if (other != &speaker && !other->try_send(m)) other->close(hawser::close_code::policy_violation, "too slow");
}

asio::awaitable<void> talk(chat_socket socket, chat_room& room) {
    const std::string name = socket.principal();
    room.insert(&socket);
    tell_others(room, socket, "* " + name + " is here");
    socket.on_state([&](const hawser::state_change& s) {
        if (s.to == hawser::connection_state::detached) tell_others(room, socket, "* " + name + " is cut off");
        if (s.resumed) tell_others(room, socket, "* " + name + " is back");
    });
    try {
        for (;;) {
            const hawser::message m = co_await socket.async_receive(asio::use_awaitable);
            tell_others(room, socket, name + ": " + std::string(m.text()));
        }
    } catch (const std::system_error&) {
    }  // the socket has ended
    room.erase(&socket);
    tell_others(room, socket, "* " + name + " has left");
}

asio::awaitable<void> serve(hawser::listener<>& listener) {
    chat_room room;
    for (;;) {
        auto socket = co_await listener.async_accept(asio::use_awaitable);
        asio::co_spawn(listener.get_executor(), talk(std::move(socket), room), asio::detached);
    }
}

int main(int argc, char** argv) try {
    asio::io_context context(1);
    hawser::listener_options options{.socket = hawser::options::reliable()};
    options.authorize = [](const hawser::ws::upgrade_request& request) -> hawser::authorization {
        return {.principal = std::string(request.path().substr(1))};  // here a name needs no password
    };
    const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 9001);
    hawser::listener<> listener(context, {.port = port}, options);
    asio::co_spawn(listener.get_executor(), serve(listener), asio::detached);
    std::cout << "listening on port " << listener.port() << std::endl;
    context.run();
} catch (const std::exception& e) {
    std::cerr << "chat_server: " << e.what() << '\n';
    return 2;
}

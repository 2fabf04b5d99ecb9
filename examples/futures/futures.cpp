// SPDX-License-Identifier: BSL-1.0
// Sending from threads that know nothing of Asio: with futures, which wait for the outcome, and through a
// handle, which waits for nothing. The io_context runs in a thread of its own.
#include <hawser/hawser.hpp>

#include <asio/use_future.hpp>

#include <future>
#include <iostream>
#include <thread>

void tick(const hawser::sender& sender, int thread) {
    for (int i = 1; i <= 3; ++i) {
        const auto text = "tick " + std::to_string(i) + " of thread " + std::to_string(thread);
        while (sender.send(hawser::message::text(text)) == hawser::errc::would_block)
            std::this_thread::yield();  // the queue is full; a real program would rather drop a tick
    }
}

int main(int argc, char** argv) try {
    asio::io_context context;
    hawser::resilient_socket<> link(context, hawser::options::reliable());
    const hawser::sender sender = link.handle();
    auto ready = link.async_connect(argc > 1 ? argv[1] : "ws://127.0.0.1:9001/", asio::use_future);
    // Ends when the socket is closed. Destroying this future waits for it.
    const auto running = std::async(std::launch::async, [&] { context.run(); });
    try {
        ready.get();
        const auto first = std::async(std::launch::async, tick, sender, 1);
        const auto second = std::async(std::launch::async, tick, sender, 2);
        const hawser::outcome o = link.async_send(hawser::message::text("hello"), asio::use_future).get();
        std::cout << "hello: " << to_string(o) << std::endl;
        for (int i = 0; i < 7; ++i) {  // an echo server answers
            const hawser::message m = link.async_receive(asio::use_future).get();
            std::cout << "received " << m.text() << std::endl;
        }
        link.async_close(asio::use_future).get();
    } catch (...) {
        link.close();
        throw;
    }
} catch (const std::exception& e) {
    std::cerr << "futures: " << e.what() << '\n';
    return 1;
}

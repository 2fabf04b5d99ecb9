// SPDX-License-Identifier: BSL-1.0
// Two sockets to one endpoint share a circuit breaker: what one learns about the endpoint holds for both. Once
// enough attempts have failed none of them dials, until one probe has succeeded.
#include <hawser/hawser.hpp>

#include <asio/signal_set.hpp>

#include <iostream>

using namespace std::chrono_literals;

void print_states(hawser::resilient_socket<>& link, const char* name) {
    link.on_state([name](const hawser::state_change& s) {
        std::cout << name << ": " << to_string(s.to);
        if (s.reason) std::cout << ": " << s.reason.message();
        std::cout << std::endl;
    });
}

int main(int argc, char** argv) try {
    const char* url = argc > 1 ? argv[1] : "ws://127.0.0.1:9001/";
    auto options = hawser::options::plain();
    options.reconnect.base_delay = options.reconnect.max_delay = 200ms;
    options.breaker = {.minimum_number_of_calls = 4, .wait_duration_in_open_state = 1000ms};

    asio::io_context context(1);
    hawser::resilient_socket<> orders(context, options);
    hawser::resilient_socket<> prices(context, options, {.breaker = orders.breaker()});
    print_states(orders, "orders");
    print_states(prices, "prices");
    orders.connect(url);
    prices.connect(url);

    asio::signal_set signals(context, SIGINT, SIGTERM);
    signals.async_wait([&](std::error_code, int) {
        std::cout << "the breaker opened " << orders.breaker().transitions().opened << " times" << std::endl;
        orders.close();
        prices.close();
    });
    context.run();
} catch (const std::exception& e) {
    std::cerr << "shared_breaker: " << e.what() << '\n';
    return 2;
}

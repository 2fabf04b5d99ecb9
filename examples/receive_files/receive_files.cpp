// SPDX-License-Identifier: BSL-1.0
// Receives files from send_file into a folder: temporary until they are complete, and kept to go on with.
#include <hawser/hawser.hpp>
#include <hawser/transfer.hpp>

#include <asio/signal_set.hpp>

#include "../support/arguments.hpp"

#include <cstdio>
#include <list>

namespace {

struct peer {
    peer(hawser::resilient_socket<> s, const hawser::transfer_options& o) : socket(std::move(s)), transfers(socket, o) {}
    hawser::resilient_socket<> socket;
    hawser::transfers<> transfers;
};

void tell(const hawser::transfer_report& r) {
    if (r.error) std::printf("%s: %s\n", r.name.c_str(), r.error.message().c_str());
    else std::printf("%s: %llu bytes\n", r.place.c_str(), static_cast<unsigned long long>(r.result.bytes));
    std::fflush(stdout);
}

void accept(hawser::listener<>& listener, std::list<peer>& peers, const hawser::transfer_options& options) {
    listener.async_accept([&](std::error_code ec, hawser::resilient_socket<> socket) {
        if (ec) return;
        std::erase_if(peers, [](const peer& p) { return p.socket.state() == hawser::connection_state::closed; });
        peers.emplace_back(std::move(socket), options);
        accept(listener, peers, options);
    });
}

}  // namespace

int main(int argc, char** argv) try {
    examples::arguments args(argc, argv, "receive_files --port P --dir DIR");
    const auto port = static_cast<std::uint16_t>(args.number("--port", 9001, 0, 65535));
    const auto folder = args.required("--dir");
    args.finish();

    auto settings = hawser::options::reliable();
    settings.transfers = true;
    hawser::transfer_options options;
    options.on_offer = hawser::receive_into({.path = folder});
    options.on_received = tell;

    asio::io_context context(1);
    hawser::listener<> listener(context, {.port = port}, settings);
    std::list<peer> peers;
    accept(listener, peers, options);
    std::printf("listening on port %d\n", listener.port());
    std::fflush(stdout);
    asio::signal_set signals(context, SIGINT, SIGTERM);
    signals.async_wait([&](std::error_code, int) { context.stop(); });
    context.run();
} catch (const std::exception& e) {
    std::fprintf(stderr, "receive_files: %s\n", e.what());
    return 2;
}

// SPDX-License-Identifier: BSL-1.0
// Sends files to receive_files, all at once. Cut the connection, kill either side and start it again: it goes on where it was.
#include <hawser/hawser.hpp>
#include <hawser/transfer.hpp>

#include "../support/arguments.hpp"

#include <cstdio>

int main(int argc, char** argv) try {
    examples::arguments args(argc, argv, "send_file --url URL FILE...", {}, {}, {}, true);
    const auto url = args.required("--url");
    args.finish();

    auto settings = hawser::options::reliable();
    settings.transfers = true;
    asio::io_context context(1);
    hawser::resilient_socket<> link(context, settings);
    hawser::transfers<> transfers(link);
    link.on_state([](const hawser::state_change& s) { std::fprintf(stderr, "-- %s\n", to_string(s.to)); });

    std::size_t left = args.rest().size(), failed = 0;
    for (const std::string& file : args.rest())
        transfers.async_send_file(file, [&, file](std::error_code ec, const hawser::transfer_result& r) {
            if (ec) std::printf("%s: %s %s\n", file.c_str(), ec.message().c_str(), r.text.c_str());
            else std::printf("%s: %llu bytes, %llu of them sent before\n", file.c_str(), static_cast<unsigned long long>(r.bytes),
                             static_cast<unsigned long long>(r.resumed_from));
            std::fflush(stdout);
            failed += ec ? 1U : 0U;
            if (--left == 0) link.close();
        });
    if (left == 0) return 0;
    link.connect(url);
    context.run();
    return failed == 0 ? 0 : 1;
} catch (const std::exception& e) {
    std::fprintf(stderr, "send_file: %s\n", e.what());
    return 2;
}

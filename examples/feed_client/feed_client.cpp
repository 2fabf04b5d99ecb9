// SPDX-License-Identifier: BSL-1.0
// Follows a feed of any WebSocket server: reconnects, subscribes again and waits for the answer, dials again when the
// feed falls silent, drops copies, prints what comes.
#include <hawser/hawser.hpp>

#include <asio/signal_set.hpp>

#include "../support/arguments.hpp"

#include <algorithm>
#include <cstdio>

namespace {

void print_state(const hawser::state_change& s) {
    std::printf("-- %s", to_string(s.to));
    if (s.reason) std::printf(": %s", s.reason.message().c_str());
    else if (s.close.code != hawser::close_code::none)
        std::printf(": closed with %d %s", static_cast<int>(s.close.code), s.close.reason.c_str());
    if (s.to == hawser::connection_state::waiting)
        std::printf("; next attempt in %.1f s", std::chrono::duration<double>(s.retry_in).count());
    std::printf("\n");
    std::fflush(stdout);
}

void print_message(const hawser::message_view& m) {
    if (m.is_text()) std::printf("%.*s\n", static_cast<int>(m.size()), m.text().data());
    else std::printf("(%zu bytes)\n", m.size());
    std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) try {
    examples::arguments args(argc, argv,
                             "feed_client --url URL [--subscribe TEXT]... [--confirm TEXT [--refuse TEXT]] [--stale-after SECONDS] [--no-copies]",
                             {"--no-copies"}, {"--subscribe"});
    const auto url = args.required("--url");
    const auto subscriptions = args.texts("--subscribe");
    const auto yes = args.text("--confirm", ""), no = args.text("--refuse", "");

    auto settings = hawser::options::plain();
    settings.reconnect = {.base_delay = std::chrono::milliseconds(500), .max_delay = std::chrono::seconds(10)};
    settings.breaker.wait_duration_in_open_state = std::chrono::seconds(5);
    // Sent on each connect, before anything else. With --confirm, `open` is told once each was answered by a
    // message that begins so.
    for (const auto& s : subscriptions) settings.on_connect.push_back(hawser::message::text(s));
    if (!yes.empty()) {
        settings.feed.confirmations = static_cast<std::uint32_t>(std::max<std::size_t>(1, subscriptions.size()));
        settings.feed.confirm = [yes, no](const hawser::message_view& m) {
            if (m.text().starts_with(yes)) return hawser::subscription_answer::confirmed;
            if (!no.empty() && m.text().starts_with(no)) return hawser::subscription_answer::failed;
            return hawser::subscription_answer::undecided;
        };
    }
    settings.feed.stale_after = std::chrono::seconds(args.number("--stale-after", 0, 0, 86'400));
    settings.feed.by_digest = args.flag("--no-copies");
    args.finish();

    asio::io_context context(1);
    hawser::resilient_socket<> link(context, settings);
    asio::signal_set signals(context, SIGINT, SIGTERM);
    signals.async_wait([&](std::error_code ec, int) {
        if (!ec) link.close();
    });
    link.on_state([&](const hawser::state_change& s) {
        print_state(s);
        const bool over = s.to == hawser::connection_state::closed || s.to == hawser::connection_state::failed;
        if (over) signals.cancel();
    });
    link.on_message(print_message);
    link.connect(url);
    context.run();
    return link.state() == hawser::connection_state::closed ? 0 : 1;
} catch (const std::exception& e) {
    std::fprintf(stderr, "feed_client: %s\n", e.what());
    return 2;
}

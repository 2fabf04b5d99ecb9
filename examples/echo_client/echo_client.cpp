// SPDX-License-Identifier: BSL-1.0
// Sends messages to an echo server and accounts for each one: what became of it, and its echo.
#include <hawser/hawser.hpp>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>

#include "../support/arguments.hpp"

#include <cstdio>

namespace {

struct echo_run {
    hawser::resilient_socket<>& link;
    std::string text;
    long count = 0;
    long settled = 0, delivered = 0;       // messages whose outcome is known; of them, delivered
    long echoed = 0, wrong = 0, next = 0;  // `next`: the echo that comes next

    [[nodiscard]] std::string body(long i) const { return text + " #" + std::to_string(i); }
    [[nodiscard]] bool good() const { return delivered == count && echoed == count && wrong == 0; }
    // What was not delivered may have no echo.
    void close_when_done() {
        if (settled == count && echoed + wrong >= delivered) link.close();
    }
};

asio::awaitable<void> send_all(echo_run& run) {
    std::error_code ec;
    for (long i = 0; i < run.count && !ec; ++i) {
        // Completes when the message is accepted: at once, or when there is room again.
        const auto ticket = co_await run.link.async_enqueue(hawser::message::text(run.body(i)),
                                                            asio::redirect_error(asio::use_awaitable, ec));
        if (ec) co_return;  // the socket has ended
        run.link.async_outcome(ticket, [&run](std::error_code failed, hawser::outcome what) {
            ++run.settled;
            if (!failed) ++run.delivered;
            else std::fprintf(stderr, "echo_client: a message was not delivered: %s\n", to_string(what));
            run.close_when_done();
        });
    }
}

asio::awaitable<void> receive_all(echo_run& run) {
    std::error_code ec;
    for (;;) {
        const auto m = co_await run.link.async_receive(asio::redirect_error(asio::use_awaitable, ec));
        if (ec) co_return;  // closed, and everything received was taken
        m.ack();  // or the next receive would take responsibility, after the close perhaps
        while (run.next < run.count && m.text() != run.body(run.next)) ++run.next;
        if (run.next++ < run.count && m.is_text()) ++run.echoed;
        else ++run.wrong;
        run.close_when_done();
    }
}

}  // namespace

int main(int argc, char** argv) try {
    examples::arguments args(argc, argv, "echo_client --url URL [--count N] [--text T] [--timeout S] [--plain]", {"--plain"});
    const auto url = args.required("--url");
    const auto count = args.number("--count", 10, 1, 100'000'000);
    const auto text = args.text("--text", "hello");
    const auto timeout = args.number("--timeout", 60, 1, 86'400);
    const bool plain = args.flag("--plain");
    args.finish();

    asio::io_context context(1);
    hawser::resilient_socket<> link(context, plain ? hawser::options::plain() : hawser::options::reliable());
    echo_run run{.link = link, .text = text, .count = count};
    asio::steady_timer deadline(context, std::chrono::seconds(timeout));
    deadline.async_wait([&](std::error_code ec) {
        if (!ec) link.close();
    });
    link.on_state([&](const hawser::state_change& s) {
        if (s.reason) std::fprintf(stderr, "echo_client: %s: %s\n", to_string(s.to), s.reason.message().c_str());
        if (s.to == hawser::connection_state::closed || s.to == hawser::connection_state::failed) deadline.cancel();
    });
    link.connect(url);
    asio::co_spawn(link.get_executor(), send_all(run), asio::detached);
    asio::co_spawn(link.get_executor(), receive_all(run), asio::detached);
    context.run();

    std::printf("%ld sent, %ld %s, %ld echoed, %ld wrong\n", count, run.delivered, plain ? "written" : "acknowledged",
                run.echoed, run.wrong);
    return run.good() ? 0 : 1;
} catch (const std::exception& e) {
    std::fprintf(stderr, "echo_client: %s\n", e.what());
    return 2;
}

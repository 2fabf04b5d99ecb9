// SPDX-License-Identifier: BSL-1.0
// Sends messages 1 to N, each once, however often this process is killed meanwhile: what is in the store tells a new
// one where to go on.
#include <hawser/custom_policies.hpp>
#include <hawser/hawser.hpp>
#include <hawser/sqlite.hpp>

#include <asio/steady_timer.hpp>

#include "../support/arguments.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>

namespace {

struct policies : hawser::default_policies {
    using store = hawser::sqlite_store;
};

struct plan {
    std::uint64_t count = 0;
    std::size_t bytes = 0;
    long rate = 0;  // a second; 0: as fast as it goes
};

class sender {
public:
    sender(asio::io_context& context, const std::string& url, const std::string& file, plan p)
        : link_(context, settings(), {.store = hawser::sqlite_store({.file = file})}), timer_(context), plan_(p) {
        link_.on_state([this](const hawser::state_change& s) {
            if (s.to == hawser::connection_state::failed) fail(s.reason.message());
        });
        link_.on_outcome([this](hawser::ticket t, hawser::outcome o) {
            if (hawser::error_of(o)) return fail("message " + std::to_string(t.counter) + " ended " + to_string(o));
            ++acknowledged_;
            check_end();
        });
        link_.connect(url);
        link_.async_wait_loaded([this](std::error_code ec) {
            if (ec) return;  // on_state tells why
            // Nothing but these messages is sent with this store, so the ticket of a message is its number.
            next_ = link_.last_ticket().counter;
            std::printf("durable_sender: %llu are in the store, %zu of them not acknowledged yet\n",
                        static_cast<unsigned long long>(next_), link_.unacknowledged());
            std::fflush(stdout);
            if (plan_.rate > 0) tick();
            else while (under_way_ < 64 && next_ < plan_.count) send();
            check_end();
        });
    }
    [[nodiscard]] bool done() const { return done_; }
    [[nodiscard]] std::size_t acknowledged() const { return acknowledged_; }

private:
    static hawser::options settings() {
        auto o = hawser::options::reliable();
        o.reconnect.base_delay = std::chrono::milliseconds(100);
        o.reconnect.max_delay = std::chrono::seconds(2);
        return o;
    }
    void send() {
        std::string text = std::to_string(++next_);
        if (text.size() < plan_.bytes) (text += ' ').resize(plan_.bytes, '.');
        ++under_way_;
        link_.async_enqueue(hawser::message::text(text), [this](std::error_code ec, hawser::ticket) {
            --under_way_;
            if (!ec && plan_.rate == 0 && next_ < plan_.count) send();
        });
    }
    void tick() {
        if (next_ >= plan_.count) return;
        send();
        timer_.expires_after(std::chrono::microseconds(1'000'000 / plan_.rate));
        timer_.async_wait([this](std::error_code ec) {
            if (!ec) tick();
        });
    }
    void check_end() {
        if (link_.last_ticket().counter < plan_.count || under_way_ > 0 || link_.unacknowledged() > 0) return;
        done_ = true;
        link_.close();
    }
    void fail(const std::string& why) {
        std::fprintf(stderr, "durable_sender: %s\n", why.c_str());
        timer_.cancel();
        link_.close();
    }

    hawser::resilient_socket<policies> link_;
    asio::steady_timer timer_;
    plan plan_;
    std::uint64_t next_ = 0;
    std::size_t under_way_ = 0, acknowledged_ = 0;
    bool done_ = false;
};

}  // namespace

int main(int argc, char** argv) try {
    examples::arguments args(argc, argv, "durable_sender --url URL --store FILE --count N [--bytes B] [--rate R]");
    const auto url = args.required("--url"), file = args.required("--store");
    const auto count = args.number("--count", 0, 1, 1'000'000'000);
    const auto bytes = args.number("--bytes", 0, 0, 1'000'000);
    const auto rate = args.number("--rate", 0, 0, 1'000'000);
    args.finish();

    asio::io_context context(1);
    sender s(context, url, file, {static_cast<std::uint64_t>(count), static_cast<std::size_t>(bytes), rate});
    context.run();
    if (!s.done()) return 1;
    std::printf("durable_sender: all %ld are acknowledged, %zu of them by this process\n", count, s.acknowledged());
    return 0;
} catch (const std::exception& e) {
    std::fprintf(stderr, "durable_sender: %s\n", e.what());
    return 2;
}

// SPDX-License-Identifier: BSL-1.0
// The client of a fuzzing server: asks how many cases it has, echoes whatever each of them sends on a connection
// of its own, and has the report written.
#include <hawser/deflate.hpp>
#include <hawser/hawser.hpp>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>

#include "../support/arguments.hpp"

#include <charconv>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>

namespace {

constexpr std::size_t mib = 1024 * 1024;

// A suite tests what is allowed, so that the limits are high.
hawser::options settings() {
    auto o = hawser::options::plain();
    o.compression = hawser::deflate();
    o.max_message_size = 64 * mib;
    o.max_fragments = 1'000'000;
    o.max_control_frames_per_second = 1'000'000;
    o.receive_buffer_bytes = 64 * mib;
    return o;
}

struct conversation {
    std::string first;  // message
    bool opened = false;
    bool ended = true;        // by the server, in time
    std::error_code failure;  // why it did not open
};

// One connection until its end, or until `patience` is over.
asio::awaitable<conversation> talk(asio::io_context& context, std::string url,
                                   std::shared_ptr<const hawser::options> with, std::chrono::seconds patience, bool echo) {
    const auto s = std::make_shared<hawser::resilient_socket<>>(context, std::move(with));
    conversation result;
    s->on_state([&](const hawser::state_change& change) {
        if (change.to == hawser::connection_state::open) result.opened = true;
        else if (!result.opened) result.failure = change.reason;
        if (change.to == hawser::connection_state::waiting) s->close();  // a case does not come back
    });
    s->connect(url);
    asio::steady_timer limit(context, patience);
    limit.async_wait([&result, weak = std::weak_ptr(s)](std::error_code ec) {
        const auto alive = weak.lock();
        if (ec || !alive) return;
        result.ended = false;
        alive->close();
    });
    std::error_code ec;
    auto token = asio::redirect_error(asio::use_awaitable, ec);
    for (;;) {
        auto m = co_await s->async_receive(token);
        if (ec) co_return result;
        if (result.first.empty()) result.first = m.text();
        if (echo && !s->try_send(m)) co_await s->async_enqueue(std::move(m), token);  // waits for room
    }
}

// Whether it connected and was ended by the server; what is wrong is told.
bool went_well(const conversation& c, const std::string& what) {
    if (!c.opened) std::fprintf(stderr, "conformance_client: %s: cannot connect: %s\n", what.c_str(), c.failure.message().c_str());
    else if (!c.ended) std::fprintf(stderr, "conformance_client: %s: the server did not end it in time\n", what.c_str());
    return c.opened && c.ended;
}

// Letters, digits and a few more stand for themselves in a query.
std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        char hex[4];
        std::snprintf(hex, sizeof hex, "%%%02X", byte);
        const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
                           c == '.' || c == '_';
        out += plain ? std::string(1, c) : hex;
    }
    return out;
}

struct totals {
    long cases = 0;
    long opened = 0;
    bool good = false;  // all of them, and the report was written
};

asio::awaitable<void> run_all(asio::io_context& context, std::string url, std::string agent, std::chrono::seconds patience,
                              totals& result) {
    const auto with = std::make_shared<const hawser::options>(settings());
    const auto asked = co_await talk(context, url + "/getCaseCount", with, patience, false);
    if (!went_well(asked, "the number of cases")) co_return;
    const char* const end = asked.first.data() + asked.first.size();
    if (std::from_chars(asked.first.data(), end, result.cases).ptr != end || result.cases < 1) {
        std::fprintf(stderr, "conformance_client: the number of cases is '%s'\n", asked.first.substr(0, 40).c_str());
        co_return;
    }
    result.good = true;
    for (long i = 1; i <= result.cases; ++i) {
        const std::string number = std::to_string(i);
        const auto ended =
            co_await talk(context, url + "/runCase?case=" + number + "&agent=" + agent, with, patience, true);
        if (ended.opened) ++result.opened;
        if (!went_well(ended, "case " + number)) result.good = false;
    }
    const auto report = co_await talk(context, url + "/updateReports?agent=" + agent, with, patience, false);
    if (!went_well(report, "the report")) result.good = false;
}

}  // namespace

int main(int argc, char** argv) try {
    examples::arguments args(argc, argv, "conformance_client --url URL [--agent NAME] [--patience SECONDS]");
    auto url = args.required("--url");
    const auto agent = escaped(args.text("--agent", "hawser"));
    const std::chrono::seconds patience(args.number("--patience", 300, 1, 86'400));  // for one case
    args.finish();
    while (url.ends_with('/'))
        url.pop_back();

    asio::io_context context(1);
    totals result;
    asio::co_spawn(context, run_all(context, url, agent, patience, result), [](const std::exception_ptr& e) {
        if (e) std::rethrow_exception(e);
    });
    context.run();

    std::printf("%ld cases, %ld connected\n", result.cases, result.opened);
    return result.good ? 0 : 1;
} catch (const std::exception& e) {
    std::fprintf(stderr, "conformance_client: %s\n", e.what());
    return 2;
}

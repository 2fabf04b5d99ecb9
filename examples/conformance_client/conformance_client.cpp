// SPDX-License-Identifier: BSL-1.0
// The client of a fuzzing server: asks how many cases it has, echoes whatever each of them sends on a connection
// of its own, and has the report written.
#include <hawser/deflate.hpp>
#include <hawser/hawser.hpp>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>

#include "../support/arguments.hpp"

#include <charconv>
#include <cstdio>

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
};

// One connection until its end.
asio::awaitable<conversation> talk(asio::io_context& context, std::string url,
                                   std::shared_ptr<const hawser::options> with, bool echo) {
    hawser::resilient_socket<> s(context, std::move(with));
    conversation result;
    s.on_state([&](const hawser::state_change& change) {
        if (change.to == hawser::connection_state::open) result.opened = true;
        if (change.to == hawser::connection_state::waiting) s.close();  // a case does not come back
    });
    s.connect(url);
    std::error_code ec;
    auto token = asio::redirect_error(asio::use_awaitable, ec);
    for (;;) {
        auto m = co_await s.async_receive(token);
        if (ec) co_return result;
        if (result.first.empty()) result.first = m.text();
        if (echo && !s.try_send(m)) co_await s.async_enqueue(std::move(m), token);  // waits for room
    }
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

asio::awaitable<void> run_all(asio::io_context& context, std::string url, std::string agent, long& cases,
                              long& opened) {
    const auto with = std::make_shared<const hawser::options>(settings());
    const auto asked = co_await talk(context, url + "/getCaseCount", with, false);
    long count = 0;
    (void)std::from_chars(asked.first.data(), asked.first.data() + asked.first.size(), count);
    for (long i = 1; i <= count; ++i) {
        const auto ended =
            co_await talk(context, url + "/runCase?case=" + std::to_string(i) + "&agent=" + agent, with, true);
        if (ended.opened) ++opened;
    }
    if (count > 0) (void)co_await talk(context, url + "/updateReports?agent=" + agent, with, false);
    cases = count;
}

}  // namespace

int main(int argc, char** argv) try {
    examples::arguments args(argc, argv, "conformance_client --url URL [--agent NAME]");
    auto url = args.required("--url");
    const auto agent = escaped(args.text("--agent", "hawser"));
    args.finish();
    while (url.ends_with('/'))
        url.pop_back();

    asio::io_context context(1);
    long cases = 0, opened = 0;
    asio::co_spawn(context, run_all(context, url, agent, cases, opened), [](const std::exception_ptr& e) {
        if (e) std::rethrow_exception(e);
    });
    context.run();

    std::printf("%ld cases, %ld connected\n", cases, opened);
    return cases > 0 && opened == cases ? 0 : 1;
} catch (const std::exception& e) {
    std::fprintf(stderr, "conformance_client: %s\n", e.what());
    return 2;
}

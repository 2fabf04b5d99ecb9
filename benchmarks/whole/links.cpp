// SPDX-License-Identifier: BSL-1.0
// bench_links: how long a session takes from a reset to its first replayed message, over real sockets; and how many
// awaited sends a second fit through a link of 1 ms, in virtual time, where only waiting shows. One line of JSON.
#include <hawser/hawser.hpp>
#include <hawser/testing/virtual_driver.hpp>

#include <asio/ip/tcp.hpp>
#include <asio/write.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using clock_type = std::chrono::steady_clock;
using tcp = asio::ip::tcp;

/// Passes bytes on between a client and a server; can swallow what the client says, and reset both.
class relay {
public:
    relay(asio::io_context& context, std::uint16_t to)
        : context_(context), to_(to), acceptor_(context, {asio::ip::make_address("127.0.0.1"), 0}) {
        accept();
    }
    [[nodiscard]] std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
    void swallow() { swallow_ = true; }
    [[nodiscard]] std::size_t swallowed() const noexcept { return swallowed_; }
    void reset() {
        for (auto& end : {now_->client, now_->server}) {
            std::error_code ignored;
            end->set_option(asio::socket_base::linger(true, 0), ignored);
            end->close(ignored);
        }
        swallow_ = false;
        swallowed_ = 0;
    }

private:
    using socket_ptr = std::shared_ptr<tcp::socket>;
    struct connection {
        socket_ptr client, server;
        std::array<std::array<char, 65536>, 2> buffers;
    };
    void accept() {
        acceptor_.async_accept([this](std::error_code ec, tcp::socket s) {
            if (ec) return;
            now_ = std::make_shared<connection>();
            now_->client = std::make_shared<tcp::socket>(std::move(s));
            now_->server = std::make_shared<tcp::socket>(context_);
            now_->server->connect({asio::ip::make_address("127.0.0.1"), to_});
            now_->client->set_option(tcp::no_delay(true));
            now_->server->set_option(tcp::no_delay(true));
            pass(now_, now_->client, now_->server, 0);
            pass(now_, now_->server, now_->client, 1);
            accept();
        });
    }
    void pass(const std::shared_ptr<connection>& c, const socket_ptr& from, const socket_ptr& to, std::size_t way) {
        from->async_read_some(asio::buffer(c->buffers[way]), [=, this](std::error_code ec, std::size_t n) {
            if (ec) return;
            if (way == 0 && swallow_) {
                swallowed_ += n;
                return pass(c, from, to, way);
            }
            asio::async_write(*to, asio::buffer(c->buffers[way].data(), n), [=, this](std::error_code failed, std::size_t) {
                if (!failed) pass(c, from, to, way);
            });
        });
    }

    asio::io_context& context_;
    std::uint16_t to_;
    tcp::acceptor acceptor_;
    std::shared_ptr<connection> now_;
    bool swallow_ = false;
    std::size_t swallowed_ = 0;
};

void run_until(asio::io_context& context, const std::function<bool()>& done) {
    const auto end = clock_type::now() + std::chrono::seconds{10};
    while (!done()) {
        if (clock_type::now() > end) throw std::runtime_error("the session did not go on within 10 s");
        (void)context.run_one_for(std::chrono::milliseconds{100});
    }
}

// Milliseconds from the reset until the server has the message that the reset destroyed.
std::vector<double> recovery(int times) {
    asio::io_context context(1);
    auto o = hawser::options::reliable();
    o.reconnect.base_delay = o.reconnect.max_delay = hawser::milliseconds{1};  // the least that it takes
    hawser::listener<> listener(context, {}, o);
    relay between(context, listener.port());
    std::optional<hawser::resilient_socket<>> accepted;
    int received = 0;
    listener.async_accept([&](std::error_code ec, hawser::resilient_socket<> s) {
        if (ec) return;
        accepted.emplace(std::move(s));
        accepted->on_message([&](const hawser::message_view&) { ++received; });
    });
    hawser::resilient_socket<> client(context, o);
    client.connect("ws://127.0.0.1:" + std::to_string(between.port()) + "/");
    run_until(context, [&] { return client.state() == hawser::connection_state::open && accepted; });

    std::vector<double> took;
    for (int sent = 0; sent < times;) {
        run_until(context, [&] { return client.state() == hawser::connection_state::open && client.unacknowledged() == 0; });
        between.swallow();
        if (!client.try_send(hawser::message::text("lost with its connection"))) throw std::runtime_error("not accepted");
        run_until(context, [&] { return between.swallowed() > 0; });
        const auto begin = clock_type::now();
        between.reset();
        ++sent;
        run_until(context, [&] { return received == sent; });
        took.push_back(std::chrono::duration<double, std::milli>(clock_type::now() - begin).count());
    }
    std::sort(took.begin(), took.end());
    return took;
}

// Sends one after the other, each awaited, for a virtual second.
int awaited_sends() {
    asio::io_context context;
    auto& net = hawser::install_driver<hawser::testing::virtual_driver>(context);
    net.latency = hawser::milliseconds{1};
    const auto o = hawser::options::reliable();
    hawser::listener<> listener(context, {.port = 9000}, o);
    std::optional<hawser::resilient_socket<>> accepted;
    listener.async_accept([&](std::error_code ec, hawser::resilient_socket<> s) {
        if (ec) return;
        accepted.emplace(std::move(s));
        accepted->on_message([](const hawser::message_view&) {});
    });
    hawser::resilient_socket<> client(context, o);
    client.connect("ws://link.test:9000/");
    if (!net.run_until([&] { return client.state() == hawser::connection_state::open && accepted; }))
        throw std::runtime_error("the virtual session did not begin");
    int acknowledged = 0;
    const auto body = hawser::message::text("one at a time");
    std::function<void()> next = [&] {
        client.async_send(body, [&](std::error_code ec, hawser::outcome) {
            if (ec) return;
            ++acknowledged;
            next();
        });
    };
    next();
    net.run_for(std::chrono::seconds{1});
    return acknowledged;
}

}  // namespace

int main(int argc, char** argv) try {
    const int times = argc > 1 ? std::atoi(argv[1]) : 500;
    if (times < 1) throw std::runtime_error("usage: bench_links [TIMES]");
    const auto took = recovery(times);
    const auto quantile = [&](double part) { return took[static_cast<std::size_t>(part * static_cast<double>(took.size() - 1))]; };
    std::printf("{\"resets\": %zu, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"worst_ms\": %.3f, \"awaited_sends_per_s\": %d}\n", took.size(),
                quantile(0.5), quantile(0.99), took.back(), awaited_sends());
    return 0;
} catch (const std::exception& e) {
    std::fprintf(stderr, "bench_links: %s\n", e.what());
    return 1;
}

// SPDX-License-Identifier: BSL-1.0
// An echo between whole sockets, without a network: what metrics cost on that path, and what a
// session does. The virtual driver's own work is in all of them alike.
#include "payloads.hpp"

#include <hawser/custom_policies.hpp>
#include <hawser/hawser.hpp>
#include <hawser/testing/virtual_driver.hpp>

#include <benchmark/benchmark.h>

#include <optional>

namespace {

constexpr int batch = 64;

struct counted : hawser::default_policies {
    using metrics = hawser::counting_metrics;
};

template <class P>
class echo {
public:
    explicit echo(hawser::options o)
        : net_(hawser::install_driver<hawser::testing::virtual_driver>(context_)),
          listener_(context_, hawser::listen_endpoint{.port = 9000}, o), client_(context_, o) {
        net_.latency = hawser::duration{0};
        listener_.async_accept([this](std::error_code, hawser::resilient_socket<P> s) {
            server_.emplace(std::move(s));
            server_->on_message([this](const hawser::message_view& m) { (void)server_->try_send(m); });
        });
        client_.on_message([this](const hawser::message_view&) { ++echoes_; });
        client_.connect("ws://echo.test:9000/");
        (void)net_.run_until([this] { return client_.state() == hawser::connection_state::open && server_; });
    }
    /// Sends a batch; returns whether every echo came back.
    bool round(const hawser::message& m) {
        echoes_ = 0;
        for (int i = 0; i < batch; ++i) (void)client_.try_send(m);
        return net_.run_until([this] { return echoes_ == batch; }, hawser::seconds{60});
    }

private:
    asio::io_context context_;
    hawser::testing::virtual_driver& net_;
    hawser::listener<P> listener_;
    hawser::resilient_socket<P> client_;
    std::optional<hawser::resilient_socket<P>> server_;
    int echoes_ = 0;
};

template <class P>
void run(benchmark::State& state, const hawser::options& o) {
    echo<P> e(o);
    const auto message = hawser::message::binary(bench::binary(20));
    for (auto _ : state)
        if (!e.round(message)) return state.SkipWithError("an echo is missing");
    state.SetItemsProcessed(state.iterations() * batch);
}
void echo_plain(benchmark::State& state) { run<hawser::default_policies>(state, hawser::options::plain()); }
void echo_plain_counted(benchmark::State& state) { run<counted>(state, hawser::options::plain()); }
void echo_session(benchmark::State& state) { run<hawser::default_policies>(state, hawser::options::reliable()); }

BENCHMARK(echo_plain);
BENCHMARK(echo_plain_counted);
BENCHMARK(echo_session);

}  // namespace

// SPDX-License-Identifier: BSL-1.0
// hawser_demo proxy: relays between clients and the server, and cuts links on purpose.
#include "programs.hpp"
#include "relay.hpp"

#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>

#include <csignal>

namespace demo {

namespace {

// The front port stays the same while the server comes and goes with its own.
class fault_proxy {
public:
    fault_proxy(asio::io_context& context, const settings& s, board& b)
        : settings_(s), board_(b), plans_(settings_, b), acceptor_(context, {asio::ip::address_v4::loopback(), 0}) {
        publish_port(settings_, "proxy", acceptor_.local_endpoint().port());
        accept();
    }
    void stop() { acceptor_.close(); }

private:
    void accept() {
        acceptor_.async_accept([this](std::error_code ec, tcp::socket client) {
            if (!acceptor_.is_open()) return;
            if (!ec) {
                const tcp::endpoint server{asio::ip::address_v4::loopback(), published_port(settings_, "server")};
                std::make_shared<relay>(std::move(client), plans_, board_)->start(server);
            }
            accept();
        });
    }

    settings settings_;
    board& board_;
    planner plans_;
    tcp::acceptor acceptor_;
};

}  // namespace

int run_proxy(const settings& s) {
    const shared_board b(s);
    asio::io_context context(1);
    fault_proxy proxy(context, s, *b);
    asio::signal_set signals(context, SIGTERM);
    signals.async_wait([&](std::error_code, int) { context.stop(); });
    context.run();
    return 0;
}

}  // namespace demo

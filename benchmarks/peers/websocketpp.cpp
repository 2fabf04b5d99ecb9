// SPDX-License-Identifier: BSL-1.0
// websocketpp PORT: an echo server on WebSocket++, one thread: without locks and without logs, as
// its manual recommends for speed. It checks text for UTF-8.
#include <websocketpp/concurrency/none.hpp>
#include <websocketpp/config/asio_no_tls.hpp>
#include <websocketpp/logger/stub.hpp>
#include <websocketpp/server.hpp>

#include <cstdio>
#include <cstdlib>

namespace {

struct config : websocketpp::config::asio {
    using type = config;
    using base = websocketpp::config::asio;
    using concurrency_type = websocketpp::concurrency::none;
    using alog_type = websocketpp::log::stub;
    using elog_type = websocketpp::log::stub;

    struct transport_config : base::transport_config {
        using concurrency_type = type::concurrency_type;
        using alog_type = type::alog_type;
        using elog_type = type::elog_type;
        using request_type = type::request_type;
        using response_type = type::response_type;
        using socket_type = websocketpp::transport::asio::basic_socket::endpoint;
        static const bool enable_multithreading = false;
    };
    using transport_type = websocketpp::transport::asio::endpoint<transport_config>;
    static const std::size_t max_message_size = 64 * 1024 * 1024;
};
using server = websocketpp::server<config>;

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fputs("usage: websocketpp PORT\n", stderr);
        return 2;
    }
    server s;
    s.init_asio();
    s.set_reuse_addr(true);
    s.set_tcp_post_init_handler([&s](websocketpp::connection_hdl h) {
        boost::system::error_code ignored;
        s.get_con_from_hdl(h)->get_raw_socket().set_option(boost::asio::ip::tcp::no_delay(true), ignored);
    });
    s.set_message_handler([&s](websocketpp::connection_hdl h, const server::message_ptr& m) {
        websocketpp::lib::error_code ignored;
        s.send(h, m->get_payload(), m->get_opcode(), ignored);
    });
    s.listen(boost::asio::ip::address_v4::loopback(), static_cast<std::uint16_t>(std::atoi(argv[1])));
    s.start_accept();
    s.run();
}

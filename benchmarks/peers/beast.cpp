// SPDX-License-Identifier: BSL-1.0
// beast PORT [deflate]: an echo server on Boost.Beast, the fast way: Asio's concrete executor, one thread
// without locks, no automatic fragments, a buffer per connection. Beast checks text for UTF-8. With "deflate"
// it compresses at hawser's default level and memory, with context takeover.
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>

namespace {

namespace asio = boost::asio;
namespace websocket = boost::beast::websocket;
using boost::beast::error_code;
using tcp = asio::ip::tcp;
using executor = asio::io_context::executor_type;
using socket_type = asio::basic_stream_socket<tcp, executor>;
using acceptor_type = asio::basic_socket_acceptor<tcp, executor>;

class session : public std::enable_shared_from_this<session> {
public:
    session(socket_type s, bool deflate) : stream_(std::move(s)) {
        stream_.next_layer().set_option(tcp::no_delay(true));
        stream_.read_message_max(64 * 1024 * 1024);
        stream_.auto_fragment(false);
        if (!deflate) return;
        websocket::permessage_deflate o;
        o.server_enable = true;
        o.compLevel = 1;
        o.memLevel = 8;
        stream_.set_option(o);
    }
    void start() {
        stream_.async_accept([self = shared_from_this()](error_code ec) {
            if (!ec) self->read();
        });
    }

private:
    void read() {
        stream_.async_read(buffer_, [self = shared_from_this()](error_code ec, std::size_t) {
            if (!ec) self->write();
        });
    }
    void write() {
        stream_.text(stream_.got_text());
        stream_.async_write(buffer_.data(), [self = shared_from_this()](error_code ec, std::size_t n) {
            if (ec) return;
            self->buffer_.consume(n);
            self->read();
        });
    }

    websocket::stream<socket_type> stream_;
    boost::beast::flat_buffer buffer_;
};

void accept_next(acceptor_type& acceptor, bool deflate) {
    acceptor.async_accept([&acceptor, deflate](error_code ec, socket_type s) {
        if (!ec) std::make_shared<session>(std::move(s), deflate)->start();
        accept_next(acceptor, deflate);
    });
}

}  // namespace

int main(int argc, char** argv) {
    const bool deflate = argc == 3 && std::string_view(argv[2]) == "deflate";
    if (argc != 2 && !deflate) {
        std::fputs("usage: beast PORT [deflate]\n", stderr);
        return 2;
    }
    asio::io_context context(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE);
    const tcp::endpoint where(asio::ip::address_v4::loopback(), static_cast<unsigned short>(std::atoi(argv[1])));
    acceptor_type acceptor(context, where);
    accept_next(acceptor, deflate);
    context.run();
}

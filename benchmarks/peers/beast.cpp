// SPDX-License-Identifier: BSL-1.0
// beast PORT: an echo server on Boost.Beast, the fast way: Asio's concrete executor, one thread
// without locks, no automatic fragments, a buffer per connection. Beast checks text for UTF-8.
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>

#include <cstdio>
#include <cstdlib>
#include <memory>

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
    explicit session(socket_type s) : stream_(std::move(s)) {
        stream_.next_layer().set_option(tcp::no_delay(true));
        stream_.read_message_max(64 * 1024 * 1024);
        stream_.auto_fragment(false);
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

void accept_next(acceptor_type& acceptor) {
    acceptor.async_accept([&acceptor](error_code ec, socket_type s) {
        if (!ec) std::make_shared<session>(std::move(s))->start();
        accept_next(acceptor);
    });
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fputs("usage: beast PORT\n", stderr);
        return 2;
    }
    asio::io_context context(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE);
    const tcp::endpoint where(asio::ip::address_v4::loopback(), static_cast<unsigned short>(std::atoi(argv[1])));
    acceptor_type acceptor(context, where);
    accept_next(acceptor);
    context.run();
}

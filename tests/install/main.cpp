// SPDX-License-Identifier: BSL-1.0
#include <hawser/hawser.hpp>

#include <asio/io_context.hpp>

int main() {
    asio::io_context context;
    hawser::resilient_socket<> link{context, hawser::options::reliable()};
    context.run();
}

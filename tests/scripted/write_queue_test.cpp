// SPDX-License-Identifier: BSL-1.0
// What a connection has yet to write, under writes that take any part of it.
#include "support/catch.hpp"

#include <hawser/link/write_queue.hpp>
#include <hawser/testing/virtual_driver.hpp>

#include <asio/io_context.hpp>

using namespace hawser;

TEST_CASE("write queue: bytes come out in order, whatever a write takes") {
    asio::io_context context;
    auto& net = install_driver<testing::virtual_driver>(context, 1);
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        CAPTURE(seed);
        xoshiro256 rng(seed);
        hawser::detail::write_queue q(net);
        std::string expected, written;
        for (int i = 0; i < 60; ++i) {
            if (uniform(rng, 0, 2) != 0) {
                const std::string bytes(uniform(rng, 0, 50'000), static_cast<char>('a' + i % 26));
                if (uniform(rng, 0, 1) == 0 && !bytes.empty()) q.append(message::text(bytes));
                else append(q.tail(), as_bytes(bytes));
                expected += bytes;
            }
            REQUIRE(q.size() == expected.size() - written.size());
            std::array<byte_view, hawser::detail::write_queue::max_buffers> list;
            const std::size_t n = q.gather(list);
            std::size_t take = q.empty() ? 0 : uniform(rng, 0, q.size());
            std::size_t taken = 0;
            for (std::size_t k = 0; k < n && take > 0; ++k) {
                const std::size_t part = std::min(take, list[k].size());
                written += as_text(list[k].first(part));
                take -= part;
                taken += part;
            }
            q.consume(taken);
        }
        REQUIRE(expected.compare(0, written.size(), written) == 0);
    }
}

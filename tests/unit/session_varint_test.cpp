// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/session_frames.hpp"

#include <cstdint>
#include <limits>

using namespace session_test;

TEST_CASE("varint: each value has one form and comes back", "[session]") {
    for (unsigned shift = 0; shift < 64; ++shift)
        for (const std::uint64_t v : {(std::uint64_t{1} << shift) - 1, std::uint64_t{1} << shift, ~std::uint64_t{0} >> shift}) {
            byte_vector bytes;
            session::put_varint(bytes, v);
            session::cursor in(bytes);
            CHECK(in.varint() == v);
            CHECK((in.ok() && in.at_end()));
            for (std::size_t n = 0; n < bytes.size(); ++n) {
                session::cursor cut(byte_view(bytes).first(n));
                (void)cut.varint();
                CHECK_FALSE(cut.ok());
            }
        }
}
TEST_CASE("varint: longer forms and more than 64 bits are malformed", "[session]") {
    for (const char* bad : {"8000", "ff00", "808000", "ffffffffffffffffff02", "80808080808080808080", "ffffffffffffffffffff01",
                            "80808080808080808000"}) {
        const byte_vector bytes = from_hex(bad);
        session::cursor in(bytes);
        (void)in.varint();
        INFO(bad);
        CHECK_FALSE(in.ok());
        // After a failure everything fails, and nothing is read.
        CHECK(in.u8() == 0);
        CHECK(in.take(0).empty());
        CHECK_FALSE(in.ok());
    }
}
TEST_CASE("varint: zigzag keeps small magnitudes short and all values distinct", "[session]") {
    using limits = std::numeric_limits<std::int64_t>;
    CHECK(session::zigzag(0) == 0);
    CHECK(session::zigzag(-1) == 1);
    CHECK(session::zigzag(1) == 2);
    CHECK(session::zigzag(limits::max()) == ~std::uint64_t{0} - 1);
    CHECK(session::zigzag(limits::min()) == ~std::uint64_t{0});
    for (const std::int64_t v : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{63}, std::int64_t{-64}, limits::max(), limits::min()})
        CHECK(session::unzigzag(session::zigzag(v)) == v);
}

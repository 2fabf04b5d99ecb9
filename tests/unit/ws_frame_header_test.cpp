// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/ws_frames.hpp"

using namespace ws_test;
using status = ws::decode_result::status;

TEST_CASE("frame_header: what is encoded is decoded, and each shorter piece asks for the rest", "[ws][header]") {
    for (const std::uint64_t length : {std::uint64_t{0}, std::uint64_t{125}, std::uint64_t{126}, std::uint64_t{65535},
                                       std::uint64_t{65536}, (std::uint64_t{1} << 63) - 1})
        for (const bool masked : {false, true})
            for (const bool fin : {false, true})
                for (std::uint8_t rsv = 0; rsv < 8; ++rsv) {
                    const ws::frame_header in{fin,    rsv,    ws::opcode::text,
                                              masked, length, masked ? test_key : ws::mask_key{}};
                    byte_vector out(ws::max_header_size);
                    const std::size_t size = ws::encode(out.data(), in);
                    CHECK(size == (length < 126 ? 2u : length < 65536 ? 4u : 10u) + (masked ? 4u : 0u));
                    ws::frame_header back;
                    for (std::size_t n = 0; n < size; ++n) {
                        const ws::decode_result part = ws::decode(byte_view(out).first(n), back);
                        CHECK(part.what == status::need_more);
                        CHECK(part.size >= 1);
                        CHECK(part.size <= size - n);
                        if (n >= 2) CHECK(part.size == size - n);
                    }
                    const ws::decode_result whole = ws::decode(out, back);
                    CHECK(whole.what == status::done);
                    CHECK(whole.size == size);
                    CHECK(back.fin == in.fin);
                    CHECK(back.rsv == in.rsv);
                    CHECK(back.op == in.op);
                    CHECK(back.masked == in.masked);
                    CHECK(back.length == in.length);
                    CHECK(back.key == in.key);
                }
}

TEST_CASE("F4: a 64-bit length with its top bit set is refused before the key is here", "[ws][header]") {
    ws::frame_header header;
    const ws::decode_result result = ws::decode(from_hex("82ff8000000000000000"), header);
    CHECK(result.what == status::error);
    CHECK(result.error == hawser::errc::bad_length);
}

TEST_CASE("RFC 6455 5.2: a length not in its shortest form is refused", "[ws][header]") {
    for (const char* input :
         {"827e0000", "827e007d", "827f0000000000000000", "827f000000000000007e", "827f000000000000ffff"}) {
        ws::frame_header header;
        const ws::decode_result result = ws::decode(from_hex(input), header);
        CHECK(result.what == status::error);
        CHECK(result.error == hawser::errc::non_minimal_length);
    }
}

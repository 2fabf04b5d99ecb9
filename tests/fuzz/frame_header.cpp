// SPDX-License-Identifier: BSL-1.0
// Frame headers against RFC 6455 section 5.2 read literally, and encoded again.
#include "fuzz.hpp"

#include <hawser/protocol/ws/frame_header.hpp>

#include <cstring>

namespace ws = hawser::ws;
using status = ws::decode_result::status;

const fuzz::bug fuzz::planted = bug::length_top_bit_taken;

namespace {

struct expected {
    status what = status::need_more;
    std::size_t size = 0;
    std::uint64_t length = 0;
};

expected read_literally(hawser::byte_view in) {
    const auto at = [&](std::size_t i) { return std::to_integer<std::uint64_t>(in[i]); };
    expected e;
    if (in.size() < 2) return e;
    const std::uint64_t short_length = at(1) % 128;
    const std::size_t more = short_length == 127 ? 8 : short_length == 126 ? 2 : 0;
    if (in.size() < 2 + more) return e;
    e.length = more == 0 ? short_length : 0;
    for (std::size_t i = 0; i < more; ++i)
        e.length = e.length * 256 + at(2 + i);
    if (more == 8 && at(2) >= 128) return {status::error, 0, 0};
    if ((more == 2 && e.length < 126) || (more == 8 && e.length < 65536)) return {status::error, 0, 0};
    e.size = 2 + more + (at(1) >= 128 ? 4 : 0);
    e.what = in.size() < e.size ? status::need_more : status::done;
    return e;
}

}  // namespace

void fuzz::run(byte_view data) {
    for (std::size_t size = 0; size <= std::min(data.size(), ws::max_header_size + 1); ++size) {
        const byte_vector prefix(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(size));
        ws::frame_header header;
        const auto got = ws::decode(prefix, header);
        const auto want = read_literally(prefix);
        require(got.what == want.what, "the verdict on a header");
        if (got.what == status::need_more)
            require(got.size > 0 && size + got.size <= ws::max_header_size, "what is missing of a header");
        if (got.what != status::done) continue;
        require(got.size == want.size && header.length == want.length, "the size of a header, and its length");
        std::byte again[ws::max_header_size];
        require(ws::encode(again, header) == got.size && std::memcmp(again, prefix.data(), got.size) == 0,
                "a header is encoded as it was");
    }
}

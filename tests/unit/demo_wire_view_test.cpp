// SPDX-License-Identifier: BSL-1.0
// The demo's fault proxy finds frames in a stream of bytes, however it is cut into reads.
#include "../../examples/demo/wire_view.hpp"

#include "support/catch.hpp"

#include <hawser/protocol/session/encode.hpp>

#include <string_view>

namespace {

using demo::frame_type;
using demo::piece;
using demo::wire_view;
namespace session = hawser::session;

// A binary message in one frame, masked as a client's.
void put_frame(hawser::byte_vector& out, hawser::byte_view payload, std::uint8_t first = 0x82) {
    out.push_back(std::byte{first});
    const std::size_t n = payload.size();
    if (n < 126) {
        out.push_back(static_cast<std::byte>(0x80 | n));
    } else {
        out.push_back(std::byte{0x80 | 126});
        out.push_back(static_cast<std::byte>(n >> 8));
        out.push_back(static_cast<std::byte>(n & 0xff));
    }
    const std::byte mask[] = {std::byte{0xa1}, std::byte{0x02}, std::byte{0xff}, std::byte{0x37}};
    out.insert(out.end(), std::begin(mask), std::end(mask));
    for (std::size_t i = 0; i < n; ++i)
        out.push_back(payload[i] ^ mask[i % 4]);
}

hawser::byte_vector data_frame(std::uint64_t seq, bool has_ack, std::size_t size, bool sum) {
    const hawser::byte_vector payload(size, std::byte{'x'});
    session::data d;
    d.seq = seq;
    d.has_ack = has_ack;
    d.ack = {.accepted = 300, .credit_messages = 1324, .credit_bytes = 1u << 22};
    hawser::byte_vector frame;
    session::encode(frame, d, payload, sum);
    hawser::append(frame, payload);
    return frame;
}

struct seen {
    piece::kind what;
    frame_type type;
    std::uint64_t sequence, accepted;
    friend bool operator==(const seen&, const seen&) = default;
};

// Everything but where pieces end, which depends on the reads.
std::vector<seen> walk(hawser::byte_view stream, std::size_t first_read) {
    wire_view view;
    std::vector<seen> result;
    hawser::byte_vector in;
    for (const auto part : {stream.first(first_read), stream.subspan(first_read)}) {
        hawser::append(in, part);
        for (;;) {
            const piece p = view.next(in);
            if (p.what == piece::kind::need_more) break;
            in.erase(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(p.size));
            const bool counts = p.what == piece::kind::frame_start || (p.what == piece::kind::head && p.ends);
            if (counts)
                result.push_back({p.what, p.frame.type, p.frame.sequence.value_or(0), p.frame.accepted.value_or(0)});
        }
    }
    CHECK(in.empty());
    return result;
}

hawser::byte_vector client_stream() {
    hawser::byte_vector out, frame;
    hawser::append(out, hawser::as_bytes("GET /7 HTTP/1.1\r\nHost: a\r\nX: \r\r\n\r\n"));
    session::encode(frame, session::resume{.attempt = 3, .accepted = 5, .first_retained = 1, .next_seq = 9}, true);
    put_frame(out, frame);
    session::encode(frame, session::frame_type::ack, {.accepted = 1000, .credit_messages = 2, .credit_bytes = 3}, true);
    put_frame(out, frame);
    put_frame(out, data_frame(77, true, 10, true));
    put_frame(out, {}, 0x89);
    put_frame(out, data_frame(12345, false, 3000, false));
    return out;
}

}  // namespace

TEST_CASE("demo wire view: every frame is recognised at every split of the stream") {
    const auto stream = client_stream();
    const std::vector<seen> expected{
        {piece::kind::head, frame_type::none, 0, 0},          {piece::kind::frame_start, frame_type::resume, 0, 0},
        {piece::kind::frame_start, frame_type::ack, 0, 1000}, {piece::kind::frame_start, frame_type::data, 77, 300},
        {piece::kind::frame_start, frame_type::none, 0, 0},   {piece::kind::frame_start, frame_type::data, 12345, 0},
    };
    for (std::size_t split = 0; split <= stream.size(); ++split) {
        INFO("split at " << split);
        CHECK(walk(stream, split) == expected);
    }
}

TEST_CASE("demo wire view: nothing of a frame may pass before its first bytes are known") {
    hawser::byte_vector stream;
    hawser::append(stream, hawser::as_bytes("GET / HTTP/1.1\r\n\r\n"));
    put_frame(stream, data_frame(1, true, 3000, true));
    wire_view view;
    const piece head = view.next(stream);
    REQUIRE(head.what == piece::kind::head);
    REQUIRE(head.ends);
    const auto rest = hawser::byte_view(stream).subspan(head.size);
    constexpr std::size_t header = 8;
    for (std::size_t n = 0; n < header + wire_view::looked_at; ++n) {
        wire_view copy = view;
        INFO(n << " bytes");
        CHECK(copy.next(rest.first(n)).what == piece::kind::need_more);
    }
    const piece start = view.next(rest);
    CHECK(start.size == header + wire_view::looked_at);
    CHECK_FALSE(start.ends);
    CHECK(start.frame.size == rest.size());
}

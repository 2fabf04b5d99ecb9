// SPDX-License-Identifier: BSL-1.0
// Large payloads that are read straight to where they are gathered, and the memory of that.
#include "support/catch.hpp"
#include "support/ws_frames.hpp"

#include <algorithm>
#include <cstring>
#include <string>

using namespace ws_test;
using hawser::spare_blocks;
using ws::event_kind;

namespace {

std::string letters(std::size_t size) {
    std::string out(size, 'x');
    for (std::size_t i = 0; i < size; ++i)
        out[i] = static_cast<char>('a' + i * 7 % 26);
    return out;
}

struct outcome {
    std::vector<std::string> messages;
    std::size_t direct = 0;  // bytes that were read into the reader's room
    hawser::errc error{};
};

// What a stream does: each read goes where the reader has room, or else to a shared buffer, `step` bytes at most.
outcome read_all(ws::reader& r, byte_view wire, std::size_t step) {
    outcome result;
    byte_vector shared(step);
    while (!wire.empty()) {
        byte_span room = r.read_room();
        const bool direct = !room.empty();
        if (!direct) room = shared;
        const byte_span chunk = room.first(std::min({room.size(), step, wire.size()}));
        std::memcpy(chunk.data(), wire.data(), chunk.size());
        wire = wire.subspan(chunk.size());
        if (direct) result.direct += chunk.size();
        r.feed(chunk);
        for (;;) {
            const ws::event e = r.next();
            if (e.kind == event_kind::error) {
                result.error = e.error;
                return result;
            }
            if (e.kind == event_kind::need_more) break;
            result.messages.emplace_back(hawser::as_text(e.payload));
        }
    }
    return result;
}

}  // namespace

TEST_CASE("read_room: whatever the reads, messages arrive whole; most of a large one is not copied", "[ws][reader]") {
    const std::string large = letters(300'000), text = letters(99'999) + "\xc3\xa4", tail = letters(40'000);
    for (const ws::role side : {ws::role::server, ws::role::client}) {
        const byte_vector wire =
            join({frame(side, ws::opcode::binary, large), frame(side, ws::opcode::text, "short"),
                  frame(side, ws::opcode::text, text), frame(side, ws::opcode::binary, large, false),
                  frame(side, ws::opcode::ping, "between"), frame(side, ws::opcode::continuation, tail)});
        for (const std::size_t step : {1000u, 16'384u, 65'536u, 131'071u, 1'000'000u}) {
            CAPTURE(step);
            spare_blocks spare;
            ws::reader r(side);
            r.set_spare(&spare);
            const outcome got = read_all(r, wire, step);
            CHECK(got.messages == std::vector<std::string>{large, "short", text, "between", large + tail});
            if (step <= 65'536) CHECK(got.direct > wire.size() / 2);
            CHECK(r.held_bytes() == 0);
        }
    }
}

TEST_CASE("read_room: wrong text is found in it, and nothing is offered afterwards", "[ws][reader]") {
    std::string text = letters(200'000);
    text[150'000] = '\xff';
    ws::reader r(ws::role::server);
    CHECK(read_all(r, frame(ws::role::server, ws::opcode::text, text), 50'000).error == hawser::errc::invalid_utf8);
    CHECK(r.read_room().empty());
}

TEST_CASE("read_room: none between messages, for small ones, and for control frames", "[ws][reader]") {
    ws::reader r(ws::role::server);
    CHECK(r.read_room().empty());
    for (const auto& whole : {frame(ws::role::server, ws::opcode::binary, letters(2000)),
                              frame(ws::role::server, ws::opcode::ping, letters(100))}) {
        byte_vector first(whole.begin(), whole.begin() + 50), second(whole.begin() + 50, whole.end());
        r.feed(first);
        CHECK(r.next().kind == event_kind::need_more);
        CHECK(r.read_room().empty());
        r.feed(second);
        CHECK(r.next().kind != event_kind::error);
        CHECK(r.next().kind == event_kind::need_more);
    }
}

TEST_CASE("read_room: none in the middle of a large message while a ping in it is incomplete, or bytes of it are not taken yet",
          "[ws][reader]") {
    const ws::role side = ws::role::server;
    const auto first = frame(side, ws::opcode::binary, letters(50'000), false), ping = frame(side, ws::opcode::ping, letters(100)),
               rest = frame(side, ws::opcode::continuation, letters(100'000));
    ws::reader r(side);
    const auto take = [&r](byte_view some) {
        byte_vector chunk(some.begin(), some.end());
        r.feed(chunk);
        return r.next().kind;
    };
    CHECK(r.wanted() == 0);
    CHECK(take(first) == event_kind::need_more);
    CHECK(take(byte_view(ping).first(20)) == event_kind::need_more);
    CHECK(r.read_room().empty());
    CHECK(r.wanted() == ping.size() - 20);
    CHECK(take(byte_view(ping).subspan(20)) == event_kind::ping);
    CHECK(r.next().kind == event_kind::need_more);
    CHECK(take(byte_view(rest).first(1000)) == event_kind::need_more);
    CHECK_FALSE(r.read_room().empty());
    CHECK(r.wanted() == rest.size() - 1000);
    byte_vector more(rest.begin() + 1000, rest.begin() + 2000);
    r.feed(more);
    CHECK(r.read_room().empty());
    CHECK(r.wanted() == rest.size() - 2000);
    r.retain();
    CHECK(r.next().kind == event_kind::need_more);
    CHECK_FALSE(r.read_room().empty());
}

TEST_CASE("spare memory: an empty buffer has none to give", "[ws][reader]") {
    spare_blocks spare;
    ws::gather_buffer nothing;
    nothing.release(&spare);
    CHECK(spare.bytes() == 0);
}

TEST_CASE("spare memory: a lying header gets none of its own, and the next message takes what the last one had",
          "[ws][reader]") {
    const byte_vector wire = frame(ws::role::server, ws::opcode::binary, letters(900'000));
    byte_vector head(wire.begin(), wire.begin() + 100);
    spare_blocks spare;
    ws::reader r(ws::role::server), next(ws::role::server);
    for (ws::reader* each : {&r, &next})
        each->set_spare(&spare);
    r.feed(head);
    CHECK(r.next().kind == event_kind::need_more);
    CHECK(r.held_bytes() <= ws::gather_buffer::announced_step);
    CHECK(read_all(r, byte_view(wire).subspan(100), 65'536).messages.size() == 1);
    CHECK(r.held_bytes() == 0);
    const std::size_t kept = spare.bytes();
    CHECK(kept >= 900'000);
    head.assign(wire.begin(), wire.begin() + 100);
    next.feed(head);
    CHECK(next.next().kind == event_kind::need_more);
    CHECK(next.held_bytes() + ws::gather_buffer::overhead == kept);
    CHECK(spare.bytes() == 0);
    CHECK(next.read_room().size() == 900'000 - (100 - 14));
}

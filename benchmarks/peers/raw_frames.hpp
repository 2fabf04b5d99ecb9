// SPDX-License-Identifier: BSL-1.0
// What the floor must do to the bytes: answer an upgrade, turn masked frames into plain ones.
#pragma once

#include <hawser/protocol/ws/accept_key.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace raw {

using byte = unsigned char;

/// The answer to a complete upgrade request; empty if it is none.
inline std::string upgrade_answer(std::string_view request) {
    static constexpr std::string_view field = "Sec-WebSocket-Key: ";
    const auto at = request.find(field);
    if (at == std::string_view::npos) return {};
    const auto key = request.substr(at + field.size(), 24);
    std::string answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ";
    answer += hawser::ws::accept_key(key);
    return answer += "\r\n\r\n";
}

/// Bytes of the masked frame that begins at `p`; 0 while its header is incomplete.
inline std::size_t frame_size(const byte* p, std::size_t n) {
    if (n < 2) return 0;
    const unsigned form = p[1] & 127u;
    const std::size_t wide = form == 126 ? 2 : form == 127 ? 8 : 0;
    if (n < 6 + wide) return 0;
    std::uint64_t size = wide == 0 ? form : 0;
    for (std::size_t i = 0; i < wide; ++i) size = size << 8 | p[2 + i];
    return 6 + wide + static_cast<std::size_t>(size);
}

/// Moves `n` bytes towards lower addresses and unmasks them, 64 at a time.
inline void unmask_down(byte* to, const byte* from, std::size_t n, std::uint32_t key) {
    using lane [[gnu::vector_size(32)]] = std::uint32_t;
    const lane wide = key - lane{};
    std::size_t i = 0;
    for (; i + 2 * sizeof wide <= n; i += 2 * sizeof wide) {
        lane first, second;
        std::memcpy(&first, from + i, sizeof first);
        std::memcpy(&second, from + i + sizeof first, sizeof second);
        first ^= wide;
        second ^= wide;
        std::memcpy(to + i, &first, sizeof first);
        std::memcpy(to + i + sizeof first, &second, sizeof second);
    }
    for (; i + 4 <= n; i += 4) {
        std::uint32_t part;
        std::memcpy(&part, from + i, 4);
        part ^= key;
        std::memcpy(to + i, &part, 4);
    }
    std::array<byte, 4> last;
    std::memcpy(last.data(), &key, 4);
    for (; i < n; ++i) to[i] = static_cast<byte>(from[i] ^ last[i % 4]);
}

/// What `echo_in_place` made: the answer, and an incomplete frame behind it.
struct echoed {
    std::size_t begin = 0, size = 0;
    std::size_t used = 0, rest = 0;
};

/// Turns all whole frames of `p` into frames of a server. A server's frame is four bytes shorter,
/// so all of them fit in front of what was not read yet.
inline echoed echo_in_place(byte* p, std::size_t n) {
    echoed result;
    byte* to = p;
    while (const std::size_t size = frame_size(p + result.used, n - result.used)) {
        if (size > n - result.used) break;
        byte* const from = p + result.used;
        const unsigned form = from[1] & 127u;
        const std::size_t head = form == 126 ? 4 : form == 127 ? 10 : 2;
        std::uint32_t key;
        std::memcpy(&key, from + head, 4);
        std::memmove(to, from, head);
        to[1] = static_cast<byte>(form);
        unmask_down(to + head, from + head + 4, size - head - 4, key);
        to += size - 4;
        result.used += size;
    }
    result.size = static_cast<std::size_t>(to - p);
    result.rest = n - result.used;
    return result;
}

}  // namespace raw

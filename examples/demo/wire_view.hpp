// SPDX-License-Identifier: BSL-1.0
// What somebody in the middle can tell of one direction of a connection: where the HTTP head
// and each frame end, and which hawser.v1 frame it is. Knows the bytes, not the library.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace demo {

/// Types of hawser.v1 frames that matter here; the first byte of a binary message.
enum class frame_type : std::uint8_t {
    none = 0,
    hello = 1,
    welcome = 2,
    resume = 3,
    resumed = 4,
    resume_failed = 5,
    data = 6,
    ack = 7,
    ping = 8,
    pong = 9,
};

/// What the first bytes of a frame tell.
struct frame_info {
    frame_type type = frame_type::none;     ///< none: a control frame of WebSocket
    std::uint64_t size = 0;                 ///< header and payload
    std::optional<std::uint64_t> sequence;  ///< of DATA
    std::optional<std::uint64_t> accepted;  ///< the position that it acknowledges
};

/// Some bytes that belong together.
struct piece {
    enum class kind : std::uint8_t { need_more, head, frame_start, frame_rest };
    kind what = kind::need_more;
    std::size_t size = 0;  ///< from the front of the bytes shown
    bool ends = false;     ///< the head or the frame ends here
    frame_info frame;      ///< frame_start
};

/// Shown the bytes that were not relayed yet, says what comes next. The first bytes of a frame
/// are one piece, so that a relay can decide about it before any of it has passed.
class wire_view {
public:
    using view = std::span<const std::byte>;
    static constexpr std::size_t looked_at = 64;  // of a payload: more than the head of any DATA here

    [[nodiscard]] piece next(view bytes) {
        if (bytes.empty()) return {};
        if (!head_done_) return next_of_head(bytes);
        if (rest_ == 0) return start_of_frame(bytes);
        const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(rest_, bytes.size()));
        rest_ -= n;
        return {piece::kind::frame_rest, n, rest_ == 0, {}};
    }

private:
    static std::uint64_t big_endian(view bytes) noexcept {
        std::uint64_t v = 0;
        for (const auto b : bytes)
            v = v << 8 | static_cast<std::uint8_t>(b);
        return v;
    }
    [[nodiscard]] piece next_of_head(view bytes) {
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            const char c = static_cast<char>(bytes[i]);
            if (c == "\r\n\r\n"[matched_])
                ++matched_;
            else
                matched_ = c == '\r' ? 1 : 0;
            if (matched_ == 4) {
                head_done_ = true;
                return {piece::kind::head, i + 1, true, {}};
            }
        }
        return {piece::kind::head, bytes.size(), false, {}};
    }
    [[nodiscard]] piece start_of_frame(view bytes) {
        if (bytes.size() < 2) return {};
        const auto second = static_cast<std::uint8_t>(bytes[1]);
        const bool masked = (second & 0x80) != 0;
        std::uint64_t length = second & 0x7f;
        const std::size_t extra = length == 126 ? 2 : length == 127 ? 8 : 0;
        const std::size_t header = 2 + extra + (masked ? 4 : 0);
        if (bytes.size() < header) return {};
        if (extra != 0) length = big_endian(bytes.subspan(2, extra));
        const auto shown = static_cast<std::size_t>(std::min<std::uint64_t>(length, looked_at));
        if (bytes.size() < header + shown) return {};
        std::array<std::byte, looked_at> payload{};
        for (std::size_t i = 0; i < shown; ++i)
            payload[i] = bytes[header + i] ^ (masked ? bytes[header - 4 + i % 4] : std::byte{0});
        piece p{piece::kind::frame_start, header + shown, length == shown, {}};
        if ((static_cast<std::uint8_t>(bytes[0]) & 0x0f) == 2) p.frame = look(view(payload).first(shown));
        p.frame.size = header + length;
        rest_ = length - shown;
        return p;
    }

    // A cursor that reads nothing beyond the end.
    struct reader {
        view bytes;
        bool ok = true;
        std::uint8_t byte() noexcept {
            if (bytes.empty()) return ok = false, std::uint8_t{0};
            const auto b = static_cast<std::uint8_t>(bytes.front());
            bytes = bytes.subspan(1);
            return b;
        }
        std::uint64_t varint() noexcept {
            std::uint64_t v = 0;
            for (unsigned shift = 0; shift < 64; shift += 7) {
                const std::uint8_t b = byte();
                v |= std::uint64_t{b & 0x7fu} << shift;
                if ((b & 0x80) == 0) break;
            }
            return v;
        }
        void skip(std::size_t n) noexcept {
            ok = ok && n <= bytes.size();
            bytes = bytes.subspan(std::min(n, bytes.size()));
        }
    };

    // type, flags, [checksum], [extensions], then per type; see docs/protocol.md.
    [[nodiscard]] static frame_info look(view payload) noexcept {
        constexpr std::uint8_t extensions = 0x01, has_ack = 0x10, checksum = 0x80;
        frame_info f;
        reader in{payload};
        const std::uint8_t type = in.byte();
        const std::uint8_t flags = in.byte();
        if (type <= 9) f.type = static_cast<frame_type>(type);
        if ((flags & checksum) != 0) in.skip(4);
        if ((flags & extensions) != 0) in.skip(static_cast<std::size_t>(in.varint()));
        const bool position = f.type == frame_type::ack || f.type == frame_type::ping || f.type == frame_type::pong;
        if (position || (f.type == frame_type::data && (flags & has_ack) != 0)) {
            const std::uint64_t accepted = in.varint();
            (void)in.varint();
            (void)in.varint();
            if (in.ok) f.accepted = accepted;
        }
        if (f.type == frame_type::data) {
            const std::uint64_t sequence = in.varint();
            if (in.ok) f.sequence = sequence;
        }
        return f;
    }

    bool head_done_ = false;
    unsigned matched_ = 0;
    std::uint64_t rest_ = 0;  // of the present frame
};

}  // namespace demo

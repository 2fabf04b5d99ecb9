// SPDX-License-Identifier: BSL-1.0
// What the peer sends after the upgrade, cut anywhere and paused anywhere, against RFC 6455 sections 5 to 8
// applied to the whole input at once.
#include "fuzz.hpp"

#include "../support/utf8_reference.hpp"
#include "../support/ws_frames.hpp"

namespace ws = hawser::ws;
using hawser::byte_vector;
using hawser::byte_view;
using hawser::close_code;
using hawser::errc;
using ws_test::event_log;

const fuzz::bug fuzz::planted = bug::mask_phase_lost;

namespace {

class reference {
public:
    reference(ws::role side, const ws::reader_limits& limits) : server_(side == ws::role::server), limits_(limits) {}

    event_log read(byte_view in) {
        in_ = in;
        while (at_ < in_.size() && read_frame()) {
        }
        return log_;
    }

private:
    [[nodiscard]] unsigned byte(std::size_t i) const { return std::to_integer<unsigned>(in_[at_ + i]); }
    bool fail(errc error, unsigned code) {
        log_.push_back("error:" + std::to_string(static_cast<int>(error)) + ":" + std::to_string(code));
        return false;
    }
    // Each returns false where the reading ends.
    bool read_frame() {
        const std::size_t left = in_.size() - at_;
        if (left < 2) return false;
        const bool fin = byte(0) >= 128;
        const unsigned rsv = byte(0) / 16 % 8, op = byte(0) % 16, short_length = byte(1) % 128;
        const bool control = op >= 8, first = op == 1 || op == 2;
        if ((rsv & ~(first || (op > 2 && op < 8) ? limits_.permitted_rsv : 0u)) != 0)
            return fail(errc::reserved_bits, 1002);
        if ((op > 2 && op < 8) || op > 10) return fail(errc::reserved_opcode, 1002);
        if ((byte(1) >= 128) != server_) return fail(errc::bad_mask, 1002);
        if (control && !fin) return fail(errc::control_fragmented, 1002);
        if (control && short_length > 125) return fail(errc::control_too_long, 1002);
        if (first && inside_) return fail(errc::interleaved_message, 1002);
        if (op == 0 && !inside_) return fail(errc::orphan_continuation, 1002);

        const std::size_t extended = short_length == 127 ? 8 : short_length == 126 ? 2 : 0;
        if (left < 2 + extended) return false;
        std::uint64_t length = extended == 0 ? short_length : 0;
        for (std::size_t i = 0; i < extended; ++i)
            length = length << 8 | byte(2 + i);
        if (length >> 63 != 0) return fail(errc::bad_length, 1002);
        if ((extended == 2 && length < 126) || (extended == 8 && length < 65536))
            return fail(errc::non_minimal_length, 1002);
        const std::size_t head = 2 + extended + (server_ ? 4 : 0);
        if (left < head) return false;
        if (!control) {
            const std::size_t had = inside_ ? message_.size() : 0;
            fragments_ = first ? 1 : fragments_ + 1;
            if (length > limits_.max_message_size - had || fragments_ > limits_.max_fragments)
                return fail(errc::message_too_big, 1009);
        }
        std::string payload;
        for (std::size_t i = 0; i < length && head + i < left; ++i)
            payload += static_cast<char>(byte(head + i) ^ (server_ ? byte(head - 4 + i % 4) : 0));
        at_ += head + payload.size();
        const bool whole = payload.size() == length;
        return control ? read_control(op, payload, whole) : read_data(op, rsv, fin, payload, whole);
    }
    bool read_data(unsigned op, unsigned rsv, bool fin, const std::string& payload, bool whole) {
        if (op != 0) {
            inside_ = true;
            message_.clear();
            text_ = op == 1;
            rsv_ = rsv;
        }
        message_ += payload;
        const auto verdict = utf8_test::judge_plainly(message_);
        const bool checked = text_ && rsv_ == 0 && limits_.validate_utf8;
        if (checked && verdict.right < message_.size()) return fail(errc::invalid_utf8, 1007);
        if (!whole || !fin) return whole;
        if (checked && !verdict.whole) return fail(errc::invalid_utf8, 1007);
        inside_ = false;
        log_.push_back((text_ ? "text" : "binary") + (rsv_ == 0 ? std::string() : "+" + std::to_string(rsv_)) + ":" +
                       ws_test::hex(hawser::as_bytes(message_)));
        return true;
    }
    bool read_control(unsigned op, const std::string& payload, bool whole) {
        if (!whole) return false;
        const std::string hex = ws_test::hex(hawser::as_bytes(payload));
        if (op != 8) {
            log_.push_back((op == 9 ? "ping:" : "pong:") + hex);
            return true;
        }
        if (payload.empty()) return log_.push_back("close:1005:"), false;
        if (payload.size() == 1) return fail(errc::bad_close_frame, 1002);
        const unsigned code = static_cast<unsigned char>(payload[0]) * 256u + static_cast<unsigned char>(payload[1]);
        const bool known =
            (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code < 5000);
        if (!known) return fail(errc::bad_close_frame, 1002);
        if (!utf8_test::judge_plainly(std::string_view(payload).substr(2)).whole) return fail(errc::invalid_utf8, 1007);
        log_.push_back("close:" + std::to_string(code) + ":" + hex.substr(4));
        return false;
    }

    bool server_;
    ws::reader_limits limits_;
    byte_view in_;
    std::size_t at_ = 0;
    std::string message_;
    std::uint32_t fragments_ = 0;
    unsigned rsv_ = 0;
    bool text_ = false;
    bool inside_ = false;
    event_log log_;
};

// Frames as a peer would write them, from bytes that say what and how long.
byte_vector frames(ws::role side, fuzz::input& in) {
    byte_vector out;
    while (!in.empty() && out.size() < 4096) {
        const unsigned first = in.number(), length = in.number();
        static constexpr ws::opcode ops[] = {ws::opcode::text, ws::opcode::continuation, ws::opcode::binary,
                                             ws::opcode::ping, ws::opcode::pong,         ws::opcode::continuation,
                                             ws::opcode::text, ws::opcode::close};
        // Mostly without reserved bits and against the right role.
        const auto rsv = static_cast<std::uint8_t>((first & 0xf0u) == 0xf0u   ? 4
                                                   : (first & 0xf0u) == 0xe0u ? in.below(8)
                                                                              : 0);
        const bool fin = (first & 8u) != 0;
        const byte_view payload = in.take(length < 250 ? length % 64 : length);
        hawser::append(out, ws_test::frame((first & 0xf0u) == 0xd0u ? ws_test::other(side) : side, ops[first % 8],
                                           payload, fin, rsv));
    }
    return out;
}

}  // namespace

void fuzz::run(byte_view data) {
    input in(data);
    const unsigned how = in.number(), seed = in.number();
    const auto side = (how & 1u) != 0 ? ws::role::server : ws::role::client;
    ws::reader_limits limits;
    if ((how & 2u) != 0) limits.max_message_size = 100;
    if ((how & 4u) != 0) limits.max_fragments = 3;
    limits.validate_utf8 = (how & 8u) == 0;
    if ((how & 16u) != 0) limits.permitted_rsv = 4;
    const byte_view raw = (how & 32u) != 0 ? in.rest() : byte_view();
    const byte_vector bytes = (how & 32u) != 0 ? byte_vector(raw.begin(), raw.end()) : frames(side, in);

    const event_log expected = reference(side, limits).read(bytes);
    for (const bool pause : {false, true}) {
        ws::reader whole(side, limits), split(side, limits);
        require(ws_test::read_split(whole, bytes, {}, pause) == expected, "the rules of RFC 6455");
        require(ws_test::read_split(split, bytes, cuts(seed, bytes.size()), pause) == expected,
                "the same at any split");
        require(whole.ended() == split.ended() && whole.in_message() == split.in_message(), "the same state");
        require(!whole.ended() || whole.held_bytes() == 0 || expected.back().starts_with("close"),
                "nothing is held at the end");
    }
}

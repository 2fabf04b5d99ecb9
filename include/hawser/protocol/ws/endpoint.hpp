// SPDX-License-Identifier: BSL-1.0
/// \file
/// One established WebSocket connection without its I/O: reader, writer and close handshake.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/core/close_code.hpp>
#include <hawser/core/entropy.hpp>
#include <hawser/core/errc.hpp>
#include <hawser/protocol/ws/compression.hpp>
#include <hawser/protocol/ws/event.hpp>
#include <hawser/protocol/ws/frame_header.hpp>
#include <hawser/protocol/ws/frame_writer.hpp>
#include <hawser/protocol/ws/opcode.hpp>
#include <hawser/protocol/ws/reader.hpp>
#include <hawser/protocol/ws/utf8.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

namespace hawser::inline v0 {
namespace ws {

/// Both directions of one connection, in either role. Bytes of the peer go in by `feed`, events
/// come out of `next`; what is to be written is appended to a vector of the caller's.
///
/// Pongs and the answers to a close or to an error are not written by `next`, which has no
/// output, but by `flush_control`; call it when a batch was drained and before writing.
///
/// Functions that send return `errc{}` on success. Otherwise nothing was appended: `closed`
/// (a close frame was sent or is due), `invalid_state` (wrong order of fragments),
/// `invalid_argument`, `random_failed` (no masking key), `out_of_memory`. They do not throw.
class endpoint {
public:
    /// `masks` gives the masking keys of the client role and must outlive the endpoint; the
    /// server role takes null. `codec` is what was agreed on compression, null for nothing.
    explicit endpoint(role side, const reader_limits& limits = {}, entropy_pool* masks = nullptr,
                      std::unique_ptr<message_codec> codec = nullptr) noexcept
        : reader_(side, limits, std::move(codec)), writer_(side, masks) {}

    /// As `reader::set_spare`, `reader::read_room`.
    void set_spare(spare_blocks* spare) noexcept { reader_.set_spare(spare); }
    [[nodiscard]] byte_span read_room() noexcept { return reader_.read_room(); }
    /// As `reader::hand_out_pieces`.
    void hand_out_pieces(bool on) noexcept { reader_.hand_out_pieces(on); }
    /// As `reader::feed`, `reader::retain`, `reader::unread`, `reader::wanted`.
    void feed(byte_span chunk) noexcept { reader_.feed(chunk); }
    void retain() noexcept { reader_.retain(); }
    [[nodiscard]] std::size_t unread() const noexcept { return reader_.unread(); }
    [[nodiscard]] std::uint64_t wanted() const noexcept { return reader_.wanted(); }
    [[nodiscard]] const reader& input() const noexcept { return reader_; }

    /// As `reader::next_whole`.
    [[nodiscard]] HAWSER_IN_LINE bool next_whole(byte_view& payload, bool& text) noexcept { return reader_.next_whole(payload, text); }
    /// As `reader::next`. A ping is noted for its pong and reported. `close` ends the input: its
    /// answer is due. `error` ends the input as well: a close frame with `event::code` is due,
    /// after which the caller closes the connection without waiting for an answer.
    [[nodiscard]] event next() noexcept {
        event result = reader_.next();
        if (result.kind > event_kind::piece) note(result);
        return result;
    }

    /// Appends one message as one frame whose payload is `first` followed by `second`. `op` is
    /// `text` or `binary`; that text is UTF-8 is the caller's business. `rsv` belongs to a
    /// negotiated extension. Allocates only where `out` has to grow.
    [[nodiscard]] errc send(byte_vector& out, opcode op, byte_view first, byte_view second = {},
                            std::uint8_t rsv = 0) noexcept {
        if (const errc refused = check_data(op, false); refused != errc{}) return refused;
        return writer_.write(out, {.fin = true, .rsv = rsv, .op = op}, first, second);
    }
    /// Server role: as `send` of at most 125 bytes, but to `to`, which has room for two bytes more. Returns the bytes
    /// written, or 0 where `send` would fail, and in the client role.
    [[nodiscard]] HAWSER_IN_LINE std::size_t send_short(std::byte* to, opcode op, byte_view first, byte_view second = {}) noexcept {
        if (writer_.side() == role::client || check_data(op, false) != errc{}) return 0;
        return frame_writer::write_short(to, {.op = op}, first, second);
    }
    /// As `send`, of a message compressed by what was agreed. False, with nothing appended, where nothing was
    /// agreed or may be sent now, where the message does not become smaller, and when memory ran out: then `send`.
    [[nodiscard]] bool send_compressed(byte_vector& out, opcode op, byte_view first, byte_view second = {}) noexcept {
        message_codec* const codec = reader_.codec();
        gather_buffer packed;
        if (codec == nullptr || check_data(op, false) != errc{}) return false;
        if (!codec->compress(packed, op == opcode::text, first, second)) return false;
        if (writer_.write(out, {.rsv = compressed_bit, .op = op}, packed.bytes()) == errc{}) return true;
        codec->discard();
        return false;
    }
    /// Appends one piece of a message: `text` or `binary` begins it, `continuation` goes on, `fin`
    /// ends it. Control frames may come in between, another message may not.
    [[nodiscard]] errc send_fragment(byte_vector& out, opcode op, bool fin, byte_view payload,
                                     std::uint8_t rsv = 0) noexcept {
        if (const errc refused = check_data(op, op == opcode::continuation); refused != errc{}) return refused;
        const errc failure = writer_.write(out, {.fin = fin, .rsv = rsv, .op = op}, payload);
        if (failure == errc{}) sending_message_ = !fin;
        return failure;
    }
    /// Server role: appends the header alone of a message, or a piece of one, of `payload_size` bytes, which the
    /// caller writes behind it from where they are. Returns the bytes appended, at most 10,
    /// or 0 when nothing may be sent, in the client role, and when memory ran out.
    [[nodiscard]] std::size_t send_header(byte_vector& out, opcode op, std::uint64_t payload_size,
                                          bool fin = true) noexcept {
        if (writer_.side() == role::client || check_data(op, op == opcode::continuation) != errc{}) return 0;
        const std::size_t size = writer_.write_header(out, {.fin = fin, .op = op, .length = payload_size});
        if (size != 0) sending_message_ = !fin;
        return size;
    }
    /// Appends a ping with a payload of at most 125 bytes.
    [[nodiscard]] errc ping(byte_vector& out, byte_view payload = {}) noexcept {
        if (payload.size() > max_control_size) return errc::invalid_argument;
        if (!can_send()) return errc::closed;
        return writer_.write(out, {.op = opcode::ping}, payload);
    }
    /// Appends what is due: the answer to a close or an error, or else the pong for the newest ping
    /// not answered yet (RFC 6455 section 5.5.3). On failure it stays due.
    [[nodiscard]] errc flush_control(byte_vector& out) noexcept;

    /// Starts the close handshake with a close frame, or gives the answer that is due instead.
    /// `reason` is cut to at most 123 bytes of valid UTF-8; a `code` that must not be on the
    /// wire, such as 1005 or 1006, makes the frame empty.
    [[nodiscard]] errc close(byte_vector& out, close_code code, std::string_view reason = {}) noexcept;

    /// Whether messages and pings may still be sent: no close frame was sent or is due.
    [[nodiscard]] bool can_send() const noexcept { return !close_sent_ && !close_due_; }
    /// Whether a message was begun by a piece and not ended.
    [[nodiscard]] bool in_message() const noexcept { return sending_message_; }
    /// Whether `flush_control` has something to append.
    [[nodiscard]] bool control_due() const noexcept { return !close_sent_ && (close_due_ || pong_due_); }
    [[nodiscard]] bool close_sent() const noexcept { return close_sent_; }
    [[nodiscard]] bool close_received() const noexcept { return close_received_; }
    /// Whether the close handshake is complete. The server then closes the TCP connection; a
    /// client waits for that, with a limit (RFC 6455 section 7.1.1).
    [[nodiscard]] bool finished() const noexcept { return close_sent_ && close_received_; }
    /// Whether the peer broke a rule or memory ran out.
    [[nodiscard]] bool failed() const noexcept { return reader_.ended() && !close_received_; }
    /// Pings, pongs and close frames received so far; the caller, who has a clock, limits their rate.
    [[nodiscard]] std::uint64_t control_received() const noexcept { return control_received_; }

private:
    void note(event& what) noexcept;
    void close_with(close_code code) noexcept {
        close_due_ = !close_sent_;
        due_code_ = code;
        pong_.release();
        pong_due_ = false;
    }
    [[nodiscard]] errc check_data(opcode op, bool continues) const noexcept {
        if (!can_send()) return errc::closed;
        if (continues != sending_message_) return errc::invalid_state;
        return continues || op == opcode::text || op == opcode::binary ? errc{} : errc::invalid_argument;
    }
    [[nodiscard]] errc write_close(byte_vector& out, close_code code, std::string_view reason) noexcept;

    reader reader_;
    frame_writer writer_;
    gather_buffer pong_;  // payload of the newest ping
    std::uint64_t control_received_ = 0;
    close_code due_code_ = close_code::none;
    bool pong_due_ = false;
    bool close_due_ = false;
    bool close_sent_ = false;
    bool close_received_ = false;
    bool sending_message_ = false;
};

inline void endpoint::note(event& what) noexcept {
    control_received_ += what.kind == event_kind::error ? 0 : 1;
    if (what.kind == event_kind::error) {
        close_with(what.code);
    } else if (what.kind == event_kind::close) {
        close_received_ = true;
        what.remote = !close_sent_;
        close_with(what.code);
    } else if (what.kind == event_kind::ping && can_send()) {
        pong_.clear();
        // Without memory for its payload the pong is omitted; the peer's next ping gets one.
        pong_due_ = pong_.append(what.payload);
    }
}

inline errc endpoint::flush_control(byte_vector& out) noexcept {
    if (!control_due()) return {};
    if (close_due_) return write_close(out, due_code_, {});
    const errc failure = writer_.write(out, {.op = opcode::pong}, pong_.bytes());
    if (failure != errc{}) return failure;
    pong_due_ = false;
    pong_.release();
    return {};
}

inline errc endpoint::close(byte_vector& out, close_code code, std::string_view reason) noexcept {
    if (close_sent_) return errc::closed;
    return close_due_ ? flush_control(out) : write_close(out, code, reason);
}

inline errc endpoint::write_close(byte_vector& out, close_code code, std::string_view reason) noexcept {
    errc failure;
    if (is_sendable(code)) {
        std::array<std::byte, 2> number;
        store_be(number.data(), static_cast<std::uint16_t>(code));
        const std::string_view cut = utf8_prefix(reason, max_control_size - number.size());
        failure = writer_.write(out, {.op = opcode::close}, number, as_bytes(cut));
    } else {
        failure = writer_.write(out, {.op = opcode::close}, {});
    }
    if (failure != errc{}) return failure;
    close_sent_ = true;
    close_due_ = pong_due_ = false;
    pong_.release();
    return {};
}

}  // namespace ws
}  // namespace hawser::inline v0

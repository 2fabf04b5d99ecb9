// SPDX-License-Identifier: BSL-1.0
/// \file
/// Pull parser for what the peer sends after the upgrade (RFC 6455 sections 5 to 8).
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/core/close_code.hpp>
#include <hawser/core/errc.hpp>
#include <hawser/protocol/ws/compression.hpp>
#include <hawser/protocol/ws/event.hpp>
#include <hawser/protocol/ws/frame_header.hpp>
#include <hawser/protocol/ws/gather_buffer.hpp>
#include <hawser/protocol/ws/mask.hpp>
#include <hawser/protocol/ws/opcode.hpp>
#include <hawser/protocol/ws/utf8.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>

namespace hawser::inline v0 {
namespace ws {

struct reader_limits {
    std::size_t max_message_size = 1024 * 1024;  ///< payload of all fragments together, in bytes
    std::uint32_t max_fragments = 65'536;        ///< frames of one message, empty ones too; at least 1
    bool validate_utf8 = true;                   ///< of text messages; close reasons always are
    /// Reserved bits that a negotiated extension gives a meaning on the first frame of a
    /// message. Its payload is then the extension's and is not checked as UTF-8 here.
    std::uint8_t permitted_rsv = 0;
};

/// Turns the bytes of the peer into events. One per connection and direction.
///
/// Use: `feed` a chunk, call `next` until it returns `need_more`, reuse the chunk.
/// Payloads are unmasked in place. A message that lies complete and unfragmented in the chunk
/// is a view into it, without copy or allocation; only an incomplete one is gathered.
/// Errors are events, once; after `error` or `close` all further input is ignored.
/// No member throws: a failed allocation is the event `out_of_memory` with code 1011.
class reader {
public:
    /// With a `codec`, messages marked by `compressed_bit` are inflated as they arrive, into at most
    /// `max_message_size` bytes; text is checked behind that. Their events do not show the bit.
    explicit reader(role side, const reader_limits& limits = {},
                    std::unique_ptr<message_codec> codec = nullptr) noexcept
        : limits_(limits), codec_(std::move(codec)), side_(side) {
        if (codec_) limits_.permitted_rsv |= compressed_bit;
    }

    /// Gives the next bytes of the peer. They are changed in place, and must stay valid until
    /// `next` has returned `need_more`, or `retain` was called. Bytes still unread are read first.
    void feed(byte_span chunk) noexcept {
        if (ended_) return;
        if (unread() == 0) {
            retained_.release();
            pos_ = chunk.data();
            end_ = chunk.data() + chunk.size();
        } else {
            retain();
            keep(chunk);
        }
    }

    /// What `next` would return where that is a message which lies whole and unfragmented in the chunk, as most do, for
    /// a fraction of the instructions. Otherwise false: ask `next`.
    [[nodiscard]] bool next_whole(byte_view& payload, bool& text) noexcept;
    /// The next event. Its payload is valid until the next call on this reader. With
    /// `need_more` everything incomplete has been copied, and the chunk is no longer used.
    [[nodiscard]] event next() noexcept {
        if (!in_message_ || in_pieces_) message_.clear();
        if (!in_frame_) control_.release();
        if (ended_) return starve();
        if (no_memory_) return fail(errc::out_of_memory);
        event result;
        for (;;) {
            if (!in_frame_) {
                if (next_whole(result.payload, result.text)) {
                    result.kind = event_kind::message;
                    return result;
                }
                if (bad_text_) return fail(errc::invalid_utf8);
                const errc failure = read_header();
                if (failure != errc{}) return fail(failure);
                if (!in_frame_) return starve();
            }
            result = is_control(frame_.op) ? read_control() : read_data();
            if (result.kind != event_kind::need_more) return result;
            if (in_frame_) return starve();
        }
    }

    /// From the next message on: what arrives of a message that does not lie whole in a chunk is handed out at once,
    /// and nothing is gathered. Text is judged as it goes; a character may be split between two pieces. All limits hold
    /// for the message. A piece may be empty only where it is the last.
    void hand_out_pieces(bool on) noexcept { pieces_ = on; }
    /// Where large messages are gathered; it must live until the last `next` or `read_room`. Null for the heap alone.
    void set_spare(spare_blocks* spare) noexcept { spare_ = spare; }
    /// Room for the next bytes of the peer where they are most of a large payload: it lies where they are gathered
    /// anyway, so that fed from there they are not copied. Otherwise, and when memory ran out, empty.
    [[nodiscard]] byte_span read_room() noexcept {
        if (!in_frame_ || is_control(frame_.op) || inflating_ || in_pieces_ || no_memory_ || unread() != 0) return {};
        if (left_ < min_room) return {};
        const std::size_t expected = message_.size() + static_cast<std::size_t>(left_);
        std::byte* const to = message_.prepare(min_room, expected, spare_);
        if (to == nullptr) return {};
        const std::size_t room = message_.capacity() - message_.size();
        return {to, left_ < room ? static_cast<std::size_t>(left_) : room};
    }

    /// Copies the unread rest of the chunk, because the connection pauses and the chunk is
    /// about to be reused. `next` and `feed` go on from there. A view into the chunk is not
    /// made valid for longer by this. At most one chunk should be kept like this at a time.
    void retain() noexcept {
        if (ended_ || unread() == 0 || !retained_.empty()) return;
        const byte_view rest{pos_, unread()};
        pos_ = end_ = nullptr;
        keep(rest);
    }

    /// Bytes of the chunk, or retained ones, that `next` has not taken yet.
    [[nodiscard]] std::size_t unread() const noexcept { return static_cast<std::size_t>(end_ - pos_); }
    /// Payload bytes of the current frame that have not arrived; 0 between frames and within a header.
    [[nodiscard]] std::uint64_t wanted() const noexcept { return in_frame_ && left_ > unread() ? left_ - unread() : 0; }
    /// What was agreed on compression; null for nothing.
    [[nodiscard]] message_codec* codec() const noexcept { return codec_.get(); }
    /// Whether `error` or `close` was returned: all further input is ignored.
    [[nodiscard]] bool ended() const noexcept { return ended_; }
    /// Whether a message has begun and is not complete (for its deadline).
    [[nodiscard]] bool in_message() const noexcept { return in_message_; }
    /// Bytes of memory held for what is incomplete or retained; those of the codec are not counted.
    [[nodiscard]] std::size_t held_bytes() const noexcept {
        return message_.capacity() + control_.capacity() + retained_.capacity();
    }

private:
    static constexpr std::size_t min_room = 16 * 1024;
    [[nodiscard]] event starve() noexcept;
    [[nodiscard]] event fail(errc error) noexcept;
    [[nodiscard]] errc read_header() noexcept;
    [[nodiscard]] errc check_start() const noexcept;
    [[nodiscard]] errc begin_frame() noexcept;
    [[nodiscard]] event read_data() noexcept;
    [[nodiscard]] event read_compressed() noexcept;
    [[nodiscard]] event hand_out(byte_view payload) noexcept;
    [[nodiscard]] event read_control() noexcept;
    [[nodiscard]] event read_close(byte_view payload) noexcept;
    [[nodiscard]] bool take(std::byte* to, std::size_t size) noexcept;
    [[nodiscard]] errc gather(gather_buffer& into, std::size_t size, std::size_t expected) noexcept;

    void stop() noexcept {
        ended_ = true;
        in_frame_ = in_message_ = false;
        left_ = 0;
    }
    // The part of the current payload that is here.
    [[nodiscard]] std::size_t arrived() const noexcept {
        return left_ < unread() ? static_cast<std::size_t>(left_) : unread();
    }
    [[nodiscard]] bool whole_payload_here() const noexcept { return left_ == frame_.length && left_ <= unread(); }
    // Appends to the retained bytes, of which the last `unread()` are not taken yet.
    void keep(byte_view more) noexcept {
        retained_.remove_front(retained_.size() - unread());
        pos_ = end_ = nullptr;
        no_memory_ = no_memory_ || !retained_.append(more);
        if (no_memory_) return;
        pos_ = retained_.bytes().data();
        end_ = pos_ + retained_.size();
    }

    std::byte* pos_ = nullptr;
    std::byte* end_ = nullptr;
    std::uint64_t left_ = 0;  // payload bytes of the current frame not taken yet
    frame_header frame_;
    reader_limits limits_;
    std::unique_ptr<message_codec> codec_;
    spare_blocks* spare_ = nullptr;
    gather_buffer message_;   // an incomplete message
    gather_buffer control_;   // an incomplete control frame, which may lie inside a message
    gather_buffer retained_;  // unread bytes of a paused connection
    std::uint64_t passed_ = 0;  // bytes of the message that were handed out in pieces
    std::uint32_t fragments_ = 0;
    std::array<std::byte, max_header_size> head_{};  // an incomplete header
    std::uint8_t head_size_ = 0;
    role side_;
    utf8_validator utf8_;
    std::uint8_t rsv_ = 0;
    bool text_ = false;
    bool check_utf8_ = false;
    bool inflating_ = false;   // the message is compressed
    bool pieces_ = false;      // `hand_out_pieces`
    bool in_pieces_ = false;   // and so is the present message
    bool in_frame_ = false;    // a header was read, its payload was not
    bool in_message_ = false;  // a message was begun and not handed out
    bool no_memory_ = false;
    bool bad_text_ = false;  // found by `next_whole`, not told yet
    bool ended_ = false;
};

}  // namespace ws
}  // namespace hawser::inline v0

#include <hawser/protocol/ws/detail/reader_steps.hpp>

// SPDX-License-Identifier: BSL-1.0
// The steps of ws::reader; see reader.hpp.
#pragma once

#include <hawser/protocol/ws/reader.hpp>

namespace hawser::inline v0 {
namespace ws {

// Nothing more can be made of the input. Memory goes back unless a message is waiting in it, so
// that an idle connection holds none, while a stream that ends each chunk in the middle of a
// message uses one buffer again and again.
inline event reader::starve() noexcept {
    if (!in_message_ && message_.capacity() != 0) message_.release(spare_);
    retained_.release();
    pos_ = end_ = nullptr;
    return {};
}

inline event reader::fail(errc error) noexcept {
    stop();
    control_.release();
    event result = starve();
    result.kind = event_kind::error;
    result.error = error;
    result.code = close_code_of(error);
    return result;
}

// The common case on a straight line: a whole unfragmented message of at most 65535 bytes, header
// and payload in the chunk. It accepts only what the general steps accept; false leaves
// everything to them and has changed nothing but `bad_text_`.
inline bool reader::next_whole(byte_view& payload, bool& text) noexcept {
    const std::size_t here = unread();
    const bool masked = side_ == role::server;
    std::size_t size = masked ? 2 + sizeof(mask_key) : 2;
    if ((in_frame_ | in_message_ | (head_size_ != 0)) || here < size) return false;
    const auto first = std::to_integer<unsigned>(pos_[0]);
    const bool is_text = first == (0x80u | static_cast<unsigned>(opcode::text));
    if (!is_text && first != (0x80u | static_cast<unsigned>(opcode::binary))) return false;
    std::size_t length = std::to_integer<unsigned>(pos_[1]) ^ (masked ? 0x80u : 0u);
    if (length >= 126) {
        size += 2;
        if (length != 126 || here < size) return false;
        length = load_be<std::uint16_t>(pos_ + 2);
        if (length < 126) return false;
    }
    if (length > limits_.max_message_size || here - size < length) return false;
    std::byte* const begin = pos_ + size;
    pos_ = begin + length;
    payload = {begin, length};
    text = is_text;
    if (!masked) {
        bad_text_ = is_text && limits_.validate_utf8 && !is_utf8(payload);
        return !bad_text_;
    }
    mask_key key;
    std::memcpy(key.data(), begin - sizeof key, sizeof key);
    if (!is_text || !limits_.validate_utf8) {
        mask({begin, length}, key);
        return true;
    }
    bad_text_ = !unmask_utf8({begin, length}, key);
    return !bad_text_;
}

// Sets `in_frame_` when a header is complete; otherwise the bytes of it are kept in `head_`.
inline errc reader::read_header() noexcept {
    using status = decode_result::status;
    for (;;) {
        const bool split = head_size_ != 0;
        const byte_view in = split ? byte_view{head_.data(), head_size_} : byte_view{pos_, unread()};
        const decode_result result = decode(in, frame_);
        // First the rules that two bytes decide, so that the error does not depend on the split.
        if (in.size() >= 2)
            if (const errc failure = check_start(); failure != errc{}) return failure;
        if (result.what == status::error) return result.error;
        if (result.what == status::done) {
            if (!split) pos_ += result.size;
            head_size_ = 0;
            return begin_frame();
        }
        const std::size_t more = split ? std::min(result.size, unread()) : unread();
        if (more == 0) return {};
        std::memcpy(head_.data() + head_size_, pos_, more);
        head_size_ = static_cast<std::uint8_t>(head_size_ + more);
        pos_ += more;
    }
}

// What the first two bytes of a header decide (RFC 6455 sections 5.1, 5.2, 5.4, 5.5).
inline errc reader::check_start() const noexcept {
    const bool control = is_control(frame_.op);
    const bool starts_message = !control && frame_.op != opcode::continuation;
    const unsigned permitted = starts_message ? limits_.permitted_rsv : 0u;
    if ((frame_.rsv & ~permitted) != 0) return errc::reserved_bits;
    if (!is_known(frame_.op)) return errc::reserved_opcode;
    if (frame_.masked != (side_ == role::server)) return errc::bad_mask;
    if (control) {
        if (!frame_.fin) return errc::control_fragmented;
        return frame_.length > max_control_size ? errc::control_too_long : errc{};
    }
    if (starts_message == in_message_) return in_message_ ? errc::interleaved_message : errc::orphan_continuation;
    return {};
}

// The limits are judged by the header, before any of the payload is taken or memory is reserved.
inline errc reader::begin_frame() noexcept {
    left_ = frame_.length;
    in_frame_ = true;
    if (is_control(frame_.op)) return {};
    if (!in_message_) {
        in_message_ = true;
        fragments_ = 1;
        text_ = frame_.op == opcode::text;
        rsv_ = frame_.rsv;
        check_utf8_ = text_ && rsv_ == 0 && limits_.validate_utf8;
        inflating_ = codec_ && (rsv_ & compressed_bit) != 0;
        in_pieces_ = pieces_;
        passed_ = 0;
        utf8_.reset();
    }
    if (inflating_) {
        // What it inflates to is limited later. Compressed data are hardly longer than that, whoever made them.
        if (frame_.length / 9 > limits_.max_message_size / 8 + 8) return errc::message_too_big;
    } else if (frame_.length > limits_.max_message_size - message_.size() - passed_) {
        return errc::message_too_big;
    }
    if (frame_.op == opcode::continuation && ++fragments_ > limits_.max_fragments) return errc::message_too_big;
    return {};
}

// Moves `size` bytes of the payload, unmasked, to `to`, which may be where they lie. Text is judged in
// the same pass; false when it has a wrong byte.
inline bool reader::take(std::byte* to, std::size_t size) noexcept {
    const byte_view from{pos_, size};
    const bool wrong = hawser::detail::planted(hawser::detail::bug::mask_phase_lost);
    const std::size_t phase = wrong ? 0 : static_cast<std::size_t>(frame_.length - left_);
    pos_ += size;
    left_ -= size;
    in_frame_ = left_ != 0;
    const bool check = check_utf8_ && !is_control(frame_.op);
    if (frame_.masked && check) return utf8_.feed_masked(to, from, frame_.key, phase);
    if (frame_.masked)
        mask_copy(to, from, frame_.key, phase);
    else if (to != from.data())
        std::memcpy(to, from.data(), size);
    return !check || utf8_.feed(from);
}

// Moves `size` bytes of the payload to the end of `into`, which will hold about `expected`.
inline errc reader::gather(gather_buffer& into, std::size_t size, std::size_t expected) noexcept {
    if (size == 0) {
        in_frame_ = left_ != 0;
        return {};
    }
    std::byte* const to = into.prepare(size, expected, spare_);
    if (to == nullptr) return errc::out_of_memory;
    into.commit(size);
    return take(to, size) ? errc{} : errc::invalid_utf8;
}

// In pieces: what is here, which is unmasked and judged already. Nothing of the message is left behind.
inline event reader::hand_out(byte_view payload) noexcept {
    event result;
    result.last = frame_.fin && !in_frame_;
    if (result.last && check_utf8_ && !utf8_.complete()) return fail(errc::invalid_utf8);
    if (payload.empty() && !result.last) return result;
    result.kind = event_kind::piece;
    result.text = text_;
    result.rsv = static_cast<std::uint8_t>(inflating_ ? rsv_ ^ compressed_bit : rsv_);
    result.offset = passed_;
    result.payload = payload;
    passed_ += payload.size();
    if (result.last) in_message_ = in_pieces_ = false;
    return result;
}

inline event reader::read_data() noexcept {
    if (inflating_) return read_compressed();
    if (in_pieces_) {
        const byte_span here{pos_, arrived()};
        return take(pos_, here.size()) ? hand_out(here) : fail(errc::invalid_utf8);
    }
    event result;
    errc failure{};
    if (frame_.fin && frame_.op != opcode::continuation && whole_payload_here()) {
        result.payload = {pos_, arrived()};
        if (!take(pos_, arrived())) failure = errc::invalid_utf8;
    } else {
        const std::size_t size = arrived();
        std::size_t expected = message_.size() + static_cast<std::size_t>(left_);
        if (!frame_.fin)  // more frames will come: grow in proportion
            expected = std::min(std::max(expected, 2 * (message_.size() + size)), limits_.max_message_size);
        failure = gather(message_, size, expected);
        result.payload = message_.bytes();
    }
    if (failure != errc{}) return fail(failure);
    if (in_frame_ || !frame_.fin) return {};
    if (check_utf8_ && !utf8_.complete()) return fail(errc::invalid_utf8);
    in_message_ = false;
    result.kind = event_kind::message;
    result.text = text_;
    result.rsv = rsv_;
    return result;
}

// Inflates what is here, so that the first wrong byte is found wherever the input is split: bytes that
// inflate before an error are judged as text first.
inline event reader::read_compressed() noexcept {
    const byte_span here{pos_, arrived()};
    (void)take(pos_, here.size());  // unmasks; compressed data are not text
    const bool last = frame_.fin && !in_frame_;
    const std::size_t before = message_.size();
    errc failure = codec_->inflate(message_, here, last, limits_.max_message_size - static_cast<std::size_t>(passed_));
    if (text_ && limits_.validate_utf8 && failure != errc::out_of_memory) {
        const bool valid = utf8_.feed(message_.bytes().subspan(before));
        if (!valid || (failure == errc{} && last && !utf8_.complete())) failure = errc::invalid_utf8;
    }
    if (failure != errc{}) return fail(failure);
    if (in_pieces_) return hand_out(message_.bytes());
    if (!last) return {};
    in_message_ = false;
    event result;
    result.kind = event_kind::message;
    result.text = text_;
    result.rsv = static_cast<std::uint8_t>(rsv_ ^ compressed_bit);
    result.payload = message_.bytes();
    return result;
}

inline event reader::read_control() noexcept {
    event result;
    if (whole_payload_here()) {
        result.payload = {pos_, arrived()};
        (void)take(pos_, arrived());  // not text
    } else {
        const std::size_t size = arrived();
        const errc failure = gather(control_, size, static_cast<std::size_t>(frame_.length));
        if (failure != errc{}) return fail(failure);
        if (in_frame_) return {};
        result.payload = control_.bytes();
    }
    if (frame_.op == opcode::close) return read_close(result.payload);
    result.kind = frame_.op == opcode::ping ? event_kind::ping : event_kind::pong;
    return result;
}

// RFC 6455 sections 5.5.1 and 7.4.
inline event reader::read_close(byte_view payload) noexcept {
    event result;
    result.kind = event_kind::close;
    result.code = close_code::no_status;
    if (payload.size() == 1) return fail(errc::bad_close_frame);
    if (payload.size() >= 2) {
        result.code = static_cast<close_code>(load_be<std::uint16_t>(payload.data()));
        result.payload = payload.subspan(2);
        if (!is_sendable(result.code)) return fail(errc::bad_close_frame);
        if (!is_utf8(result.payload)) return fail(errc::invalid_utf8);
    }
    stop();
    return result;
}

}  // namespace ws
}  // namespace hawser::inline v0

// SPDX-License-Identifier: BSL-1.0
// Checks what a server echoes, without copying it.
#pragma once

#include "tape.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace load {

/// Reads unmasked frames and compares them with the tape: order of fragments, opcode and length
/// of every message always, every byte of the payload where `verify` says so.
class reply_parser {
public:
    /// Why the reply is wrong; null while it is right.
    [[nodiscard]] const char* error() const noexcept { return error_; }
    [[nodiscard]] std::uint64_t messages() const noexcept { return messages_; }

    /// Returns how many messages were completed by these bytes. Every `verify_every`th is compared
    /// byte by byte, none with 0.
    std::uint64_t feed(const tape& sent, const unsigned char* p, std::size_t n, std::uint64_t verify_every) noexcept {
        const std::uint64_t before = messages_;
        while (error_ == nullptr && (n != 0 || (in_frame_ && left_ == 0))) {
            if (!in_frame_) {
                if (!take_header(p, n)) break;
                begin_frame(sent);
                continue;
            }
            const std::size_t part = left_ < n ? static_cast<std::size_t>(left_) : n;
            if (!control_ && verify_every != 0 && messages_ % verify_every == 0) compare(sent, p, part);
            if (!control_) at_ += part;
            p += part;
            n -= part;
            left_ -= part;
            if (left_ == 0) end_frame(sent);
        }
        return messages_ - before;
    }

private:
    void fail(const char* why) noexcept { error_ = why; }

    [[nodiscard]] std::size_t header_size() const noexcept {
        if (have_ < 2) return 2;
        const unsigned form = header_[1] & 0x7fu;
        return form == 126 ? 4 : form == 127 ? 10 : 2;
    }
    bool take_header(const unsigned char*& p, std::size_t& n) noexcept {
        while (n != 0 && have_ < header_size()) {
            header_[have_++] = *p++;
            --n;
        }
        return have_ >= 2 && have_ == header_size();
    }
    void begin_frame(const tape& sent) noexcept {
        const unsigned op = header_[0] & 0x0fu;
        fin_ = (header_[0] & 0x80u) != 0;
        left_ = header_[1] & 0x7fu;
        if (have_ > 2) left_ = 0;
        for (std::size_t i = 2; i < have_; ++i) left_ = left_ << 8 | header_[i];
        have_ = 0;
        in_frame_ = true;
        control_ = op >= 8;
        if ((header_[0] & 0x70u) != 0) return fail("a reserved bit is set");
        if ((header_[1] & 0x80u) != 0) return fail("a frame of the server is masked");
        if (op == 8) return fail("the server closed the connection");
        if (control_) return;
        if ((op == 0) != in_message_) return fail("fragments out of order");
        if (!in_message_ && op != (sent.text() ? 1u : 2u)) return fail("text and binary were exchanged");
        if (!in_message_) at_ = 0;
        in_message_ = true;
        if (at_ + left_ > sent.payload_size()) fail("a message is too long");
    }
    void compare(const tape& sent, const unsigned char* p, std::size_t part) noexcept {
        if (std::memcmp(sent.payload(messages_).data() + at_, p, part) != 0) fail("a message was changed, or is out of order");
    }
    void end_frame(const tape& sent) noexcept {
        in_frame_ = false;
        if (control_ || !fin_) return;
        if (at_ != sent.payload_size()) return fail("a message is too short");
        in_message_ = false;
        ++messages_;
    }

    std::array<unsigned char, 10> header_{};
    std::size_t have_ = 0;
    std::uint64_t left_ = 0;  // of the present frame's payload
    std::size_t at_ = 0;      // in the present message
    std::uint64_t messages_ = 0;
    bool in_frame_ = false;
    bool in_message_ = false;
    bool control_ = false;
    bool fin_ = false;
    const char* error_ = nullptr;
};

}  // namespace load

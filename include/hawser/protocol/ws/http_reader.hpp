// SPDX-License-Identifier: BSL-1.0
/// \file
/// Gathers the head of an HTTP/1.1 message, bounded and strict, looking at each byte once.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/protocol/ws/http_chars.hpp>

#include <cstddef>
#include <string>
#include <utility>

namespace hawser::inline v0::ws {

/// Limits of an HTTP/1.1 upgrade. What is over one is refused as soon as the byte over it arrives.
struct http_limits {
    std::size_t max_head_bytes = 16 * 1024;  ///< first line, fields and the empty line; also one before a request
    std::size_t max_headers = 100;           ///< field lines
    std::size_t max_target = 8 * 1024;       ///< bytes of the request target
    std::size_t max_list_elements = 32;      ///< subprotocols, extensions, parameters of an extension
};

/// Reads up to and including the empty line. One before the first line is passed over, as old clients send it behind
/// the body of an earlier request (RFC 9112 section 2.2); a second one is malformed. Bare CR, bare LF, NUL and other control bytes, and
/// folded lines are refused on the spot (RFC 9112 sections 2.2 and 5.2). Memory is bounded by
/// `http_limits::max_head_bytes`; the time for a byte does not depend on those before it.
class head_reader {
public:
    enum class status { need_more, complete, failed };
    enum class fault { none, malformed, first_line_too_long, too_large };

    head_reader(const http_limits& limits, std::size_t max_first_line) noexcept
        : max_bytes_(limits.max_head_bytes), max_lines_(limits.max_headers + 1), max_first_line_(max_first_line) {}

    /// Takes bytes until the head is complete. `consumed` is set to how many of `chunk` belong to
    /// it; what follows is left alone. Not to be called again after `complete` or `failed`.
    [[nodiscard]] status feed(byte_view chunk, std::size_t& consumed) {
        const auto text = as_text(chunk);
        status result = status::need_more;
        consumed = 0;
        while (consumed < text.size() && result == status::need_more) {
            ++size_;
            result = step(text[consumed++]);
        }
        text_.append(text.substr(0, consumed));
        return result;
    }

    [[nodiscard]] fault why() const noexcept { return fault_; }
    [[nodiscard]] bool in_first_line() const noexcept { return lines_ == 0; }
    /// All bytes so far.
    [[nodiscard]] const std::string& text() const noexcept { return text_; }

    /// Hands out the head with its empty line, and starts over with the next one.
    [[nodiscard]] std::string take() {
        if (text_.starts_with("\r\n")) text_.erase(0, 2);
        size_ = lines_ = line_bytes_ = 0;
        after_cr_ = false;
        fault_ = fault::none;
        return std::exchange(text_, {});
    }

private:
    [[nodiscard]] status step(char c) noexcept {
        if (size_ > max_bytes_) return fail(fault::too_large);
        if (after_cr_) {
            if (c != '\n') return fail(fault::malformed);
            after_cr_ = false;
            if (line_bytes_ == 0 && lines_ != 0) return status::complete;
            if (line_bytes_ == 0) return size_ == 2 ? status::need_more : fail(fault::malformed);
            ++lines_;
            line_bytes_ = 0;
            return status::need_more;
        }
        if (c == '\r') {
            after_cr_ = true;
            return status::need_more;
        }
        if (!is_value_char(c)) return fail(fault::malformed);
        if (line_bytes_ == 0 && (c == ' ' || c == '\t')) return fail(fault::malformed);
        if (++line_bytes_ == 1 && lines_ == max_lines_) return fail(fault::too_large);
        if (lines_ == 0 && line_bytes_ > max_first_line_) return fail(fault::first_line_too_long);
        return status::need_more;
    }
    [[nodiscard]] status fail(fault why) noexcept {
        fault_ = why;
        return status::failed;
    }

    std::size_t max_bytes_;
    std::size_t max_lines_;
    std::size_t max_first_line_;
    std::size_t size_ = 0;
    std::size_t lines_ = 0;
    std::size_t line_bytes_ = 0;
    bool after_cr_ = false;
    fault fault_ = fault::none;
    std::string text_;
};

}  // namespace hawser::inline v0::ws

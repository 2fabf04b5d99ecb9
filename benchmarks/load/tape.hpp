// SPDX-License-Identifier: BSL-1.0
// Everything a connection will ever send, prepared before the clock starts.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace load {

using byte_string = std::vector<unsigned char>;

/// A run of masked frames that repeats: message k of a connection is variant k modulo
/// `variants()`, each with a content and a masking key of its own. The run is written down
/// often enough that any burst of the wanted depth lies in one piece.
class tape {
public:
    tape(std::size_t size, bool text, std::size_t depth) : size_(size), text_(text) {
        const std::size_t count = std::clamp<std::size_t>(max_period / (size + 1), 3, 61);
        std::mt19937_64 random(20240229);
        for (std::size_t v = 0; v < count; ++v) {
            payloads_.push_back(text ? make_text(v) : make_binary(random));
            append_frame(payloads_.back(), random);
        }
        period_ = wire_.size();
        const std::size_t burst = std::min(depth * frame_size(), std::size_t{512} * 1024);
        while (wire_.size() < period_ + burst)
            wire_.insert(wire_.end(), wire_.begin(), wire_.begin() + static_cast<std::ptrdiff_t>(period_));
    }

    [[nodiscard]] std::size_t variants() const noexcept { return payloads_.size(); }
    [[nodiscard]] std::size_t frame_size() const noexcept { return period_ / payloads_.size(); }
    [[nodiscard]] std::size_t payload_size() const noexcept { return size_; }
    [[nodiscard]] bool text() const noexcept { return text_; }
    [[nodiscard]] const byte_string& payload(std::uint64_t k) const noexcept { return payloads_[k % payloads_.size()]; }
    /// At most `wanted` bytes from position `at` on, and where the next ones begin.
    [[nodiscard]] std::span<const unsigned char> piece(std::size_t at, std::size_t wanted) const noexcept {
        return std::span(wire_).subspan(at, std::min(wanted, wire_.size() - at));
    }
    [[nodiscard]] std::size_t advance(std::size_t at, std::size_t by) const noexcept { return (at + by) % period_; }

private:
    static constexpr std::size_t max_period = 2 * 1024 * 1024;

    [[nodiscard]] byte_string make_binary(std::mt19937_64& random) const {
        byte_string out(size_);
        for (auto& b : out) b = static_cast<unsigned char>(random());
        return out;
    }
    // Characters of one to four bytes; 37 % of the bytes are ASCII.
    [[nodiscard]] byte_string make_text(std::size_t variant) const {
        static constexpr std::array<std::string_view, 12> words{
            "cable", "\xc3\xa4", "\xe7\xb9\xa9", "knot", "\xf0\x9f\x9a\xa2", "\xd0\xba\xd0\xb0",
            "\xe3\x83\xad", "tow", "\xe6\xb8\xaf\xe5\x8f\xa3", "\xc3\xb8", "\xe0\xa4\xa8", "tide"};
        std::string out;
        for (std::size_t i = variant; out.size() < size_; ++i) {
            const auto word = words[i % words.size()];
            if (out.size() + word.size() <= size_) out += word;
            else out.append(size_ - out.size(), static_cast<char>('a' + variant % 26));
        }
        return {out.begin(), out.end()};
    }
    void append_frame(const byte_string& payload, std::mt19937_64& random) {
        const auto put = [this](std::uint64_t byte) { wire_.push_back(static_cast<unsigned char>(byte)); };
        const std::size_t size = payload.size();
        const int wide = size < 126 ? 0 : size <= 0xffff ? 2 : 8;
        put(0x80u | (text_ ? 1u : 2u));
        put(0x80u | (wide == 0 ? size : wide == 2 ? 126u : 127u));
        for (int i = wide; i-- > 0;) put(size >> (8 * i));
        std::array<unsigned char, 4> key;
        for (auto& k : key) {
            k = static_cast<unsigned char>(random());
            put(k);
        }
        for (std::size_t i = 0; i < size; ++i) put(payload[i] ^ key[i % 4]);
    }

    std::size_t size_;
    bool text_;
    std::size_t period_ = 0;
    std::vector<byte_string> payloads_;
    byte_string wire_;
};

}  // namespace load

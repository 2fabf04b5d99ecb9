// SPDX-License-Identifier: BSL-1.0
/// \file
/// The state machine of one transfer at its sender. Sans-I/O.
#pragma once

#include <hawser/core/planted.hpp>
#include <hawser/transfer/message.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <system_error>

namespace hawser::inline v0 {
namespace transfer {

/// One attempt. An error that a function returns ends the attempt, and the receiver is told by CANCEL.
///
/// | phase | until | may be sent |
/// |---|---|---|
/// | offered | ACCEPT | OFFER, once |
/// | checking | the source's first `from` bytes are compared with the receiver's | nothing |
/// | flowing | the end of the source | BEGIN, then CHUNK within the credit |
/// | ended | DONE | END, once |
class sending {
public:
    enum class phase : std::uint8_t { offered, checking, flowing, ended, finished };

    /// `size`: of the source, where it is known.
    explicit sending(std::optional<std::uint64_t> size) noexcept : size_(size) {}

    // ---- what the receiver says ------------------------------------------------------------

    /// ACCEPT. Afterwards `checking` (the receiver has something) or `flowing`.
    [[nodiscard]] std::error_code on_accept(const accept& m) noexcept {
        if (phase_ != phase::offered || (size_ && m.from > *size_)) return errc::transfer_protocol;
        from_ = m.from;
        wanted_ = m.digest;
        limit_ = m.limit;
        phase_ = from_ == 0 ? phase::flowing : phase::checking;
        return {};
    }
    /// CREDIT. It never shrinks.
    [[nodiscard]] std::error_code on_credit(const credit& m) noexcept {
        if (phase_ != phase::flowing && phase_ != phase::ended) return errc::transfer_protocol;
        limit_ = std::max(limit_, m.limit);
        return {};
    }
    /// DONE: the receiver has all of it.
    [[nodiscard]] std::error_code on_done() noexcept {
        if (phase_ != phase::ended) return errc::transfer_protocol;
        phase_ = phase::finished;
        return {};
    }

    // ---- what the shell did ----------------------------------------------------------------

    /// The digest of the source's first `from()` bytes, where it has as many. Then `flowing`: from there if it
    /// is the receiver's, else from the beginning, because the source has changed.
    void prefix_checked(const std::optional<digest128>& digest) noexcept {
        if (digest != wanted_ && !hawser::detail::planted(hawser::detail::bug::transfer_prefix_trusted)) {
            limit_ -= from_;  // what ACCEPT granted was beyond what is thrown away now
            from_ = 0;
        }
        offset_ = from_;
        phase_ = phase::flowing;
    }
    /// A CHUNK of `n` bytes was sent.
    void sent(std::uint64_t n) noexcept { offset_ += n; }
    /// The source has no more. Then `ended`, and END is to be sent.
    [[nodiscard]] std::error_code source_ended() noexcept {
        if (size_ && offset_ != *size_) return errc::transfer_source;
        phase_ = phase::ended;
        return {};
    }

    // ---- observers -------------------------------------------------------------------------

    [[nodiscard]] phase at() const noexcept { return phase_; }
    /// Where the transfer begins; the value of BEGIN.
    [[nodiscard]] std::uint64_t from() const noexcept { return from_; }
    /// Bytes sent, those that the receiver had included.
    [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }
    [[nodiscard]] std::optional<std::uint64_t> size() const noexcept { return size_; }
    /// Bytes that the next CHUNK may have.
    [[nodiscard]] std::uint64_t sendable() const noexcept {
        if (phase_ != phase::flowing) return 0;
        const std::uint64_t end = size_ ? std::min(limit_, *size_) : limit_;
        return end > offset_ ? end - offset_ : 0;
    }
    /// All of a source of known size was sent.
    [[nodiscard]] bool all_sent() const noexcept { return phase_ == phase::flowing && size_ && offset_ == *size_; }

private:
    std::optional<std::uint64_t> size_;
    phase phase_ = phase::offered;
    std::uint64_t from_ = 0;
    std::uint64_t offset_ = 0;
    std::uint64_t limit_ = 0;
    digest128 wanted_{};
};

}  // namespace transfer
}  // namespace hawser::inline v0

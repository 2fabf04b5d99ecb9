// SPDX-License-Identifier: BSL-1.0
/// \file
/// The state machine of one transfer at its receiver. Sans-I/O.
#pragma once

#include <hawser/core/planted.hpp>
#include <hawser/transfer/message.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <system_error>

namespace hawser::inline v0 {
namespace transfer {

struct receiving_limits {
    std::uint64_t max_size = transfer::max_size;  ///< bytes of a transfer
    std::uint64_t window = 1024 * 1024;           ///< bytes received and not yet written down
};

/// One attempt. An error that a function returns ends it, and the sender is told by STOP.
///
/// | phase | until | what may come |
/// |---|---|---|
/// | preparing | what is kept of an earlier attempt is known | nothing |
/// | accepted | BEGIN | BEGIN, once |
/// | flowing | END | CHUNK without a gap, within size and credit; END |
/// | ended | everything is written down and the digests are compared | nothing |
class receiving {
public:
    enum class phase : std::uint8_t { preparing, accepted, flowing, ended };

    receiving(const offer& o, const receiving_limits& limits) noexcept : id_(o.id), size_(o.size), limits_(limits) {}

    /// Whether an offer is within the limit, before anything is opened for it.
    [[nodiscard]] static std::error_code check(const offer& o, const receiving_limits& limits) noexcept {
        if (o.size && *o.size > limits.max_size) return errc::transfer_too_big;
        return {};
    }

    // ---- what the sender says --------------------------------------------------------------

    /// BEGIN. At 0, what is kept is to be thrown away.
    [[nodiscard]] std::error_code on_begin(const begin& m) noexcept {
        if (phase_ != phase::accepted || (m.from != 0 && m.from != received_)) return errc::transfer_protocol;
        if (m.from == 0) limit_ = limits_.window;
        received_ = written_ = m.from;
        phase_ = phase::flowing;
        return {};
    }
    /// CHUNK: if there is no error, its bytes are to be written down.
    [[nodiscard]] std::error_code on_chunk(std::uint64_t offset, std::uint64_t size) noexcept {
        using hawser::detail::bug;
        if (phase_ != phase::flowing || offset != received_ || size == 0) return errc::transfer_protocol;
        if (size > limit_ - received_ && !hawser::detail::planted(bug::transfer_credit_unchecked)) return errc::transfer_protocol;
        if (size > limits_.max_size - received_) return errc::transfer_too_big;
        if (size_ && size > *size_ - received_) return errc::transfer_too_big;
        received_ += size;
        return {};
    }
    /// END: when all is written down, the digests decide.
    [[nodiscard]] std::error_code on_end(const end& m) noexcept {
        if (phase_ != phase::flowing || m.size != received_) return errc::transfer_protocol;
        if (size_ && *size_ != received_) return errc::transfer_protocol;
        wanted_ = m.digest;
        phase_ = phase::ended;
        return {};
    }

    // ---- what the shell did ----------------------------------------------------------------

    /// So many bytes are kept of an earlier attempt. What is more than the offer is useless.
    [[nodiscard]] accept prepared(std::uint64_t kept, const digest128& digest) noexcept {
        const std::uint64_t most = std::min(limits_.max_size, size_.value_or(limits_.max_size));
        received_ = written_ = kept <= most ? kept : 0;
        limit_ = received_ + limits_.window;
        phase_ = phase::accepted;
        return {id_, received_, received_ != 0 ? digest : digest128{}, limit_};
    }
    /// So many bytes more are written down. Perhaps the sender is to be told that it may go on.
    [[nodiscard]] std::optional<credit> written(std::uint64_t n) noexcept {
        written_ += n;
        if (phase_ != phase::flowing || written_ + limits_.window - limit_ < limits_.window / 2) return std::nullopt;
        limit_ = written_ + limits_.window;
        return credit{id_, limit_};
    }
    /// All is written down: whether it is what was sent.
    [[nodiscard]] std::error_code judge(const digest128& digest) const noexcept {
        return digest == wanted_ ? std::error_code{} : make_error_code(errc::transfer_digest);
    }

    // ---- observers -------------------------------------------------------------------------

    [[nodiscard]] phase at() const noexcept { return phase_; }
    [[nodiscard]] id_type id() const noexcept { return id_; }
    [[nodiscard]] std::optional<std::uint64_t> size() const noexcept { return size_; }
    [[nodiscard]] std::uint64_t received() const noexcept { return received_; }
    [[nodiscard]] std::uint64_t written() const noexcept { return written_; }
    /// END has come and nothing waits to be written down.
    [[nodiscard]] bool complete() const noexcept { return phase_ == phase::ended && written_ == received_; }

private:
    id_type id_;
    std::optional<std::uint64_t> size_;
    receiving_limits limits_;
    phase phase_ = phase::preparing;
    std::uint64_t received_ = 0;
    std::uint64_t written_ = 0;
    std::uint64_t limit_ = 0;
    digest128 wanted_{};
};

}  // namespace transfer
}  // namespace hawser::inline v0

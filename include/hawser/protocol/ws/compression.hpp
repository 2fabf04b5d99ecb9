// SPDX-License-Identifier: BSL-1.0
/// \file
/// Compression of messages (RFC 7692) as the protocol sees it: two interfaces, and the memory it may use.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/core/errc.hpp>
#include <hawser/protocol/ws/extension_list.hpp>
#include <hawser/protocol/ws/gather_buffer.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

namespace hawser::inline v0 {
namespace ws {

/// RSV1, which marks the first frame of a compressed message (RFC 7692 section 6).
inline constexpr std::uint8_t compressed_bit = 4;

/// Memory that the connections of one listener may reserve for compression. One thread at a time.
class compression_budget {
public:
    explicit compression_budget(std::size_t limit_bytes) noexcept : limit_(limit_bytes) {}

    /// Whether `bytes` were reserved: they fit while nothing but `limit()` bounds them, or its half.
    [[nodiscard]] bool reserve(std::size_t bytes) noexcept { return reserve_below(limit_, bytes); }
    [[nodiscard]] bool reserve_in_first_half(std::size_t bytes) noexcept { return reserve_below(limit_ / 2, bytes); }
    void give_back(std::size_t bytes) noexcept { used_ -= bytes; }

    [[nodiscard]] std::size_t limit() const noexcept { return limit_; }
    [[nodiscard]] std::size_t used() const noexcept { return used_; }

private:
    [[nodiscard]] bool reserve_below(std::size_t bound, std::size_t bytes) noexcept {
        if (used_ > bound || bytes > bound - used_) return false;
        used_ += bytes;
        return true;
    }
    std::size_t limit_;
    std::size_t used_ = 0;
};

/// What one connection reserved; given back when this ends.
class compression_reservation {
public:
    compression_reservation() noexcept = default;
    compression_reservation(std::shared_ptr<compression_budget> budget, std::size_t bytes) noexcept
        : budget_(std::move(budget)), bytes_(bytes) {}
    compression_reservation(compression_reservation&& other) noexcept
        : budget_(std::move(other.budget_)), bytes_(std::exchange(other.bytes_, 0)) {}
    compression_reservation& operator=(compression_reservation&& other) noexcept {
        std::swap(budget_, other.budget_);
        std::swap(bytes_, other.bytes_);
        return *this;
    }
    ~compression_reservation() {
        if (budget_) budget_->give_back(bytes_);
    }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

private:
    std::shared_ptr<compression_budget> budget_;
    std::size_t bytes_ = 0;
};

/// Both directions of one connection on which compression was agreed. One thread at a time.
class message_codec {
public:
    message_codec() = default;
    message_codec(const message_codec&) = delete;
    message_codec& operator=(const message_codec&) = delete;
    virtual ~message_codec() = default;

    /// Appends the payload of `first` followed by `second`, compressed, to `out`, which is empty. False: the
    /// message is to be sent as it is, because it is small, does not shrink, or memory ran out.
    [[nodiscard]] virtual bool compress(gather_buffer& out, bool text, byte_view first, byte_view second) noexcept = 0;
    /// What `compress` made last was not sent: what follows must not refer to it.
    virtual void discard() noexcept = 0;

    /// Appends what the next bytes of a compressed message inflate to; `last` ends the message. `out` holds
    /// the message so far and never more than `limit` bytes. Errors: `message_too_big` at the first byte
    /// over it, `bad_compression`, `out_of_memory`; what came before the error was appended. None may follow.
    [[nodiscard]] virtual errc inflate(gather_buffer& out, byte_view in, bool last, std::size_t limit) noexcept = 0;

    /// Bytes of memory held between calls.
    [[nodiscard]] virtual std::size_t held_bytes() const noexcept = 0;
    /// Bytes of the budget that this connection reserved: `held_bytes` is never more.
    [[nodiscard]] virtual std::size_t reserved_bytes() const noexcept = 0;
};

/// Agrees on compression with a peer. `hawser::deflate()` makes one; any number of sockets share it, on
/// any threads.
class compression {
public:
    virtual ~compression() = default;

    /// Client: the value of Sec-WebSocket-Extensions to offer.
    [[nodiscard]] virtual std::string offer() const = 0;
    /// Client: judges what the server chose, of which each name was offered. `codec` stays null where it
    /// chose no compression. Errors: `bad_extension` for an answer that the offer does not allow.
    [[nodiscard]] virtual errc confirm(std::span<const extension> chosen,
                                       std::unique_ptr<message_codec>& codec) const = 0;
    /// Server: takes the first acceptable offer, within `budget` where there is one. Returns the value of
    /// Sec-WebSocket-Extensions to answer; empty, with `codec` null, where there is none.
    [[nodiscard]] virtual std::string accept(std::span<const extension> offers,
                                             const std::shared_ptr<compression_budget>& budget,
                                             std::unique_ptr<message_codec>& codec) const = 0;
};

}  // namespace ws
}  // namespace hawser::inline v0

// SPDX-License-Identifier: BSL-1.0
/// \file
/// Messages that a position covers and that were not simply accepted: duplicates and rejected ones.
#pragma once

#include <hawser/core/bytes.hpp>
#include <hawser/core/outcome.hpp>
#include <hawser/protocol/session/varint.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace hawser::inline v0 {
namespace session {

/// Exceptions that one side keeps until the other is known to have them; the longest list of a frame.
inline constexpr std::size_t max_exceptions = 256;

/// `what` is `outcome::duplicate` or `outcome::rejected`.
struct exception {
    std::uint64_t seq = 0;
    outcome what = outcome::rejected;
    friend bool operator==(const exception&, const exception&) = default;
};

/// The value of the extension: for each exception, in the order of their numbers, the distance
/// from the one before and, in the lowest bit, what became of it. A view.
class exception_view {
public:
    exception_view() noexcept = default;
    explicit exception_view(byte_view value) noexcept : value_(value) {}

    [[nodiscard]] bool empty() const noexcept { return value_.empty(); }
    [[nodiscard]] byte_view value() const noexcept { return value_; }
    /// Whether the numbers rise, none is beyond `last`, and there are not too many.
    [[nodiscard]] bool valid(std::uint64_t last) const noexcept {
        cursor in(value_);
        std::uint64_t seq = 0;
        for (std::size_t n = 0; !in.at_end(); ++n) {
            const std::uint64_t distance = in.varint() >> 1;
            if (!in.ok() || n == max_exceptions || distance == 0 || distance > last - seq) return false;
            seq += distance;
        }
        return true;
    }
    friend bool operator==(const exception_view& a, const exception_view& b) noexcept {
        return std::equal(a.value_.begin(), a.value_.end(), b.value_.begin(), b.value_.end());
    }

private:
    byte_view value_;
};

/// Reads a valid list from its front.
class exception_reader {
public:
    explicit exception_reader(exception_view list) noexcept : in_(list.value()) {}
    [[nodiscard]] std::optional<exception> next() noexcept {
        if (in_.at_end()) return std::nullopt;
        const std::uint64_t n = in_.varint();
        seq_ += n >> 1;
        return exception{seq_, (n & 1) != 0 ? outcome::rejected : outcome::duplicate};
    }

private:
    cursor in_;
    std::uint64_t seq_ = 0;
};

/// Appends one exception to a list whose last number is `previous`; 0 for an empty one.
inline void put_exception(byte_vector& out, std::uint64_t previous, const exception& e) {
    put_varint(out, (e.seq - previous) << 1 | (e.what == outcome::rejected ? 1U : 0U));
}

}  // namespace session
}  // namespace hawser::inline v0

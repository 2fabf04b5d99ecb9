// SPDX-License-Identifier: BSL-1.0
/// \file
/// In which order, and when, the addresses of a host are tried (RFC 8305).
///
/// | event | what follows |
/// |---|---|
/// | begin | the first address is tried |
/// | `attempt_delay` without an answer | the next one as well, of the other family where there is one |
/// | an attempt fails | the next one at once |
/// | one succeeds | it is taken, and the others are given up |
#pragma once

#include <hawser/core/time.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace hawser::inline v0 {

/// Of an address.
enum class address_family : std::uint8_t { v4, v6 };

/// Decides about the addresses of one host, given by their place in the resolver's list. Knows no sockets.
class happy_eyeballs {
public:
    /// As section 8 recommends.
    static constexpr milliseconds attempt_delay{250};

    happy_eyeballs() = default;
    /// `addresses` in the resolver's order (RFC 6724), which is kept within each family.
    explicit happy_eyeballs(std::span<const address_family> addresses) {
        order_.reserve(addresses.size());
        std::size_t at[2] = {0, 0};  // where to look for the next of the first's family, and of the other
        for (std::size_t turn = 0; order_.size() < addresses.size(); turn = 1 - turn) {
            auto& i = at[turn];
            while (i < addresses.size() && (addresses[i] == addresses[0]) != (turn == 0)) ++i;
            if (i < addresses.size()) order_.push_back(i++);
        }
    }

    /// The address to try now, if one is due; call it until there is none.
    [[nodiscard]] std::optional<std::size_t> next(time_point now) noexcept {
        if (started_ == order_.size() || (running_ > 0 && now < next_at_)) return std::nullopt;
        ++running_;
        next_at_ = add_saturated(now, attempt_delay);
        return order_[started_++];
    }
    /// An attempt failed: `next` has another one, or it is over.
    void on_failed(time_point now) noexcept {
        --running_;
        next_at_ = now;
    }
    /// When to call `next` again; `never` when there is nothing to wait for.
    [[nodiscard]] time_point deadline() const noexcept { return started_ == order_.size() ? never : next_at_; }
    /// Every address has failed.
    [[nodiscard]] bool exhausted() const noexcept { return started_ == order_.size() && running_ == 0; }

private:
    std::vector<std::size_t> order_;
    std::size_t started_ = 0;
    std::size_t running_ = 0;
    time_point next_at_{};
};

}  // namespace hawser::inline v0

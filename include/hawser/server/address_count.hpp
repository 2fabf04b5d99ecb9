// SPDX-License-Identifier: BSL-1.0
/// \file
/// How many connections each address has.
#pragma once

#include <hawser/link/wire_owner.hpp>

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <string>

namespace hawser::inline v0::detail {

/// Counts per address for a limit. One thread at a time.
class address_count {
public:
    /// `limit` 0: nothing is counted.
    explicit address_count(std::size_t limit) noexcept : limit_(limit) {}

    /// A place for a connection from `address`, which counts as long as it is held; null where it is not counted, as of
    /// a peer without an address.
    [[nodiscard]] address_place enter(const std::string& address) {
        if (limit_ == 0 || address.empty()) return nullptr;
        if (known_.size() >= forget_at_) {
            std::erase_if(known_, [](const auto& entry) { return entry.second.expired(); });
            forget_at_ = std::max<std::size_t>(64, 2 * known_.size());
        }
        auto& known = known_[address];
        std::shared_ptr<const void> one = known.lock();
        if (!one) known = one = std::make_shared<const char>();
        return std::make_unique<const std::shared_ptr<const void>>(std::move(one));
    }
    /// Whether the address has more than its limit, or more than twice as many.
    [[nodiscard]] bool is_over(const address_place& p) const noexcept { return count(p) > limit_; }
    [[nodiscard]] bool is_far_over(const address_place& p) const noexcept { return is_over(p) && (count(p) - 1) / 2 >= limit_; }

private:
    [[nodiscard]] static std::size_t count(const address_place& p) noexcept {
        return p ? static_cast<std::size_t>(p->use_count()) : 0;
    }

    std::map<std::string, std::weak_ptr<const void>> known_;
    std::size_t limit_;
    std::size_t forget_at_ = 64;
};

}  // namespace hawser::inline v0::detail

// SPDX-License-Identifier: BSL-1.0
/// \file
/// For functions that call out and may find their own object gone afterwards.
#pragma once

#include <hawser/core/config.hpp>

#include <utility>

namespace hawser::inline v0::detail {

/// A member of the object that may be destroyed inside a call. Watches nest: the destruction is told
/// to all of them. Thread safety: none.
class destruction_mark {
public:
    destruction_mark() = default;
    destruction_mark(const destruction_mark&) = delete;
    destruction_mark& operator=(const destruction_mark&) = delete;
    ~destruction_mark() {
        if (innermost_) *innermost_ = true;
    }

    /// On the stack of the function: from now on `gone` tells.
    class watch {
    public:
        watch(destruction_mark& mark, bool& gone) noexcept
            : mark_(mark), gone_(gone), outer_(std::exchange(mark.innermost_, &gone)) {}
        watch(const watch&) = delete;
        watch& operator=(const watch&) = delete;
        ~watch() {
            if (!gone_) mark_.innermost_ = outer_;
            else if (outer_) *outer_ = true;
        }

    private:
        destruction_mark& mark_;
        bool& gone_;
        bool* outer_;
    };

private:
    bool* innermost_ = nullptr;
};

}  // namespace hawser::inline v0::detail

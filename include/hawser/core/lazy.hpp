// SPDX-License-Identifier: BSL-1.0
/// \file
/// State that most objects of a kind never have.
#pragma once

#include <hawser/core/config.hpp>

#include <memory>
#include <utility>

namespace hawser::inline v0::detail {

/// A `T` that is made when it is first changed; until then it takes one pointer and reads as an untouched one.
/// Thread safety: none.
template <class T>
class lazy {
public:
    /// To read.
    [[nodiscard]] const T* operator->() const noexcept { return held_ ? held_.get() : &untouched(); }
    /// Whether it was made.
    [[nodiscard]] explicit operator bool() const noexcept { return held_ != nullptr; }
    /// To change. Throws std::bad_alloc where it has to be made.
    [[nodiscard]] T& make() {
        if (!held_) held_ = std::make_unique<T>();
        return *held_;
    }
    /// The same in `room`, where there is some: made where a failure could still be told.
    [[nodiscard]] T& make(std::unique_ptr<T> room) {
        if (!held_) held_ = std::move(room);
        return make();
    }

private:
    [[nodiscard]] static const T& untouched() noexcept {
        static const T none{};
        return none;
    }
    std::unique_ptr<T> held_;
};

}  // namespace hawser::inline v0::detail

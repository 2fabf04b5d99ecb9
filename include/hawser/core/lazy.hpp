// SPDX-License-Identifier: BSL-1.0
/// \file
/// State that most objects of a kind never have.
#pragma once

#include <hawser/core/config.hpp>

#include <cstddef>
#include <memory>
#include <new>
#include <utility>

namespace hawser::inline v0::detail {

/// An untouched `T`, which static objects may use to their own end.
template <class T>
[[nodiscard]] const T& never_destroyed() noexcept {
    alignas(T) static std::byte room[sizeof(T)];
    static const T* const made = ::new (static_cast<void*>(room)) T{};
    return *made;
}

/// A `T` that is made when it is first changed; until then it takes one pointer and reads as an untouched one.
/// Thread safety: none.
template <class T>
class lazy {
public:
    /// To read.
    [[nodiscard]] const T* operator->() const noexcept { return held_ ? held_.get() : &never_destroyed<T>(); }
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
    std::unique_ptr<T> held_;
};

}  // namespace hawser::inline v0::detail

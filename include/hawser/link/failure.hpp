// SPDX-License-Identifier: BSL-1.0
/// \file
/// Exceptions that the library catches, as codes and for the log.
#pragma once

#include <hawser/core/errc.hpp>

#include <exception>
#include <new>
#include <string>
#include <system_error>

namespace hawser::inline v0::detail {

/// The exception being handled as a code. Precondition: inside a catch clause.
[[nodiscard]] inline std::error_code error_of_exception() noexcept {
    try {
        throw;
    } catch (const std::bad_alloc&) {
        return errc::out_of_memory;
    } catch (const std::system_error& e) {
        return e.code();
    } catch (...) {
        return errc::handler_failed;
    }
}

/// What it says of itself. Precondition: inside a catch clause.
[[nodiscard]] inline std::string text_of_exception() {
    try {
        throw;
    } catch (const std::exception& e) {
        return e.what();
    } catch (...) {
        return "not a std::exception";
    }
}

}  // namespace hawser::inline v0::detail

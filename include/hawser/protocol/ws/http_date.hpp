// SPDX-License-Identifier: BSL-1.0
/// \file
/// The date of an HTTP message.
#pragma once

#include <hawser/core/config.hpp>

#include <chrono>
#include <string>
#include <string_view>

namespace hawser::inline v0::ws {

/// IMF-fixdate (RFC 9110 section 5.6.7), such as "Sun, 06 Nov 1994 08:49:37 GMT", whatever the locale. Empty for a year that
/// has not four digits, which that form cannot name. Throws std::bad_alloc. Thread safety: any thread.
[[nodiscard]] inline std::string http_date(std::chrono::sys_seconds when) {
    namespace time = std::chrono;
    constexpr std::string_view day_names = "SunMonTueWedThuFriSat", month_names = "JanFebMarAprMayJunJulAugSepOctNovDec";
    constexpr time::sys_seconds first = time::sys_days(time::year{0} / time::January / 1), end = time::sys_days(time::year{10'000} / time::January / 1);
    if (when < first || when >= end) return {};
    const auto day = time::floor<time::days>(when);
    const time::year_month_day date(day);
    const time::hh_mm_ss clock(when - day);
    std::string out;
    const auto number = [&out](auto value, unsigned width) {
        const std::string digits = std::to_string(value);
        out.append(width - digits.size(), '0').append(digits);
    };
    out.append(day_names.substr(3 * time::weekday(day).c_encoding(), 3)).append(", ");
    number(static_cast<unsigned>(date.day()), 2);
    out.append(" ").append(month_names.substr(3 * (static_cast<unsigned>(date.month()) - 1), 3)).append(" ");
    number(static_cast<int>(date.year()), 4);
    out += ' ';
    number(clock.hours().count(), 2);
    out += ':';
    number(clock.minutes().count(), 2);
    out += ':';
    number(clock.seconds().count(), 2);
    return out.append(" GMT");
}

}  // namespace hawser::inline v0::ws

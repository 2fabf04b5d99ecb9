// SPDX-License-Identifier: BSL-1.0
/// \file
/// One log record, and its form as one line of text.
#pragma once

#include <hawser/core/time.hpp>

#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

namespace hawser::inline v0 {

/// How important a record is.
enum class log_level : std::uint8_t { trace, debug, info, warning, error };

/// The name of the level; "unknown" for another value.
[[nodiscard]] constexpr std::string_view to_string(log_level level) noexcept {
    constexpr std::string_view names[] = {"trace", "debug", "info", "warning", "error"};
    const auto i = static_cast<std::size_t>(level);
    return i < std::size(names) ? names[i] : std::string_view{"unknown"};
}

/// A name and a value: a number, a truth value, a duration (becomes whole microseconds, as
/// `name_us` by convention) or text. Text is not owned.
struct log_field {
    using value_type = std::variant<std::int64_t, std::uint64_t, double, bool, std::string_view>;  ///< what a value is kept as

    /// Converts `v`, as said above.
    template <class T>
    log_field(std::string_view field_name, const T& v) noexcept : name(field_name), value(convert(v)) {}

    std::string_view name;  ///< not owned
    value_type value;       ///< text in it is not owned

private:
    template <class T>
    static value_type convert(const T& v) noexcept {
        if constexpr (std::same_as<T, bool>) return v;
        else if constexpr (std::signed_integral<T>) return static_cast<std::int64_t>(v);
        else if constexpr (std::unsigned_integral<T>) return static_cast<std::uint64_t>(v);
        else if constexpr (std::floating_point<T>) return static_cast<double>(v);
        else if constexpr (std::is_enum_v<T>) return convert(static_cast<std::underlying_type_t<T>>(v));
        else if constexpr (std::convertible_to<T, duration>) return std::int64_t{std::chrono::duration_cast<microseconds>(duration{v}).count()};
        else return std::string_view{v};
    }
};

/// One event. Nothing in it is owned: it is valid during the call that tells it.
struct log_record {
    log_level level = log_level::info;  ///< how important
    std::string_view event;             ///< what happened: a stable name
    std::span<const log_field> fields;  ///< details
};

namespace detail {

/// Adds `text` with everything but printable ASCII as `\xNN`, so that nobody's bytes can start a line, move
/// a terminal's cursor or end a quotation. Cut at `limit` bytes of the text.
inline void append_escaped(std::string& out, std::string_view text, std::size_t limit) {
    static constexpr char digits[] = "0123456789abcdef";
    for (const char c : text.substr(0, limit)) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (c == '\n') {
            out += "\\n";
        } else if (byte < 0x20 || byte >= 0x7f) {
            out += "\\x";
            out += digits[byte >> 4];
            out += digits[byte & 15];
        } else {
            out += c;
        }
    }
    if (text.size() > limit) out += "...";
}

/// A name: escaped, and nothing in it that would read as the end of one.
inline void append_name(std::string& out, std::string_view name, std::size_t limit) {
    const std::size_t from = out.size();
    append_escaped(out, name, limit);
    for (std::size_t i = from; i < out.size(); ++i)
        if (out[i] == ' ' || out[i] == '=' || out[i] == '"') out[i] = '_';
}

/// Bare where it can be read back as it is, else in quotes.
inline void append_text(std::string& out, std::string_view text, std::size_t limit) {
    bool bare = !text.empty() && text.size() <= limit;
    for (const char c : text) bare = bare && c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '=';
    if (bare) {
        out += text;
        return;
    }
    out += '"';
    append_escaped(out, text, limit);
    out += '"';
}

inline void append_value(std::string& out, const log_field::value_type& value, std::size_t limit) {
    std::visit(
        [&]<class T>(const T& v) {
            if constexpr (std::same_as<T, bool>) {
                out += v ? "true" : "false";
            } else if constexpr (std::same_as<T, std::string_view>) {
                append_text(out, v, limit);
            } else {
                char buffer[32];
                out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, v).ptr);
            }
        },
        value);
}

}  // namespace detail

/// `event key=value key="other value"`, one line whatever the values hold. Names and texts are cut at
/// `max_text_bytes`. The level is left to the sink.
[[nodiscard]] inline std::string format_record(const log_record& record, std::size_t max_text_bytes = 1024) {
    std::string line;
    detail::append_name(line, record.event, max_text_bytes);
    for (const log_field& field : record.fields) {
        line += ' ';
        detail::append_name(line, field.name, max_text_bytes);
        line += '=';
        detail::append_value(line, field.value, max_text_bytes);
    }
    return line;
}

}  // namespace hawser::inline v0

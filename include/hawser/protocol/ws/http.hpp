// SPDX-License-Identifier: BSL-1.0
/// \file
/// Header fields of an HTTP/1.1 head, shared by both roles of the upgrade.
#pragma once

#include <hawser/protocol/ws/http_chars.hpp>
#include <hawser/protocol/ws/http_reader.hpp>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hawser::inline v0::ws {

/// A header field to send.
struct header {
    std::string name;
    std::string value;
};

/// A header field that was received: views into the `http_head` it comes from.
struct header_view {
    std::string_view name;
    std::string_view value;  ///< without the white space around it; any bytes but controls
};

/// The first line and the fields of a received head, in one buffer. Names are compared without
/// regard to case; the order of arrival is kept. Copies and moves are independent of their source.
class http_head {
public:
    /// Takes a head as `head_reader` gathered it. Returns false when a field is malformed: no
    /// colon, a name that is not a token (so no space before the colon; RFC 9112 section 5.1).
    [[nodiscard]] bool parse(std::string text) {
        text_ = std::move(text);
        fields_.clear();
        std::size_t at = text_.find("\r\n");
        if (at == std::string::npos) return false;
        first_line_ = at;
        for (at += 2;;) {
            const auto end = text_.find("\r\n", at);
            if (end == std::string::npos || end == at) return end == at;
            if (!add_line(at, end)) return false;
            at = end + 2;
        }
    }

    [[nodiscard]] std::string_view first_line() const noexcept {
        return std::string_view(text_).substr(0, first_line_);
    }
    [[nodiscard]] std::size_t size() const noexcept { return fields_.size(); }
    [[nodiscard]] header_view operator[](std::size_t i) const noexcept {
        const auto& f = fields_[i];
        const std::string_view all(text_);
        return {all.substr(f.name, f.name_size), all.substr(f.value, f.value_size)};
    }

    /// The value of the first field called `name`. The view lives as long as this head.
    [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const noexcept {
        for (const auto field : *this)
            if (iequals(field.name, name)) return field.value;
        return std::nullopt;
    }
    /// How many fields are called `name`.
    [[nodiscard]] std::size_t count(std::string_view name) const noexcept {
        std::size_t n = 0;
        for (const auto field : *this)
            if (iequals(field.name, name)) ++n;
        return n;
    }
    /// Whether a list-valued field, in one line or several, has `token`, in any case.
    [[nodiscard]] bool has_token(std::string_view name, std::string_view token) const noexcept {
        for (const auto field : *this) {
            if (!iequals(field.name, name)) continue;
            for (auto list = field.value; !list.empty();)
                if (iequals(next_element(list), token)) return true;
        }
        return false;
    }
    /// The values of all fields called `name`, joined by ", " (RFC 9110 section 5.3).
    [[nodiscard]] std::string joined(std::string_view name) const {
        std::string out;
        for (const auto field : *this) {
            if (!iequals(field.name, name) || field.value.empty()) continue;
            if (!out.empty()) out += ", ";
            out += field.value;
        }
        return out;
    }

    /// Iterates over the fields as `header_view`.
    class iterator {
    public:
        using value_type = header_view;
        using difference_type = std::ptrdiff_t;
        using iterator_category = std::input_iterator_tag;
        using reference = header_view;
        using pointer = void;

        iterator() = default;
        iterator(const http_head& head, std::size_t i) noexcept : head_(&head), i_(i) {}
        header_view operator*() const noexcept { return (*head_)[i_]; }
        iterator& operator++() noexcept {
            ++i_;
            return *this;
        }
        iterator operator++(int) noexcept { return {*head_, i_++}; }
        friend bool operator==(const iterator&, const iterator&) = default;

    private:
        const http_head* head_ = nullptr;
        std::size_t i_ = 0;
    };
    [[nodiscard]] iterator begin() const noexcept { return {*this, 0}; }
    [[nodiscard]] iterator end() const noexcept { return {*this, fields_.size()}; }

private:
    // Offsets and not views, so that a head may be copied and moved.
    struct place {
        std::uint32_t name, name_size, value, value_size;
    };

    [[nodiscard]] bool add_line(std::size_t at, std::size_t end) {
        const auto line = std::string_view(text_).substr(at, end - at);
        const auto colon = line.find(':');
        if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) return false;
        const auto value = trim(line.substr(colon + 1));
        const auto value_at = static_cast<std::size_t>(value.data() - text_.data());
        fields_.push_back({static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(colon),
                           static_cast<std::uint32_t>(value_at), static_cast<std::uint32_t>(value.size())});
        return true;
    }

    std::string text_;
    std::size_t first_line_ = 0;
    std::vector<place> fields_;
};

}  // namespace hawser::inline v0::ws

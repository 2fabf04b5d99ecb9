// SPDX-License-Identifier: BSL-1.0
// The head of an HTTP message read in the plainest way: lines, names in lower case, values.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fuzz {

struct plain_head {
    explicit plain_head(std::string_view text) {
        const auto end = text.find("\r\n\r\n");
        if (end == std::string_view::npos) return;
        text = text.substr(0, end + 2);
        well_formed = true;
        for (std::size_t at = 0; at < text.size();) {
            const auto stop = text.find("\r\n", at);
            add(std::string(text.substr(at, stop - at)), at == 0);
            at = stop + 2;
        }
    }
    void add(const std::string& line, bool is_first) {
        for (const char c : line)
            if (static_cast<unsigned char>(c) < 0x20 && c != '\t') well_formed = false;
        const auto colon = line.find(':');
        if (is_first) {
            first = line;
        } else if (colon == std::string::npos || colon == 0 ||
                   line.substr(0, colon).find_first_of(" \t") != std::string::npos) {
            well_formed = false;
        } else {
            fields.emplace_back(lower(line.substr(0, colon)), trimmed(line.substr(colon + 1)));
        }
    }
    [[nodiscard]] std::vector<std::string> values(std::string_view name) const {
        std::vector<std::string> out;
        for (const auto& [field, value] : fields)
            if (field == name) out.push_back(value);
        return out;
    }
    /// Whether a comma-separated field has the element.
    [[nodiscard]] bool lists(std::string_view name, std::string_view element) const {
        for (const auto& value : values(name)) {
            const std::string all = lower(value) + ",";
            for (std::size_t at = 0, comma; (comma = all.find(',', at)) != std::string::npos; at = comma + 1)
                if (trimmed(all.substr(at, comma - at)) == element) return true;
        }
        return false;
    }

    static std::string lower(std::string text) {
        for (char& c : text)
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
        return text;
    }
    static std::string trimmed(const std::string& text) {
        const auto begin = text.find_first_not_of(" \t"), end = text.find_last_not_of(" \t");
        return begin == std::string::npos ? "" : text.substr(begin, end - begin + 1);
    }

    bool well_formed = false;
    std::string first;
    std::vector<std::pair<std::string, std::string>> fields;
};

}  // namespace fuzz

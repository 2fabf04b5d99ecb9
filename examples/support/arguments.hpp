// SPDX-License-Identifier: BSL-1.0
// Command lines of the examples: --name value, with errors that say what is allowed.
#pragma once

#include <charconv>
#include <initializer_list>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace examples {

class arguments {
public:
    arguments(int argc, char** argv, std::string usage, std::initializer_list<std::string_view> flags = {})
        : usage_(std::move(usage)) {
        for (int i = 1; i < argc; ++i) {
            const std::string name = argv[i];
            bool is_flag = false;
            for (const auto f : flags) is_flag = is_flag || f == name;
            if (!name.starts_with("--")) fail("'" + name + "' is not an option");
            if (given_.contains(name)) fail(name + " is given twice");
            if (is_flag) given_[name] = "";
            else if (i + 1 < argc) given_[name] = argv[++i];
            else fail(name + " needs a value");
        }
    }

    [[nodiscard]] bool flag(const std::string& name) { return given_.erase(name) != 0; }
    [[nodiscard]] std::string text(const std::string& name, std::string fallback) {
        const auto it = given_.find(name);
        if (it == given_.end()) return fallback;
        std::string value = it->second;
        given_.erase(it);
        return value;
    }
    [[nodiscard]] std::string required(const std::string& name) {
        if (!given_.contains(name)) fail(name + " is required");
        return text(name, {});
    }
    [[nodiscard]] long number(const std::string& name, long fallback, long low, long high) {
        const std::string value = text(name, std::to_string(fallback));
        long result = 0;
        const auto end = value.data() + value.size();
        const auto [at, ec] = std::from_chars(value.data(), end, result);
        if (ec != std::errc{} || at != end || result < low || result > high)
            fail(name + " is '" + value + "', but must be a number from " + std::to_string(low) + " to " + std::to_string(high));
        return result;
    }
    [[nodiscard]] std::string choice(const std::string& name, std::string fallback, std::initializer_list<std::string_view> allowed) {
        std::string value = text(name, std::move(fallback));
        std::string list;
        for (const auto a : allowed) {
            if (a == value) return value;
            list += (list.empty() ? "" : ", ") + std::string(a);
        }
        fail(name + " is '" + value + "', but must be one of " + list);
    }
    // Call last: what nobody asked for is a mistake.
    void finish() const {
        if (!given_.empty()) fail("unknown option " + given_.begin()->first);
    }

private:
    [[noreturn]] void fail(const std::string& what) const { throw std::invalid_argument(what + "\nusage: " + usage_); }

    std::string usage_;
    std::map<std::string, std::string> given_;
};

}  // namespace examples

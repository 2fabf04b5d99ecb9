// SPDX-License-Identifier: BSL-1.0
// Command lines of the examples: --name value, with errors that say what is allowed.
#pragma once

#include <charconv>
#include <initializer_list>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace examples {

class arguments {
public:
    /// `flags` are the options without a value; `repeated` may be given more than once; `pairs` have two values;
    /// `with_rest`: what follows the options is no option.
    arguments(int argc, char** argv, std::string usage, std::initializer_list<std::string_view> flags = {},
              std::initializer_list<std::string_view> repeated = {}, std::initializer_list<std::string_view> pairs = {},
              bool with_rest = false)
        : usage_(std::move(usage)) {
        for (int i = 1; i < argc; ++i) {
            const std::string name = argv[i];
            if (with_rest && !name.starts_with("--")) {
                rest_.emplace_back(name);
                continue;
            }
            if (!name.starts_with("--")) fail("'" + name + "' is not an option");
            if (given_.contains(name) && !is_in(repeated, name)) fail(name + " is given twice");
            if (is_in(flags, name)) given_[name] = {};
            else if (i + (is_in(pairs, name) ? 2 : 1) >= argc) fail(name + (is_in(pairs, name) ? " needs two values" : " needs a value"));
            else for (int n = is_in(pairs, name) ? 2 : 1; n > 0; --n) given_[name].emplace_back(argv[++i]);
        }
    }

    [[nodiscard]] bool has(const std::string& name) const { return given_.contains(name); }
    [[nodiscard]] bool flag(const std::string& name) { return given_.erase(name) != 0; }
    [[nodiscard]] std::vector<std::string> texts(const std::string& name) {
        const auto found = given_.extract(name);
        return found ? found.mapped() : std::vector<std::string>();
    }
    [[nodiscard]] std::string text(const std::string& name, std::string fallback) {
        const auto values = texts(name);
        return values.empty() ? std::move(fallback) : values.front();
    }
    [[nodiscard]] std::string required(const std::string& name) {
        if (!given_.contains(name)) fail(name + " is required");
        return text(name, {});
    }
    [[nodiscard]] const std::vector<std::string>& rest() const { return rest_; }
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
        if (is_in(allowed, value)) return value;
        std::string list;
        for (const auto a : allowed) list += (list.empty() ? "" : ", ") + std::string(a);
        fail(name + " is '" + value + "', but must be one of " + list);
    }
    // Call last: what nobody asked for is a mistake.
    void finish() const {
        if (!given_.empty()) fail("unknown option " + given_.begin()->first);
    }

private:
    static bool is_in(std::initializer_list<std::string_view> list, std::string_view name) {
        for (const auto one : list)
            if (one == name) return true;
        return false;
    }
    [[noreturn]] void fail(const std::string& what) const { throw std::invalid_argument(what + "\nusage: " + usage_); }

    std::string usage_;
    std::vector<std::string> rest_;
    std::map<std::string, std::vector<std::string>> given_;
};

}  // namespace examples

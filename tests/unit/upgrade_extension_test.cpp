// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <hawser/protocol/ws/extension_list.hpp>

#include <string>
#include <vector>

using namespace hawser::ws;

namespace {

// The list in a plain form, or "malformed".
std::string shown(std::string_view text, std::size_t limit = 32) {
    std::vector<extension> list;
    if (!parse_extensions(text, list, limit)) return "malformed";
    std::string out;
    for (const auto& one : list) {
        out += "<" + one.name;
        for (const auto& param : one.params)
            out += "|" + param.name + (param.value ? "=" + *param.value : "");
        out += ">";
    }
    return out;
}

}  // namespace

TEST_CASE("RFC 6455 9.1: extensions and their parameters", "[upgrade]") {
    CHECK(shown("") == "");
    CHECK(shown(" , ,") == "");
    CHECK(shown("foo") == "<foo>");
    CHECK(shown("permessage-deflate; client_max_window_bits; server_max_window_bits=10") ==
          "<permessage-deflate|client_max_window_bits|server_max_window_bits=10>");
    CHECK(shown("a;b=\"c\",\td ; e = f ,, g") == "<a|b=c><d|e=f><g>");
    CHECK(shown("a;b=\"\\c\\d\"") == "<a|b=cd>");
    CHECK(shown("constructor, __proto__") == "<constructor><__proto__>");
}

TEST_CASE("H18: malformed lists are refused", "[upgrade]") {
    for (const char* bad : {"a;",      ";",         "=",        "a=b",      "a;=b",        "a;b=",        "a;b=\"",
                            "a;b=\"c", "a;b=\"c\\", "a;b=\"\\", "a;b=\"\"", "a;b=\"c d\"", "a;b=\"c,d\"", "a b",
                            "a;b c",   "\"a\"",     "a;b=c d",  "a;b==c",   "a/b",         "a;b=\"c\"d"}) {
        INFO(bad);
        CHECK(shown(bad) == "malformed");
    }
}

TEST_CASE("H18: lists, and what is kept of them, are bounded", "[upgrade]") {
    CHECK(shown("a,b,c", 3) == "<a><b><c>");
    CHECK(shown("a,b,c,d", 3) == "malformed");
    CHECK(shown("a;b;c;d", 3) == "<a|b|c|d>");
    CHECK(shown("a;b;c;d;e", 3) == "malformed");
    CHECK(shown("a;b=\"" + std::string(200'000, '\\')) == "malformed");
}

// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <hawser/protocol/ws/utf8.hpp>

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

using namespace hawser;

namespace {

std::string encode_code_point(std::uint32_t c) {
    const auto tail = [c](unsigned shift) { return static_cast<char>(0x80u | ((c >> shift) & 0x3fu)); };
    const auto head = [](std::uint32_t value) { return static_cast<char>(value); };
    if (c < 0x80) return {head(c)};
    if (c < 0x800) return {head(0xc0u | c >> 6), tail(0)};
    if (c < 0x10000) return {head(0xe0u | c >> 12), tail(6), tail(0)};
    return {head(0xf0u | c >> 18), tail(12), tail(6), tail(0)};
}

// All encodings of all Unicode scalar values, and how each may begin.
struct reference {
    std::set<std::string> whole;
    std::set<std::string> unfinished;
    reference() {
        for (std::uint32_t c = 0; c <= 0x10ffff; ++c) {
            if (c >= 0xd800 && c <= 0xdfff) continue;
            const std::string bytes = encode_code_point(c);
            whole.insert(whole.end(), bytes);
            for (std::size_t n = 1; n < bytes.size(); ++n)
                if ((c & 0x3f) == 0) unfinished.insert(bytes.substr(0, n));
        }
    }
};

// Each beginning of a sequence, followed by each of the 256 bytes. Returns the mismatches.
int walk(const reference& ref, const std::string& begun, const ws::utf8_validator& state) {
    int wrong = 0;
    for (unsigned byte = 0; byte < 256; ++byte) {
        const std::string bytes = begun + static_cast<char>(byte);
        ws::utf8_validator next = state;
        const bool ok = next.feed(as_bytes(std::string_view(bytes).substr(begun.size())));
        const bool whole = ref.whole.contains(bytes);
        const bool unfinished = ref.unfinished.contains(bytes);
        wrong += ok == (whole || unfinished) && next.complete() == whole ? 0 : 1;
        if (unfinished) wrong += walk(ref, bytes, next);
    }
    return wrong;
}

// The first index at which the text cannot be continued to valid UTF-8; npos if there is none.
std::size_t first_wrong(std::string_view text) {
    ws::utf8_validator v;
    for (std::size_t i = 0; i < text.size(); ++i)
        if (!v.feed(as_bytes(text.substr(i, 1)))) return i;
    return std::string_view::npos;
}

}  // namespace

TEST_CASE("F17: every sequence of up to four bytes, refused at its first wrong byte", "[ws][utf8]") {
    CHECK(walk(reference{}, "", ws::utf8_validator{}) == 0);
}

TEST_CASE("F17, F16: block and byte steps agree, with an error at each place and at every split", "[ws][utf8]") {
    const std::string unit = "ascii \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80 more ascii text here ";
    std::string base = std::string(70, 'x') + unit + std::string(37, 'y') + unit + unit + std::string(16, 'z');
    REQUIRE(ws::is_utf8(as_bytes(base)));
    int wrong = 0;
    for (std::size_t place = 0; place <= base.size(); ++place) {
        std::string text = base;
        if (place < base.size()) text[place] = static_cast<char>(0xff);
        const std::size_t bad = first_wrong(text);
        for (std::size_t split = 0; split <= text.size(); ++split) {
            ws::utf8_validator v;
            const bool first = v.feed(as_bytes(std::string_view(text).substr(0, split)));
            const bool both = v.feed(as_bytes(std::string_view(text).substr(split)));
            wrong += first == (bad >= split) && both == (bad == std::string_view::npos) && v.complete() == both ? 0 : 1;
        }
    }
    CHECK(wrong == 0);
}

TEST_CASE("utf8_validator: stays refused until it is reset", "[ws][utf8]") {
    ws::utf8_validator v;
    CHECK(v.complete());
    CHECK_FALSE(v.feed(as_bytes("\xff")));
    CHECK_FALSE(v.feed(as_bytes("fine, and longer than one block of text")));
    CHECK_FALSE(v.feed({}));
    CHECK_FALSE(v.complete());
    v.reset();
    CHECK(v.feed(as_bytes("\xe2\x82")));
    CHECK_FALSE(v.complete());
    CHECK(v.feed(as_bytes("\xac")));
    CHECK(v.complete());
}

TEST_CASE("utf8_prefix: cuts before a sequence that does not fit or is wrong", "[ws][utf8]") {
    CHECK(ws::utf8_prefix("abc", 10) == "abc");
    CHECK(ws::utf8_prefix("abc", 2) == "ab");
    CHECK(ws::utf8_prefix("a\xe2\x82\xac", 3) == "a");
    CHECK(ws::utf8_prefix("a\xe2\x82\xac", 4) == "a\xe2\x82\xac");
    CHECK(ws::utf8_prefix("ab\xff"
                          "cd",
                          5) == "ab");
    CHECK(ws::utf8_prefix("", 5).empty());
}

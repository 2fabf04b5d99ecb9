// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/utf8_reference.hpp"

#include <hawser/protocol/ws/utf8.hpp>

#include <simdjson.h>

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

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

std::vector<utf8_test::manner> manners(std::size_t offset = 0) {
    std::vector<utf8_test::manner> out;
    for (const utf8_test::simd with : utf8_test::kernels())
        for (const auto how : {utf8_test::manner::plain, utf8_test::manner::in_place, utf8_test::manner::copied})
            out.push_back({with, how, offset});
    return out;
}

// How many manners of scanning judge `text` otherwise than the table does, or than simdjson.
int disagreements(std::string_view text, const std::vector<std::size_t>& splits = {}, std::size_t offset = 0) {
    const utf8_test::verdict expected = utf8_test::judge_plainly(text);
    int wrong = simdjson::validate_utf8(text.data(), text.size()) == expected.whole ? 0 : 1;
    for (const utf8_test::manner& m : manners(offset))
        wrong += utf8_test::scan(m, text, splits) == expected ? 0 : 1;
    return wrong;
}

// All widths of characters, their borders, and stretches of ASCII longer than a vector.
std::string mixed_text() {
    const std::string all =
        "a\xc2\x80\xdf\xbf\xe0\xa0\x80\xec\xbf\xbf\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf";
    return all + all + std::string(71, 'x') + all + std::string(35, 'y') + all + all + all + all + all + "end";
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

TEST_CASE("utf8_validator: ASCII of any length does not hide that a character is unfinished", "[ws][utf8]") {
    constexpr ws::mask_key key{std::byte{0x11}, std::byte{0xa2}, std::byte{0x33}, std::byte{0xc4}};
    for (std::size_t length = 1; length <= 300; ++length) {
        const std::string ascii(length, 'a');
        ws::utf8_validator plain;
        CHECK(plain.feed(as_bytes("\xe2\x82")));
        CHECK_FALSE(plain.feed(as_bytes(ascii)));
        byte_vector data(as_bytes(ascii).begin(), as_bytes(ascii).end());
        ws::mask(data, key);
        ws::utf8_validator masked;
        CHECK(masked.feed(as_bytes("\xe2\x82")));
        CHECK_FALSE(masked.feed_masked(data.data(), data, key));
    }
}

TEST_CASE("utf8_blocks: leaves next to nothing of right text to the automaton", "[ws][utf8]") {
    const std::string base = mixed_text();
    for (const utf8_test::simd with : utf8_test::kernels()) {
        if (with == utf8_test::simd::portable) continue;
        const std::size_t width = with == utf8_test::simd::avx2 ? 32 : 16;
        for (std::size_t size = 32; size <= base.size(); ++size) {
            const std::size_t rest = size % width;
            const std::size_t judged = ws::detail::utf8_blocks<false>(with, nullptr, as_bytes(base).data(), size, 0);
            CHECK(judged == (rest > width - 3 ? size - rest : size));
        }
    }
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

TEST_CASE("F17: all vectors find the first wrong byte, at each place and every split", "[ws][utf8]") {
    const std::string base = mixed_text().substr(0, 150);
    int wrong = 0;
    for (std::size_t place = 0; place < base.size(); ++place) {
        std::string text = base;
        text[place] = static_cast<char>(text[place] ^ 0x80);
        for (std::size_t split = place < 3 ? 0 : place - 3; split <= place + 4 && split <= text.size(); ++split)
            wrong += disagreements(text, {split});
    }
    for (std::size_t split = 0; split <= base.size(); ++split)
        wrong += disagreements(base, {split});
    CHECK(wrong == 0);
}

TEST_CASE("F17: all vectors find each kind of wrong byte, at each place of a vector", "[ws][utf8]") {
    const char* const kinds[] = {
        "\xff",         "\x80",         "\xc0\x80",         "\xc1\xbf",     "\xe0\x9f\xbf",    "\xed\xa0\x80",
        "\xf0\x8f\xbf", "\xf4\x90\x80", "\xf5\x80\x80\x80", "\xc3(",        "\xe2\x82(",       "\xf0\x9f\x98(",
        "\xe2\xe2\x82", "\xc3\xa4\xa4", "\xe2\x82\xac\x80", "\xf8\x88\x80", "\xf0\x9f\xc3\xa4"};
    int wrong = 0;
    for (const char* const kind : kinds)
        for (const char* const unit : {"x", "\xc3\xa4", "\xe7\xb9\xa9", "\xf0\x9f\x9a\xa2"})
            for (std::size_t place = 0; place <= 130; ++place) {
                std::string text;
                while (text.size() < place)
                    text += place - text.size() < std::string_view(unit).size() ? "x" : unit;
                text += kind;
                wrong += disagreements(text);  // at the end of the text
                text += std::string(70, 'z');
                wrong += disagreements(text, {}, place % 33);
            }
    CHECK(wrong == 0);
}

TEST_CASE("F17: all vectors judge all pairs of bytes, within a vector and across two", "[ws][utf8]") {
    int wrong = 0;
    for (unsigned first = 0; first < 256; ++first)
        for (unsigned second = 0; second < 256; ++second) {
            std::string text(66, ' ');
            const std::size_t place = second % 2 == 0 ? 8 : 31;
            for (const std::size_t at : {place, std::size_t{63}}) {
                text[at] = static_cast<char>(first);
                text[at + 1] = static_cast<char>(second);
                const utf8_test::verdict expected = utf8_test::judge_plainly(text);
                for (const utf8_test::simd with : utf8_test::kernels())
                    wrong += utf8_test::scan({with}, text) == expected ? 0 : 1;
                text[at] = text[at + 1] = ' ';
            }
        }
    CHECK(wrong == 0);
}

TEST_CASE("F17: all vectors judge sequences of four bytes across their borders", "[ws][utf8]") {
    constexpr std::string_view edges = "A\x80\x8f\x90\x9f\xa0\xbf\xc1\xc2\xe0\xe1\xed\xf0\xf3\xf4\xf5";
    std::string text(80, '.');
    int wrong = 0;
    std::size_t number = 0;
    for (const char a : edges)
        for (const char b : edges)
            for (const char c : edges)
                for (const char d : edges) {
                    const std::size_t place = 61 + number++ % 5;
                    text.replace(place, 4, {a, b, c, d});
                    const utf8_test::verdict expected = utf8_test::judge_plainly(text);
                    for (const utf8_test::simd with : utf8_test::kernels())
                        wrong += utf8_test::scan({with}, text) == expected ? 0 : 1;
                    text.replace(place, 4, "....");
                }
    CHECK(wrong == 0);
}

TEST_CASE("F17: all vectors, all lengths, all alignments: nothing beyond the text is read or written", "[ws][utf8]") {
    const std::string base = mixed_text();
    int wrong = 0;
    for (std::size_t size = 0; size <= base.size(); ++size) {
        wrong += disagreements(base.substr(0, size), {}, size % 64);
        wrong += disagreements(base.substr(base.size() - size), {}, size % 31);
        wrong += disagreements(std::string(size, 'a'), {}, size % 17);
    }
    CHECK(wrong == 0);
}

TEST_CASE("utf8_validator: masked pieces are judged and unmasked alike, whatever their length", "[ws][utf8]") {
    constexpr ws::mask_key key{std::byte{0x9a}, std::byte{0x01}, std::byte{0xf7}, std::byte{0x80}};
    const std::string base = mixed_text();
    int wrong = 0;
    for (std::size_t size = 0; size <= base.size(); ++size)
        for (std::size_t split = 0; split <= size; split += 1 + size / 40) {
            const std::string_view text = std::string_view(base).substr(0, size);
            byte_vector data(as_bytes(text).begin(), as_bytes(text).end());
            ws::mask(data, key);
            const byte_span first = byte_span(data).first(split);
            const byte_span second = byte_span(data).subspan(split);
            ws::utf8_validator v;
            const bool right =
                v.feed_masked(first.data(), first, key) && v.feed_masked(second.data(), second, key, split);
            const bool whole = utf8_test::judge_plainly(text).whole;
            wrong += right && v.complete() == whole && as_text(data) == text ? 0 : 1;
            ws::mask(data, key);
            wrong += ws::unmask_utf8(data, key) == whole && as_text(data) == text ? 0 : 1;
            if (split == size) continue;
            ws::mask(data, key);
            data[split] = std::byte{0xff} ^ key[split % 4];
            wrong += ws::unmask_utf8(data, key) ? 1 : 0;
        }
    CHECK(wrong == 0);
}

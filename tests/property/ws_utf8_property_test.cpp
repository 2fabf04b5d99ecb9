// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/utf8_reference.hpp"
#include "support/ws_frames.hpp"

#include <rapidcheck.h>
#include <simdjson.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

using namespace utf8_test;

namespace {

// Mostly right, of random scripts, with stretches of ASCII, and with some bytes spoilt.
std::string random_text() {
    static const char* const units[] = {"a",
                                        "ascii, and more than one vector of it; ",
                                        "\xc2\x80",
                                        "\xc3\xa4",
                                        "\xdf\xbf",
                                        "\xe0\xa0\x80",
                                        "\xe2\x82\xac",
                                        "\xed\x9f\xbf",
                                        "\xee\x80\x80",
                                        "\xf0\x90\x80\x80",
                                        "\xf0\x9f\x98\x80",
                                        "\xf4\x8f\xbf\xbf"};
    std::string text;
    for (const std::size_t i : *rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(0, 12)))
        text += units[i];
    const auto spoilt = *rc::gen::weightedElement<int>({{2, 0}, {2, 1}, {1, 3}});
    for (int i = 0; i < spoilt && !text.empty(); ++i) {
        char& byte = text[*rc::gen::inRange<std::size_t>(0, text.size())];
        switch (*rc::gen::inRange(0, 3)) {
            case 0:
                byte = static_cast<char>(byte ^ (1 << *rc::gen::inRange(0, 8)));
                break;
            case 1:
                byte =
                    *rc::gen::element('\x7f', '\x80', '\xbf', '\xc0', '\xc2', '\xe0', '\xed', '\xf0', '\xf4', '\xff');
                break;
            default:
                text.erase(static_cast<std::size_t>(&byte - text.data()), 1);
        }
    }
    return text;
}

std::vector<std::size_t> random_splits(std::size_t size) {
    auto splits = *rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(0, size + 1));
    std::sort(splits.begin(), splits.end());
    return splits;
}

}  // namespace

TEST_CASE("F17: vectors, the table of RFC 3629 and simdjson agree on any text in any pieces", "[ws][utf8][property]") {
    CHECK(rc::check("every kernel, masked or not, finds the same first wrong byte", [] {
        const std::string text = random_text();
        const auto splits = random_splits(text.size());
        const auto offset = *rc::gen::inRange<std::size_t>(0, 64);
        const verdict expected = judge_plainly(text);
        RC_CLASSIFY(expected.whole);
        RC_ASSERT(simdjson::validate_utf8(text.data(), text.size()) == expected.whole);
        for (const simd with : kernels())
            for (const auto how : {manner::plain, manner::in_place, manner::copied}) {
                RC_ASSERT(scan({with, how, offset}, text) == expected);
                RC_ASSERT(scan({with, how, offset}, text, splits) == expected);
            }
    }));
}

TEST_CASE("F17: vectors, the table of RFC 3629 and simdjson agree on much spoilt text", "[ws][utf8][property]") {
    std::mt19937 random(20'121);  // NOLINT(bugprone-random-generator-seed): the same texts each time
    const auto below = [&random](std::size_t limit) { return random() % limit; };
    const std::string alphabet = "aaaa\xc3\xa4\xe2\x82\xac\xe0\xa0\x80\xed\x9f\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf";
    int wrong = 0;
    int valid = 0;
    for (int round = 0; round < 10'000; ++round) {
        std::string text;
        while (text.size() < 260)
            text += alphabet;
        text = text.substr(below(2) * below(alphabet.size()), below(260));
        for (std::size_t n = below(3); n != 0 && !text.empty(); --n)
            text[below(text.size())] = static_cast<char>(random());
        const verdict expected = judge_plainly(text);
        valid += expected.whole ? 1 : 0;
        wrong += simdjson::validate_utf8(text.data(), text.size()) == expected.whole ? 0 : 1;
        const std::size_t split = below(text.size() + 1);
        for (const simd with : kernels())
            for (const auto how : {manner::plain, manner::in_place, manner::copied})
                wrong += scan({with, how, below(40)}, text, {split}) == expected ? 0 : 1;
    }
    CHECK(wrong == 0);
    CHECK(valid > 1000);  // and so both kinds occur
    CHECK(valid < 9000);
}

TEST_CASE("F17: a reader refuses any text that simdjson refuses, in any fragments and chunks", "[ws][utf8][property]") {
    CHECK(rc::check("text frames with pings between", [] {
        namespace ws = hawser::ws;
        const ws::role side = *rc::gen::element(ws::role::client, ws::role::server);
        const std::string text = random_text();
        hawser::byte_vector input;
        std::size_t begin = 0;
        for (const std::size_t end : random_splits(text.size())) {
            const auto op = input.empty() ? ws::opcode::text : ws::opcode::continuation;
            hawser::append(input, ws_test::frame(side, op, text.substr(begin, end - begin), false));
            if (*rc::gen::arbitrary<bool>()) hawser::append(input, ws_test::frame(side, ws::opcode::ping, "\xff"));
            begin = end;
        }
        const auto op = input.empty() ? ws::opcode::text : ws::opcode::continuation;
        hawser::append(input, ws_test::frame(side, op, text.substr(begin)));
        ws::reader reader(side);
        ws_test::event_log events = ws_test::read_split(reader, input, random_splits(input.size()));
        std::erase(events, "ping:ff");
        const bool valid = simdjson::validate_utf8(text.data(), text.size());
        RC_CLASSIFY(valid);
        const std::string expected = valid ? "text:" + ws_test::hex(hawser::as_bytes(text)) : "error:49:1007";
        RC_ASSERT(events == ws_test::event_log{expected});
    }));
}

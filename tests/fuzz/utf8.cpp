// SPDX-License-Identifier: BSL-1.0
// UTF-8: each set of vectors, masked and not, in any pieces, against the table of RFC 3629 and simdjson.
#include "fuzz.hpp"

#include "../support/utf8_reference.hpp"

#include <simdjson.h>

const fuzz::bug fuzz::planted = bug::utf8_seam_missed;

void fuzz::run(byte_view data) {
    using namespace utf8_test;
    input in(data);
    const unsigned repeat = 1 + in.below(8), seed = in.number();
    const auto offset = in.below(64);
    std::string text;
    // Vectors begin to matter at some hundred bytes.
    const std::string_view unit = in.text();
    for (unsigned i = 0; i < repeat; ++i)
        text += unit;
    const verdict expected = judge_plainly(text);
    require(simdjson::validate_utf8(text.data(), text.size()) == expected.whole, "simdjson and the table agree");
    const auto splits = cuts(seed, text.size());
    static const auto all = kernels();
    for (const simd with : all)
        for (const auto how : {manner::plain, manner::in_place, manner::copied}) {
            require(scan({with, how, offset}, text) == expected, "the vectors find the first wrong byte");
            require(scan({with, how, offset}, text, splits) == expected, "so they do at any split");
        }
    require(ws::is_utf8(hawser::as_bytes(text)) == expected.whole, "is_utf8");
    const auto prefix = ws::utf8_prefix(text, 40 + offset);
    require(judge_plainly(prefix).whole && prefix.size() <= 40 + offset, "utf8_prefix is valid and not too long");
}

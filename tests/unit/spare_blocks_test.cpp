// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <hawser/core/spare_blocks.hpp>

using hawser::memory_block;
using hawser::spare_blocks;

TEST_CASE("spare_blocks: gives back the smallest that is large enough") {
    spare_blocks s;
    s.give({});
    CHECK(s.take(spare_blocks::min_block).size == 0);
    s.give(memory_block::make(100 * 1024));
    s.give(memory_block::make(64 * 1024));
    s.give(memory_block::make(1024 * 1024));
    CHECK(s.bytes() == (100 + 64 + 1024) * 1024);
    CHECK(s.take(65 * 1024).size == 100 * 1024);
    CHECK(s.take(65 * 1024).size == 1024 * 1024);
    CHECK(s.take(65 * 1024).size == 0);
    CHECK(s.take(64 * 1024).size == 64 * 1024);
    CHECK(s.bytes() == 0);
}

TEST_CASE("spare_blocks: small ones are neither kept nor are large ones taken for them") {
    spare_blocks s;
    s.give(memory_block::make(spare_blocks::min_block - 1));
    CHECK(s.bytes() == 0);
    s.give(memory_block::make(1024 * 1024));
    CHECK(s.take(125).size == 0);
}

TEST_CASE("spare_blocks: what is kept is limited, in number and in bytes, and larger ones go before") {
    spare_blocks s;
    for (std::size_t i = 0; i < 2 * spare_blocks::max_blocks; ++i)
        s.give(memory_block::make(spare_blocks::min_block + i));
    CHECK(s.bytes() <= spare_blocks::max_blocks * (spare_blocks::min_block + 2 * spare_blocks::max_blocks));
    s.give(memory_block::make(spare_blocks::max_bytes));
    CHECK(s.bytes() < spare_blocks::max_bytes);  // the others are in its way
    s.give(memory_block::make(spare_blocks::max_bytes / 2));
    CHECK(s.bytes() >= spare_blocks::max_bytes / 2);
    CHECK(s.bytes() <= spare_blocks::max_bytes);
    std::size_t kept = 0;
    while (s.take(spare_blocks::min_block).size != 0)
        ++kept;
    CHECK(kept == spare_blocks::max_blocks);
    CHECK(s.bytes() == 0);
}

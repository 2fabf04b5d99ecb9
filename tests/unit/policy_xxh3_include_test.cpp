// SPDX-License-Identifier: BSL-1.0
// A user's file may include <xxhash.h> before or after ours and goes on using it.
#include <xxhash.h>

#include <hawser/core/xxh3.hpp>

#include <xxhash.h>

#include "support/catch.hpp"

#if defined(XXH_INLINE_ALL)
#error "the switch of hawser/core/xxh3.hpp leaks"
#endif

TEST_CASE("xxh3: lives beside the user's own xxhash.h", "[xxh3]") {
    CHECK(XXH3_64bits("hawser", 6) == hawser::xxh3_64(hawser::as_bytes("hawser")));
    CHECK(XXH64("", 0, 0) == 0xef46db3751d8e999u);
}

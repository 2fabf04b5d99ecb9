// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <hawser/testing/disk.hpp>

#include <set>
#include <string>

using hawser::as_bytes;
using hawser::as_text;
using hawser::testing::disk;

namespace {
void put(disk& d, std::string_view text, std::size_t at = 0) {
    std::error_code ec;
    REQUIRE(d.write("file", at, as_bytes(text), ec) == text.size());
    REQUIRE(!ec);
}
}  // namespace

TEST_CASE("simulated disk: what was synchronised survives every crash") {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        disk d(seed);
        put(d, std::string(2'000, 'a'));
        REQUIRE(!d.sync("file"));
        d.crash();
        CHECK(as_text(d.read("file")) == std::string(2'000, 'a'));
    }
}

TEST_CASE("simulated disk: of what was not synchronised any sector may be lost, and none changes into something else") {
    std::set<std::string> images;
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        disk d(seed);
        put(d, std::string(1'024, 'a'));
        REQUIRE(!d.sync("file"));
        put(d, std::string(1'024, 'b'));
        CHECK(as_text(d.read("file")) == std::string(1'024, 'b'));
        d.crash();
        const std::string image(as_text(d.read("file")));
        for (const char c : {image.at(0), image.at(disk::sector)}) CHECK((c == 'a' || c == 'b'));
        images.insert(image);
    }
    CHECK(images.size() == 4);  // each of two sectors, old or new
}

TEST_CASE("simulated disk: a file that was never synchronised may be gone") {
    bool gone = false, there = false;
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        disk d(seed);
        put(d, "x");
        d.crash();
        (d.exists("file") ? there : gone) = true;
    }
    CHECK(gone);
    CHECK(there);
}

TEST_CASE("simulated disk: faults") {
    disk d(1);
    std::error_code ec;
    d.capacity = 10;
    CHECK(d.write("file", 0, as_bytes("more than ten bytes"), ec) == 0);
    CHECK(ec == std::errc::no_space_on_device);
    CHECK(d.read("file").empty());
    put(d, "0123456789");
    put(d, "abc", 3);  // within the file: needs no more room
    CHECK(as_text(d.read("file")) == "012abc6789");

    d.sync_fails = true;
    CHECK(d.sync("file") == std::errc::io_error);
    d.sync_fails = false;
    REQUIRE(!d.sync("file"));

    const std::string before(as_text(d.read("file")));
    d.flip_bit("file");
    int differing = 0;
    for (std::size_t i = 0; i < before.size(); ++i) differing += before[i] != as_text(d.read("file"))[i] ? 1 : 0;
    CHECK(differing == 1);
}

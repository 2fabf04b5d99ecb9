// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <hawser/server/network_of.hpp>

using hawser::detail::network_of;

TEST_CASE("limits: an IPv4 address counts by itself, an IPv6 one with its network of 64 bits") {
    CHECK(network_of("192.0.2.7") == "192.0.2.7");
    CHECK(network_of("2001:db8:1:2:3:4:5:6") == "2001:db8:1:2::/64");
    CHECK(network_of("2001:db8:1:2:ffff:ffff:ffff:ffff") == network_of("2001:db8:1:2::"));
    CHECK(network_of("2001:db8:1:3::1") != network_of("2001:db8:1:2::1"));
    CHECK(network_of("::1") == "::/64");
}
TEST_CASE("limits: an IPv4 peer of a socket for both kinds is not one with all others") {
    CHECK(network_of("::ffff:192.0.2.7") == "192.0.2.7");
    CHECK(network_of("::ffff:192.0.2.8") != network_of("::ffff:192.0.2.7"));
}
TEST_CASE("limits: what is no address counts as it is") {
    CHECK(network_of("unix") == "unix");
    CHECK(network_of("").empty());
}

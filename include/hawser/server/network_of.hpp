// SPDX-License-Identifier: BSL-1.0
/// \file
/// Whom a limit per address counts.
#pragma once

#include <asio/ip/address.hpp>

#include <algorithm>
#include <string>
#include <system_error>

namespace hawser::inline v0::detail {

/// The address itself, but of IPv6 its network of 64 bits: a subscriber has at least that many addresses (RFC 6177), and would
/// have a new one for each connection. An IPv4 address that is mapped into IPv6 (RFC 4291) is that address. What is no address
/// stays as it is.
[[nodiscard]] inline std::string network_of(const std::string& address) {
    std::error_code ec;
    const asio::ip::address parsed = asio::ip::make_address(address, ec);
    if (ec || !parsed.is_v6()) return address;
    const asio::ip::address_v6 v6 = parsed.to_v6();
    if (v6.is_v4_mapped()) return asio::ip::make_address_v4(asio::ip::v4_mapped, v6).to_string();
    auto bytes = v6.to_bytes();
    std::fill(bytes.begin() + 8, bytes.end(), static_cast<unsigned char>(0));
    return asio::ip::address_v6(bytes, v6.scope_id()).to_string() + "/64";
}

}  // namespace hawser::inline v0::detail

// SPDX-License-Identifier: BSL-1.0
// URLs: what is accepted keeps the promises of `url`, and its normal form means the same.
#include "fuzz.hpp"

#include <hawser/core/url.hpp>

const fuzz::bug fuzz::planted = bug::port_wraps;

namespace {

// The number behind the last ':' of an authority, in plain decimal; 0 where there is none.
unsigned long long port_in(std::string_view url) {
    url.remove_prefix(url.find("://") + 3);
    const auto authority = url.substr(0, url.find_first_of("/?"));
    const auto colon = authority.rfind(':');
    if (colon == std::string_view::npos || authority.find(']', colon) != std::string_view::npos) return 0;
    return std::strtoull(std::string(authority.substr(colon + 1)).c_str(), nullptr, 10);
}

void judge(std::string_view text) {
    using fuzz::require;
    const hawser::url before{.scheme = "x", .host = "y", .target = "z", .port = 7};
    hawser::url parsed = before;
    std::string why;
    if (hawser::parse_url(text, parsed, &why)) {
        require(parsed == before, "a refused URL changes nothing");
        require(!why.empty(), "a refusal says why");
        for (const char c : why)
            require(c >= 0x20 && c < 0x7f, "a refusal is printable");
        return;
    }
    for (const char c : text)
        require(c > 0x20 && c < 0x7f, "a URL is visible ASCII");
    require(text.find('#') == std::string_view::npos, "a URL has no fragment");
    require(!parsed.host.empty() && parsed.port != 0, "a URL has host and port");
    require(parsed.host.find_first_of("@/?#% ") == std::string::npos, "a host is a host");
    require(parsed.target.starts_with('/'), "a target begins with '/'");
    const bool local = !parsed.socket_path.empty();
    require(local == (parsed.scheme == "ws+unix"), "only ws+unix has a path to a socket");
    if (local)
        require(parsed.socket_path.starts_with('/') && parsed.socket_path.find('\0') == std::string::npos, "a path");
    if (const auto port = local ? 0 : port_in(text))
        require(port == parsed.port, "the port is the one that is written");
    hawser::url again;
    require(!hawser::parse_url(parsed.text(), again, &why), "the normal form is a URL");
    require(again == parsed, "the normal form means the same");
}

}  // namespace

void fuzz::run(byte_view data) {
    input in(data);
    const unsigned kind = in.below(4);
    const std::string rest(in.text());
    static constexpr const char* begins[] = {"", "ws://host:", "wss://", "ws+unix:///"};
    judge(begins[kind] + rest);
}

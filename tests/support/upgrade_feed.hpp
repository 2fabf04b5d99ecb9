// SPDX-License-Identifier: BSL-1.0
// Feeds a text to one side of the HTTP upgrade, whole, in two pieces at each place, and byte by byte.
#pragma once

#include <hawser/protocol/ws/client_upgrade.hpp>
#include <hawser/protocol/ws/server_upgrade.hpp>

#include <array>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hawser_test {

inline constexpr std::string_view sample_key = "dGhlIHNhbXBsZSBub25jZQ==";
inline constexpr std::string_view sample_accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

inline std::array<std::byte, 16> sample_nonce() {
    std::array<std::byte, 16> nonce{};
    std::memcpy(nonce.data(), "the sample nonce", nonce.size());
    return nonce;
}

inline std::string request_text(std::string_view more = {}, std::string_view line = "GET /feed?x=1 HTTP/1.1") {
    return std::string(line) +
           "\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " +
           std::string(sample_key) + "\r\nSec-WebSocket-Version: 13\r\n" + std::string(more) + "\r\n";
}

inline std::string response_text(std::string_view more = {}) {
    return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
           std::string(sample_accept) + "\r\n" + std::string(more) + "\r\n";
}

/// Feeds the pieces in turn as a driver does, each in a buffer of its own size, so that a
/// sanitizer sees reads behind it. Returns how many bytes were consumed in all.
template <class Upgrade>
std::size_t feed_pieces(Upgrade& upgrade, std::initializer_list<std::string_view> pieces) {
    std::size_t total = 0;
    for (const auto piece : pieces) {
        const auto view = hawser::as_bytes(piece);
        const std::vector<std::byte> buffer(view.begin(), view.end());
        std::size_t consumed = 0;
        const auto status = upgrade.feed(buffer, consumed);
        total += consumed;
        if (status != Upgrade::status::need_more) break;
    }
    return total;
}

/// Calls `check(upgrade, consumed)` for the whole text, for each split in two and byte by byte.
/// `make` gives a fresh object each time.
template <class Make, class Check>
void at_every_split(std::string_view text, Make make, Check check) {
    for (std::size_t at = 0; at <= text.size(); ++at) {
        auto upgrade = make();
        const auto consumed = feed_pieces(upgrade, {text.substr(0, at), text.substr(at)});
        check(upgrade, consumed);
    }
    auto upgrade = make();
    std::size_t total = 0;
    for (std::size_t i = 0; i < text.size(); ++i)
        total += feed_pieces(upgrade, {text.substr(i, 1)});
    check(upgrade, total);
}

inline hawser::ws::client_upgrade started_client(std::span<const std::string> offered = {},
                                                 std::string_view extensions = {}) {
    hawser::ws::client_upgrade client;
    hawser::url where;
    hawser::byte_vector out;
    if (hawser::parse_url("ws://example.com/feed", where) || client.offer_extensions(extensions) ||
        client.start(out, where, offered, {}, sample_nonce()))
        throw "the request could not be started";
    return client;
}

}  // namespace hawser_test

// SPDX-License-Identifier: BSL-1.0
// Answers to an upgrade request: the same verdict at any split, and what is taken obeys RFC 6455 section 4.1,
// judged by a plain reading of the bytes.
#include "fuzz.hpp"
#include "http_plain.hpp"

#include <hawser/protocol/ws/client_upgrade.hpp>

#include <cstring>

namespace ws = hawser::ws;
using status = ws::client_upgrade::status;

const fuzz::bug fuzz::planted = bug::second_accept_taken;

namespace {

const std::string accept_value = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";  // RFC 6455 section 1.3

ws::client_upgrade started() {
    static const std::vector<std::string> subprotocols{"chat", "superchat"};
    ws::client_upgrade client;
    hawser::url where;
    hawser::byte_vector request;
    std::array<std::byte, 16> nonce{};
    std::memcpy(nonce.data(), "the sample nonce", nonce.size());
    fuzz::require(
        !hawser::parse_url("ws://example.com/chat", where) && !client.offer_extensions("permessage-deflate, x"),
        "arguments");
    fuzz::require(!client.start(request, where, subprotocols, {}, nonce), "a request");
    return client;
}

// The bytes of the answer's head, informational responses included.
std::size_t feed(ws::client_upgrade& client, hawser::byte_view data, unsigned seed) {
    std::size_t total = 0;
    fuzz::in_pieces(data, seed, [&](const hawser::byte_vector& piece) {
        std::size_t consumed = 0;
        const auto now = client.feed(piece, consumed);
        total += consumed;
        return now == status::need_more;
    });
    return total;
}

void judge_taken(std::string_view text, const ws::client_upgrade& client) {
    using fuzz::require;
    while (!text.starts_with("HTTP/1.1 101")) {
        require(text.starts_with("HTTP/1.1 1"), "only informational responses come before");
        text.remove_prefix(text.find("\r\n\r\n") + 4);
    }
    const fuzz::plain_head head(text);
    require(head.well_formed, "the head is clean");
    require(head.values("sec-websocket-accept") == std::vector<std::string>{accept_value},
            "one right Sec-WebSocket-Accept");
    require(head.lists("upgrade", "websocket") && head.lists("connection", "upgrade"), "it upgrades");
    const auto chosen = head.values("sec-websocket-protocol");
    require(chosen.size() <= 1 && (chosen.empty() ? "" : chosen[0]) == client.subprotocol(), "one subprotocol");
    require(chosen.empty() || chosen[0] == "chat" || chosen[0] == "superchat", "which was offered");
    for (const auto& one : client.extensions())
        require(one.name == "permessage-deflate" || one.name == "x", "offered");
    require(head.fields.size() <= 100, "limits");
}

}  // namespace

void fuzz::run(byte_view data) {
    input in(data);
    const unsigned kind = in.below(4), seed = in.number();
    std::string text(in.text());
    if (kind != 0)
        text = (kind == 3 ? "HTTP/1.1 100 Continue\r\n\r\n" : std::string()) +
               "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
               (kind == 2 ? "" : "Sec-WebSocket-Accept: " + accept_value + "\r\n") + text + "\r\n\r\n";
    auto whole = started(), split = started();
    const std::size_t consumed = feed(whole, hawser::as_bytes(text), 0);
    const std::size_t in_pieces = feed(split, hawser::as_bytes(text), seed);
    require(whole.state() != status::ready || consumed == in_pieces, "the same bytes at any split");
    require(whole.state() == split.state() && whole.error() == split.error(), "the same verdict at any split");
    require(whole.http_status() == split.http_status() && whole.location() == split.location(), "the same words");
    require(consumed <= 9 * 16 * 1024 && whole.body_head().size() <= ws::client_upgrade::max_body_head_bytes,
            "bounded");
    if (whole.state() == status::ready) judge_taken(std::string_view(text).substr(0, consumed), whole);
    if (whole.state() == status::failed) require(static_cast<bool>(whole.error()), "a failure has an error");
}

// SPDX-License-Identifier: BSL-1.0
// Upgrade requests: the same verdict at any split, and what is accepted obeys RFC 6455 section 4.2.1 and
// RFC 9112, judged by a plain reading of the bytes.
#include "fuzz.hpp"
#include "http_plain.hpp"

#include <hawser/protocol/ws/server_upgrade.hpp>

namespace ws = hawser::ws;

const fuzz::bug fuzz::planted = bug::second_host_taken;

namespace {

struct seen {
    ws::server_upgrade::status status{};
    std::size_t consumed = 0;
    unsigned http_status = 0;
    std::string target;
    friend bool operator==(const seen&, const seen&) = default;
};

seen feed(ws::server_upgrade& upgrade, hawser::byte_view data, unsigned seed) {
    seen out;
    fuzz::in_pieces(data, seed, [&](const hawser::byte_vector& piece) {
        std::size_t consumed = 0;
        out.status = upgrade.feed(piece, consumed);
        out.consumed += consumed;
        return out.status == ws::server_upgrade::status::need_more;
    });
    out.http_status = upgrade.failure().http_status;
    out.target = upgrade.request().target;
    return out;
}

void judge_accepted(std::string_view text, std::size_t consumed, const ws::upgrade_request& request) {
    using fuzz::require;
    text = text.substr(0, consumed);
    if (text.starts_with("\r\n")) text.remove_prefix(2);  // one empty line may stand before it
    const fuzz::plain_head head(text);
    require(head.well_formed, "the head is clean");
    require(head.first.starts_with("GET ") && head.first.ends_with(" HTTP/1.1"), "GET and HTTP/1.1");
    require(head.values("host").size() == 1 && head.values("host")[0] == request.host, "one Host");
    require(head.values("sec-websocket-key").size() == 1 && head.values("sec-websocket-key")[0].size() == 24,
            "one key");
    require(head.values("sec-websocket-version") == std::vector<std::string>{"13"}, "version 13");
    require(head.values("transfer-encoding").empty(), "no body");
    for (const auto& length : head.values("content-length"))
        require(length.find_first_not_of('0') == std::string::npos && !length.empty(), "no body");
    require(head.lists("upgrade", "websocket") && head.lists("connection", "upgrade"), "it asks for the upgrade");
    require(request.target.starts_with('/') && request.path().find("/../") == std::string_view::npos, "a target");
    require(head.fields.size() <= 100 && consumed <= 16 * 1024 && request.target.size() <= 8 * 1024, "limits");
    require(request.subprotocols.size() <= 32 && request.extension_offers.size() <= 32, "lists are bounded");
}

}  // namespace

void fuzz::run(byte_view data) {
    input in(data);
    const unsigned kind = in.below(4), seed = in.number();
    const std::string_view rest = in.text();
    const std::string_view line = kind == 2 ? rest.substr(0, rest.find('\n')) : "GET /chat?x=1 HTTP/1.1";
    std::string text(rest);
    if (kind != 0) {
        text = std::string(line) +
               "\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
        text += kind == 2 ? rest.substr(std::min(line.size() + 1, rest.size())) : rest;
        text += "\r\n\r\n";
    }
    ws::server_upgrade whole, split;
    const seen result = feed(whole, hawser::as_bytes(text), 0);
    require(result == feed(split, hawser::as_bytes(text), seed), "the same at any split");

    byte_vector answer;
    if (result.status == ws::server_upgrade::status::ready) {
        judge_accepted(text, result.consumed, whole.request());
        const auto& offered = whole.request().subprotocols;
        require(!whole.accept(answer, offered.empty() ? std::string_view() : offered[0]), "it can be accepted");
        const plain_head head(hawser::as_text(answer));
        require(head.well_formed && head.first == "HTTP/1.1 101 Switching Protocols", "the answer is clean");
        require(head.fields.size() == (offered.empty() ? 3u : 4u), "the answer has what it should have");
    } else if (result.status == ws::server_upgrade::status::failed) {
        require(!whole.write_failure(answer), "a failure can be told");
        const plain_head head(hawser::as_text(answer));
        require(head.well_formed && head.first.starts_with("HTTP/1.1 " + std::to_string(result.http_status)),
                "the status");
    }
}

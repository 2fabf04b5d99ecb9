// SPDX-License-Identifier: BSL-1.0
// The four parameters of permessage-deflate (RFC 7692 section 7.1), in offers and answers.
#include <hawser/deflate.hpp>
#include <hawser/protocol/ws/deflate_codec.hpp>
#include <hawser/protocol/ws/client_upgrade.hpp>
#include <hawser/protocol/ws/server_upgrade.hpp>

#include "support/catch.hpp"

#include <string>
#include <vector>

using hawser::deflate_options;
using hawser::errc;
namespace ws = hawser::ws;

namespace {

std::vector<ws::extension> parsed(std::string_view text) {
    std::vector<ws::extension> out;
    REQUIRE(ws::parse_extensions(text, out));
    return out;
}

// What a server with these options answers; empty: it declines.
std::string answered(std::string_view offers, const deflate_options& o = {}) {
    std::unique_ptr<ws::message_codec> codec;
    const std::string answer = hawser::deflate(o)->accept(parsed(offers), nullptr, codec);
    CHECK((codec != nullptr) == !answer.empty());
    return answer;
}

// What follows for a client with these options: "own bits/takeover, peer bits/takeover", or "refused".
std::string confirmed(std::string_view chosen, const deflate_options& o = {}) {
    std::unique_ptr<ws::message_codec> codec;
    const errc e = hawser::deflate(o)->confirm(parsed(chosen), codec);
    if (e != errc{}) return e == errc::bad_extension ? "refused" : "another error";
    if (!codec) return "none";
    const auto& a = static_cast<ws::deflate_codec&>(*codec).agreed();
    const auto side = [](int bits, bool takeover) { return std::to_string(bits) + (takeover ? "+" : "-"); };
    return side(a.own_window_bits, a.own_takeover) + " " + side(a.peer_window_bits, a.peer_takeover);
}

}  // namespace

TEST_CASE("RFC 7692 7.1: what a server answers to an offer", "[ws][deflate]") {
    CHECK(answered("permessage-deflate") == "permessage-deflate");
    CHECK(answered("permessage-deflate; client_max_window_bits") == "permessage-deflate");
    CHECK(answered("permessage-deflate; client_max_window_bits=10") == "permessage-deflate; client_max_window_bits=10");
    CHECK(answered("permessage-deflate; client_max_window_bits=8") == "permessage-deflate; client_max_window_bits=8");
    CHECK(answered("permessage-deflate; server_max_window_bits=10") == "permessage-deflate; server_max_window_bits=10");
    CHECK(answered("permessage-deflate; server_max_window_bits=15") == "permessage-deflate; server_max_window_bits=15");
    CHECK(answered("permessage-deflate; server_no_context_takeover") ==
          "permessage-deflate; server_no_context_takeover");
    CHECK(answered("permessage-deflate; client_no_context_takeover") ==
          "permessage-deflate; client_no_context_takeover");
    CHECK(answered("permessage-deflate; client_max_window_bits=\"12\"; server_no_context_takeover") ==
          "permessage-deflate; server_no_context_takeover; client_max_window_bits=12");
}

TEST_CASE("RFC 7692 7.1: a server's own wishes; a client is only asked for a window if it offered that",
          "[ws][deflate]") {
    const deflate_options small{.window_bits = 10, .peer_window_bits = 11};
    CHECK(answered("permessage-deflate", small) == "permessage-deflate; server_max_window_bits=10");
    CHECK(answered("permessage-deflate; client_max_window_bits", small) ==
          "permessage-deflate; server_max_window_bits=10; client_max_window_bits=11");
    CHECK(answered("permessage-deflate; client_max_window_bits=9; server_max_window_bits=9", small) ==
          "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9");
    CHECK(answered("permessage-deflate", {.context_takeover = false, .peer_context_takeover = false}) ==
          "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
}

TEST_CASE("H18, RFC 7692 7.1: a server declines an offer with a parameter that is wrong, and takes the next",
          "[ws][deflate]") {
    for (const std::string_view bad : {"server_no_context_takeover=1",
                                       "client_no_context_takeover=true",
                                       "server_max_window_bits",
                                       "server_max_window_bits=7",
                                       "server_max_window_bits=16",
                                       "server_max_window_bits=09",
                                       "server_max_window_bits=0",
                                       "server_max_window_bits=1",
                                       "server_max_window_bits=100",
                                       "server_max_window_bits=1x",
                                       "server_max_window_bits=1-",
                                       "server_max_window_bits=25",
                                       "client_max_window_bits=7",
                                       "client_max_window_bits=16",
                                       "client_max_window_bits=08",
                                       "client_max_window_bits=+9",
                                       "unknown",
                                       "unknown=1",
                                       "Server_No_Context_Takeover",
                                       "server_no_context_takeover; server_no_context_takeover",
                                       "client_max_window_bits; client_max_window_bits=10",
                                       "server_max_window_bits=10; server_max_window_bits=10"}) {
        CAPTURE(bad);
        const std::string offer = "permessage-deflate; " + std::string(bad);
        CHECK(answered(offer).empty());
        CHECK(answered(offer + ", permessage-deflate; server_no_context_takeover") ==
              "permessage-deflate; server_no_context_takeover");
    }
    CHECK(answered("x-webkit-deflate-frame").empty());
    CHECK(answered("permessage-bzip2, permessage-deflate") == "permessage-deflate");
    CHECK(answered("permessage-deflate; server_max_window_bits=10, permessage-deflate") ==
          "permessage-deflate; server_max_window_bits=10");
}

TEST_CASE("zlib has no window of 256 bytes: a server declines to compress with it", "[ws][deflate]") {
    CHECK(answered("permessage-deflate; server_max_window_bits=8").empty());
    CHECK(answered("permessage-deflate; server_max_window_bits=8, permessage-deflate") == "permessage-deflate");
}

TEST_CASE("RFC 7692 7.1: what a client offers", "[ws][deflate]") {
    CHECK(hawser::deflate()->offer() == "permessage-deflate; client_max_window_bits");
    CHECK(hawser::deflate({.window_bits = 10, .peer_window_bits = 11})->offer() ==
          "permessage-deflate; server_max_window_bits=11; client_max_window_bits=10");
    CHECK(hawser::deflate({.context_takeover = false, .peer_context_takeover = false})->offer() ==
          "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits");
}

TEST_CASE("RFC 7692 7.1: what follows for a client from the server's answer", "[ws][deflate]") {
    CHECK(confirmed("") == "none");
    CHECK(confirmed("permessage-deflate") == "15+ 15+");
    CHECK(confirmed("permessage-deflate; server_no_context_takeover") == "15+ 15-");
    CHECK(confirmed("permessage-deflate; client_no_context_takeover") == "15- 15+");
    CHECK(confirmed("permessage-deflate; server_max_window_bits=9; client_max_window_bits=12") == "12+ 9+");
    CHECK(confirmed("permessage-deflate; server_max_window_bits=8") == "15+ 9+");
    CHECK(confirmed("permessage-deflate", {.window_bits = 10}) == "10+ 15+");
    CHECK(confirmed("permessage-deflate", {.context_takeover = false}) == "15- 15+");
}

TEST_CASE("C6, RFC 7692 7.1: a client refuses an answer that its offer does not allow", "[ws][deflate]") {
    CHECK(confirmed("permessage-deflate; client_max_window_bits") == "refused");
    CHECK(confirmed("permessage-deflate; server_max_window_bits") == "refused");
    CHECK(confirmed("permessage-deflate; server_max_window_bits=16") == "refused");
    CHECK(confirmed("permessage-deflate; server_no_context_takeover=1") == "refused");
    CHECK(confirmed("permessage-deflate; unknown") == "refused");
    CHECK(confirmed("permessage-deflate; server_max_window_bits=9; server_max_window_bits=9") == "refused");
    CHECK(confirmed("permessage-deflate, permessage-deflate") == "refused");
    CHECK(confirmed("permessage-deflate; client_max_window_bits=11", {.window_bits = 10}) == "refused");
    CHECK(confirmed("permessage-deflate", {.peer_window_bits = 10}) == "refused");
    CHECK(confirmed("permessage-deflate; server_max_window_bits=11", {.peer_window_bits = 10}) == "refused");
    CHECK(confirmed("permessage-deflate; server_max_window_bits=10", {.peer_window_bits = 10}) == "15+ 10+");
    CHECK(confirmed("permessage-deflate", {.peer_context_takeover = false}) == "refused");
}

TEST_CASE("zlib has no window of 256 bytes: a client that is held to it sends all messages as they are",
          "[ws][deflate]") {
    std::unique_ptr<ws::message_codec> codec;
    REQUIRE(hawser::deflate()->confirm(parsed("permessage-deflate; client_max_window_bits=8"), codec) == errc{});
    ws::gather_buffer out;
    CHECK_FALSE(codec->compress(out, true, hawser::as_bytes(std::string(1000, 'a')), {}));
    CHECK(out.empty());
}

TEST_CASE("deflate: options outside of their ranges are named", "[ws][deflate]") {
    CHECK(deflate_options().problems().empty());
    const deflate_options bad{.level = 0, .memory_level = 10, .window_bits = 8, .peer_window_bits = 16, .min_size = 0};
    CHECK(bad.problems().size() == 5);
    CHECK_THROWS_AS(hawser::deflate(bad), hawser::option_error);
    CHECK(deflate_options{.window_bits = 8}.problems() ==
          std::vector<std::string>{"window_bits is 8, but must be between 9 and 15"});
}

TEST_CASE("deflate: each end of any pair of options understands the other", "[ws][deflate]") {
    for (const int own : {9, 12, 15})
        for (const int peer : {9, 12, 15})
            for (const bool takeover : {false, true})
                for (const bool peer_takeover : {false, true}) {
                    const deflate_options client{.window_bits = own,
                                                 .peer_window_bits = peer,
                                                 .context_takeover = takeover,
                                                 .peer_context_takeover = peer_takeover};
                    for (const deflate_options& server :
                         {deflate_options{}, deflate_options{.window_bits = 10, .peer_window_bits = 10},
                          deflate_options{.context_takeover = false},
                          deflate_options{.peer_context_takeover = false}}) {
                        std::unique_ptr<ws::message_codec> near, far;
                        const auto answer =
                            hawser::deflate(server)->accept(parsed(hawser::deflate(client)->offer()), nullptr, far);
                        CAPTURE(answer);
                        REQUIRE(hawser::deflate(client)->confirm(parsed(answer), near) == errc{});
                        const auto& a = static_cast<ws::deflate_codec&>(*near).agreed();
                        const auto& b = static_cast<ws::deflate_codec&>(*far).agreed();
                        CHECK(a.own_window_bits <= b.peer_window_bits);
                        CHECK(b.own_window_bits <= a.peer_window_bits);
                        CHECK((!a.own_takeover || b.peer_takeover));
                        CHECK((!b.own_takeover || a.peer_takeover));
                    }
                }
}

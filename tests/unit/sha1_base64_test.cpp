// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <hawser/protocol/ws/accept_key.hpp>

#include <string>
#include <string_view>

using namespace hawser;

namespace {

std::string hex_sha1(std::string_view text) {
    constexpr char digits[] = "0123456789abcdef";
    std::string out;
    for (const auto byte : ws::sha1(as_bytes(text))) {
        out += digits[std::to_integer<unsigned>(byte) >> 4];
        out += digits[std::to_integer<unsigned>(byte) & 15];
    }
    return out;
}

std::string decoded(std::string_view text) {
    byte_vector out;
    return ws::base64_decode(text, out) ? std::string(as_text(out)) : "refused";
}

}  // namespace

TEST_CASE("SHA-1: known answers of FIPS 180", "[upgrade]") {
    CHECK(hex_sha1("") == "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    CHECK(hex_sha1("abc") == "a9993e364706816aba3e25717850c26c9cd0d89d");
    CHECK(hex_sha1("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
          "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    CHECK(hex_sha1(std::string(1000000, 'a')) == "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

TEST_CASE("SHA-1: lengths around the end of a block", "[upgrade]") {
    CHECK(hex_sha1(std::string(55, 'a')) == "c1c8bbdc22796e28c0e15163d20899b65621d65a");
    CHECK(hex_sha1(std::string(56, 'a')) == "c2db330f6083854c99d4b5bfb6e8f29f201be699");
    CHECK(hex_sha1(std::string(63, 'a')) == "03f09f5b158a7a8cdad920bddc29b81c18a551f5");
    CHECK(hex_sha1(std::string(64, 'a')) == "0098ba824b5c16427bd7a1122a5a442a25ec644d");
    CHECK(hex_sha1(std::string(65, 'a')) == "11655326c708d70319be2610e8a57d9a5b959d3b");
}

TEST_CASE("RFC 6455 1.3: the accept key of the example", "[upgrade]") {
    CHECK(ws::accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST_CASE("base64: known answers of RFC 4648 section 10, both ways", "[upgrade]") {
    constexpr std::string_view pairs[][2] = {{"", ""},
                                             {"f", "Zg=="},
                                             {"fo", "Zm8="},
                                             {"foo", "Zm9v"},
                                             {"foob", "Zm9vYg=="},
                                             {"fooba", "Zm9vYmE="},
                                             {"foobar", "Zm9vYmFy"}};
    for (const auto& [plain, coded] : pairs) {
        CHECK(ws::base64_encode(as_bytes(plain)) == coded);
        CHECK(decoded(coded) == plain);
    }
}

TEST_CASE("base64: all bytes survive, at each length", "[upgrade]") {
    std::string all;
    for (int i = 0; i < 256; ++i) {
        all += static_cast<char>(i);
        CHECK(decoded(ws::base64_encode(as_bytes(all))) == all);
    }
}

TEST_CASE("base64: strict about padding, alphabet and unused bits", "[upgrade]") {
    for (const char* text : {"Zg", "Zg=", "Zg===", "Z===", "====", "Zg==Zg==", "Zm=v", "Zm9v\n", " Zg=", "Zm-_",
                             "Zh==", "Zm9=", "Z=g=", "Zm9vZ"}) {
        INFO(text);
        CHECK(decoded(text) == "refused");
    }
}

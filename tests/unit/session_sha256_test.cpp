// SPDX-License-Identifier: BSL-1.0
#include <hawser/protocol/session/sha256.hpp>

#include "support/catch.hpp"
#include "support/session_frames.hpp"

#include <string>

using namespace session_test;

TEST_CASE("rule 18: SHA-256 gives the values of FIPS 180-4", "[session]") {
    const auto of = [](std::string_view text) { return hex(session::sha256(hawser::as_bytes(text))); };
    CHECK(of("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    CHECK(of(std::string(1'000'000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    // Each place of the padding.
    CHECK(of(std::string(55, 'a')) == "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
    CHECK(of(std::string(56, 'a')) == "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a");
    CHECK(of(std::string(64, 'a')) == "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
}
TEST_CASE("rule 18: hashes are compared as a whole", "[session]") {
    const auto a = session::sha256(filled<32>(1));
    for (std::size_t i = 0; i < a.size(); ++i) {
        auto b = a;
        CHECK(session::equal_in_constant_time(a, b));
        b[i] ^= std::byte{0x10};
        CHECK_FALSE(session::equal_in_constant_time(a, b));
    }
}

// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <hawser/transfer/codec.hpp>

#include <string>
#include <vector>

namespace transfer = hawser::transfer;
using hawser::byte_vector;
using hawser::byte_view;

namespace {

template <class Message>
byte_vector encoded(const Message& m) {
    byte_vector out;
    transfer::encode(out, m);
    return out;
}
template <class Message>
Message again(const Message& m, byte_vector& bytes) {
    bytes = encoded(m);
    const auto decoded = transfer::decode(bytes);
    REQUIRE(decoded);
    REQUIRE(std::holds_alternative<Message>(*decoded));
    return std::get<Message>(*decoded);
}
// All messages, one of each kind.
std::vector<byte_vector> samples() {
    transfer::key_type key{};
    key.fill(std::byte{7});
    hawser::digest128 digest{};
    digest.fill(std::byte{9});
    return {encoded(transfer::offer{1, key, 1'000'000, "name", hawser::as_bytes("meta")}), encoded(transfer::offer{1, key, {}, "n", {}}),
            encoded(transfer::accept{2, 0, {}, 5}), encoded(transfer::accept{2, 300, digest, 500}),
            encoded(transfer::refuse{3, transfer::reason::too_big, "why"}), encoded(transfer::begin{4, 300}),
            encoded(transfer::chunk{5, 128, hawser::as_bytes("bytes")}), encoded(transfer::end{6, 1234, digest}), encoded(transfer::done{7}),
            encoded(transfer::cancel{8, transfer::reason::source, ""}), encoded(transfer::stop{9, transfer::reason::no_space, "full"}),
            encoded(transfer::credit{UINT64_MAX, UINT64_MAX})};
}

}  // namespace

TEST_CASE("transfer codec: each message is the same once encoded and decoded") {
    byte_vector bytes;
    transfer::key_type key{};
    key[15] = std::byte{1};
    const auto o = again(transfer::offer{0x0102030405060708, key, 70'000, "a name", hawser::as_bytes("m")}, bytes);
    CHECK(o.id == 0x0102030405060708);
    CHECK(o.key == key);
    CHECK(o.size == 70'000);
    CHECK(o.name == "a name");
    CHECK(hawser::as_text(o.metadata) == "m");
    CHECK(!again(transfer::offer{1, key, std::nullopt, "x", {}}, bytes).size);
    const auto a = again(transfer::accept{1, 10, hawser::digest128{std::byte{3}}, 90}, bytes);
    CHECK((a.from == 10 && a.digest[0] == std::byte{3} && a.limit == 90));
    const auto c = again(transfer::chunk{1, transfer::max_size, hawser::as_bytes("x")}, bytes);
    CHECK((c.offset == transfer::max_size && hawser::as_text(c.bytes) == "x"));
    const auto s = again(transfer::stop{1, static_cast<transfer::reason>(200), "text"}, bytes);
    CHECK(s.text == "text");
    CHECK(transfer::error_of(s.why) == hawser::errc::transfer_refused);
}

TEST_CASE("transfer codec: a message that is cut anywhere, or longer than it is, is malformed") {
    for (const auto& whole : samples()) {
        REQUIRE(transfer::decode(whole));
        const bool chunk = whole[0] == std::byte{5};
        for (std::size_t n = 0; n < whole.size(); ++n) {
            // A chunk's bytes may be fewer, but not none.
            const bool good = transfer::decode(byte_view(whole).first(n)).has_value();
            CHECK(good == (chunk && n > whole.size() - 5));
        }
        auto longer = whole;
        longer.push_back(std::byte{0});
        CHECK(transfer::decode(longer).has_value() == chunk);
    }
}

TEST_CASE("transfer codec: what cannot be is malformed") {
    CHECK(!transfer::decode({}));
    byte_vector unknown(9, std::byte{0});
    CHECK(!transfer::decode(unknown));
    unknown[0] = std::byte{11};
    CHECK(!transfer::decode(unknown));
    const std::string long_name(transfer::max_name_size + 1, 'n');
    CHECK(!transfer::decode(encoded(transfer::offer{1, {}, 1, long_name, {}})));
    const byte_vector metadata(transfer::max_metadata_size + 1);
    CHECK(!transfer::decode(encoded(transfer::offer{1, {}, 1, "n", metadata})));
    CHECK(!transfer::decode(encoded(transfer::offer{1, {}, transfer::max_size + 1, "n", {}})));
    CHECK(!transfer::decode(encoded(transfer::begin{1, transfer::max_size + 1})));
    CHECK(!transfer::decode(encoded(transfer::accept{1, 10, {}, 9})));  // credit below what is there
    auto flag = encoded(transfer::offer{1, {}, std::nullopt, "n", {}});
    flag[25] = std::byte{2};
    CHECK(!transfer::decode(flag));
}

TEST_CASE("transfer codec: a long text is cut to what the other side takes") {
    const std::string text(1000, 't');
    byte_vector bytes;
    CHECK(again(transfer::cancel{1, transfer::reason::cancelled, text}, bytes).text.size() == transfer::max_text_size);
}

// SPDX-License-Identifier: BSL-1.0
// Memory of messages is used again, by thread and within its limit.
#include "support/catch.hpp"

#include <hawser/core/message.hpp>

#include <thread>
#include <vector>

namespace {

using hawser::message;
using hawser::message_kind;

const void* address_of(const message& m) { return m.bytes().data(); }

// What this thread kept before the test does not count.
struct fresh_limit {
    explicit fresh_limit(std::size_t bytes) {
        message::keep_spare(0);
        message::keep_spare(bytes);
    }
    ~fresh_limit() { message::keep_spare(hawser::detail::spare_messages::default_limit); }
};

}  // namespace

TEST_CASE("a message takes the memory of one of about its size that was freed before", "[message]") {
    const fresh_limit limit(4096);
    message first = message::allocate(100, message_kind::binary);
    const void* const where = address_of(first);
    first = {};
    const message larger = message::allocate(300, message_kind::binary);
    CHECK(address_of(larger) != where);
    const message second = message::allocate(90, message_kind::text);
    CHECK(address_of(second) == where);
    CHECK(second.is_text());
    CHECK(second.compressible());
    CHECK(second.size() == 90);
}

TEST_CASE("shared bytes are freed by the last handle and not before", "[message]") {
    const fresh_limit limit(4096);
    message first = message::binary(hawser::as_bytes("shared"));
    message second = first;
    first = {};
    const message other = message::binary(hawser::as_bytes("others"));
    CHECK(address_of(other) != address_of(second));
    CHECK(second.text() == "shared");
}

TEST_CASE("no more memory of messages is kept than the limit says", "[message]") {
    const fresh_limit limit(128);  // two blocks of 64 bytes
    std::vector<message> messages(3);
    for (message& m : messages) m = message::allocate(8, message_kind::binary);
    std::vector<const void*> where;
    for (message& m : messages) where.push_back(address_of(m));
    messages.clear();  // the third goes back to the allocator
    const message a = message::allocate(8, message_kind::binary), b = message::allocate(8, message_kind::binary);
    CHECK(address_of(a) == where[1]);
    CHECK(address_of(b) == where[0]);
}

TEST_CASE("a block is hardly larger than what is asked for", "[message]") {
    using hawser::detail::spare_messages;
    std::size_t before = 0;
    for (std::size_t bytes = 1; bytes <= spare_messages::max_block + 1; ++bytes) {
        const std::size_t taken = spare_messages::taken_for(bytes);
        const std::size_t extra = bytes <= spare_messages::max_small ? spare_messages::step - 1 : bytes / 8;
        if (taken < bytes || taken > bytes + extra || taken < before) FAIL(bytes << " bytes take " << taken);
        before = taken;
    }
    // Powers of two, with what a message adds, take no more than its rounding.
    for (std::size_t size = 64; size <= 64 * 1024; size *= 2) CHECK(message::allocate(size, message_kind::binary).footprint() <= size + 96);
}

TEST_CASE("memory of messages of up to 64 KiB is kept", "[message]") {
    const auto size = GENERATE(as<std::size_t>{}, 8, 1024, 1025, 1100, 16 * 1024, 40'000, 64 * 1024);
    const fresh_limit limit(128 * 1024);
    message first = message::allocate(size, message_kind::binary);
    const void* const where = address_of(first);
    first = {};
    const message other = message::allocate(size < 64 ? 200 : size / 2, message_kind::binary);
    CHECK(address_of(other) != where);
    CHECK(address_of(message::allocate(size, message_kind::binary)) == where);
}

TEST_CASE("a message may be freed on another thread than it was made on, also where that ends", "[message]") {
    const fresh_limit limit(4096);
    message m = message::binary(hawser::as_bytes("from here"));
    bool same = false;
    std::thread([&] {
        const void* const where = address_of(m);
        message::keep_spare(4096);
        m = {};
        same = address_of(message::binary(hawser::as_bytes("over there"))) == where;
    }).join();
    CHECK(same);
    CHECK(message::binary(hawser::as_bytes("here again")).text() == "here again");
}

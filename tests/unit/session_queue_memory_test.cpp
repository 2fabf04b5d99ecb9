// SPDX-License-Identifier: BSL-1.0
// What the limit of a queue counts, beside what the process takes.
#include "support/catch.hpp"

#include <hawser/protocol/session/outbox.hpp>

#include <algorithm>
#include <fstream>
#include <string>

#if defined(__linux__)
#include <unistd.h>
#endif
#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace {

namespace session = hawser::session;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool is_measurable = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool is_measurable = false;
#else
constexpr bool is_measurable = true;
#endif
#else
constexpr bool is_measurable = true;
#endif

std::size_t resident_bytes() {
#if defined(__linux__) && defined(__GLIBC__)
    std::size_t all = 0, resident = 0;
    std::ifstream("/proc/self/statm") >> all >> resident;
    return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
#else
    return 0;
#endif
}

// What an earlier test left to the allocator would be used first.
void give_back_memory() {
#if defined(__GLIBC__)
    ::malloc_trim(0);
#endif
}

// Resident bytes for each byte that is counted.
double ratio(const hawser::send_options& usual, bool keyed, std::size_t messages) {
    session::journal log(false);
    session::outbox out(log, {});
    give_back_memory();
    const std::size_t before = resident_bytes();
    hawser::send_options how = usual;
    for (std::size_t i = 0; i < messages; ++i) {
        if (keyed) how.coalesce_key = "instrument number " + std::to_string(i);
        auto m = hawser::message::allocate(200, hawser::message_kind::binary);
        std::fill(m.writable().begin(), m.writable().end(), std::byte{1});
        (void)out.enqueue(std::move(m), how, nullptr, hawser::time_point{});
    }
    REQUIRE(out.queued() == messages);
    const double counted = static_cast<double>(out.queued_bytes());
    return static_cast<double>(resident_bytes() - before) / counted;
}

}  // namespace

TEST_CASE("rule 22: the bytes of a queue are those of the process: 1,000,000 waiting messages of 200 B", "[session][memory]") {
    if (!is_measurable || resident_bytes() == 0) return;
    const double plain = ratio({}, false, 1'000'000);
    CAPTURE(plain);
    CHECK((plain > 0.95 && plain < 1.05));
}

TEST_CASE("rule 22: so are those of messages with priorities, deadlines and keys", "[session][memory]") {
    if (!is_measurable || resident_bytes() == 0) return;
    const double low = ratio({.priority = hawser::message_priority::low}, false, 200'000);
    const double expiring = ratio({.ttl = hawser::seconds{60}}, false, 200'000);
    const double keyed = ratio({.ttl = hawser::seconds{60}}, true, 200'000);
    CAPTURE(low, expiring, keyed);
    CHECK((low > 0.9 && low < 1.1));
    CHECK((expiring > 0.9 && expiring < 1.1));
    CHECK((keyed > 0.9 && keyed < 1.1));
}

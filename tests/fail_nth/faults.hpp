// SPDX-License-Identifier: BSL-1.0
// Which operation fails, and the allocations of the process.
#pragma once

#include <hawser/core/time.hpp>

#include <array>
#include <cstdint>

namespace fail_nth {

// `timer`: a wake-up comes late. `start`: a read, a connect or a wait for room cannot be started for want of memory.
enum class kind : std::uint8_t { allocation, write, read, connect, accept, start, timer, store, random };
inline constexpr std::array<const char*, 9> names{"allocation", "write", "read",  "connect", "accept",
                                                  "start",      "timer", "store", "random"};

struct plan {
    kind what = kind::allocation;
    std::uint64_t nth = 0;  // 0: nothing fails
    bool on = false;        // all that follow fail too, for `span` of virtual time
};

// A fault that goes on ends after this much virtual time.
inline constexpr hawser::duration span = std::chrono::milliseconds{500};

class faults {
public:
    static void begin(plan p, bool explain) noexcept;
    static void stop() noexcept { active_ = false; }
    // Counts the operation; true: it is to fail.
    [[nodiscard]] static bool due(kind k) noexcept;
    [[nodiscard]] static bool happened() noexcept { return happened_; }
    [[nodiscard]] static std::uint64_t count(kind k) noexcept { return counts_[static_cast<std::size_t>(k)]; }
    // Blocks allocated and not freed.
    [[nodiscard]] static long live() noexcept { return live_; }

    static inline hawser::time_point now{};  // virtual
    static inline bool armed = false;        // the code that runs is the library's
    static inline long live_ = 0;

private:
    static inline plan plan_{};
    static inline bool active_ = false, happened_ = false, explain_ = false;
    static inline hawser::time_point until_{};
    static inline std::array<std::uint64_t, names.size()> counts_{};
    static void show() noexcept;
};

// What is being executed: allocations of the simulation and of the test itself never fail.
template <bool Library>
struct executing {
    executing() noexcept : before(faults::armed) { faults::armed = Library; }
    executing(const executing&) = delete;
    executing& operator=(const executing&) = delete;
    ~executing() { faults::armed = before; }
    bool before;
};
using library_code = executing<true>;
using test_code = executing<false>;

}  // namespace fail_nth

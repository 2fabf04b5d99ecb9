// SPDX-License-Identifier: BSL-1.0
// Counts every allocation of the program that includes this, once: malloc and its relatives are replaced, and
// operator new calls them. For glibc, which keeps its own under other names.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace bench {

inline std::atomic<std::uint64_t> allocation_count{0};
inline std::uint64_t allocations() noexcept { return allocation_count.load(std::memory_order_relaxed); }
inline void forget_allocations() noexcept { allocation_count.store(0, std::memory_order_relaxed); }
inline void note_allocation() noexcept { allocation_count.fetch_add(1, std::memory_order_relaxed); }

}  // namespace bench

#if defined(__GLIBC__)
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* old, std::size_t size);

void* malloc(std::size_t size) {
    bench::note_allocation();
    return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
    bench::note_allocation();
    return __libc_calloc(count, size);
}
void* realloc(void* old, std::size_t size) {
    bench::note_allocation();
    return __libc_realloc(old, size);
}
}
#endif

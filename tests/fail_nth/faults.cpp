// SPDX-License-Identifier: BSL-1.0
#include "fail_nth/faults.hpp"

#include <dlfcn.h>
#include <execinfo.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>

namespace fail_nth {
namespace {

// A strand of Asio that cannot allocate to schedule itself ends the process or stays locked for ever;
// nothing above it could mend that. With Asio's recycling it hardly ever allocates there.
bool of_strand_itself() noexcept {
    void* frames[10];
    const int n = ::backtrace(frames, 10);
    for (int i = 2; i < n; ++i) {
        Dl_info info{};
        if (::dladdr(frames[i], &info) == 0 || info.dli_sname == nullptr) continue;
        if (std::strstr(info.dli_sname, "strand_executor_service7invoker")) return true;
        if (std::strstr(info.dli_sname, "hawser") || std::strstr(info.dli_sname, "do_complete")) return false;
    }
    return false;
}

void* allocate(std::size_t size, std::size_t alignment) noexcept {
    if (faults::armed) {
        const test_code counting;
        if (faults::due(kind::allocation)) return nullptr;
    }
    const std::size_t rounded = (size + alignment - 1) / alignment * alignment;
    void* p = alignment <= alignof(std::max_align_t)
                  ? std::malloc(size == 0 ? 1 : size)
                  : std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded);
    if (p) ++faults::live_;
    return p;
}
void* allocate_or_throw(std::size_t size, std::size_t alignment) {
    if (void* p = allocate(size, alignment)) return p;
    throw std::bad_alloc();
}
void release(void* p) noexcept {
    if (!p) return;
    --faults::live_;
    std::free(p);
}

}  // namespace

void faults::begin(plan p, bool explain) noexcept {
    plan_ = p;
    active_ = true;
    happened_ = false;
    explain_ = explain;
    counts_ = {};
    void* warm[4];
    (void)::backtrace(warm, 4);  // its first call allocates
}

bool faults::due(kind k) noexcept {
    if (!active_) return false;
    const bool mine = k == plan_.what && plan_.nth != 0;
    if (k == kind::allocation && mine && counts_[0] + 1 >= plan_.nth && of_strand_itself()) return false;
    const std::uint64_t n = ++counts_[static_cast<std::size_t>(k)];
    if (!mine || n < plan_.nth) return false;
    if (n == plan_.nth) until_ = now + span;
    if (n > plan_.nth && (!plan_.on || now >= until_)) return false;
    happened_ = true;
    if (explain_) show();
    return true;
}

void faults::show() noexcept {
    void* frames[24];
    const int n = ::backtrace(frames, 24);
    static constexpr char line[] = "---- fails here\n";
    (void)!::write(2, line, sizeof line - 1);
    ::backtrace_symbols_fd(frames + 3, n > 3 ? n - 3 : 0, 2);
}

}  // namespace fail_nth

using fail_nth::allocate;
using fail_nth::allocate_or_throw;
inline constexpr std::size_t usual = alignof(std::max_align_t);

void* operator new(std::size_t n) { return allocate_or_throw(n, usual); }
void* operator new[](std::size_t n) { return allocate_or_throw(n, usual); }
void* operator new(std::size_t n, std::align_val_t a) { return allocate_or_throw(n, static_cast<std::size_t>(a)); }
void* operator new[](std::size_t n, std::align_val_t a) { return allocate_or_throw(n, static_cast<std::size_t>(a)); }
void* operator new(std::size_t n, const std::nothrow_t&) noexcept { return allocate(n, usual); }
void* operator new[](std::size_t n, const std::nothrow_t&) noexcept { return allocate(n, usual); }
void* operator new(std::size_t n, std::align_val_t a, const std::nothrow_t&) noexcept {
    return allocate(n, static_cast<std::size_t>(a));
}
void* operator new[](std::size_t n, std::align_val_t a, const std::nothrow_t&) noexcept {
    return allocate(n, static_cast<std::size_t>(a));
}
void operator delete(void* p) noexcept { fail_nth::release(p); }
void operator delete[](void* p) noexcept { fail_nth::release(p); }
void operator delete(void* p, std::size_t) noexcept { fail_nth::release(p); }
void operator delete[](void* p, std::size_t) noexcept { fail_nth::release(p); }
void operator delete(void* p, std::align_val_t) noexcept { fail_nth::release(p); }
void operator delete[](void* p, std::align_val_t) noexcept { fail_nth::release(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { fail_nth::release(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { fail_nth::release(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { fail_nth::release(p); }
void operator delete[](void* p, const std::nothrow_t&) noexcept { fail_nth::release(p); }

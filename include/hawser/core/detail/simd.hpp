// SPDX-License-Identifier: BSL-1.0
/// \file
/// Which vector instructions this processor has, asked at run time.
#pragma once

#include <hawser/core/config.hpp>

#include <cstdint>

// The kernels are written with the vectors of GCC and Clang, which cost no header. Windows is left
// out: GCC does not align vectors of 32 bytes on its stack, and clang-cl links no CPU detection.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(_WIN32)
#define HAWSER_X86_KERNELS 1
#else
#define HAWSER_X86_KERNELS 0
#endif

namespace hawser::inline v0 {
namespace detail {

enum class simd : std::uint8_t { portable, ssse3, avx2 };

/// The best that the processor and its operating system support. Two loads and tests: the C runtime
/// has asked the processor before `main`, and a call even before that gets `portable`.
[[nodiscard]] inline simd best_simd() noexcept {
#if HAWSER_X86_KERNELS
    if (__builtin_cpu_supports("avx2")) return simd::avx2;
    if (__builtin_cpu_supports("ssse3")) return simd::ssse3;
#endif
    return simd::portable;
}

}  // namespace detail
}  // namespace hawser::inline v0

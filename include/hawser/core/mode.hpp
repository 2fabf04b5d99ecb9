// SPDX-License-Identifier: BSL-1.0
/// \file
/// Header-only and separately compiled parts of one program do not link together.
#pragma once

#include <hawser/core/config.hpp>

// `HAWSER_SEPARATE_COMPILATION` is defined for the users of the compiled library, by its CMake
// target and its pkg-config file. It changes no type and no name, only who compiles the code, so
// a mixture would link without a word and keep one of two copies by chance. The linker is
// made to refuse it, on ELF: a header-only file defines the symbol below as an alias of an inline
// variable. That is a strong definition inside the variable's COMDAT group, so any number of such
// files share one. The compiled library defines the symbol outside of any group, and each file
// compiled for it refers to it, which pulls that definition in: two definitions.
// (Inline assembly could do the same, but not in link-time optimisation, where Clang sees a
// definition per file.)
#if defined(__ELF__) && defined(__GNUC__)

extern "C" {
#if defined(HAWSER_SEPARATE_COMPILATION)
__attribute__((visibility("hidden"))) extern const char hawser_v0_separate_compilation;
__attribute__((visibility("hidden"))) extern const char hawser_v0_mixes_header_only_with_separate_compilation;
#else
__attribute__((visibility("hidden"), used)) inline const char hawser_v0_header_only = 0;
__attribute__((visibility("hidden"), alias("hawser_v0_header_only"))) extern const char
    hawser_v0_mixes_header_only_with_separate_compilation;
#endif
}

#if defined(HAWSER_SEPARATE_COMPILATION)
namespace hawser::inline v0::detail {
__attribute__((visibility("hidden"), used)) inline const char* const separate_compilation =
    &hawser_v0_separate_compilation;
}  // namespace hawser::inline v0::detail
#endif

#elif defined(_MSC_VER)

#if defined(HAWSER_SEPARATE_COMPILATION)
#pragma detect_mismatch("hawser_v0_mode", "separate compilation")
#else
#pragma detect_mismatch("hawser_v0_mode", "header-only")
#endif

#endif

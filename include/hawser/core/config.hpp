// SPDX-License-Identifier: BSL-1.0
/// \file
/// Version numbers, and the inline namespace that every name of the library lives in.
#pragma once

///@{
/// The version of these headers.
#define HAWSER_VERSION_MAJOR 0
#define HAWSER_VERSION_MINOR 1
#define HAWSER_VERSION_PATCH 0
#define HAWSER_VERSION_STRING "0.1.0"
///@}

#if !defined(__cplusplus) || __cplusplus < 202002L
#if !defined(_MSVC_LANG) || _MSVC_LANG < 202002L
#error "hawser needs C++20: compile with -std=c++20 or newer"
#endif
#endif

#if !defined(__cpp_exceptions) && !defined(_CPPUNWIND)
#error "hawser needs exceptions: compile what includes it without -fno-exceptions (docs/packages.md)"
#endif

///@{
/// Internal: for the short common case of a function, and for the long rare one, where the compiler would weigh them
/// alike. Without optimisation nothing is forced into its callers: a debugger can stop there, and each branch is one.
#if defined(__GNUC__) && defined(__OPTIMIZE__)
#define HAWSER_IN_LINE __attribute__((always_inline))
#else
#define HAWSER_IN_LINE
#endif
#if defined(__GNUC__)
#define HAWSER_OUT_OF_LINE __attribute__((noinline))
#else
#define HAWSER_OUT_OF_LINE
#endif
///@}

/// Internal: a function that is compiled once where the library is, and is inline header-only.
#if defined(HAWSER_SEPARATE_COMPILATION)
#define HAWSER_COMPILED_ONCE
#else
#define HAWSER_COMPILED_ONCE inline
#endif

/// The inline namespace is part of every mangled name, so that two incompatible
/// versions of the library in one program fail at link time and not at run time.
namespace hawser::inline v0 {}

// SPDX-License-Identifier: BSL-1.0
// The component hawser::deflate, for HAWSER_SEPARATE_COMPILATION.
#include <hawser/core/mode.hpp>
#include <hawser/deflate_members.hpp>

#if !defined(HAWSER_SEPARATE_COMPILATION)
#error "src/deflate.cpp is compiled for HAWSER_SEPARATE_COMPILATION only: configure with that option"
#endif

#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# usage: check_modes.sh HEADER_ONLY_PREFIX SEPARATE_PREFIX COMPILER...
# Files of one mode link and run, the modes do not link with one another, and no type differs.
# A COMPILER is a command with its options, in one argument.
set -euo pipefail

here="$(dirname "${BASH_SOURCE[0]}")"
header_only="$1" separate="$2"
shift 2
symbol=hawser_v0_mixes_header_only_with_separate_compilation
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

flags() { # flags MODE --cflags|--libs
  PKG_CONFIG_PATH="$(dirname "$(find "${!1}" -name hawser.pc)")" pkg-config "$2" hawser
}
link_files() { # link_files OUTPUT FIRST SECOND
  # shellcheck disable=SC2046,SC2086
  $compiler "$work/first.$2.o" "$work/second.$3.o" -o "$work/$1" $(flags separate --libs)
}

launcher="$(command -v ccache || true)"
for compiler in "$@"; do
  for mode in header_only separate; do
    for source in first second; do
      # shellcheck disable=SC2046,SC2086
      $launcher $compiler -std=c++20 $(flags $mode --cflags) -c "$here/$source.cpp" -o "$work/$source.$mode.o"
    done
    # Header-only files do not take the library in, even where it is given to the linker.
    link_files $mode $mode $mode
    "$work/$mode" >"$work/$mode.types"
  done
  cmp "$work/header_only.types" "$work/separate.types"
  for mixture in "header_only separate" "separate header_only"; do
    # shellcheck disable=SC2086
    if link_files mixed $mixture 2>"$work/message"; then
      echo "$compiler: $mixture linked"
      exit 1
    fi
    grep -q "\(multiple definition of\|duplicate symbol:\).*$symbol" "$work/message" || {
      cat "$work/message"
      exit 1
    }
  done
  printf -- '-- %s: each mode runs, the same types, a mixture fails with:\n' "$compiler"
  grep -m 1 "$symbol" "$work/message" | sed "s|$work/||g"
done

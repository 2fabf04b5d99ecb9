#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""docs/runbook.md has one row for each error code, with the kind and the cause that the headers give it."""
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parents[2]
errc = (root / "include/hawser/core/errc.hpp").read_text()
cause = (root / "include/hawser/core/error_cause.hpp").read_text()
runbook = (root / "docs/runbook.md").read_text()
problems = []


def function(source, head):
    return source.split(head, 1)[1].split("\n}\n", 1)[0]


def classes(body, type_name):
    """{code: class} of a switch whose cases are followed by `return type_name::class;`."""
    found = {}
    for cases, result in re.findall(rf"((?:\s*case errc::\w+:)+)\s*return {type_name}::(\w+);", body):
        for code in re.findall(r"errc::(\w+)", cases):
            found[code] = result
    return found


codes = re.findall(r"^    (\w+) = \d+,", function(errc, "enum class errc {").split("\n};")[0], re.M)
kinds = classes(function(errc, "constexpr condition condition_of("), "condition")
causes = classes(function(cause, "constexpr error_cause cause_of("), "error_cause")
rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (\w+) \| (.+?) \| (.+?) \|$", runbook, re.M)
listed = [row[0] for row in rows]

if len(codes) < 60:
    sys.exit(f"only {len(codes)} codes were found in errc.hpp: the search is broken")
for code in codes:
    if listed.count(code) != 1:
        problems.append(f"{code}: {listed.count(code)} rows, but there must be one")
for code, kind, why, library, operator in rows:
    if code not in codes:
        problems.append(f"{code}: not a code of errc.hpp")
        continue
    if kind != kinds.get(code):
        problems.append(f"{code}: kind {kind}, but errc.hpp says {kinds.get(code)}")
    if why != causes.get(code):
        problems.append(f"{code}: cause {why}, but error_cause.hpp says {causes.get(code)}")
    if min(len(library), len(operator)) < 10:
        problems.append(f"{code}: a row says what the library does and what to do")

print("\n".join(problems) if problems else f"{len(codes)} codes, each with its row")
sys.exit(1 if problems else 0)

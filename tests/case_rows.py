# SPDX-License-Identifier: BSL-1.0
"""Counts the tests that prove a row of bad input, abuse and faults, by the letter of the row: H is the HTTP
upgrade, C a client's answer, T TLS, F frames, D compression, R the network and resources, S sessions. The name of a test begins
with its rows, as in "F1 to F4, F7: ...", or has one in brackets. In the same way it counts the rules of the session layer,
1 to 25, as in "rule 6: ..." or "rules 9 and 13: ...", and names those without a test.
Usage: case_rows.py FOLDER-OF-THE-TEST-PROGRAMS [--rows]"""
import collections
import pathlib
import re
import subprocess
import sys


OTHER_PROGRAMS = {"hawser_fail_nth": ["R6: each allocation and each call of the system fails"]}  # not Catch2's


def names(program):
    if program.name in OTHER_PROGRAMS:
        return OTHER_PROGRAMS[program.name]
    for how in (["--list-test-names-only"], ["--list-tests", "--verbosity", "quiet"]):  # Catch2 2 and 3
        listed = subprocess.run([program, *how], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
        if listed.strip():
            return listed.splitlines()
    return []


LETTERS = "HCTFDRSQ"


def rows(name):
    """The rows that a name speaks of."""
    head = name.split(":")[0] + " " + " ".join(re.findall(r"\(([A-Z]\d+)\)", name))
    for letter, first, last in re.findall(rf"\b([{LETTERS}])(\d+)(?: to \1(\d+))?\b", head):
        yield from (letter + str(n) for n in range(int(first), int(last or first) + 1))


def rules(name):
    """The rules of the session layer that a name speaks of."""
    for listed in re.findall(r"\brules? (\d+(?:(?:, | and | to )\d+)*)", name):
        for first, last in re.findall(r"(\d+)(?: to (\d+))?", listed):
            yield from range(int(first), int(last or first) + 1)


RULES = range(1, 26)
tests, found, of_rule = collections.Counter(), collections.defaultdict(set), collections.Counter()
folder = pathlib.Path(sys.argv[1])
for program in [*sorted(folder.glob("hawser_*_tests")), *(folder / name for name in OTHER_PROGRAMS if (folder / name).exists())]:
    for name in names(program):
        of = set(rows(name))
        for row in of:
            found[row[0]].add(row)
        tests.update({row[0] for row in of})
        of_rule.update(set(rules(name)))
print("cases: " + ", ".join(f"{len(found[letter])} rows {letter} in {tests[letter]} tests" for letter in LETTERS))
missing = [str(rule) for rule in RULES if rule not in of_rule]
print(f"rules of the session: {len(RULES) - len(missing)} of {len(RULES)} have tests" + (f"; none: {', '.join(missing)}" if missing else ""))
if "--rows" in sys.argv:
    print(*(f"rule {rule}: {of_rule[rule]}" for rule in RULES), sep=", ")
    for letter in LETTERS:
        print(*sorted(found[letter], key=lambda row: int(row[1:])))

# SPDX-License-Identifier: BSL-1.0
"""Branches that tests take, by gcov's own JSON: branches.py FOLDER-OF-OBJECTS PART-OF-PATH [--fail-under PERCENT]

Edges of exceptions are left out. (gcovr loses what they are where a unit never executes the function.) The instances of
a template, and a function in several units, are one: what one of them takes counts as taken. Lists what is not."""
import argparse
import collections
import json
import pathlib
import subprocess
import sys


def functions(objects):
    """All lines of all functions that gcov knows of."""
    for data in sorted(objects.resolve().rglob("*.gcda")):
        done = subprocess.run(["gcov", "-b", "-c", "-i", "-t", str(data)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              cwd=data.parent, check=False)
        for text in done.stdout.splitlines():
            if text.startswith(b"{"):
                for file in json.loads(text)["files"]:
                    yield file["file"], file["lines"]


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("objects", type=pathlib.Path)
parser.add_argument("part")
parser.add_argument("--fail-under", type=float, default=0)
given = parser.parse_args()
# A branch is known by its place in its line.
taken = collections.defaultdict(lambda: collections.defaultdict(int))
for name, lines in functions(given.objects):
    if given.part not in name:
        continue
    for line in lines:
        for place, branch in enumerate(one for one in line["branches"] if not one["throw"]):
            taken[name, line["line_number"]][place] += branch["count"]
files = collections.defaultdict(lambda: [0, 0])
for (name, number), branches in sorted(taken.items()):
    short = name.split(given.part, 1)[1]
    files[short][0] += len(branches)
    untaken = sum(1 for count in branches.values() if count == 0)
    files[short][1] += untaken
    if untaken:
        source = pathlib.Path(name).read_text(encoding="utf-8").splitlines()[number - 1].strip()
        print(f"{short}:{number}: {untaken} of {len(branches)} not taken: {source[:100]}")
all_branches = sum(total for total, _ in files.values())
missing = sum(untaken for _, untaken in files.values())
percent = 100 * (all_branches - missing) / max(all_branches, 1)
print(f"{given.part}: {all_branches - missing} of {all_branches} branches are taken: {percent:.1f} %")
sys.exit(0 if percent >= given.fail_under and all_branches else 1)

#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Every C++ block of the documents stands, word for word, in a source that is compiled."""
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parents[2]


def normal(text):
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())


sources = [normal(p.read_text()) for folder in ("examples", "tests") for p in sorted((root / folder).rglob("*.cpp"))]
documents = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
blocks = missing = 0
for document in documents:
    for block in re.findall(r"```cpp\n(.*?)```", document.read_text(), re.S):
        blocks += 1
        if not any(normal(block) in source for source in sources):
            missing += 1
            print(f"{document.relative_to(root)}: this block is compiled nowhere:\n{block}")
if blocks == 0:
    sys.exit("no C++ block was found: the search is broken")
print(f"{blocks} blocks, {missing} not compiled")
sys.exit(1 if missing else 0)

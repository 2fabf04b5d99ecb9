# SPDX-License-Identifier: BSL-1.0
"""How long a compiler takes for an echo server: ours and Beast's, in turn."""
import os
import re
import subprocess
from statistics import median

from servers import Failed

SOURCES = {
    "hawser": "examples/echo_server/echo_server.cpp",
    "Beast": "benchmarks/peers/beast.cpp",
}
MODES = {"-O2": ["-O2", "-c", "-o", os.devnull], "syntax only": ["-fsyntax-only"]}


def compiler(build):
    found = re.search(r"^CMAKE_CXX_COMPILER:\w+=(.+)$", (build / "CMakeCache.txt").read_text(), re.M)
    return found.group(1) if found else "c++"


def user_seconds(command):
    before = os.times().children_user
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"{command[-1]} does not compile: {done.stderr.strip().splitlines()[0]}")
    return os.times().children_user - before


def measure(root, build, rounds):
    base = [compiler(build), "-std=c++20", "-DNDEBUG", "-DASIO_STANDALONE", f"-I{root / 'include'}"]
    samples = {mode: {name: [] for name in SOURCES} for mode in MODES}
    for _ in range(rounds):
        for mode, flags in MODES.items():
            for name, source in SOURCES.items():
                samples[mode][name].append(user_seconds([*base, *flags, str(root / source)]))
    return {mode: {name: median(runs) for name, runs in row.items()} for mode, row in samples.items()}


def text(results):
    lines = ["Compile time of an echo server, user seconds:"]
    for mode, row in results.items():
        lines.append(f"  {mode}: hawser {row['hawser']:.1f}, Beast {row['Beast']:.1f}, ratio {row['hawser'] / row['Beast']:.2f}")
    return "\n".join(lines)

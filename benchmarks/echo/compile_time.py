# SPDX-License-Identifier: BSL-1.0
"""How long a compiler takes for an echo server: ours with the compiled library and header-only, and Beast's, in turn."""
import os
import re
import subprocess
from statistics import median

from servers import Failed

OURS = "examples/echo_server/echo_server.cpp"
# The source, and what its users are compiled with.
SOURCES = {
    "compiled library": (OURS, ["-DHAWSER_SEPARATE_COMPILATION"]),
    "header-only": (OURS, []),
    "Beast": ("benchmarks/peers/beast.cpp", []),
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
            for name, (source, defines) in SOURCES.items():
                samples[mode][name].append(user_seconds([*base, *defines, *flags, str(root / source)]))
    return {mode: {name: median(runs) for name, runs in row.items()} for mode, row in samples.items()}


def text(results):
    lines = ["Compile time of an echo server, user seconds; of hawser with the compiled library and header-only:"]
    for mode, row in results.items():
        figures = (f"{name} {seconds:.1f} ({seconds / row['Beast']:.2f} of Beast)" for name, seconds in row.items() if name != "Beast")
        lines.append(f"  {mode}: {', '.join(figures)}, Beast {row['Beast']:.1f}")
    return "\n".join(lines)

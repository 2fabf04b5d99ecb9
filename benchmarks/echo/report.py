# SPDX-License-Identifier: BSL-1.0
"""The tables."""
import datetime
import os
import platform
import subprocess
from pathlib import Path

from servers import FLOOR, REFERENCE, compiler_flags


def machine():
    model = next((line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    compiler = subprocess.run(["c++", "--version"], capture_output=True, text=True).stdout.splitlines()
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "compiler": compiler[0] if compiler else "?",
        "load_average": os.getloadavg()[0],
    }


def grid_lines(header, rows):
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    align = [str.ljust] + [str.rjust] * (len(header) - 1)
    draw = lambda row: "| " + " | ".join(f(cell, w) for f, cell, w in zip(align, row, widths)) + " |"
    rule = "|" + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths)) + "|"
    return [draw(header), rule, *map(draw, rows)]


def three_digits(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def cpu_table(results, names):
    rows = [[row["work"], *(three_digits(row["servers"][n]["cpu_us"]) for n in names)] for row in results]
    return ["Server CPU per message, microseconds (size / connections / in flight on each):", "",
            *grid_lines(["work", *names], rows)]


def ratio_table(results, names, key, to):
    names = [n for n in names if n != to]
    cell = lambda row, n: f"{row['servers'][n][key]:.2f}"
    rows = [[row["work"], *(cell(row, n) for n in names)] for row in results]
    return [f"The same as a ratio to {to} (median of the rounds' ratios):", "", *grid_lines(["work", *names], rows)]


def latency_table(results, names):
    rows = [[row["work"], *(three_digits(row["servers"][n]["p50_us"]) for n in names)] for row in results if row["depth"] == 1]
    return ["Round trip, median, microseconds:", "", *grid_lines(["work", *names], rows)] if rows else []


def syscall_table(counts, names):
    rows = [[work, *(f"{row[n]:.2f}" for n in names)] for work, row in counts.items()]
    return ["System calls of the server per message:", "", *grid_lines(["work", *names], rows)] if rows else []


def server_lines(servers, build):
    lines = ["Servers:"]
    for s in servers:
        flags = compiler_flags(build, s.source)
        lines.append(f"  {s.name}: {s.source}{'; ' + s.note if s.note else ''}{'; ' + flags if flags else ''}")
    return lines


def text(report, servers, build):
    names = [s.name for s in servers]
    m = report["machine"]
    results = report["results"]
    parts = [[f"{m['date']}, {m['cores']} cores of {m['cpu']}, Linux {m['kernel']}, {m['compiler']}; "
              f"{report['rounds']} rounds of {report['seconds']} s; load average at the start {m['load_average']:.1f}"],
             server_lines(servers, build), cpu_table(results, names)]
    for key, to in (("to_floor", FLOOR), ("to_reference", REFERENCE)):
        if to in names:
            parts.append(ratio_table(results, names, key, to))
    parts += [latency_table(results, names), syscall_table(report["syscalls"], names)]
    checked = report["verified"]
    parts.append([f"Verified: {sum(checked.values()):,} messages byte by byte, none wrong."])
    return "\n\n".join("\n".join(p) for p in parts if p)

# SPDX-License-Identifier: BSL-1.0
"""./run bench: our echo server beside the floor and beside other libraries, in one interleaved run."""
import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import budgets
import compile_time
import picture
import report
from grid import GRID
from measure import count_syscalls, measure, say, verify
from whole import PARTS, measure_whole
from servers import Failed, Load, given_server, known_servers

ROOT = Path(__file__).resolve().parents[2]


def arguments():
    p = argparse.ArgumentParser(prog="./run bench", description=__doc__.partition(": ")[2])
    p.add_argument("--build", type=Path, default=ROOT / "build/release", help=argparse.SUPPRESS)
    p.add_argument("--quick", action="store_true", help="one short round: whether it works, not how fast it is")
    p.add_argument("--json", action="store_true", help="one JSON object instead of the tables")
    p.add_argument("--seconds", type=float, help="of each measurement (default 1, quick 0.2)")
    p.add_argument("--rounds", type=int, help="how often all servers take their turn (default 5, quick 1)")
    p.add_argument("--work", action="append", metavar="TEXT", help="only works whose name contains TEXT; repeatable")
    p.add_argument("--server", action="append", metavar="NAME", help="only these servers and --peer; repeatable")
    p.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND",
                   help="one more echo server; COMMAND contains {port}; repeatable")
    p.add_argument("--grid", action="store_true", help="the grid alone, without fan-out, sessions, memory and the others")
    p.add_argument("--skip", action="append", default=[], choices=[*PARTS, "compile_time"], help="not this one beside the grid; repeatable")
    p.add_argument("--picture", type=Path, metavar="FILE", help="also draws the grid as SVG")
    p.add_argument("--again", type=Path, metavar="FILE", help="measures nothing: the tables and the picture of a --json run")
    p.add_argument("--micro", action="store_true", help="instead: the parts, by Google Benchmark")
    p.add_argument("--compile-time", action="store_true", help="instead: how long the compiler takes for an echo server")
    a = p.parse_args()
    a.seconds = a.seconds or (0.2 if a.quick else 1.0)
    a.rounds = a.rounds or (1 if a.quick else 5)
    return a


def chosen_servers(a):
    known = known_servers(a.build)
    unknown = set(a.server or []) - {s.name for s in known}
    if unknown:
        raise Failed(f"no server '{unknown.pop()}'; there are: {', '.join(s.name for s in known)}")
    wanted = [s for s in known if not a.server or s.name in a.server]
    built = [s for s in wanted if Path(s.command[0]).exists()]
    for s in wanted:
        if s not in built:
            say(f"{s.name}: left out, its library was not found when this was built")
    return built + [given_server(text) for text in a.peer]


def chosen_grid(a):
    grid = [w for w in GRID if not a.work or any(text in w.name for text in a.work)]
    if not grid:
        raise Failed(f"no work is named so; there are: {'; '.join(w.name for w in GRID)}")
    return grid


def measured(a):
    servers, grid, load = chosen_servers(a), chosen_grid(a), Load(a.build)
    if not servers:
        raise Failed("no server is left to measure")
    result = {"machine": report.machine(), "seconds": a.seconds, "rounds": a.rounds,
              "servers": [report.server_line(s, a.build) for s in servers]}
    say("Verifying")
    result["verified"] = verify(load, servers, grid, min(a.seconds, 0.3))
    say(f"Measuring: {len(servers)} servers, {len(grid)} works, {a.rounds} rounds of {a.seconds} s")
    result["results"] = measure(load, servers, grid, a.seconds, a.rounds)
    result["syscalls"] = {} if a.quick else count_syscalls(load, servers, grid, min(a.seconds, 0.3))
    if not (a.grid or a.work or a.server):
        result["parts"], result["failures"] = measure_whole(a)
        if not a.quick and "compile_time" not in a.skip:
            result["compile_time"] = compile_time.measure(ROOT, a.build, 1)
    result["machine"]["load_average_end"] = os.getloadavg()[0]
    return result


def echo_benchmark(a):
    result = json.loads(a.again.read_text()) if a.again else measured(a)
    result["budgets"] = list(budgets.judged(result))
    if a.picture:
        a.picture.write_text(picture.draw(result))
    return result


def micro_benchmarks(a):
    program = a.build / "benchmarks/hawser_micro_benchmarks"
    if not program.exists():
        raise Failed("Google Benchmark was not found when this was built")
    options = ["--benchmark_format=json"] if a.json else []
    if a.quick:
        options.append("--benchmark_min_time=0.01")
    return subprocess.run([str(program), *options]).returncode


def main():
    a = arguments()
    try:
        if a.micro:
            return micro_benchmarks(a)
        if a.compile_time:
            times = compile_time.measure(ROOT, a.build, 1 if a.quick else 3)
            print(json.dumps(times) if a.json else compile_time.text(times))
        else:
            result = echo_benchmark(a)
            print(json.dumps(result) if a.json else report.text(result))
            return 1 if result.get("failures") else 0
    except Failed as e:
        say(f"bench: {e}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

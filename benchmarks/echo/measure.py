# SPDX-License-Identifier: BSL-1.0
"""Runs servers against the grid: once with every message verified, then in interleaved rounds."""
import sys
from statistics import median

from servers import FLOOR, REFERENCE


def say(text):
    print(text, file=sys.stderr, flush=True)


def verify(load, servers, grid, seconds):
    """Compares every byte that every server echoes; raises at the first difference. Returns how many messages."""
    checked = {}
    for server in servers:
        checked[server.name] = sum(
            load.run(server, work, seconds, warmup=0, verify_every=1)["messages"] for work in grid)
        say(f"  {server.name}: {checked[server.name]:,} messages, every byte compared")
    return checked


def measure(load, servers, grid, seconds, rounds):
    """A B C, A B C, ...: what disturbs the machine for a while disturbs all of them."""
    results = []
    for work in grid:
        samples = {server.name: [] for server in servers}
        for _ in range(rounds):
            for server in servers:
                samples[server.name].append(load.run(server, work, seconds))
        results.append(summary(work, samples))
        say(f"  {work.name}: done")
    return results


def ratio(samples, name, to):
    """Median of the rounds' ratios of CPU time; None without the other."""
    if to not in samples:
        return None
    key = "server_cpu_us_per_message"
    pairs = [(a[key], b[key]) for a, b in zip(samples[name], samples[to])]
    return median(a / b for a, b in pairs if b > 0) if any(b > 0 for _, b in pairs) else None


def summary(work, samples):
    servers = {}
    for name, runs in samples.items():
        middle = {key: median(run[key] for run in runs) for key in runs[0]}
        servers[name] = {
            "cpu_us": middle["server_cpu_us_per_message"],
            "cpu_us_samples": [run["server_cpu_us_per_message"] for run in runs],
            "to_floor": ratio(samples, name, FLOOR),
            "to_reference": ratio(samples, name, REFERENCE),
            "p50_us": middle["p50_us"],
            "messages_per_s": middle["messages_per_s"],
            "server_busy": middle["server_busy"],
            "load_busy": middle["load_busy"],
        }
    return {"work": work.name, "size": work.size, "connections": work.connections, "depth": work.depth,
            "text": work.text, "servers": servers}


def count_syscalls(load, servers, grid, seconds):
    """Adds syscalls per message to each work's name; empty where perf is not there."""
    counts = {}
    for work in grid:
        row = {server.name: load.syscalls_per_message(server, work, seconds) for server in servers}
        if None in row.values():
            return {}
        counts[work.name] = row
    return counts

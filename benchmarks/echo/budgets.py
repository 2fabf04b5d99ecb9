# SPDX-License-Identifier: BSL-1.0
"""What we aim at, beside what a run has measured."""
from servers import FLOOR, REFERENCE

# Work of the grid: at most so much of the floor's CPU time, and of Beast's.
GRID_BUDGETS = {
    "20 B / 50 / 16": (1.10, 0.08),
    "20 B / 50 / 1": (1.07, 0.75),
    "125 B / 500 / 1": (1.07, 0.75),
    "1 KiB text / 50 / 16": (1.35, 0.08),
    "16 KiB / 50 / 1": (0.95, 0.70),
    "64 KiB / 50 / 1": (0.85, 0.65),
    "64 KiB text / 10 / 1": (1.25, 0.20),
    "1 MiB / 1 / 1": (0.92, 1.00),
}
LATENCY_BUDGET = (1.05, 0.80)  # of the median round trip at 20 B / 50 / 1


def grid_rows(results):
    for row in results:
        ours = row["servers"].get("hawser")
        if not ours or row["work"] not in GRID_BUDGETS:
            continue
        for key, to, most in zip(("to_floor", "to_reference"), (FLOOR, REFERENCE), GRID_BUDGETS[row["work"]]):
            yield row["work"], to, most, ours[key], True
        if row["work"] == "20 B / 50 / 1":
            for to, most in zip((FLOOR, REFERENCE), LATENCY_BUDGET):
                if to in row["servers"]:
                    yield "median round trip, 50 connections", to, most, ours["p50_us"] / row["servers"][to]["p50_us"], True


def coroutine_rows(results):
    for row in results:
        both = row["servers"]
        if row["work"] == "20 B / 50 / 16" and {"hawser", "hawser coroutine"} <= set(both):
            pairs = zip(both["hawser coroutine"]["cpu_us_samples"], both["hawser"]["cpu_us_samples"])
            ratios = sorted(a / b for a, b in pairs if b > 0)
            yield "coroutines, 20 B / 50 / 16", "on_message", 1.25, ratios[len(ratios) // 2] if ratios else None, True


# Each: part, work, what it is compared with, the budget, how the part says it, whether less is better.
PART_BUDGETS = [
    ("fan_out", "fan-out 1,000 x 100 B, window 4", FLOOR, 1.20, lambda p: p["ratio"], True),
    ("pieces", "1 MiB in pieces", FLOOR, 0.60, lambda p: p[FLOOR], True),
    ("pieces", "1 MiB in pieces", REFERENCE, 0.75, lambda p: p.get(REFERENCE), True),
    ("sessions", "session, 1 KiB / 50 / 16", "plain", 1.30, lambda p: p["1 KiB / 50 / 16"]["ratio"], True),
    ("sessions", "session, 20 B / 50 / 1", "plain", 1.10, lambda p: p["20 B / 50 / 1"]["ratio"], True),
    ("metrics", "counting metrics, 20 B / 50 / 16", "none", 1.03, lambda p: p["ratio"], True),
    ("memory", "bytes of an idle connection, plain", "", 512, lambda p: p["plain"], True),
    ("memory", "the same with a session", "", 1536, lambda p: p["session"], True),
    ("tls", "the same with TLS", "", 20 * 1024, lambda p: p["hawser"]["idle_bytes"], True),
    ("tls", "TLS echo, 1 KiB / 50 / 16", "raw asio::ssl", 1.10, lambda p: p["echo_ratio"], True),
    ("dedup", "dedup, 1 M ids: a look-up that hits", "std::unordered_set", 0.35, lambda p: to_std(p, "hit"), True),
    ("dedup", "dedup, 1 M ids: a look-up that misses", "std::unordered_set", 0.35, lambda p: to_std(p, "miss"), True),
    ("dedup", "dedup, 1 M ids: an insertion", "std::unordered_set", 0.35, lambda p: to_std(p, "insert_steady"), True),
    ("dedup", "dedup: the longest step of expiry, us", "", 50, lambda p: p["dedup_expire_step"]["longest_us"], True),
    ("links", "from a reset to the first replayed message, ms, p99", "", 5, lambda p: p["p99_ms"], True),
    ("links", "awaited sends a second over a link of 1 ms", "", 400, lambda p: p["awaited_sends_per_s"], False),
    ("durable", "durable messages a second", "bare SQLite", 0.8, lambda p: p["ratio"], False),
    ("allocations", "allocations per message, on_message", "", 0, lambda p: round(p["on_message"]["per_message"], 3), True),
    ("allocations", "allocations per message, coroutines", "", 0, lambda p: round(p["coroutine"]["per_message"], 3), True),
]


def to_std(dedup, what):
    return dedup[f"dedup_{what}"]["cpu_time"] / dedup[f"std_{what}"]["cpu_time"]


def part_rows(result):
    for part, work, to, budget, figure, at_most in PART_BUDGETS:
        if part in result.get("failures", {}):
            yield work, to, budget, None, at_most
        elif result["parts"].get(part):
            yield work, to, budget, figure(result["parts"][part]), at_most


# The budgets are for users of the compiled library. Header-only is listed beside it, against the same figures, which it misses.
def compile_rows(times):
    for mode, budget in (("-O2", 8), ("syntax only", 2.5)):
        for how in ("compiled library", "header-only"):
            if how not in times[mode]:  # runs kept from before they were told apart
                continue
            yield f"echo server, {mode}, {how}, user seconds", "", budget, times[mode][how], True


def all_rows(result):
    """Work, what it is compared with, the budget, the figure, and whether less is better."""
    yield from grid_rows(result["results"])
    yield from coroutine_rows(result["results"])
    if result.get("parts"):
        yield from part_rows(result)
    if result.get("compile_time"):
        yield from compile_rows(result["compile_time"])


def judged(result):
    for work, to, budget, figure, at_most in all_rows(result):
        kept = figure is not None and (figure <= budget if at_most else figure >= budget)
        yield {"work": work, "against": to, "budget": budget, "at_most": at_most, "figure": figure, "kept": kept}

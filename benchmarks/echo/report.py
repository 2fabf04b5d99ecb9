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
    cell = lambda row, n: "–" if row["servers"][n][key] is None else f"{row['servers'][n][key]:.2f}"
    rows = [[row["work"], *(cell(row, n) for n in names)] for row in results]
    return [f"The same as a ratio to {to} (median of the rounds' ratios):", "", *grid_lines(["work", *names], rows)]


def latency_table(results, names):
    rows = [[row["work"], *(three_digits(row["servers"][n]["p50_us"]) for n in names)] for row in results if row["depth"] == 1]
    return ["Round trip, median, microseconds:", "", *grid_lines(["work", *names], rows)] if rows else []


def syscall_table(counts, names):
    rows = [[work, *(f"{row[n]:.2f}" for n in names)] for work, row in counts.items()]
    return ["System calls of the server per message:", "", *grid_lines(["work", *names], rows)] if rows else []


def server_line(s, build):
    flags = compiler_flags(build, s.source) if s.source else ""
    return f"{s.name}: {s.source}{'; ' + s.note if s.note else ''}{'; ' + flags if flags else ''}"


def figure(value):
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 1000 else three_digits(value) if value else "0"


def part_lines(parts, failures):
    """What the parts say beyond the table of budgets."""
    lines = []
    for name, show in PART_LINES.items():
        if name in failures:
            lines.append(f"{name}: failed: {failures[name]}")
        elif parts.get(name):
            lines += show(parts[name])
        elif name in parts:
            lines.append(f"{name}: not measured, what it needs was not built.")
    return lines


def fan_out_lines(p):
    return [f"Fan-out, 1,000 x 100 B, window 4: {figure(p['first_us'])} us per delivery, the floor {figure(p['second_us'])}."]


def piece_lines(p):
    return [f"1 MiB in pieces: {figure(p['us'])} us, " + ", ".join(f"{v:.2f} of {k}" for k, v in p.items() if k != "us") + "."]


def session_lines(p):
    return [f"hawser.v1, {work}: {figure(pair['first_us'])} us, plain {figure(pair['second_us'])}, ratio {pair['ratio']:.2f}."
            for work, pair in p.items()]


def compression_lines(p):
    others = ", ".join(f"{name} {figure(pair['second_us'])} us, ratio {pair['ratio']:.2f}"
                       for name, pair in ((f"{n} compressed" if n != "plain" else "without", v) for n, v in p.items()))
    return [f"permessage-deflate, 1 KiB of JSON / 50 / 16: {figure(p['plain']['first_us'])} us; {others}."]


def metrics_lines(p):
    return [f"Counting metrics, 20 B / 50 / 16: {figure(p['first_us'])} us, without {figure(p['second_us'])}, ratio {p['ratio']:.2f}."]


def memory_lines(p):
    return [f"Resident bytes of an idle connection, {p['connections']:,} of them: "
            + ", ".join(f"{name} {value:,.0f}" for name, value in p.items() if name != "connections") + "."]


def heartbeat_lines(p):
    return [f"A heartbeat: {figure(p['us_per_round'])} us of the server per connection and round, {p['connections']:,} connections."]


def allocation_lines(p):
    return [f"Allocations, {api}: {row['allocations']:,} in {row['messages']:,} messages." for api, row in p.items()]


def thread_lines(p):
    return [f"Threads: {count}; 1 KiB / 50 / 16: {row['messages_per_s']:,.0f} messages a second, "
            f"server on {row['server_busy']:.2f} cores, load on {row['load_busy']:.2f}." for count, row in sorted(p.items(), key=lambda i: int(i[0]))]


def tls_lines(p):
    ours, raw = p["hawser"], p["asio::ssl"]
    lines = [f"TLS, 1 KiB / 50 / 16: {figure(ours['echo_us'])} us, asio::ssl {figure(raw['echo_us'])}; idle {figure(ours['idle_bytes'])} B, "
            f"asio::ssl {figure(raw['idle_bytes'])} B; a handshake {p['handshake_ratio']:.2f} of asio::ssl's."]
    if "handshakes_per_cpu_s_ratio" in p:  # runs kept from before it was counted are shown again without it
        lines.append(f"Full TLS handshakes per second of the server's CPU: {figure(ours['handshakes_per_cpu_s'])} ({ours['handshakes']:,} counted), "
                     f"asio::ssl {figure(raw['handshakes_per_cpu_s'])} ({raw['handshakes']:,}), ratio {p['handshakes_per_cpu_s_ratio']:.2f}.")
    return lines


def dedup_lines(p):
    cost = lambda name: f"{p['dedup_' + name]['cpu_time']:.0f} ns (std::unordered_set {p['std_' + name]['cpu_time']:.0f})"
    return [f"Dedup, 1 M ids: hit {cost('hit')}, miss {cost('miss')}, insertion {cost('insert_steady')}."]


def link_lines(p):
    return [f"From a reset to the first replayed message, {p['resets']} times: median {p['p50_ms']:.2f} ms, p99 {p['p99_ms']:.2f}, "
            f"worst {p['worst_ms']:.2f} (at most 1 ms of backoff in it)."]


def durable_lines(p):
    return [f"Durable sends, {p['bytes']} B, {p['senders']} at once: {p['outbox_per_second']:,.0f} a second, "
            f"SQLite alone in the same batches {p['bare_per_second']:,.0f}; both ends on disk {p['both_ends_per_second']:,.0f}."]


PART_LINES = {"fan_out": fan_out_lines, "pieces": piece_lines, "sessions": session_lines, "compression": compression_lines, "metrics": metrics_lines, "memory": memory_lines,
              "heartbeats": heartbeat_lines, "allocations": allocation_lines, "threads": thread_lines, "tls": tls_lines,
              "dedup": dedup_lines, "links": link_lines, "durable": durable_lines}


def budget_table(rows):
    if not rows:
        return []
    cells = [[r["work"], r["against"], ("<= " if r["at_most"] else ">= ") + f"{r['budget']:g}", figure(r["figure"]),
              "kept" if r["kept"] else "missed"] for r in rows]
    return ["Budgets:", "", *grid_lines(["work", "against", "budget", "here", ""], cells)]


def text(report):
    m = report["machine"]
    results = report["results"]
    names = list(results[0]["servers"])
    parts = [[f"{m['date']}, {m['cores']} cores of {m['cpu']}, Linux {m['kernel']}, {m['compiler']}; "
              f"{report['rounds']} rounds of {report['seconds']} s; load average at the start {m['load_average']:.1f}, "
              f"at the end {m['load_average_end']:.1f}"],
             ["Servers:", *(f"  {line}" for line in report["servers"])], cpu_table(results, names)]
    for key, to in (("to_floor", FLOOR), ("to_reference", REFERENCE)):
        if to in names:
            parts.append(ratio_table(results, names, key, to))
    parts += [latency_table(results, names), syscall_table(report["syscalls"], names)]
    if report.get("parts"):
        parts.append(part_lines(report["parts"], report["failures"]))
    if report.get("compile_time"):
        from compile_time import text as compile_text
        parts.append([compile_text(report["compile_time"])])
    parts.append(budget_table(report["budgets"]))
    checked = report["verified"]
    parts.append([f"Verified: {sum(checked.values()):,} messages byte by byte, none wrong."])
    return "\n\n".join("\n".join(p) for p in parts if p)

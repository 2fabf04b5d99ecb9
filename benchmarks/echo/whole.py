# SPDX-License-Identifier: BSL-1.0
"""What the grid does not show: fan-out, sessions, metrics, memory at rest, allocations, threads, TLS, recovery."""
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from statistics import median

from grid import Work
from measure import say
from servers import FLOOR, REFERENCE, Failed, Load, Server, cores, free_port, known_servers, running, wait_for

FAN_OUT = Work(100, 1000, 4)
SMALL, SINGLE, MIDDLE, LARGE = Work(20, 50, 16), Work(20, 50, 1), Work(1024, 50, 16), Work(1 << 20, 1, 1)
IDLE_CONNECTIONS = 10_000


def our_server(build, *options, name="hawser"):
    return Server(name, (str(build / "benchmarks/bench_server"), "--port", "{port}", *options))


def paired(rounds, first, second):
    """Both in turn, again and again: medians of the CPU time of a message, and of the rounds' ratios."""
    samples = [(first(), second()) for _ in range(rounds)]
    cpu = "server_cpu_us_per_message"
    ratios = [a[cpu] / b[cpu] for a, b in samples if b[cpu] > 0]
    return {"first_us": median(a[cpu] for a, _ in samples), "second_us": median(b[cpu] for _, b in samples),
            "ratio": median(ratios) if ratios else None}


def fan_out(a, build):
    load = Load(build)
    ours, raw = our_server(build, "--broadcast"), Server(FLOOR, (str(build / "benchmarks/raw_epoll"), "{port}", "broadcast"))
    run = lambda server: load.run(server, FAN_OUT, a.seconds, extra=("--fan-out",))
    return paired(a.rounds, lambda: run(ours), lambda: run(raw))


def pieces(a, build):
    """Messages passed on as they come, against whole ones of the others."""
    load, ours = Load(build), our_server(build, "--api", "pieces")
    others = [s for s in known_servers(build) if s.name in ("hawser", FLOOR, REFERENCE) and Path(s.command[0]).exists()]
    samples = [[load.run(s, LARGE, a.seconds)["server_cpu_us_per_message"] for s in (ours, *others)] for _ in range(a.rounds)]
    return {"us": median(row[0] for row in samples),
            **{s.name: median(row[0] / row[i] for row in samples) for i, s in enumerate(others, 1)}}


def sessions(a, build):
    client = Load(build, "bench_client")
    server = our_server(build)
    session = lambda work: client.run(server, work, a.seconds, verify_every=None, extra=("--session",))
    plain = lambda work: client.run(server, work, a.seconds, verify_every=None)
    return {work.name: paired(a.rounds, lambda: session(work), lambda: plain(work)) for work in (MIDDLE, SINGLE, SMALL)}


def compression(a, build):
    """JSON, compressed both ways at the default level with context takeover, against the same without, and against the reference."""
    client = Load(build, "bench_client")
    plain = lambda extra: lambda server: client.run(server, MIDDLE, a.seconds, verify_every=None, extra=("--json", *extra))
    squeezed = plain(("--deflate",))
    ours = Server("hawser", (str(build / "examples/echo_server"), "--port", "{port}", "--api", "on_message", "--deflate"))
    beast = build / "benchmarks/beast"
    result = {"plain": paired(a.rounds, lambda: squeezed(ours), lambda: plain(())(ours))}
    if beast.exists():
        other = Server(REFERENCE, (str(beast), "{port}", "deflate"))
        result[REFERENCE] = paired(a.rounds, lambda: squeezed(ours), lambda: squeezed(other))
    return result


def metrics(a, build):
    load = Load(build)
    run = lambda sink: load.run(our_server(build, "--metrics", sink), SMALL, a.seconds)
    return paired(a.rounds * 2, lambda: run("counting"), lambda: run("none"))


def resident(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def bytes_at_rest(server, command, connections):
    """Growth of the server's resident memory per connection that has had one echo and is silent since."""
    with running(server) as (pid, port):
        before = resident(pid)
        holder = subprocess.Popen([*command(pid, port), "--connections", str(connections), "--milliseconds", "600000"],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            if not holder.stdout.readline():
                raise Failed(f"{server.name}, {connections} idle connections: {holder.stderr.read().strip()}")
            return (resident(pid) - before) / connections
        finally:
            holder.kill()
            holder.wait()


def memory(a, build):
    count = 500 if a.quick else IDLE_CONNECTIONS
    load = lambda pid, port: [str(build / "benchmarks/hawser_load"), "--port", str(port), "--idle", "--warmup", "500"]
    client = lambda pid, port: [str(build / "benchmarks/bench_client"), "--port", str(port), "--server-pid", str(pid),
                                "--idle", "--session", "--warmup", "2000"]
    raw = Server(FLOOR, (str(build / "benchmarks/raw_epoll"), "{port}"))
    return {"connections": count,
            "plain": bytes_at_rest(our_server(build), load, count),
            "coroutine": bytes_at_rest(our_server(build, "--api", "coroutine"), load, count),
            "session": bytes_at_rest(our_server(build), client, count),
            FLOOR: bytes_at_rest(raw, load, count)}


def heartbeats(a, build):
    """CPU of a round of pings and pongs, per connection; one round a second, since nothing else is said."""
    count, seconds = (200, 2) if a.quick else (5_000, 6)
    with running(our_server(build, "--ping-ms", "1000")) as (pid, port):
        client = [str(build / "benchmarks/bench_client"), "--port", str(port), "--server-pid", str(pid), "--idle", "--core", str(cores()[1]),
                  "--warmup", "2000", "--connections", str(count), "--milliseconds", "600000"]
        holder = subprocess.Popen(client, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            if not holder.stdout.readline():
                raise Failed(f"heartbeats: {holder.stderr.read().strip()}")
            before = cpu_ns(pid)
            time.sleep(seconds)
            return {"connections": count, "us_per_round": (cpu_ns(pid) - before) / 1e3 / seconds / count}
        finally:
            holder.kill()
            holder.wait()


def cpu_ns(pid):
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir())


def allocations(a, build):
    """Per message after 100,000 of warm-up: the server counts and tells when it is stopped."""
    load, result = Load(build), {}
    for api in ("on_message", "coroutine"):
        port = free_port()
        command = [word.replace("{port}", str(port)) for word in our_server(build, "--count", "--api", api).command]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            wait_for(process, port, "bench_server")
            load_command = load.command(process.pid, port, SMALL, max(1.0, a.seconds), 0.2, 0)
            subprocess.run(load_command, check=True, capture_output=True)
            process.send_signal(signal.SIGTERM)
            counted = json.loads(process.communicate(timeout=10)[0])
        finally:
            process.kill()
            process.wait()
        if counted["messages"] == 0:
            raise Failed("too slow to get past the warm-up of the count of allocations")
        result[api] = {**counted, "per_message": counted["allocations"] / counted["messages"]}
    return result


def threads(a, build):
    """One thread on a core of its own, then two that share both cores with the load."""
    result = {}
    for count in (1, 2):
        port = free_port()
        command = [word.replace("{port}", str(port)) for word in our_server(build, "--threads", str(count)).command]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            wait_for(process, port, "bench_server")
            if count == 1:
                os.sched_setaffinity(process.pid, {cores()[0]})
            load_command = Load(build).command(process.pid, port, MIDDLE, a.seconds * 2, 0.3, 1000)
            if count > 1:
                at = load_command.index("--core")
                load_command = load_command[:at] + load_command[at + 2:]
            done = subprocess.run(load_command, check=True, capture_output=True, text=True)
            result[count] = json.loads(done.stdout)
        finally:
            process.kill()
            process.wait()
    return result


def tls(a, build):
    program = build / "benchmarks/tls_bench"
    if not program.exists():
        return None
    done = subprocess.run([str(program), "5" if a.quick else "50"], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"tls_bench: {done.stderr.strip()}")
    ratios = re.search(r"ratio: handshake ([\d.]+), echo ([\d.]+)", done.stdout)
    rows = re.findall(r"^(\S+) +([\d.]+) us +\d+/s +([\d.-]+) B +([\d.]+) us$", done.stdout, re.M)
    handshakes = re.search(r"second: asio::ssl (\d+) of (\d+), hawser (\d+) of (\d+), ratio ([\d.]+)", done.stdout)
    by_name = lambda name, column: median(float(row[column]) for row in rows if row[0] == name)
    side = lambda name, group: {"echo_us": by_name(name, 3), "idle_bytes": by_name(name, 2),
                                "handshakes_per_cpu_s": int(handshakes[group]), "handshakes": int(handshakes[group + 1])}
    return {"handshake_ratio": float(ratios[1]), "echo_ratio": float(ratios[2]),
            "handshakes_per_cpu_s_ratio": float(handshakes[5]),
            "hawser": side("hawser", 3), "asio::ssl": side("asio::ssl", 1)}


def program_json(build, name, *arguments):
    """What a program of the benchmark says; None, with a word, where it was not built."""
    path = build / "benchmarks" / name
    if not path.exists():
        say(f"  {name}: left out, it was not built")
        return None
    done = subprocess.run([str(path), *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"{name}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def dedup(a, build):
    path = build / "benchmarks/bench_dedup"
    if a.quick or not path.exists():
        say("  dedup: left out, " + ("it takes too long" if a.quick else "Google Benchmark was not found when this was built"))
        return None
    done = subprocess.run([str(path), "--benchmark_format=json"], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"bench_dedup: {done.stderr.strip()}")
    return {b["name"].partition("/")[0]: b for b in json.loads(done.stdout)["benchmarks"]}


def links(a, build):
    return program_json(build, "bench_links", "20" if a.quick else "300")


def durable(a, build):
    return program_json(build, "durable_bench", "--json", *(("--rounds", "1", "--milliseconds", "200") if a.quick else ()))


PARTS = {part.__name__: part for part in (fan_out, pieces, sessions, compression, metrics, memory, heartbeats, allocations, threads, tls, dedup, links, durable)}


def measure_whole(a):
    """Everything beside the grid. A part that fails is told, and its budgets count as missed."""
    parts, failures = {}, {}
    for name, part in PARTS.items():
        if name in a.skip:
            continue
        begin = time.monotonic()
        try:
            parts[name] = part(a, a.build)
        except (Failed, OSError, subprocess.SubprocessError, ValueError) as e:
            failures[name] = str(e)
            say(f"  {name}: FAILED: {e}")
            continue
        say(f"  {name}: done in {time.monotonic() - begin:.0f} s")
    return parts, failures

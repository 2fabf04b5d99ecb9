# SPDX-License-Identifier: BSL-1.0
"""The servers that are measured, and how one is started, loaded and stopped."""
import json
import os
import shlex
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

FLOOR = "raw epoll"
REFERENCE = "Beast"


class Failed(Exception):
    pass


@dataclass(frozen=True)
class Server:
    name: str
    command: tuple  # {port} stands for the port
    source: str = ""
    note: str = ""  # what it does differently


def known_servers(build):
    bench = build / "benchmarks"
    ours, source = str(build / "examples/echo_server"), "examples/echo_server/echo_server.cpp"
    peers = "benchmarks/peers"
    return [
        Server("hawser", (ours, "--port", "{port}", "--api", "on_message"), source),
        Server("hawser coroutine", (ours, "--port", "{port}", "--api", "coroutine"), source),
        Server(FLOOR, (str(bench / "raw_epoll"), "{port}"), f"{peers}/raw_epoll.cpp", "does not check text"),
        Server(REFERENCE, (str(bench / "beast"), "{port}"), f"{peers}/beast.cpp"),
        Server("websocketpp", (str(bench / "websocketpp"), "{port}"), f"{peers}/websocketpp.cpp"),
        Server("libwebsockets", (str(bench / "libwebsockets"), "{port}"), f"{peers}/libwebsockets.cpp", "does not check text"),
    ]


def given_server(text):
    """NAME=COMMAND, as in --peer."""
    name, equals, command = text.partition("=")
    if not (name and equals and "{port}" in command):
        raise Failed(f"--peer '{text}' must be NAME=COMMAND, and COMMAND must contain {{port}}")
    return Server(name, tuple(shlex.split(command)), "given by --peer")


def compiler_flags(build, source):
    """What the build used for a source, without warnings and paths; empty if it was not built here."""
    commands = json.loads((build / "compile_commands.json").read_text())
    for entry in commands:
        if entry["file"].endswith(source):
            words = shlex.split(entry["command"])
            return " ".join(w for w in words if w.startswith(("-O", "-D", "-std", "-m", "-f")))
    return ""


def cores():
    """One core for the server, one for the load; the same one, or None, where there is no choice."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[1] if len(allowed) > 1 else allowed[0]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(process, port, name):
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if process.poll() is not None:
            raise Failed(f"{name} ended with status {process.returncode} instead of listening")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise Failed(f"{name} did not listen on port {port} within 10 s")


@contextmanager
def running(server):
    """Yields process id and port of the server, pinned to its core."""
    port = free_port()
    command = [word.replace("{port}", str(port)) for word in server.command]
    core = cores()[0]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               preexec_fn=lambda: os.sched_setaffinity(0, {core}))
    try:
        wait_for(process, port, server.name)
        yield process.pid, port
    finally:
        process.kill()
        process.wait()


class Load:
    """Runs a load generator against a server."""

    def __init__(self, build, program="hawser_load"):
        self.program = str(Path(build) / "benchmarks" / program)

    def command(self, pid, port, work, seconds, warmup, verify_every):
        """`verify_every` is None for a program that always does."""
        verify = [] if verify_every is None else ["--verify-every", str(verify_every)]
        return [self.program, "--port", str(port), "--server-pid", str(pid), "--core", str(cores()[1]),
                "--milliseconds", str(max(1, round(seconds * 1000))), "--warmup", str(round(warmup * 1000)),
                *verify, *work.arguments()]

    def run(self, server, work, seconds, warmup=0.2, verify_every=1000, extra=()):
        with running(server) as (pid, port):
            command = [*self.command(pid, port, work, seconds, warmup, verify_every), *extra]
            done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f"{server.name}, {work.name}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def syscalls_per_message(self, server, work, seconds):
        """By perf, where it may count for other processes; None where it may not."""
        with running(server) as (pid, port):
            command = self.command(pid, port, work, seconds, 0, 0)
            try:
                done = subprocess.run(["perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter", "-p", str(pid), "--", *command],
                                      capture_output=True, text=True)
            except FileNotFoundError:
                return None
        counted = done.stderr.strip().split(",")[0]
        if done.returncode != 0 or not counted.isdigit():
            return None
        return int(counted) / max(1, json.loads(done.stdout)["messages"])

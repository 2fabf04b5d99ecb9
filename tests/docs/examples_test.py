#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Each example runs and says what its first lines promise. Usage: examples_test.py FOLDER-OF-THE-PROGRAMS"""
import contextlib
import pathlib
import queue
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading

PROGRAMS = pathlib.Path(sys.argv[1]).resolve()
PATIENCE_S = 60
checks = failed = 0


def check(what, good, detail=""):
    global checks, failed
    checks += 1
    if not good:
        failed += 1
        print(f"FAILED: {what}: {detail}", flush=True)


class Example:
    """A running example: what it prints is waited for, line by line."""

    running = []

    def __init__(self, name, *arguments):
        self.name = name
        self.said = []
        self.lines = queue.Queue()
        self.child = subprocess.Popen([PROGRAMS / name, *map(str, arguments)], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)
        Example.running.append(self)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.child.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def expect(self, text):
        """Waits for a line that contains the text, and counts that as a check. Returns the line."""
        while True:
            try:
                line = self.lines.get(timeout=PATIENCE_S)
            except queue.Empty:
                line = None
            if line is None:
                check(f"{self.name} says '{text}'", False, f"it said {self.said}")
                return ""
            self.said.append(line)
            if text in line:
                check(f"{self.name} says '{text}'", True)
                return line

    def port(self):
        return int(self.expect(" port ").rsplit(" ", 1)[1])

    def say(self, line):
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()

    def ends(self, status, how=None):
        """Ends it by the signal, else by the end of its input, and checks its exit status."""
        if how:
            self.child.send_signal(how)
        else:
            self.child.stdin.close()
        try:
            got = self.child.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            got = "none: it still runs"
        while got == status and (line := self.lines.get()) is not None:
            self.said.append(line)
        check(f"{self.name} ends with {status}", got == status, f"{got}; it said {self.said}")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def chat_and_gateway():
    server = Example("chat_server", 0)
    port = server.port()
    alice = Example("chat_client", f"ws://127.0.0.1:{port}/alice")
    server.expect("* alice is here")
    bob = Example("chat_client", f"ws://127.0.0.1:{port}/bob")
    alice.expect("* bob is here")
    alice.say("hello")
    bob.expect("alice: hello")
    bob.say("hello alice")
    alice.expect("bob: hello alice")

    gateway = Example("gateway", 0, f"ws://127.0.0.1:{port}/sensors")
    plain = gateway.port()
    bob.expect("* sensors is here")
    sensor = Example("feed_client", "--url", f"ws://127.0.0.1:{plain}/", "--subscribe", "kitchen 21")
    bob.expect("sensors: kitchen 21")
    gateway.expect("acknowledged")
    sensor.ends(0, signal.SIGTERM)

    bob.say("bye")
    bob.ends(0)
    check("bob hears nothing of his own", not any("bob:" in line for line in bob.said), bob.said)
    alice.expect("bob: bye")
    alice.expect("* bob has left")

    # The server goes and comes back, without a memory of anybody.
    server.child.kill()
    server.child.wait()
    alice.expect("-- waiting")
    again = Example("chat_server", port)
    again.expect("* alice is here")
    alice.ends(0)
    again.expect("* alice has left")


def hello():
    # Its address is written into it.
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", 9001))
        except OSError:
            print("hello: left out, port 9001 is in use", flush=True)
            return
    server = Example("echo_server", "--port", 9001)
    server.port()
    one = Example("hello")
    one.expect("connecting")
    one.expect("open")
    one.ends(0)
    check("hello", {"received hello", "acknowledged"} <= set(one.said), one.said)
    server.ends(0, signal.SIGTERM)


def echo_and_futures():
    for api in ("coroutine", "on_message"):
        server = Example("echo_server", "--port", 0, "--api", api)
        url = f"ws://127.0.0.1:{server.port()}/"
        Example("echo_client", "--url", url, "--count", 100).expect("100 sent, 100 acknowledged, 100 echoed, 0 wrong")
        Example("echo_client", "--url", url, "--plain").expect("10 sent, 10 written, 10 echoed, 0 wrong")
        client = Example("futures", url)
        client.expect("hello: acknowledged")
        client.ends(0)
        received = sorted(line for line in client.said if line.startswith("received"))
        expected = sorted(["received hello"] + [f"received tick {i} of thread {t}" for i in (1, 2, 3) for t in (1, 2)])
        check("futures: all echoes", received == expected, received)
        server.ends(0, signal.SIGTERM)


def shared_breaker():
    port = free_port()
    pair = Example("shared_breaker", f"ws://127.0.0.1:{port}/")
    told = []
    while len(set(told)) < 2:
        line = pair.expect("circuit breaker is open")
        if not line:
            return
        told.append(line.partition(":")[0])
    # Together they needed no more attempts than one socket alone may make.
    dialled = sum(line.endswith("connecting") for line in pair.said)
    check("shared_breaker: attempts before it opened", dialled <= 6, pair.said)
    server = Example("echo_server", "--port", port)
    server.port()
    opened = {pair.expect(": open").partition(":")[0] for _ in range(2)}
    check("shared_breaker: both are open again", opened == {"orders", "prices"}, opened)
    pair.child.send_signal(signal.SIGTERM)
    pair.expect("the breaker opened")
    pair.ends(0)
    server.ends(0, signal.SIGTERM)


def files():
    with tempfile.TemporaryDirectory() as folder:
        source, target = pathlib.Path(folder, "source"), pathlib.Path(folder, "target")
        source.mkdir()
        target.mkdir()
        contents = {"empty": b"", "small.txt": b"hello", "large.bin": random.Random(1).randbytes(30_000_000)}
        for name, content in contents.items():
            (source / name).write_bytes(content)
        server = Example("receive_files", "--port", 0, "--dir", target)
        port = server.port()
        client = Example("send_file", "--url", f"ws://127.0.0.1:{port}/", *(source / name for name in contents))
        # In the middle of the large one, the receiver is killed and comes back.
        part = []
        while client.child.poll() is None and not (part and part[0].stat().st_size > 1_000_000):
            part = list(target.glob(".large.bin.*.part"))
        killed = client.child.poll() is None
        server.child.kill()
        server.child.wait()
        if killed:
            server = Example("receive_files", "--port", port, "--dir", target)
            server.port()
        client.expect("large.bin: 30000000 bytes")
        client.ends(0)
        if killed:
            check("send_file goes on from the part", not any("30000000 bytes, 0 of them" in line for line in client.said), client.said)
        for name, content in contents.items():
            got = (target / name).read_bytes() if (target / name).exists() else None
            check(f"{name} is there, and right", got == content)
        check("no temporary file is left", not list(target.glob(".*")), list(target.iterdir()))
        server.ends(0, signal.SIGTERM)
        Example("send_file", "--url", "nonsense", source / "empty").ends(2)


def simulation():
    one = Example("simulation")
    one.expect("an order was booked twice")
    one.expect("careful: 500 seeds, nothing found")
    one.ends(0)


def durable():
    with tempfile.TemporaryDirectory() as folder:
        receiver = Example("durable_receiver", "--port", 0, "--store", f"{folder}/received.db")
        url = f"ws://127.0.0.1:{receiver.port()}/"
        for count, before in ((100, 0), (150, 100)):
            sender = Example("durable_sender", "--url", url, "--store", f"{folder}/sent.db", "--count", count, "--bytes", 50)
            sender.expect(f"{before} are in the store, 0 of them not acknowledged yet")
            sender.expect(f"all {count} are acknowledged")
            sender.ends(0)
        receiver.ends(0, signal.SIGTERM)
        with contextlib.closing(sqlite3.connect(f"{folder}/received.db")) as db:
            rows = db.execute("SELECT position, number FROM received ORDER BY position").fetchall()
        check("durable_receiver: 1 to 150, once, in order", rows == [(n, n) for n in range(1, 151)], rows)


def wrong_arguments():
    Example("gateway").ends(2)
    Example("chat_client", "http://nowhere/").ends(2)
    Example("echo_server", "--prot", 1).ends(2)


try:
    for part in (chat_and_gateway, hello, echo_and_futures, shared_breaker, files, simulation, durable, wrong_arguments):
        part()
finally:
    for example in Example.running:
        if example.child.poll() is None:
            example.child.kill()
            example.child.wait()
print(f"{checks} checks, {failed} failed", flush=True)
sys.exit(1 if failed or not checks else 0)

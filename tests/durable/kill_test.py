#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""The promise of a durable store, on real processes: durable_sender and durable_receiver are killed (SIGKILL) at random
moments while links are cut; in the end the receiver's table has each number once, in order.

usage: kill_test.py FOLDER-OF-THE-PROGRAMS [--kills N] [--seed S] [--rate R]"""
import argparse
import contextlib
import pathlib
import random
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time

PATIENCE_S = 60


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Proxy:
    """Forwards connections; holds what they carry, and cuts them all, when it is told to."""

    def __init__(self, target):
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.open = []
        self.cuts = 0
        self.flowing = threading.Event()
        self.flowing.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            one, _ = self.listener.accept()
            try:
                other = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                one.close()
                continue
            with self.lock:
                self.open = [s for s in self.open if s.fileno() >= 0] + [one, other]
            for a, b in ((one, other), (other, one)):
                threading.Thread(target=self._pump, args=(a, b), daemon=True).start()

    def _pump(self, source, target):
        try:
            while data := source.recv(65536):
                self.flowing.wait()
                target.sendall(data)
        except OSError:
            pass
        for s in (source, target):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def cut(self):
        with self.lock:
            ours, self.open = self.open, []
        cut = False
        for s in ours:
            try:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
                s.shutdown(socket.SHUT_RDWR)
                cut = True
            except OSError:
                pass
        self.cuts += cut


class Program:
    """A process that is started again and again."""

    def __init__(self, log, *command):
        self.log = open(log, "w")
        self.command = [str(c) for c in command]
        self.starts = 0
        self.start()

    def start(self):
        self.starts += 1
        self.child = subprocess.Popen(self.command, stdout=self.log, stderr=subprocess.STDOUT)

    def kill(self):
        """Whether it was there to be killed."""
        alive = self.child.poll() is None
        self.child.kill()
        self.child.wait()
        return alive


def window_of(store, folder):
    """Messages that have a number and no acknowledgement, from copies of the store's files."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        for suffix in ("", "-wal"):
            if pathlib.Path(f"{store}{suffix}").exists():
                shutil.copy(f"{store}{suffix}", f"{place}/copy.db{suffix}")
        with contextlib.closing(sqlite3.connect(f"{place}/copy.db")) as db:
            try:
                return db.execute("SELECT count(*) FROM hawser_number WHERE seq > 0").fetchone()[0]
            except sqlite3.OperationalError:
                return 0  # killed before there were tables


def run(arguments, folder):
    rng = random.Random(arguments.seed)
    programs = pathlib.Path(arguments.programs).resolve()
    port = free_port()
    proxy = Proxy(port)
    # More than can be sent while there are kills; what is left is sent afterwards.
    count = arguments.kills * arguments.rate // 2
    sent, received = folder / "sent.db", folder / "received.db"
    receiver = Program(folder / "receiver.log", programs / "durable_receiver", "--port", port, "--store", received)
    sender = Program(folder / "sender.log", programs / "durable_sender", "--url", f"ws://127.0.0.1:{proxy.port}/",
                     "--store", sent, "--count", count, "--bytes", 200, "--rate", arguments.rate)
    kills = {"sender": 0, "receiver": 0}
    with_window = 0
    try:
        while sum(kills.values()) < arguments.kills and sender.child.poll() is None:
            time.sleep(rng.uniform(0.0, 0.1) if rng.random() < 0.2 else rng.uniform(0.1, 0.7))
            # On a link that stands what is sent is acknowledged within a millisecond: little would be in flight.
            if rng.random() < 0.9:
                proxy.flowing.clear()
                time.sleep(rng.uniform(0.01, 0.1))
            if rng.random() < 0.7:
                proxy.cut()
            if rng.random() < 0.5:
                kills["sender"] += sender.kill()
                with_window += window_of(sent, folder) > 0
                sender.start()
            else:
                kills["receiver"] += receiver.kill()
                sender.child.send_signal(signal.SIGSTOP)  # so that its files can be copied
                with_window += window_of(sent, folder) > 0
                sender.child.send_signal(signal.SIGCONT)
                receiver.start()
            proxy.flowing.set()
        seen = sender.child.poll()
        status = sender.child.wait(PATIENCE_S + 2 * count / arguments.rate)
        receiver.child.terminate()
        receiver_status = receiver.child.wait(PATIENCE_S)
    finally:
        for program in (sender, receiver):
            program.child.kill()
            program.child.wait()
    with contextlib.closing(sqlite3.connect(received)) as db:
        rows = db.execute("SELECT position, number FROM received ORDER BY position").fetchall()
    wrong = [row for i, row in enumerate(rows, 1) if row != (i, i)]
    total = sum(kills.values())
    print(f"{total} kills ({kills['sender']} of the sender, {kills['receiver']} of the receiver), {with_window} of them with a "
          f"window that was not empty, {proxy.cuts} cuts; {len(rows)} of {count} numbers received, {len(wrong)} out of place",
          flush=True)
    problems = []
    if seen is not None:
        problems.append("the sender was done before the last kill")
    if status != 0 or receiver_status != 0:
        problems.append(f"the sender ended with {status}, the receiver with {receiver_status}")
    if wrong or len(rows) != count:
        problems.append(f"wrong rows, the first of them: {wrong[:5]}")
    if total < arguments.kills or with_window * 4 < total * 3:
        problems.append("too few kills with a window")
    for problem in problems:
        print(f"FAILED (seed {arguments.seed}): {problem}")
    if problems:
        for name in ("sender", "receiver"):
            print(f"-- {name}\n" + "\n".join((folder / f"{name}.log").read_text().splitlines()[-20:]))
    return 1 if problems else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("programs")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--rate", type=int, default=1000, help="messages a second")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hawser-kill-") as folder:
        return run(arguments, pathlib.Path(folder))


if __name__ == "__main__":
    sys.exit(main())

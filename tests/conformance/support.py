# SPDX-License-Identifier: BSL-1.0
"""What the conformance tests share: the peers' packages, child processes, counted checks."""
import argparse
import fcntl
import hashlib
import json
import os
import pathlib
import queue
import shutil
import signal
import subprocess
import sys
import threading

HERE = pathlib.Path(__file__).resolve().parent
PATIENCE_S = 60  # for one answer; the slowest takes a few seconds with sanitizers
SKIPPED = 77


def skip(why):
    print(f"SKIPPED: {why}", flush=True)
    sys.exit(SKIPPED)


def parse_arguments(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--build-dir", required=True, type=pathlib.Path, help="CMake's build directory")
    build_dir = parser.parse_args().build_dir.resolve()
    for program in (echo_server(build_dir), driver(build_dir)):
        if not program.exists():
            sys.exit(f"{program} is missing: build it first")
    return build_dir


def echo_server(build_dir):
    return build_dir / "examples" / "echo_server"


def driver(build_dir):
    return build_dir / "tests" / "hawser_conformance_driver"


# ---- packages ------------------------------------------------------------------------------


def peers_folder(build_dir):
    """Presets share the packages: build/peers beside build/dev."""
    return (build_dir.parent if build_dir.parent.name == "build" else build_dir) / "peers"


def prepare(folder, inputs, install):
    """Calls `install` unless `folder` was made from the same inputs before. One process at a time."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256("\0".join(inputs).encode()).hexdigest()
    with open(folder.parent / f"{folder.name}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = folder / "stamp"
        if stamp.exists() and stamp.read_text(encoding="ascii") == digest:
            return
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        install()
        stamp.write_text(digest, encoding="ascii")


def run_or_skip(command, cwd, what):
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        skip(f"{what}: {error}")
    if done.returncode != 0:
        skip(f"{what}: {' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def node_with_ws(build_dir):
    """Installs npm's ws; returns the command and the environment that run a script with it."""
    for tool in ("node", "npm"):
        if not shutil.which(tool):
            skip(f"{tool} is not installed, so npm's ws cannot take part")
    folder = peers_folder(build_dir) / "ws"
    files = ("package.json", "package-lock.json")

    def install():
        for name in files:
            shutil.copy(HERE / name, folder)
        run_or_skip(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], folder, "npm could not install ws")

    version = run_or_skip(["node", "--version"], None, "node does not run")
    prepare(folder, [version, *((HERE / name).read_text(encoding="utf-8") for name in files)], install)
    return ["node"], {"NODE_PATH": str(folder / "node_modules")}


def python_with_websockets(build_dir):
    """Installs Python's websockets into a virtual environment; returns as `node_with_ws`."""
    folder = peers_folder(build_dir) / "websockets"
    python = folder / "venv" / "bin" / "python"

    def install():
        run_or_skip([sys.executable, "-m", "venv", folder / "venv"], None,
                    "a virtual environment cannot be made, so Python's websockets cannot take part")
        run_or_skip([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                     "-r", HERE / "requirements.txt"], None, "pip could not install websockets")

    prepare(folder, [sys.version, (HERE / "requirements.txt").read_text(encoding="utf-8")], install)
    return [str(python), "-u"], {}


# ---- processes -----------------------------------------------------------------------------


class Process:
    """A child that is talked to line by line."""

    def __init__(self, command, environment=None):
        self.command = " ".join(map(str, command))
        self.child = subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      text=True, encoding="utf-8", bufsize=1, env={**os.environ, **(environment or {})})
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.child.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def line(self):
        """The next line of its output; None at its end."""
        try:
            return self.lines.get(timeout=PATIENCE_S)
        except queue.Empty:
            return f"(no line from {self.command} within {PATIENCE_S} s)"

    def ask(self, command):
        self.child.stdin.write(command + "\n")
        self.child.stdin.flush()
        return self.line()

    def drain(self):
        """What it has said meanwhile."""
        found = []
        while not self.lines.empty():
            found.append(self.lines.get())
        return found

    def stop(self, how="end of input"):
        """Ends it and returns its exit status."""
        if how == "end of input":
            self.child.stdin.close()
        else:
            self.child.send_signal(how)
        try:
            return self.child.wait(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            return f"still running {PATIENCE_S} s after {how}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()


class EchoServer(Process):
    def __init__(self, build_dir, api):
        super().__init__([echo_server(build_dir), "--port", "0", "--api", api])
        self.url = f"ws://127.0.0.1:{self.line().rsplit(' ', 1)[1]}"


class Listener(Process):
    """The driver as a listener; see driver.cpp."""

    def __init__(self, build_dir, *options):
        super().__init__([driver(build_dir), "serve", *options])
        self.url = f"ws://127.0.0.1:{self.line().rsplit(' ', 1)[1]}"


# ---- checks --------------------------------------------------------------------------------


class Checks:
    def __init__(self, title):
        self.title = title
        self.passed = 0
        self.failed = 0

    def equal(self, name, got, expected):
        self.true(name, got == expected, f"got {got!r}, expected {expected!r}")

    def true(self, name, good, detail=""):
        if good:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED: {self.title}: {name}: {detail}", flush=True)

    def take_report(self, process):
        """Counts the checks of a peer that tells its own as lines of JSON, until it says "end"."""
        before = self.passed + self.failed
        while True:
            line = process.line()
            try:
                said = json.loads(line) if line else None
            except ValueError:
                said = None
            if said is None:
                return self.true("the peer's script ran to its end", False, f"it said {line!r}")
            if "end" in said:
                return self.equal("number of the peer's checks", said["end"], self.passed + self.failed - before)
            self.true(said["check"], said["ok"], said.get("detail", ""))

    def close(self):
        print(f"{self.title}: {self.passed + self.failed} checks, {self.failed} failed", flush=True)
        return self.failed == 0


SIGTERM = signal.SIGTERM

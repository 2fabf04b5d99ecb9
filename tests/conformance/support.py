# SPDX-License-Identifier: BSL-1.0
"""What the conformance tests share: arguments, child processes, counted checks."""
import argparse
import base64
import contextlib
import hashlib
import json
import os
import pathlib
import queue
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

PATIENCE_S = 60  # for one answer; the slowest takes a few seconds with sanitizers


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
        """The next line of its output; None from its end on."""
        try:
            line = self.lines.get(timeout=PATIENCE_S)
        except queue.Empty:
            return f"(no line from {self.command} within {PATIENCE_S} s)"
        if line is None:
            self.lines.put(None)
        return line

    def ask(self, command):
        with contextlib.suppress(OSError):  # it has ended by itself, which the answer says
            self.child.stdin.write(command + "\n")
            self.child.stdin.flush()
        answer = self.line()
        return f"({self.command} has ended)" if answer is None else answer

    def drain(self):
        """What it has said meanwhile."""
        found = []
        while not self.lines.empty():
            found.append(self.lines.get())
        return found

    def stop(self, how="end of input"):
        """Ends it and returns its exit status."""
        if how == "end of input":
            with contextlib.suppress(OSError):  # it has ended by itself
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
    def __init__(self, build_dir, api, port=0, options=()):
        super().__init__([echo_server(build_dir), "--port", port, "--api", api, *options])
        self.port = int(self.line().rsplit(" ", 1)[1])
        self.url = f"wss://localhost:{self.port}" if "--tls" in options else f"ws://127.0.0.1:{self.port}"


class Listener(Process):
    """The driver as a listener; see driver.cpp."""

    def __init__(self, build_dir, *options, secure=None):
        super().__init__([driver(build_dir), "serve", *options], secure.environment if secure else None)
        port = self.line().rsplit(" ", 1)[1]
        self.url = f"wss://localhost:{port}" if secure else f"ws://127.0.0.1:{port}"


# ---- certificates --------------------------------------------------------------------------


class Certificates:
    """An authority and, signed by it, a server called localhost and 127.0.0.1, in files of a folder of their own."""

    NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1"

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="hawser_certificates_")
        folder = pathlib.Path(self._folder.name)
        self.authority, self.chain, self.key = (folder / name for name in ("authority.pem", "chain.pem", "key.pem"))
        authority_key, request, names = (folder / name for name in ("authority.key", "request.pem", "names"))
        names.write_text(self.NAMES, encoding="ascii")
        make = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        openssl(*make, "-x509", "-days", 2, "-subj", "/CN=authority", "-keyout", authority_key, "-out", self.authority)
        openssl(*make, "-subj", "/CN=localhost", "-keyout", self.key, "-out", request)
        openssl("x509", "-req", "-days", 2, "-in", request, "-CA", self.authority, "-CAkey", authority_key, "-CAcreateserial",
                "-extfile", names, "-out", self.chain)
        # OpenSSL and what is built on it, Go and Rust look there for whom to trust; Node.js by a name of its own.
        self.environment = {"SSL_CERT_FILE": str(self.authority), "NODE_EXTRA_CA_CERTS": str(self.authority),
                            "HAWSER_TLS_CHAIN": str(self.chain), "HAWSER_TLS_KEY": str(self.key), "HAWSER_COMPRESSION": "on"}
        self.options = ("--tls", self.chain, self.key, "--deflate")

    def key_hash(self):
        """SHA-256 of the server's public key, in base64."""
        public = ssl.PEM_cert_to_DER_cert(openssl("pkey", "-in", self.key, "-pubout").replace("PUBLIC KEY", "CERTIFICATE"))
        return base64.b64encode(hashlib.sha256(public).digest()).decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._folder.cleanup()


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def until(condition, patience_s=PATIENCE_S):
    """Waits until it holds, not for ever."""
    deadline = time.monotonic() + patience_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)


def openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"FAILED: openssl {arguments[0]}:\n{done.stdout}")
    return done.stdout


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

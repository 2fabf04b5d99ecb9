# SPDX-License-Identifier: BSL-1.0
"""What peers cost echo_server in resident memory: many with compression or TLS, those that do not read, floods, a bomb."""
import contextlib
import json
import pathlib
import re
import resource
import socket
import ssl
import struct
import sys
import time
import zlib

import raw_cases
import runtimes
import support

MANY = 10_000
MIB = 1 << 20
BUDGET = 256 * MIB  # listener_options::max_compression_memory
# Allowed for a connection beside what is budgeted: the system's malloc, the socket's objects.
CONNECTION = 8 * 1024
SLACK = 8 * MIB


def memory(server, name="VmRSS"):
    status = pathlib.Path(f"/proc/{server.child.pid}/status").read_text(encoding="ascii")
    return int(re.search(rf"{name}:\s+(\d+) kB", status).group(1)) * 1024


def forget_peak(server):
    pathlib.Path(f"/proc/{server.child.pid}/clear_refs").write_text("5", encoding="ascii")


def connect(server, compress="", trust=None, receive_buffer=None):
    stream = socket.socket()
    if receive_buffer:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    stream.connect(("127.0.0.1", server.port))
    if trust:
        stream = trust.wrap_socket(stream, server_hostname="localhost")
    connection = raw_cases.Connection(stream, masks=True)
    extension = f"Sec-WebSocket-Extensions: {compress}\r\n" if compress else ""
    stream.sendall(("GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                    f"{extension}\r\n").encode())
    assert connection.read_head().startswith("HTTP/1.1 101 ")
    connection.agree(connection.headers.get("sec-websocket-extensions", ""))
    return connection


def report(checks, name, got, limit, text):
    print(f"{name}: {text}", flush=True)
    checks.true(name, got <= limit, f"{got} bytes, at most {limit} were expected")


def many_compressed(checks, server, count):
    """Each sends and gets a message, so that all that it may hold is allocated; the budget holds for all together."""
    text = json.dumps([{"id": i, "name": f"item {i}", "price": i * 17 % 1000} for i in range(30)]).encode()
    before, kept, kinds = memory(server), [], {"takeover": 0, "without": 0, "none": 0}
    for number in range(count):
        c = connect(server, "permessage-deflate")
        agreed = "sec-websocket-extensions" in c.headers
        kinds["none" if not agreed else "without" if "server_no_context_takeover" in c.agreed else "takeover"] += 1
        if agreed:
            packer = zlib.compressobj(6, zlib.DEFLATED, -15)
            c.send(raw_cases.TEXT, (packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4], rsv=4)
        else:
            c.send(raw_cases.TEXT, text)
        c.expect(raw_cases.TEXT, text)
        c.unzip = None
        kept.append(c)
    grown = memory(server) - before
    report(checks, f"{count} connections that offer compression", grown, BUDGET + count * CONNECTION + SLACK,
           f"{grown / MIB:.0f} MiB; {kinds['takeover']} with takeover, {kinds['without']} without, {kinds['none']} uncompressed")
    checks.true("all kinds of terms were agreed on", min(kinds.values()) > 0, kinds)
    for c in kept:
        c.stream.close()


def idle(checks, server, count, trust=None):
    before = memory(server)
    kept = [connect(server, trust=trust) for _ in range(count)]
    grown = (memory(server) - before) / count
    kind = "TLS connection" if trust else "connection"
    report(checks, f"an idle {kind}, of {count}", grown, (32 if trust else 8) * 1024, f"{grown / 1024:.1f} KiB")
    for c in kept:
        c.stream.close()


def bomb(checks, server, limit):
    """A GiB of zeros: a MiB of them, which refers to nothing before it, again and again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    one = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    c = connect(server, "permessage-deflate")
    forget_peak(server)
    before = memory(server)
    c.send(raw_cases.BINARY, (one * 1024)[:-4], rsv=4)
    c.expect_close(1009)
    grown = memory(server, "VmHWM") - before
    report(checks, "a GiB of zeros, compressed", grown, limit + 4 * MIB, f"{grown / MIB:.1f} MiB at its peak, the limit of a message is {limit / MIB:.0f}")


def stuck(connection, data, most):
    """Sends until nothing is taken any more, or for so many bytes."""
    connection.stream.settimeout(0.5)
    sent = 0
    with contextlib.suppress(TimeoutError, OSError):
        while sent < most:
            sent += connection.stream.send(data)
    return sent


def slow_readers(checks, server, count):
    """Echoes that nobody reads: the output is bounded, then they are not listened to."""
    before = memory(server)
    kept = [connect(server, receive_buffer=4096) for _ in range(count)]
    frames = kept[0].frame(raw_cases.BINARY, b"m" * 60_000) * 4
    sent = sum(stuck(c, frames, 64 * MIB) for c in kept)
    grown = (memory(server) - before) / count
    checks.true("slow readers are not listened to for ever", sent < count * 64 * MIB, sent)
    report(checks, "a peer that sends and does not read", grown, 3 * MIB, f"{grown / 1024:.0f} KiB")
    for c in kept:
        c.stream.close()


def ping_floods(checks, server, count):
    """Below the rate at which they are cut, and nothing is read: for some seconds."""
    before = memory(server)
    kept = [connect(server, receive_buffer=4096) for _ in range(count)]
    pings = kept[0].frame(raw_cases.PING, b"p" * 125) * 90
    for _ in range(20):  # 900 in a second
        for c in kept:
            c.stream.settimeout(1)
            with contextlib.suppress(OSError):
                c.stream.sendall(pings)
        time.sleep(0.1)
    grown = (memory(server) - before) / count
    report(checks, "a peer that sends pings and does not read", grown, 64 * 1024, f"{grown / 1024:.1f} KiB")
    flood = kept[0].frame(raw_cases.PING, b"") * 5000
    for c in kept:
        with contextlib.suppress(OSError):
            c.stream.sendall(flood)
    cut = 0
    for c in kept:
        c.stream.settimeout(raw_cases.PATIENCE_S)
        with contextlib.suppress(OSError, EOFError):
            while True:
                opcode, _, _, payload = c.read_frame()
                if opcode == raw_cases.CLOSE:
                    cut += payload == struct.pack("!H", 1008)
                    break
        c.stream.close()
    checks.equal("floods over the rate are cut with 1008", cut, count)


def descriptors():
    """How many connections are possible: both ends are ours."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most - 100


build_dir = support.parse_arguments(__doc__)
if not pathlib.Path("/proc/self/clear_refs").exists():
    print("SKIPPED: there is no /proc to read memory from")
    sys.exit(runtimes.SKIPPED)
checks = support.Checks("memory of echo_server")
many = min(MANY, descriptors())
with support.EchoServer(build_dir, "on_message", options=("--deflate", "--max-message", 16 * MIB)) as server:
    ping_floods(checks, server, 20)
    bomb(checks, server, 16 * MIB)
    slow_readers(checks, server, 20)
    checks.equal("its status", server.stop(support.SIGTERM), 0)
with support.EchoServer(build_dir, "on_message", options=("--deflate",)) as server:
    many_compressed(checks, server, many)
    checks.equal("its status", server.stop(support.SIGTERM), 0)
with support.EchoServer(build_dir, "on_message") as server:
    idle(checks, server, 2000)
with support.Certificates() as certificates, support.EchoServer(build_dir, "on_message", options=certificates.options) as server:
    idle(checks, server, 1000, ssl.create_default_context(cafile=certificates.authority))
    checks.equal("its status", server.stop(support.SIGTERM), 0)
sys.exit(0 if checks.close() else 1)

# SPDX-License-Identifier: BSL-1.0
"""Rust's ratchet, as server and as client, against ours with compression: with takeover, without, and with small windows."""
import json
import sys

import runtimes
import suites
import support


def as_server(command, how):
    """(With small windows it does not tell us which window it reads with.)"""
    checks = support.Checks(f"ratchet as server, {how}")
    environment = {"HAWSER_COMPRESSION": "1"}
    with support.Process([*command, "serve", how]) as peer, support.Process([support.driver(build_dir)], environment) as ours:
        url = f"ws://127.0.0.1:{peer.line().rsplit(' ', 1)[1]}"
        checks.equal("opens", ours.ask(f"open {url}/"), "open ")
        for kind in ("text", "binary"):
            for size in suites.SIZES:
                checks.equal(f"{kind} {size}", ours.ask(f"echo {kind} {size} 1"), "ok")
        checks.equal("1000 messages at once", ours.ask("echo text 5000 1000"), "ok")
        checks.equal("closes", ours.ask("close 1000"), "closed 0 1000|local|")
        told = json.loads(peer.line() or "{}")
        for direction in ("read", "written"):
            checks.true(f"what it has {direction} is compressed", 0 < told.get(direction, 0) < told.get("payload", 0) / 4, told)
        checks.equal("our driver ends in order", ours.stop(), 0)
    return checks.close()


def as_client(command, how):
    checks = support.Checks(f"ratchet as client, {how}")
    for api in ("coroutine", "on_message"):
        with support.EchoServer(build_dir, api, options=("--deflate",)) as server:
            with support.Process([*command, "echo", how, server.url]) as peer:
                checks.take_report(peer)
                checks.equal(f"the peer ends in order ({api})", peer.stop(), 0)
            checks.equal(f"SIGTERM ends the server in order ({api})", server.stop(support.SIGTERM), 0)
    return checks.close()


build_dir = support.parse_arguments(__doc__)
ratchet = runtimes.rust_with_ratchet(build_dir)
good = [as_server(ratchet, how) for how in ("takeover", "fresh")]
good += [as_client(ratchet, how) for how in ("takeover", "fresh", "small")]
sys.exit(0 if all(good) else 1)

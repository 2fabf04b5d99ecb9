# SPDX-License-Identifier: BSL-1.0
"""The conversations with a peer: the same for each peer library, in both roles, and with `secure` (certificates) once
more with TLS and compression on."""
import json

import support

SIZES = (0, 1, 125, 126, 127, 65535, 65536, 1024 * 1024)
CLOSES = ((1000, ""), (1001, "going"), (1011, "internal trouble"), (3000, "gruß"), (4999, "x" * 123), (0, ""))


def seen(code):
    """What the other side is told for a close frame without a code."""
    return code or 1005


class PeerServer(support.Process):
    """A server of the peer's; its paths are described in ws_server.js."""

    def __init__(self, command, environment, secure):
        super().__init__(command, environment)
        port = self.line().rsplit(" ", 1)[1]
        self.url = f"wss://localhost:{port}" if secure else f"ws://127.0.0.1:{port}"

    def event(self, kind, tag):
        """The next event of this kind on a connection whose URL ends with ?tag."""
        while True:
            line = self.line()
            if line is None or not line.startswith("{"):
                return {kind: line, "reason": None, "pongs": None}
            event = json.loads(line)
            if kind in event and event["url"].endswith(f"?{tag}"):
                return event


def peer(title, build_dir, server, client, environment, echoes_reason=True, compresses=True):
    """All of it, with commands for the peer in either role; whether all is well. `echoes_reason`: whether the peer's
    answer to a close frame repeats the reason; `compresses`: whether it knows permessage-deflate."""
    good = []
    with support.Certificates() as certificates:
        for secure in (None, certificates):
            more = {**environment, **secure.environment} if secure else environment
            suffix = (", TLS and compression" if compresses else ", TLS") if secure else ""
            checks = support.Checks(f"{title} as server{suffix}")
            peer_as_server(checks, build_dir, server, more, echoes_reason, secure, compresses)
            good.append(checks.close())
            checks = support.Checks(f"{title} as client{suffix}")
            peer_as_client(checks, build_dir, client, more, secure)
            good.append(checks.close())
    return all(good)


def peer_as_server(checks, build_dir, command, environment, echoes_reason=True, secure=None, compresses=True):
    with PeerServer(command, environment, secure) as peer, support.Process([support.driver(build_dir)], environment) as ours:
        _messages(checks, peer, ours, bool(secure) and compresses)
        _pings(checks, peer, ours)
        _closes(checks, peer, ours, echoes_reason)
        _subprotocols(checks, peer, ours)
        _cuts(checks, peer, ours)
        checks.equal("our driver ends in order", ours.stop(), 0)


def _messages(checks, peer, ours, compressed):
    for path in ("echo", "fragments"):
        checks.equal(f"/{path} opens", ours.ask(f"open {peer.url}/{path}?messages"), "open ")
        for kind in ("text", "binary"):
            for size in SIZES:
                checks.equal(f"/{path} {kind} {size}", ours.ask(f"echo {kind} {size} 1"), "ok")
        checks.equal(f"/{path} closes", ours.ask("close 1000"), "closed 0 1000|local|")
        told = peer.event("closed", "messages")
        checks.equal(f"/{path} is compressed", told["compressed"], compressed)
        if path == "fragments":
            checks.equal("each ping between fragments got its pong", told["pongs"], 2 * len(SIZES))
    ours.ask(f"open {peer.url}/echo")
    for kind, size, count in (("text", 0, 1000), ("text", 100, 10000), ("binary", 300, 10000), ("binary", 20000, 1000)):
        checks.equal(f"{count} {kind} messages of {size} at once", ours.ask(f"echo {kind} {size} {count}"), "ok")
    ours.ask("drop")


def _pings(checks, peer, ours):
    ours.ask(f"open {peer.url}/ping")
    for size in (0, 5, 125):
        ours.ask(f"say {size}")
        checks.equal(f"a ping of {size} bytes is answered", ours.ask("receive"), f"text pong {size}")
    ours.ask("drop")
    ours.ask(f"open {peer.url}/pinged ping=20")
    checks.equal("our pings arrive and are answered", ours.ask("receive"), "text 3 pings")
    checks.equal("the link stays up", ours.ask("echo text 10 1"), "ok")
    ours.ask("drop")


def _closes(checks, peer, ours, echoes_reason):
    for code, reason in CLOSES:
        name = f"close {code or 'without a code'}"
        ours.ask(f"open {peer.url}/echo?ours{code}")
        checks.equal(f"{name} by us", ours.ask(f"close {code} {reason}"),
                     f"closed 0 {seen(code)}|local|{reason if echoes_reason else ''}")
        told = peer.event("closed", f"ours{code}")
        checks.equal(f"{name} by us, as the peer sees it", (told["closed"], told["reason"]), (seen(code), reason))

        ours.ask(f"open {peer.url}/close?theirs{code}")
        ours.ask("wait open")
        ours.ask(f"say {code}:{reason.replace(' ', '_')}")
        checks.equal(f"{name} by the peer", ours.ask("wait waiting"),
                     f"waiting 0 {seen(code)}|remote|{reason.replace(' ', '_')}")
        checks.equal(f"{name} by the peer is answered", peer.event("closed", f"theirs{code}")["closed"], seen(code))
        checks.equal(f"{name} by the peer, then it reconnects", ours.ask("wait open").split()[0], "open")
        ours.ask("drop")


def _subprotocols(checks, peer, ours):
    for offered, chosen in (("two", "two"), ("one,two", "two"), ("one", ""), ("hawser.v2,two", "two")):
        checks.equal(f"offering {offered}", ours.ask(f"open {peer.url}/echo protocols={offered}"), f"open {chosen}")
        checks.equal(f"offering {offered}: echo", ours.ask("echo text 10 1"), "ok")
    checks.equal("a session where the peer can", ours.ask(f"open {peer.url}/echo session=preferred"), "open ")
    checks.equal("a session where the peer can: echo", ours.ask("echo binary 10 1"), "ok")
    checks.equal("a session or nothing", ours.ask(f"open {peer.url}/echo session=required").split()[:2], ["failed", "34"])
    ours.ask("drop")


def _cuts(checks, peer, ours):
    checks.equal("before the cuts", ours.ask(f"open {peer.url}/record?cuts connect=subscribe:a connect=subscribe:b"), "open ")
    ours.ask("wait open")
    for cut in range(1, 6):
        for expected in ("subscribe:a", "subscribe:b"):
            checks.equal(f"connection {cut} begins with", peer.event("message", "cuts")["message"], expected)
        ours.ask("say hello")
        checks.equal(f"connection {cut} goes on with", peer.event("message", "cuts")["message"], "hello")
        ours.ask("say cut")
        lost = ours.ask("wait waiting").split("|")[0].split()
        checks.true(f"cut {cut} is reported", lost[0] == "waiting" and lost[1] in ("2", "104", "11") and lost[2] == "1006", lost)
        checks.equal(f"after cut {cut} it is open again", ours.ask("wait open").split()[0], "open")
    ours.ask("drop")


def peer_as_client(checks, build_dir, command, environment, secure=None):
    """The peer's script makes the checks of one endpoint; see ws_client.js."""
    for api in ("coroutine", "on_message"):
        with support.EchoServer(build_dir, api, options=secure.options if secure else ()) as server:
            with support.Process([*command, "echo", server.url], environment) as peer:
                checks.take_report(peer)
                checks.equal(f"the peer's script ends in order ({api})", peer.stop(), 0)
            _shutdown(checks, server, command, environment, api)
    with support.Listener(build_dir, "protocols=one,two", "ping=20", secure=secure) as server:
        with support.Process([*command, "talk", server.url], environment) as peer:
            checks.take_report(peer)
            checks.equal("the peer's script ends in order", peer.stop(), 0)
        closes_by_the_peer(checks, server, CLOSES)
        checks.equal("the listener ends in order", server.stop(), 0)


def _shutdown(checks, server, command, environment, api):
    with support.Process([*command, "wait", server.url], environment) as peer:
        checks.equal(f"{api}: connected before SIGTERM", peer.line(), "connected")
        checks.equal(f"{api}: SIGTERM ends the server in order", server.stop(support.SIGTERM), 0)
        checks.equal(f"{api}: SIGTERM closes", peer.line(), "closed 1001 server shutdown")


def closes_by_the_peer(checks, server, closes):
    """What our listener saw of the closes that the peer's script made, in this order."""
    ends = [line for line in server.drain() if line and line.startswith("gone ") and "|remote|" in line]
    expected = [f"gone 0 {seen(code)}|remote|{reason}" for code, reason in closes]
    checks.equal("closes by the peer, as our listener sees them", ends[: len(expected)], expected)

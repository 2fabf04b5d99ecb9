# SPDX-License-Identifier: BSL-1.0
"""echo_server --tls against OpenSSL's own client, and against what is no TLS at all. After each case it serves the next."""
import contextlib
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys

import raw_cases
import support

UPGRADE = ("GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n").encode()
ALERT = 21  # the type of a record


class Client(support.Process):
    """openssl s_client; `until` reads its output up to a line that has one of the texts, or to its end."""

    def __init__(self, server, certificates, *options):
        super().__init__(["sh", "-c", 'exec openssl s_client "$@" 2>&1', "s_client", "-connect", f"localhost:{server.port}",
                          "-CAfile", certificates.authority, "-verify_return_error", "-servername", "localhost", *options])
        self.said = ""

    def until(self, *texts):
        while not any(text in self.said for text in texts):
            line = self.line()
            if line is None:
                return False
            self.said += line + "\n"
        return True

    def write(self, text):
        with contextlib.suppress(OSError):
            self.child.stdin.write(text)
            self.child.stdin.flush()


def echoes(server, certificates, **options):
    """A whole conversation; the certificate that was shown."""
    trust = ssl.create_default_context(cafile=certificates.authority)
    for name, value in options.items():
        setattr(trust, name, value)
    stream = trust.wrap_socket(socket.create_connection(("127.0.0.1", server.port)), server_hostname="localhost")
    shown = stream.getpeercert()
    c = raw_cases.Connection(stream, masks=True)
    c.request("permessage-deflate")
    c.send(raw_cases.TEXT, b"hello")
    c.expect(raw_cases.TEXT, b"hello")
    c.end()
    stream.close()
    return shown


def answer_to(server, data):
    """What the server says to these bytes until it ends the connection."""
    got = b""
    with socket.create_connection(("127.0.0.1", server.port)) as stream:
        stream.settimeout(support.PATIENCE_S)
        try:
            stream.sendall(data)
            stream.shutdown(socket.SHUT_WR)
            while more := stream.recv(65536):
                got += more
        except TimeoutError:
            return b"(it keeps the connection)"
        except OSError:  # a reset, because it does not read on
            pass
    return got


def versions(checks, server, certificates):
    for option, name in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
        with Client(server, certificates, option) as client:
            checks.true(f"{name} is spoken, and the chain holds", client.until("Verify return code: 0 (ok)", "Verification: OK"), client.said)
            checks.true(f"{name}: no compression of TLS", "Compression: NONE" in client.said or client.until("Compression: NONE"), client.said)
            checks.true(f"{name} it is", name in client.said, client.said)
    for option in ("-tls1", "-tls1_1"):
        with Client(server, certificates, option, "-cipher", "ALL:@SECLEVEL=0") as client:
            client.until()
            checks.true(f"T4: {option} gets an alert", "alert protocol version" in client.said, client.said)


def renegotiation(checks, server, certificates):
    with Client(server, certificates, "-tls1_2") as client:
        checks.true("T2: it is connected", client.until("Verify return code: 0 (ok)", "Extended master secret"), client.said)
        client.write("R\n")
        client.until()
        checks.true("T2: renegotiation by the client is refused",
                    "RENEGOTIATING" in client.said and "no renegotiation" in client.said, client.said[-600:])


def protocols(checks, server, certificates):
    with Client(server, certificates, "-alpn", "h2,http/1.1") as client:
        checks.true("ALPN: http/1.1 is agreed on", client.until("ALPN protocol: http/1.1"), client.said)
    with Client(server, certificates, "-alpn", "h2") as client:
        client.until()
        checks.true("ALPN: h2 alone gets an alert", "alert no application protocol" in client.said, client.said)


def resumption(checks, server, certificates):
    """With both versions: the second connection brings the session of the first."""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        trust = ssl.create_default_context(cafile=certificates.authority)
        trust.maximum_version = version
        session, reused = None, []
        for _ in range(2):
            stream = trust.wrap_socket(socket.create_connection(("127.0.0.1", server.port)), server_hostname="localhost", session=session)
            c = raw_cases.Connection(stream, masks=True)
            c.request("")
            session = stream.session
            reused.append(stream.session_reused)
            c.end()
            stream.close()
        checks.equal(f"{version.name}: a session is resumed", reused, [False, True])


def no_tls(checks, server):
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    for name, data in (("plain HTTP", UPGRADE), ("zeros", bytes(5000)), ("a hello of SSL 2", b"\x80\x2e\x01\x00\x02" + bytes(43)),
                       ("a half hello", hello), ("a record of 65535 bytes", b"\x16\x03\x01\xff\xff" + bytes(70000)),
                       ("an alert", b"\x15\x03\x01\x00\x02\x02\x28"), ("application data", b"\x17\x03\x03\x00\x05hello")):
        got = answer_to(server, data)
        checks.true(f"{name} gets an alert at most", got == b"" or got[0] == ALERT, got[:100])
        checks.true(f"{name} gets nothing in the clear", b"HTTP" not in got, got[:100])


def truncation(checks, server, certificates):
    """Ends in the middle of a message, with and without close_notify, and by a reset."""
    for how in ("close_notify", "FIN", "RST"):
        trust = ssl.create_default_context(cafile=certificates.authority)
        stream = trust.wrap_socket(socket.create_connection(("127.0.0.1", server.port)), server_hostname="localhost")
        c = raw_cases.Connection(stream, masks=True)
        c.request("")
        c.send(raw_cases.TEXT, b"half", fin=False)
        if how == "close_notify":
            with contextlib.suppress(OSError, ssl.SSLError):
                stream.unwrap()
        elif how == "RST":
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        stream.close()
        checks.true(f"after {how} the next is served", echoes(server, certificates))


def renewal(checks, server, certificates):
    """SIGHUP: files that are none change nothing, new ones hold for connections to come; who is connected stays."""
    before = echoes(server, certificates)["serialNumber"]
    trust = ssl.create_default_context(cafile=certificates.authority)
    stream = trust.wrap_socket(socket.create_connection(("127.0.0.1", server.port)), server_hostname="localhost")
    old = raw_cases.Connection(stream, masks=True)
    old.request("")
    chain = certificates.chain.read_bytes()
    certificates.chain.write_text("nothing", encoding="ascii")
    server.child.send_signal(signal.SIGHUP)
    checks.equal("certificates that are none change nothing", echoes(server, certificates)["serialNumber"], before)
    certificates.chain.write_bytes(chain)
    with support.Certificates() as others:  # of another authority
        shutil.copy(others.chain, certificates.chain)
        shutil.copy(others.key, certificates.key)

        def renewed():
            server.child.send_signal(signal.SIGHUP)
            with contextlib.suppress(ssl.SSLError):
                return bool(echoes(server, others))
            return False

        support.until(renewed)
        checks.true("new certificates are shown", echoes(server, others)["serialNumber"] != before)
    old.send(raw_cases.TEXT, b"still here")
    old.expect(raw_cases.TEXT, b"still here")
    old.end()


build_dir = support.parse_arguments(__doc__)
checks = support.Checks("TLS by OpenSSL")
with support.Certificates() as certificates, support.EchoServer(build_dir, "coroutine", options=certificates.options) as server:
    for case in (versions, renegotiation, protocols, resumption, truncation):
        case(checks, server, certificates)
        checks.true(f"after {case.__name__} it serves the next", echoes(server, certificates))
    no_tls(checks, server)
    checks.true("after no TLS it serves the next", echoes(server, certificates))
    renewal(checks, server, certificates)
    checks.equal("its status", server.stop(support.SIGTERM), 0)
sys.exit(0 if checks.close() else 1)

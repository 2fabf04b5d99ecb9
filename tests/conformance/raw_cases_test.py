# SPDX-License-Identifier: BSL-1.0
"""Raw cases against both roles: `conformance_client` with a fuzzing server, and `echo_server` with each of its APIs,
without and with TLS."""
import json
import pathlib
import socket
import ssl
import subprocess
import sys
import threading
import urllib.parse

import raw_cases
import support


class FuzzingServer:
    """Speaks the protocol of the usual one: getCaseCount, runCase, updateReports."""

    def __init__(self, checks):
        self.checks = checks
        self.cases = raw_cases.all_cases()
        # What only a server can try on a client.
        self.cases.append(("F3: a masked frame to a client", "", lambda c: (c.send(raw_cases.TEXT, b"x", masked=True),
                                                                              c.expect_close(1002))))
        self.order, self.reports, self.offered = [], [], []
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self.listening.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while not self.reports:
            connection = raw_cases.Connection(self.listening.accept()[0], masks=False)
            self.answer(connection)

    def answer(self, c):
        # The request is read before it is answered, because the case decides on compression.
        head = c.read_head()
        parts = urllib.parse.urlsplit(head.split(" ")[1])
        query = urllib.parse.parse_qs(parts.query)
        self.offered.append("permessage-deflate" in c.headers.get("sec-websocket-extensions", ""))
        compress = ""
        if parts.path == "/runCase":
            number = int(query["case"][0])
            name, compress, case = self.cases[number - 1]
            self.order.append((number, query["agent"][0]))
        c.buffer = (head + "\r\n" + "\r\n".join(f"{k}: {v}" for k, v in c.headers.items()) + "\r\n\r\n").encode() + c.buffer
        c.accept(compress)
        if parts.path == "/runCase":
            return raw_cases.run(self.checks, name, case, c)
        if parts.path == "/getCaseCount":
            c.send(raw_cases.TEXT, str(len(self.cases)).encode())
        raw_cases.run(self.checks, parts.path, lambda connection: connection.end(), c)
        if parts.path == "/updateReports":
            self.reports.append(query["agent"][0])


def run_client(build_dir, url, *options):
    return subprocess.run([build_dir / "examples" / "conformance_client", "--url", url, *options],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False)


def client(build_dir):
    checks = support.Checks("conformance_client")
    server = FuzzingServer(checks)
    done = run_client(build_dir, server.url, "--agent", "our & own")
    count = len(server.cases)
    checks.equal("what it says", done.stdout, f"{count} cases, {count} connected\n")
    checks.equal("its status", done.returncode, 0)
    checks.equal("one connection for each case, in order", server.order, [(i + 1, "our & own") for i in range(count)])
    checks.equal("reports", server.reports, ["our & own"])
    checks.true("compression is always offered", all(server.offered))
    return checks.close()


class OddServer:
    """Says that there are so many cases; behaves as `cases` say, and tells how often it was asked for a report."""

    def __init__(self, count, cases=()):
        self.count, self.cases, self.reports, self.kept = count, cases, 0, []
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self.listening.getsockname()[1]}/"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            stream, _ = self.listening.accept()
            c = raw_cases.Connection(stream, masks=False)
            head = c.read_head()
            c.buffer = (head + "\r\n" + "\r\n".join(f"{k}: {v}" for k, v in c.headers.items()) + "\r\n\r\n").encode()
            self.answer(c, head)

    def answer(self, c, head):
        if "/runCase?case=" in head:
            return self.cases[int(head.split("case=")[1].split("&")[0]) - 1](self, c)
        c.accept("")
        if "/getCaseCount" in head and self.count:
            c.send(raw_cases.TEXT, self.count.encode())
        self.reports += "/updateReports" in head
        c.stream.close() if "/getCaseCount" in head and not self.count else c.end()

    def in_order(self, c):
        c.accept("")
        c.end()

    def drops(self, c):
        c.accept("")
        c.stream.close()

    def refuses(self, c):
        c.stream.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        c.stream.close()

    def never_ends(self, c):
        c.accept("")
        self.kept.append(c.stream)


def odd_servers(build_dir):
    """A server that does not do its part: an error that says what, never a client that waits for ever."""
    checks = support.Checks("conformance_client, odd servers")
    free = socket.create_server(("127.0.0.1", 0))
    nobody = f"ws://127.0.0.1:{free.getsockname()[1]}"
    free.close()

    def expect(name, url, status, *said, more=()):
        done = run_client(build_dir, url, *more)
        checks.equal(f"{name}: status", done.returncode, status)
        for text in said:
            checks.true(f"{name}: what it says", text in done.stdout, done.stdout)

    expect("nobody listens", nobody, 1, "the number of cases: cannot connect: ", "0 cases, 0 connected")
    expect("no number", OddServer("").url, 1, "the number of cases is ''", "0 cases")
    for wrong in ("many", "0", "-1", "3 cases", "99999999999999999999"):
        expect(f"the number is {wrong}", OddServer(wrong).url, 1, f"the number of cases is '{wrong}'")
    expect("another scheme", "http://127.0.0.1:1/", 2, "ws")
    expect("no TLS in this example", "wss://127.0.0.1:1/", 2, "options::tls")
    expect("no option of that name", nobody, 2, "--agents", more=("--agents", "x"))
    odd = OddServer("5", [OddServer.in_order, OddServer.drops, OddServer.refuses, OddServer.never_ends, OddServer.in_order])
    expect("some cases go wrong", odd.url, 1, "5 cases, 4 connected", "case 3: cannot connect: ", "case 4: the server did not end it in time",
           more=("--patience", "1"))
    checks.equal("some cases go wrong: the report is asked for", odd.reports, 1)
    return checks.close()


def only_for_a_server():
    return [
        ("F3: a frame without a mask to a server", "", lambda c: (c.send(raw_cases.TEXT, b"x", masked=False), c.expect_close(1002))),
        ("--max-message: a frame over the limit, by its header", "",
         raw_cases.refused(1009, raw_cases.f(raw_cases.BINARY, b"", length=20_000_001))),
        ("a client that offers a window without naming it", "permessage-deflate; client_max_window_bits",
         raw_cases.zipped(b"the quick brown fox " * 500)),
        ("a client that offers twice", "permessage-deflate; server_max_window_bits=10, permessage-deflate",
         raw_cases.zipped(b"the quick brown fox " * 500)),
    ]


def server(build_dir, api, certificates):
    checks = support.Checks(f"echo_server, {api}{', TLS' if certificates else ''}")
    options = ["--max-message", 20_000_000, *(certificates.options if certificates else ["--deflate"])]
    with support.EchoServer(build_dir, api, options=options) as echo:
        trust = ssl.create_default_context(cafile=certificates.authority) if certificates else None

        def connect():
            stream = socket.create_connection(("127.0.0.1", echo.port))
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return trust.wrap_socket(stream, server_hostname="localhost") if trust else stream

        for name, compress, case in raw_cases.all_cases() + only_for_a_server():
            connection = raw_cases.Connection(connect(), masks=True)
            raw_cases.run(checks, name, lambda c, extension=compress, rest=case: (c.request(extension), rest(c)), connection)
        requests(checks, connect)
        checks.equal("its status", echo.stop(support.SIGTERM), 0)
    return checks.close()


def requests(checks, connect):
    """Each request of the vectors gets its status; one that is not complete gets none yet."""
    vectors = json.loads((pathlib.Path(__file__).parents[1] / "vectors" / "upgrade.json").read_text(encoding="utf-8"))
    for row in vectors["vectors"]:
        if row["role"] != "server" or row["status"] == 0:
            continue
        with connect() as stream:
            stream.settimeout(raw_cases.PATIENCE_S)
            got = b""
            try:
                stream.sendall(row["input"].encode())
                while b"\r\n" not in got and (more := stream.recv(65536)):
                    got += more
            except OSError as e:
                got += f" {e}".encode()
            checks.equal(f"request: {row['name']}", got[:12].decode(errors="replace"), f"HTTP/1.1 {row['status']}")


build_dir = support.parse_arguments(__doc__)
with support.Certificates() as some:
    ended = [client(build_dir), odd_servers(build_dir)]
    ended += [server(build_dir, api, certificates) for api in ("coroutine", "on_message") for certificates in (None, some)]
sys.exit(0 if all(ended) else 1)

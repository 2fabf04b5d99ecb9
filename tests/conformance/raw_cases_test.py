# SPDX-License-Identifier: BSL-1.0
"""Raw cases against both roles: `conformance_client` with a fuzzing server, and `echo_server`."""
import socket
import subprocess
import sys
import threading
import urllib.parse

import raw_cases
import support


def run_case(checks, name, case, connection):
    try:
        case(connection)
        checks.true(name, True)
    except (AssertionError, EOFError, OSError) as e:
        checks.true(name, False, f"{type(e).__name__} {e}")
    finally:
        connection.stream.close()


class FuzzingServer:
    """Speaks the protocol of the usual one: getCaseCount, runCase, updateReports."""

    def __init__(self, checks):
        self.checks = checks
        self.cases = raw_cases.all_cases()
        # What only a server can try on a client.
        self.cases.append(("F3: a masked frame to a client", False, lambda c: (c.send(raw_cases.TEXT, b"x", masked=True),
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
        compress = False
        if parts.path == "/runCase":
            number = int(query["case"][0])
            name, compress, case = self.cases[number - 1]
            self.order.append((number, query["agent"][0]))
        c.buffer = (head + "\r\n" + "\r\n".join(f"{k}: {v}" for k, v in c.headers.items()) + "\r\n\r\n").encode() + c.buffer
        c.accept(compress)
        if parts.path == "/runCase":
            return run_case(self.checks, name, case, c)
        if parts.path == "/getCaseCount":
            c.send(raw_cases.TEXT, str(len(self.cases)).encode())
        run_case(self.checks, parts.path, lambda connection: connection.end(), c)
        if parts.path == "/updateReports":
            self.reports.append(query["agent"][0])


def client(build_dir):
    checks = support.Checks("conformance_client")
    server = FuzzingServer(checks)
    done = subprocess.run([build_dir / "examples" / "conformance_client", "--url", server.url, "--agent", "our & own"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    count = len(server.cases)
    checks.equal("what it says", done.stdout, f"{count} cases, {count} connected\n")
    checks.equal("its status", done.returncode, 0)
    checks.equal("one connection for each case, in order", server.order, [(i + 1, "our & own") for i in range(count)])
    checks.equal("reports", server.reports, ["our & own"])
    checks.true("compression is always offered", all(server.offered))
    return checks.close()


def server(build_dir):
    checks = support.Checks("echo_server")
    program = [support.echo_server(build_dir), "--port", 0, "--deflate", "--max-message", 20_000_000]
    with support.Process(program) as echo:
        port = int(echo.line().rsplit(" ", 1)[1])
        tries = raw_cases.all_cases()
        tries.append(("F3: a frame without a mask to a server", False, lambda c: (c.send(raw_cases.TEXT, b"x", masked=False),
                                                                                 c.expect_close(1002))))
        tries.append(("--max-message: a frame over the limit, by its header", False,
                      raw_cases.refused(1009, raw_cases.f(raw_cases.BINARY, b"", length=20_000_001))))
        for name, compress, case in tries:
            connection = raw_cases.Connection(socket.create_connection(("127.0.0.1", port)), masks=True)
            connection.request(compress)
            run_case(checks, name, case, connection)
        checks.equal("its status", echo.stop(support.SIGTERM), 0)
    return checks.close()


build_dir = support.parse_arguments(__doc__)
sys.exit(0 if all([client(build_dir), server(build_dir)]) else 1)

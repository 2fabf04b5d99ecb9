# SPDX-License-Identifier: BSL-1.0
"""Headless Chromium as a client against our servers, plain and with TLS and compression; chromium.html makes the checks."""
import contextlib
import http.server
import json
import pathlib
import queue
import subprocess
import sys
import tempfile
import threading

import runtimes
import suites
import support

# Nothing but the page: no sandbox, which root cannot have, no service of the browser's own, no name looked up.
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
         "--no-proxy-server", "--disable-extensions", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost")
CLOSES = tuple(close for close in suites.CLOSES if close[0] in (0, 1000, 3000, 4999))


class Page:
    """Serves the page, gives it its orders and takes what it tells."""

    def __init__(self):
        self.orders, self.told, self.silent = queue.Queue(), queue.Queue(), False
        self.stop_server, self.start_server = lambda: None, lambda: None
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}/"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def _handler(self):
        page = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self, kind, body):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                if self.path == "/":
                    self.answer("text/html", (runtimes.HERE / "chromium.html").read_bytes())
                elif self.path == "/next":
                    self.answer("application/json", json.dumps(page.orders.get()).encode())
                else:
                    self.send_error(404)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
                {"/told": lambda: page.told.put(body),
                 "/stop": page.stop_server, "/start": page.start_server}[self.path]()
                self.answer("text/plain", b"")

            def log_message(self, *_):
                pass

        return Handler

    def line(self):
        if not self.silent:  # it is not waited for twice
            with contextlib.suppress(queue.Empty):
                return self.told.get(timeout=support.PATIENCE_S)
            self.silent = True
        return f"(nothing from the page within {support.PATIENCE_S} s)"

    def run(self, checks, mode, url):
        self.orders.put({"mode": mode, "url": url, "compressed": url.startswith("wss")})
        checks.take_report(self)


@contextlib.contextmanager
def browser(command, url, *more):
    with tempfile.TemporaryDirectory(prefix="hawser_chromium_", ignore_cleanup_errors=True) as profile:
        with open(f"{profile}/log", "wb") as log:
            child = subprocess.Popen([command, *FLAGS, *more, f"--user-data-dir={profile}/data", url], stdin=subprocess.DEVNULL,
                                     stdout=log, stderr=log)
        try:
            yield profile
        finally:
            child.terminate()
            try:
                child.wait(timeout=support.PATIENCE_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def reconnect(checks, page, options):
    """The page has our server stopped and started on the same port."""
    with contextlib.ExitStack() as servers:
        running = servers.enter_context(support.EchoServer(build_dir, "coroutine", options=options))
        url, stops = running.url, []

        def stop():
            stops.append(running.stop(support.SIGTERM))

        def start():
            nonlocal running
            running = servers.enter_context(support.EchoServer(build_dir, "coroutine", url.rsplit(":", 1)[1], options))

        page.stop_server, page.start_server = stop, start
        page.run(checks, "reconnect", url)
        checks.equal("each stop was in order", stops, [0, 0, 0])


def converse(checks, page, secure=None):
    options = secure.options if secure else ()
    for api in ("coroutine", "on_message"):
        with support.EchoServer(build_dir, api, options=options) as server:
            page.run(checks, "echo", server.url)
            checks.equal(f"SIGTERM ends the server in order ({api})", server.stop(support.SIGTERM), 0)
    with support.Listener(build_dir, "protocols=one,two", "ping=20", secure=secure) as server:
        page.run(checks, "talk", server.url)
        suites.closes_by_the_peer(checks, server, CLOSES)
        checks.equal("the listener ends in order", server.stop(), 0)
    reconnect(checks, page, options)


def everything(command, secure):
    checks, page = support.Checks(f"chromium as client{', TLS and compression' if secure else ''}"), Page()
    # It trusts a key by its hash; its other ways to trust are its user's.
    more = [f"--ignore-certificate-errors-spki-list={secure.key_hash()}"] if secure else []
    with browser(command, page.url, *more) as profile:
        converse(checks, page, secure)
        if page.silent:
            print(pathlib.Path(profile, "log").read_text(encoding="utf-8", errors="replace")[-4000:], flush=True)
    return checks.close()


build_dir = support.parse_arguments(__doc__)
with support.Certificates() as certificates:
    ended = [everything(runtimes.chromium(), secure) for secure in (None, certificates)]
sys.exit(0 if all(ended) else 1)

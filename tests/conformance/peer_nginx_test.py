# SPDX-License-Identifier: BSL-1.0
"""nginx as a reverse proxy in front of our server: wss outside, ws inside. Our client, and raw frames, through it."""
import contextlib
import pathlib
import socket
import ssl
import sys
import tempfile

import raw_cases
import runtimes
import suites
import support

CONFIGURATION = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log stderr warn;
events {{ worker_connections 256; }}
http {{
  access_log off; proxy_buffering off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl; ssl_certificate {chain}; ssl_certificate_key {key};
    location / {{
      proxy_pass http://127.0.0.1:{behind}; proxy_http_version 1.1; proxy_read_timeout 600s;
      proxy_set_header Host $host; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";
    }}
  }}
}}
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@contextlib.contextmanager
def nginx(command, certificates, behind):
    """Until it answers; the port that it listens on."""
    with tempfile.TemporaryDirectory(prefix="hawser_nginx_") as folder:
        port = free_port()
        file = pathlib.Path(folder, "nginx.conf")
        file.write_text(CONFIGURATION.format(folder=folder, port=port, chain=certificates.chain, key=certificates.key,
                                             behind=behind), encoding="utf-8")
        with support.Process([command, "-c", file, "-p", folder, "-e", "stderr"]) as process:
            support.until(lambda: support.listens(port) or process.child.poll() is not None)
            yield port
            status = process.stop(support.SIGTERM)
            if status != 0:
                sys.exit(f"FAILED: nginx ended with {status}")


def converse(checks, ours, url):
    checks.equal("opens", ours.ask(f"open {url}/any?x=1"), "open ")
    for kind in ("text", "binary"):
        for size in suites.SIZES:
            checks.equal(f"{kind} {size}", ours.ask(f"echo {kind} {size} 1"), "ok")
    for kind, size, count in (("text", 100, 10000), ("binary", 20000, 1000)):
        checks.equal(f"{count} {kind} messages of {size} at once", ours.ask(f"echo {kind} {size} {count}"), "ok")
    for code, reason in suites.CLOSES:
        ours.ask(f"open {url}/echo")
        checks.equal(f"close {code}", ours.ask(f"close {code} {reason}"), f"closed 0 {suites.seen(code)}|local|")
    checks.equal("a session", ours.ask(f"open {url}/ session=required"), "open hawser.v1")
    checks.equal("a session: 1000 messages", ours.ask("echo text 300 1000"), "ok")
    ours.ask("drop")


def raw(checks, port, certificates):
    trust = ssl.create_default_context(cafile=certificates.authority)
    for name, compress, case in raw_cases.all_cases():
        stream = socket.create_connection(("127.0.0.1", port))
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = raw_cases.Connection(trust.wrap_socket(stream, server_hostname="localhost"), masks=True)
        raw_cases.run(checks, name, lambda c, extension=compress, rest=case: (c.request(extension), rest(c)), connection)


def restart(checks, build_dir, ours, url, first, api):
    """The server behind the proxy is ended; the proxy refuses with 502 meanwhile, which is tried again."""
    checks.equal("before the restart", ours.ask(f"open {url}/"), "open ")
    checks.equal("SIGTERM ends the server in order", first.stop(support.SIGTERM), 0)
    checks.equal("it is told through the proxy", ours.ask("wait waiting"), "waiting 0 1001|remote|server shutdown")
    checks.true("refused while nobody is behind it", ours.ask("wait waiting").startswith("waiting "))
    with support.EchoServer(build_dir, api, first.port, ("--deflate",)) as second:
        checks.equal("comes back", ours.ask("wait open").split()[0], "open")
        checks.equal("echoes again", ours.ask("echo text 100 10"), "ok")
        ours.ask("drop")
        checks.equal("SIGTERM ends the second server in order", second.stop(support.SIGTERM), 0)


build_dir = support.parse_arguments(__doc__)
command = runtimes.nginx()
ended = []
with support.Certificates() as certificates:
    for api in ("coroutine", "on_message"):
        checks = support.Checks(f"behind nginx, {api}")
        with support.EchoServer(build_dir, api, options=("--deflate", "--max-message", 20_000_000)) as server, \
                nginx(command, certificates, server.port) as port, \
                support.Process([support.driver(build_dir)], certificates.environment) as ours:
            url = f"wss://localhost:{port}"
            converse(checks, ours, url)
            raw(checks, port, certificates)
            restart(checks, build_dir, ours, url, server, api)
            checks.equal("our driver ends in order", ours.stop(), 0)
        ended.append(checks.close())
sys.exit(0 if all(ended) else 1)

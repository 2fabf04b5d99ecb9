# SPDX-License-Identifier: BSL-1.0
"""Python's websockets, as server and as client, against ours."""
import sys

import runtimes
import suites
import support

build_dir = support.parse_arguments(__doc__)
command, environment = runtimes.python_with_websockets(build_dir)

server = support.Checks("websockets as server")
suites.peer_as_server(server, build_dir, [*command, runtimes.HERE / "websockets_server.py"], environment)
client = support.Checks("websockets as client")
suites.peer_as_client(client, build_dir, [*command, runtimes.HERE / "websockets_client.py"], environment)
sys.exit(0 if all([server.close(), client.close()]) else 1)

# SPDX-License-Identifier: BSL-1.0
"""npm's ws, as server and as client, against ours."""
import sys

import runtimes
import suites
import support

build_dir = support.parse_arguments(__doc__)
command, environment = runtimes.node_with_ws(build_dir)

server = support.Checks("ws as server")
suites.peer_as_server(server, build_dir, [*command, runtimes.HERE / "ws_server.js"], environment)
client = support.Checks("ws as client")
suites.peer_as_client(client, build_dir, [*command, runtimes.HERE / "ws_client.js"], environment)
sys.exit(0 if all([server.close(), client.close()]) else 1)

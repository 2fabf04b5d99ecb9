# SPDX-License-Identifier: BSL-1.0
"""npm's ws, as server and as client, against ours, plain and with TLS and compression."""
import sys

import runtimes
import suites
import support

build_dir = support.parse_arguments(__doc__)
command, environment = runtimes.node_with_ws(build_dir)

sys.exit(0 if suites.peer("ws", build_dir, [*command, runtimes.HERE / "ws_server.js"], [*command, runtimes.HERE / "ws_client.js"], environment) else 1)

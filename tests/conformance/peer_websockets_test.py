# SPDX-License-Identifier: BSL-1.0
"""Python's websockets, as server and as client, against ours, plain and with TLS and compression."""
import sys

import runtimes
import suites
import support

build_dir = support.parse_arguments(__doc__)
command, environment = runtimes.python_with_websockets(build_dir)

sys.exit(0 if suites.peer("websockets", build_dir, [*command, runtimes.HERE / "websockets_server.py"], [*command, runtimes.HERE / "websockets_client.py"], environment) else 1)

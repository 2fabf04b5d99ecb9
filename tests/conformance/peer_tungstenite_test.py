# SPDX-License-Identifier: BSL-1.0
"""Rust's tokio-tungstenite, as server and as client, against ours."""
import sys

import runtimes
import suites
import support

build_dir = support.parse_arguments(__doc__)
command, environment = runtimes.rust_with_tungstenite(build_dir)

server = support.Checks("tungstenite as server")
suites.peer_as_server(server, build_dir, [*command, "serve"], environment)
client = support.Checks("tungstenite as client")
suites.peer_as_client(client, build_dir, command, environment)
sys.exit(0 if all([server.close(), client.close()]) else 1)

# SPDX-License-Identifier: BSL-1.0
"""Rust's tokio-tungstenite, as server and as client, against ours, plain and with TLS (it has no compression)."""
import sys

import runtimes
import suites
import support

build_dir = support.parse_arguments(__doc__)
command, environment = runtimes.rust_with_tungstenite(build_dir)

sys.exit(0 if suites.peer("tungstenite", build_dir, [*command, "serve"], command, environment, compresses=False) else 1)

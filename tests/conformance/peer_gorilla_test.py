# SPDX-License-Identifier: BSL-1.0
"""Go's gorilla/websocket, as server and as client, against ours, plain and with TLS and compression."""
import sys

import runtimes
import suites
import support

build_dir = support.parse_arguments(__doc__)
command, environment = runtimes.go_with_gorilla(build_dir)

sys.exit(0 if suites.peer("gorilla", build_dir, [*command, "serve"], command, environment, echoes_reason=False) else 1)

# SPDX-License-Identifier: BSL-1.0
"""The example feed_client follows a feed of Python's websockets: confirmed subscriptions, silence, copies, refusal."""
import json
import sys

import runtimes
import support

build_dir = support.parse_arguments(__doc__)
command, environment = runtimes.python_with_websockets(build_dir)
checks = support.Checks("websockets as feed")
with support.Process([*command, runtimes.HERE / "feed_server.py"], environment) as server:
    url = f"ws://127.0.0.1:{server.line().rsplit(' ', 1)[1]}/feed"
    client = support.Process([build_dir / "examples" / "feed_client", "--url", url, "--subscribe", "trades", "--subscribe", "news",
                              "--confirm", "subscribed", "--refuse", "denied", "--stale-after", "1", "--no-copies"])
    with client:
        said = []
        while (line := client.line()) is not None and len(said) < 100:
            said.append(line.split("; next attempt")[0])
        checks.equal("the client's exit status", client.stop(), 1)
    checks.equal("what the client saw", said, [
        "-- connecting", "-- open", "trade 0", "trade 1", "trade 2",
        "-- waiting: the feed brought nothing useful for too long",
        "-- connecting", "-- waiting: the peer refused the subscription",
        "-- connecting", "-- open", "trade 3",
        "-- failed: the server refused the credentials"])
    for number, closed in ((1, 1001), (2, 1001), (3, 1008)):
        line = server.line()
        told = json.loads(line) if line and line.startswith("{") else line
        checks.equal(f"connection {number}", told, {"connection": number, "asked": ["trades", "news"], "closed": closed})
sys.exit(0 if checks.close() else 1)

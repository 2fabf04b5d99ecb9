#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Checks from the #include lines that the layers of include/hawser depend inward only.

usage: check_includes.py DIRECTORY    the directory include/hawser
       check_includes.py --self-test  plants violations and expects each to be found
"""
import pathlib
import re
import sys
import tempfile

# room -> the rooms that it may include besides itself; "a/b" admits only that part of room a.
# A header at the top level is in the room "shell", except fwd.hpp, hawser.hpp and custom_policies.hpp.
BELOW_SHELL = {"fwd", "core", "protocol", "policy", "driver", "transport", "store", "options"}
ROOMS = {
    "fwd": {"core"},
    "core": {"fwd"},
    "protocol": {"fwd", "core"},
    "policy": {"fwd", "core"},
    "options": {"fwd", "core", "policy", "protocol"},
    "driver": {"fwd", "core", "policy"},
    "transport": {"fwd", "core", "protocol/ws", "driver", "options"},
    "store": {"fwd", "core", "protocol/session", "driver"},
    "shell": BELOW_SHELL,
    "client": BELOW_SHELL | {"shell"},
    "server": BELOW_SHELL | {"shell"},
    "message": BELOW_SHELL | {"shell"},
    "transfer": BELOW_SHELL | {"shell"},
    "observe": BELOW_SHELL | {"shell"},
    "testing": BELOW_SHELL | {"shell", "client", "server", "message", "observe", "transfer"},
}
ROOMS["everything"] = set(ROOMS)
WITHOUT_ASIO = {"fwd", "core", "protocol", "policy", "options"}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def room_of(path):
    """The room of a path relative to include/hawser, or None for a folder that no room names."""
    top, slash, _ = path.partition("/")
    if not slash:
        named = {"fwd.hpp": "fwd", "options.hpp": "options", "hawser.hpp": "everything", "custom_policies.hpp": "everything",
                 "transfer.hpp": "transfer"}
        return named.get(top, "shell")
    if top == "link":
        return "shell"
    return top if top in ROOMS and top not in ("fwd", "options", "shell", "everything") else None


def admits(room, target):
    """Whether a header of the room may include the target, a path relative to include/hawser."""
    if room_of(target) == room:
        return True
    return any(
        target.startswith(entry + "/") if "/" in entry else room_of(target) == entry
        for entry in ROOMS[room]
    )


def problem_of(path, quote, name):
    """What is wrong with one include in the header at path, or None."""
    room = room_of(path)
    if quote == '"':
        return f'"{name}": write <hawser/...>, so that the layers can be seen'
    if name == "asio.hpp":
        return "<asio.hpp> is the whole of Asio: include the parts"
    if name.startswith("asio/") and room in WITHOUT_ASIO:
        return f"<{name}>: {room} does not know Asio"
    if name.startswith("hawser/"):
        target = name[len("hawser/"):]
        if room_of(target) is None:
            return f"<{name}> is in no room of the house"
        if not admits(room, target):
            return f"<{name}>: {room} must not depend on {room_of(target)}"
    return None


def check(root):
    """All problems below the directory root, and the number of headers read."""
    problems = []
    headers = sorted(root.rglob("*.hpp"))
    for header in headers:
        path = header.relative_to(root).as_posix()
        if room_of(path) is None:
            problems.append(f"{path}: this folder is no room of the house: add it to ROOMS")
            continue
        lines = header.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines, 1):
            match = INCLUDE.match(line)
            problem = match and problem_of(path, *match.groups())
            if problem:
                problems.append(f"{path}:{number}: {problem}")
    return problems, len(headers)


ALLOWED = [
    ("core/bytes.hpp", "<span>"),
    ("core/bytes.hpp", "<hawser/core/errc.hpp>"),
    ("core/bytes.hpp", "<hawser/fwd.hpp>"),
    ("protocol/ws/frame.hpp", "<hawser/core/bytes.hpp>"),
    ("protocol/session/outbox.hpp", "<hawser/protocol/ws/frame.hpp>"),
    ("policy/heartbeat.hpp", "<hawser/core/time.hpp>"),
    ("driver/asio.hpp", "<asio/io_context.hpp>"),
    ("transport/tcp.hpp", "<hawser/driver/driver.hpp>"),
    ("store/memory.hpp", "<hawser/protocol/session/outbox.hpp>"),
    ("link/loop.hpp", "<hawser/transport/tcp.hpp>"),
    ("link/loop.hpp", "<hawser/resilient_socket.hpp>"),
    ("resilient_socket.hpp", "<hawser/link/loop.hpp>"),
    ("resilient_socket.hpp", "<hawser/store/memory.hpp>"),
    ("server/listener.hpp", "<hawser/resilient_socket.hpp>"),
    ("testing/simulator.hpp", "<hawser/server/listener.hpp>"),
    ("transfer/core.hpp", "<hawser/resilient_socket.hpp>"),
    ("transfer.hpp", "<hawser/transfer/core.hpp>"),
    ("hawser.hpp", "<hawser/testing/simulator.hpp>"),
    ("custom_policies.hpp", "<hawser/server/listener.hpp>"),
]
FORBIDDEN = [
    ("core/bytes.hpp", "<hawser/protocol/ws/frame.hpp>"),
    ("core/bytes.hpp", "  # include <hawser/driver/driver.hpp>"),
    ("core/bytes.hpp", "<asio/buffer.hpp>"),
    ("core/bytes.hpp", '"errc.hpp"'),
    ("core/bytes.hpp", '"hawser/core/errc.hpp"'),
    ("fwd.hpp", "<asio/io_context.hpp>"),
    ("fwd.hpp", "<hawser/resilient_socket.hpp>"),
    ("protocol/ws/frame.hpp", "<asio/buffer.hpp>"),
    ("protocol/ws/frame.hpp", "<hawser/policy/heartbeat.hpp>"),
    ("policy/heartbeat.hpp", "<asio/steady_timer.hpp>"),
    ("policy/heartbeat.hpp", "<hawser/protocol/ws/frame.hpp>"),
    ("driver/asio.hpp", "<asio.hpp>"),
    ("driver/asio.hpp", "<hawser/protocol/ws/frame.hpp>"),
    ("transport/tcp.hpp", "<hawser/link/loop.hpp>"),
    ("transport/tcp.hpp", "<hawser/store/memory.hpp>"),
    ("store/memory.hpp", "<hawser/protocol/ws/frame.hpp>"),
    ("store/memory.hpp", "<hawser/policy/heartbeat.hpp>"),
    ("link/loop.hpp", "<hawser/server/listener.hpp>"),
    ("link/loop.hpp", "<hawser/transfer/core.hpp>"),
    ("transfer/core.hpp", "<hawser/server/listener.hpp>"),
    ("resilient_socket.hpp", "<hawser/client/pool.hpp>"),
    ("resilient_socket.hpp", "<hawser/hawser.hpp>"),
    ("client/pool.hpp", "<hawser/server/listener.hpp>"),
    ("server/listener.hpp", "<hawser/testing/simulator.hpp>"),
    ("testing/simulator.hpp", "<hawser/attic/old.hpp>"),
    ("attic/old.hpp", "<vector>"),
    ("shell/old.hpp", "<vector>"),
]


def self_test():
    """Each allowed include alone gives no problem, each forbidden one exactly one."""
    failures = []
    for expected, cases in ((0, ALLOWED), (1, FORBIDDEN)):
        for path, include in cases:
            with tempfile.TemporaryDirectory() as folder:
                header = pathlib.Path(folder, path)
                header.parent.mkdir(parents=True, exist_ok=True)
                line = include if "#" in include else f"#include {include}"
                header.write_text(f"// {line}\n#pragma once\n{line}\n", encoding="utf-8")
                problems, _ = check(pathlib.Path(folder))
            if len(problems) != expected:
                failures.append(f"{path} with {include}: expected {expected}, found {problems}")
    return failures, len(ALLOWED) + len(FORBIDDEN)


def main(arguments):
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    if arguments[0] == "--self-test":
        problems, count = self_test()
        unit = "planted includes"
    else:
        root = pathlib.Path(arguments[0])
        if not root.is_dir():
            print(f"{root} is not a directory", file=sys.stderr)
            return 2
        problems, count = check(root)
        unit = "headers"
        if count == 0:
            problems.append(f"{root}: no header found")
    for problem in problems:
        print(problem)
    print(f"{count} {unit} checked, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

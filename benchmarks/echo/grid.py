# SPDX-License-Identifier: BSL-1.0
"""What is measured: kinds of load on an echo server."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    size: int
    connections: int
    depth: int  # messages in flight on each connection
    text: bool = False

    @property
    def name(self):
        size = f"{self.size} B" if self.size < 1024 else f"{self.size // 1024} KiB"
        if self.size >= 1 << 20:
            size = f"{self.size >> 20} MiB"
        return f"{size}{' text' if self.text else ''} / {self.connections} / {self.depth}"

    def arguments(self):
        text = ["--text"] if self.text else []
        return ["--size", str(self.size), "--connections", str(self.connections), "--depth", str(self.depth), *text]


GRID = [
    Work(20, 50, 16),
    Work(20, 50, 1),
    Work(125, 500, 1),
    Work(1024, 50, 16, text=True),
    Work(16 * 1024, 50, 1),
    Work(64 * 1024, 50, 1),
    Work(64 * 1024, 10, 1, text=True),
    Work(1 << 20, 1, 1),
]

# SPDX-License-Identifier: BSL-1.0
"""Python's websockets as a feed that falls silent, refuses a subscription, replays, and refuses credentials."""
import asyncio
import json

from websockets.asyncio.server import serve

connections = 0


def tell(**event):
    print(json.dumps(event), flush=True)


async def handle(socket):
    global connections
    connections += 1
    number = connections
    asked = [await socket.recv(), await socket.recv()]
    if number == 1:  # a feed that stops, on a server that lives
        for text in ("trade 0", "subscribed", "subscribed", "trade 1", "trade 2"):
            await socket.send(text)
    elif number == 2:
        await socket.send("denied: try later")
    elif number == 3:
        for text in ("subscribed", "trade 2", "subscribed", "trade 3"):
            await socket.send(text)
        await asyncio.sleep(0.2)
        await socket.close(1008, "token expired")
    await socket.wait_closed()
    tell(connection=number, asked=asked, closed=socket.close_code)


async def main():
    async with serve(handle, "127.0.0.1", 0, ping_interval=0.2, ping_timeout=5) as server:
        print(f"listening {server.sockets[0].getsockname()[1]}", flush=True)
        await asyncio.get_running_loop().create_future()


asyncio.run(main())

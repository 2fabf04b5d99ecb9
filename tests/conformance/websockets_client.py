# SPDX-License-Identifier: BSL-1.0
"""Python's websockets as a client; the modes are those of ws_client.js."""
import asyncio
import json
import os
import sys

import websockets
from websockets.asyncio.client import connect

MODE, URL = sys.argv[1:3]
SIZES = (0, 1, 125, 126, 127, 65535, 65536, 1024 * 1024)
CLOSES = ((1000, ""), (1001, "going"), (1011, "internal trouble"), (3000, "gruß"), (4999, "x" * 123), (0, ""))
LETTERS = "häwser € 🚢 0123456789"
COUNTING = bytes(range(256))
told = 0


def check(name, ok, detail=""):
    global told
    told += 1
    print(json.dumps({"check": name, "ok": bool(ok), "detail": str(detail)}), flush=True)


def pattern(text, size, index=0):
    """Begins with the index, so that no two messages are alike; text has characters of one to four bytes."""
    head = f"{index:08}"[:size]
    rest = size - len(head)
    if text:
        unit = len(LETTERS.encode())
        return head + LETTERS * (rest // unit) + "z" * (rest % unit)
    return head.encode() + (COUNTING * (rest // 256 + 1))[:rest]


def opened(**options):
    return connect(URL + "/any/path?x=1", max_size=16 * 1024 * 1024, ping_interval=None, **options)


async def expect_echo(socket, name, message):
    try:
        got = await socket.recv()
        check(name, got == message, f"{len(got)} of {type(got).__name__}")
    except websockets.ConnectionClosed as error:
        check(name, False, error)


async def in_fragments(socket, message, count, pongs):
    step = -(-len(message) // count)
    for i in range(count):
        yield message[i * step : (i + 1) * step]
        if i < count - 1:
            pongs.append(await socket.ping(f"{len(pongs)}"))


async def whole_and_in_fragments(socket):
    for text in (True, False):
        for size in SIZES:
            name, message = f"{'text' if text else 'binary'} {size}", pattern(text, size)
            await socket.send(message)
            await expect_echo(socket, name, message)
            for count in (2, 5, 40):
                pongs = []
                await socket.send(in_fragments(socket, message, count, pongs))
                await expect_echo(socket, f"{name} in {count} fragments", message)
                await pongs[-1]
                check(f"{name} in {count} fragments: the last ping is answered", True)


async def pipelined(socket):
    for text, size, count in ((True, 0, 1000), (True, 100, 10000), (False, 300, 10000), (False, 20000, 1000)):

        async def send_all(text=text, size=size, count=count):
            for i in range(count):
                await socket.send(pattern(text, size, i))

        sending = asyncio.create_task(send_all())
        good = 0
        for i in range(count):
            good += await socket.recv() == pattern(text, size, i)
        await sending
        check(f"{count} {'text' if text else 'binary'} messages of {size} at once", good == count, good)


async def close_codes(name):
    for code, reason in CLOSES:
        socket = await opened()
        if code:
            await socket.close(code, reason)
        else:
            async with socket.send_context():
                socket.protocol.send_close()
            await socket.wait_closed()
        check(f"{name} {code or 'without a code'}", socket.close_code == (code or 1005), socket.close_code)


async def echo():
    async with opened() as socket:
        answer = socket.response.headers.get("Sec-WebSocket-Extensions", "")
        check("permessage-deflate was offered, and is agreed on where both can",
              "permessage-deflate" in socket.request.headers.get("Sec-WebSocket-Extensions", "")
              and answer.startswith("permessage-deflate") == ("HAWSER_COMPRESSION" in os.environ), answer)
        await whole_and_in_fragments(socket)
        for size in (0, 5, 125):
            await (await socket.ping("p" * size))
            check(f"ping {size}", True)
        await pipelined(socket)
    check("close", socket.close_code == 1000, socket.close_code)
    many = [await opened() for _ in range(50)]
    for i, one in enumerate(many):
        await one.send(pattern(False, 1000, i))
    for i, one in enumerate(many):
        await expect_echo(one, f"connection {i} of 50", pattern(False, 1000, i))
        one.transport.abort()
    await close_codes("close by the peer")


async def talk():
    for code, reason in CLOSES:
        socket = await opened()
        await socket.send(f"close {code} {reason}")
        await socket.wait_closed()
        got = (socket.close_code, socket.close_reason)
        check(f"close {code or 'without a code'} by us", got == (code or 1005, reason), got)
    await close_codes("close by the peer")
    for offered, chosen in ((["two"], "two"), (["two", "one"], "one"), (["three", "two"], "two"), (["three"], None)):
        socket = await opened(subprotocols=offered)
        check(f"offering {offered}", socket.subprotocol == chosen, socket.subprotocol)
        await socket.send("subprotocol")
        await expect_echo(socket, f"offering {offered}: our side agrees", chosen or "")
        socket.transport.abort()
    socket = await opened()
    await asyncio.sleep(0.2)  # in which our side pings; the library answers by itself
    await socket.send("still here")
    await expect_echo(socket, "after our pings", "still here")
    await socket.close()


async def wait():
    socket = await opened()
    print("connected", flush=True)
    await socket.wait_closed()
    print(f"closed {socket.close_code} {socket.close_reason}", flush=True)


asyncio.run({"echo": echo, "talk": talk, "wait": wait}[MODE]())
if MODE != "wait":
    print(json.dumps({"end": told}), flush=True)

# SPDX-License-Identifier: BSL-1.0
"""Python's websockets as a server; the paths and the environment are those of ws_server.js."""
import asyncio
import json
import os
import ssl

import websockets
from websockets.asyncio.server import serve


def tell(**event):
    print(json.dumps(event), flush=True)


async def fragments(socket, message, pongs):
    third = -(-len(message) // 3)
    yield message[:third]
    yield message[:0]
    yield message[third : 2 * third]
    pongs.append(await socket.ping(f"between {len(pongs)}"))
    yield message[2 * third :]


async def answer(socket, path, message, pongs):
    if path == "/fragments":
        await socket.send(fragments(socket, message, pongs))
    elif path == "/ping":
        await (await socket.ping("p" * int(message)))
        await socket.send(f"pong {message}")
    elif path == "/close":
        code, reason = message.split(":")
        if code == "0":
            async with socket.send_context():
                socket.protocol.send_close()
        else:
            await socket.close(int(code), reason)
    elif path == "/record" and message == "cut":
        socket.transport.abort()
    elif path == "/record":
        tell(url=socket.request.path, message=message)
    else:
        await socket.send(message)


async def count_pings(socket):
    """The library answers pings by itself; it is asked to tell of them as well."""
    told = asyncio.Event()
    seen = 0
    process = socket.process_event

    def counting(event):
        nonlocal seen
        seen += event.opcode is websockets.frames.Opcode.PING
        if seen == 3:
            told.set()
        process(event)

    socket.process_event = counting
    await told.wait()
    await socket.send("3 pings")


async def handle(socket):
    path = socket.request.path.split("?")[0]
    pongs = []
    counter = asyncio.create_task(count_pings(socket)) if path == "/pinged" else None
    try:
        async for message in socket:
            await answer(socket, path, message, pongs)
    except websockets.ConnectionClosed:
        pass
    await socket.wait_closed()
    if counter:
        counter.cancel()
    answered = sum(1 for pong in pongs if pong.done() and not pong.cancelled() and not pong.exception())
    compressed = "Sec-WebSocket-Extensions" in socket.response.headers
    tell(url=socket.request.path, closed=socket.close_code, reason=socket.close_reason, pongs=answered, compressed=compressed)


def choose(_, offered):
    return "two" if "two" in offered else None


def security():
    if "HAWSER_TLS_CHAIN" not in os.environ:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.environ["HAWSER_TLS_CHAIN"], os.environ["HAWSER_TLS_KEY"])
    return context


async def main():
    limit = 16 * 1024 * 1024
    compression = "deflate" if "HAWSER_COMPRESSION" in os.environ else None
    async with serve(handle, "127.0.0.1", 0, max_size=limit, select_subprotocol=choose, ping_interval=None,
                     ssl=security(), compression=compression) as server:
        print(f"listening {server.sockets[0].getsockname()[1]}", flush=True)
        await asyncio.get_running_loop().create_future()


asyncio.run(main())

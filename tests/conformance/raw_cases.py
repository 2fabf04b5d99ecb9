# SPDX-License-Identifier: BSL-1.0
"""A peer of raw sockets in either role, and what it tries on an echo: each case is a function of a connection
that raises AssertionError."""
import base64
import functools
import hashlib
import os
import socket
import ssl
import struct
import zlib

PATIENCE_S = 60
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def parameters(extension):
    """Those of "permessage-deflate; a; b=9", of several offers those of the first."""
    pairs = (one.strip().partition("=") for one in extension.split(",")[0].split(";")[1:])
    return {name: value for name, _, value in pairs}


class Connection:
    def __init__(self, stream, masks):
        self.stream, self.masks = stream, masks
        self.stream.settimeout(PATIENCE_S)
        self.buffer = b""
        self.headers = {}
        self.target = ""
        self.agreed = {}  # parameters of permessage-deflate
        self.unzip = None

    # ---- the upgrade ----

    def read_head(self):
        while b"\r\n\r\n" not in self.buffer:
            more = self.stream.recv(65536)
            assert more, "the connection ended within the head"
            self.buffer += more
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        first, *lines = head.decode().split("\r\n")
        self.headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines)}
        return first

    def accept(self, compress):
        """`compress`: the extension to answer with; empty for none."""
        self.target = self.read_head().split(" ")[1]
        answer = base64.b64encode(hashlib.sha1((self.headers["sec-websocket-key"] + GUID).encode()).digest()).decode()
        self.agree(compress)
        extension = f"Sec-WebSocket-Extensions: {compress}\r\n" if compress else ""
        self.stream.sendall(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             f"Sec-WebSocket-Accept: {answer}\r\n{extension}\r\n").encode())

    def request(self, compress):
        """`compress`: the extension to offer; empty for none."""
        extension = f"Sec-WebSocket-Extensions: {compress}\r\n" if compress else ""
        self.stream.sendall(("GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                             f"{extension}\r\n").encode())
        assert self.read_head().startswith("HTTP/1.1 101 ")
        answer = self.headers.get("sec-websocket-extensions", "")
        assert bool(answer) == bool(compress), f"{compress!r} was answered by {answer!r}"
        self.agree(answer)
        asked = parameters(compress)
        for name in ("server_no_context_takeover", "client_no_context_takeover"):
            assert name not in asked or name in self.agreed, f"{name} was not heard: {answer}"
        for name in ("server_max_window_bits", "client_max_window_bits"):
            assert self.window(name) <= int(asked.get(name) or 15), f"{name} was not heard: {answer}"
            assert name == "server_max_window_bits" or name in asked or name not in self.agreed, f"nobody offered {name}"

    def agree(self, answer):
        self.agreed = parameters(answer)
        # Windows are those that were agreed on, so that data which refer back further do not inflate.
        self.unzip, self.unzips = None, (self.side("client" if not self.masks else "server"))

    def window(self, name):
        return int(self.agreed.get(name) or 15)

    def side(self, name):
        """What a side does when it compresses: bits of its window, whether it refers back to earlier messages."""
        return self.window(f"{name}_max_window_bits"), f"{name}_no_context_takeover" not in self.agreed

    def inflate(self, payload):
        bits, takeover = self.unzips
        if self.unzip is None or not takeover:
            self.unzip = zlib.decompressobj(-bits)
        return self.unzip.decompress(payload + b"\0\0\xff\xff")

    # ---- frames ----

    def frame(self, opcode, payload=b"", fin=True, rsv=0, masked=None, length=None):
        size = len(payload) if length is None else length
        flag = 0x80 if (self.masks if masked is None else masked) else 0
        out = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
        out += bytes([flag | size]) if size < 126 else (
            struct.pack("!BH", flag | 126, size) if size < 65536 else struct.pack("!BQ", flag | 127, size))
        if flag:
            key = os.urandom(4)
            whole = int.from_bytes(payload, "big") ^ int.from_bytes((key * (len(payload) // 4 + 1))[:len(payload)], "big")
            return out + key + whole.to_bytes(len(payload), "big")
        return out + payload

    def send(self, *arguments, **options):
        self.stream.sendall(self.frame(*arguments, **options))

    def take(self, size):
        parts = [self.buffer]
        have = len(self.buffer)
        while have < size:
            more = self.stream.recv(1 << 20)
            if not more:
                raise EOFError
            parts.append(more)
            have += len(more)
        whole = b"".join(parts)
        self.buffer = whole[size:]
        return whole[:size]

    def read_frame(self):
        """opcode, reserved bits, fin, payload"""
        first, second = self.take(2)
        size = second & 127
        if size > 125:
            size = int.from_bytes(self.take(2 if size == 126 else 8), "big")
        assert (second >= 128) != self.masks, "masked by its role"
        key = self.take(4) if second >= 128 else b""
        payload = self.take(size)
        if key:
            pad = int.from_bytes((key * (size // 4 + 1))[:size], "big")
            payload = (int.from_bytes(payload, "big") ^ pad).to_bytes(size, "big")
        return first & 15, first >> 4 & 7, first >= 128, payload

    def read_message(self):
        opcode, rsv, fin, payload = self.read_frame()
        while not fin:
            inner, _, fin, more = self.read_frame()
            assert inner == CONTINUATION, "no other frame inside of its message"
            payload += more
        if rsv == 4:
            payload = self.inflate(payload)
        else:
            assert rsv == 0, "reserved bits"
        return opcode, payload

    # ---- expectations ----

    def expect(self, opcode, payload):
        got = self.read_message()
        assert got == (opcode, payload), f"got {got[0]} of {len(got[1])} bytes: {got[1][:40]!r}"

    def expect_close(self, code, before=()):
        """Close with this code, perhaps behind echoes of `before`, and then the end."""
        while True:
            opcode, payload = self.read_message()
            if opcode != CLOSE:
                assert (opcode, payload) in before, f"got {opcode} before Close: {payload[:40]!r}"
                continue
            got = int.from_bytes(payload[:2], "big") if payload else None
            assert got == code, f"close code {got}, expected {code}"
            break
        if not isinstance(self.stream, ssl.SSLSocket):  # whose shutdown ends both directions
            self.stream.shutdown(socket.SHUT_WR)
        assert self.buffer == b"" and self.stream.recv(1) == b"", "nothing follows Close"

    def end(self):
        self.send(CLOSE, struct.pack("!H", 1000))
        self.expect_close(1000)


def run(checks, name, case, connection):
    try:
        case(connection)
        checks.true(name, True)
    except (AssertionError, EOFError, OSError, zlib.error) as e:
        checks.true(name, False, f"{type(e).__name__} {e}")
    finally:
        connection.stream.close()


# ---- cases -----------------------------------------------------------------------------------


def echoes(opcode, payload, cut=None, pause=None):
    def case(c):
        step = cut or max(len(payload), 1)
        pieces = [payload[i:i + step] for i in range(0, len(payload), step)] or [b""]
        for i, piece in enumerate(pieces):
            c.send(opcode if i == 0 else CONTINUATION, piece, fin=i + 1 == len(pieces))
            if pause is not None and i + 1 < len(pieces):
                c.send(PING, pause)
                assert c.read_frame() == (PONG, 0, True, pause), "a pong inside of the message"
        c.expect(opcode, payload)
        c.end()
    return case


def refused(code, *frames):
    def case(c):
        c.stream.sendall(b"".join(f if isinstance(f, bytes) else c.frame(*f[0], **f[1]) for f in frames))
        c.expect_close(code, before=[(TEXT, b"ok")])
    return case


def f(*arguments, **options):
    return arguments, options


def trickles(payload):
    def case(c):
        data = c.frame(TEXT, payload)
        for i in range(len(data)):
            c.stream.sendall(data[i:i + 1])
        c.expect(TEXT, payload)
        c.end()
    return case


def closes(payload, code):
    def case(c):
        c.send(CLOSE, payload)
        c.expect_close(code)
    return case


def pings(c):
    for size in (0, 1, 125):
        c.send(PING, b"p" * size)
        assert c.read_frame() == (PONG, 0, True, b"p" * size)
    c.send(PONG, b"nobody asked")
    c.send(TEXT, b"still here")
    c.expect(TEXT, b"still here")
    c.end()


def goes_on_after_close(c):
    c.stream.sendall(c.frame(CLOSE, struct.pack("!H", 1000)) + c.frame(TEXT, b"too late") + c.frame(PING))
    c.expect_close(1000)


def zipped(payload, cut=None, level=6, spoil=False, also_plain=False, bits=15, count=3):
    def case(c):
        agreed_bits, takeover = c.side("client" if c.masks else "server")
        packer = None
        for number in range(count):
            if packer is None or not takeover:
                packer = zlib.compressobj(level, zlib.DEFLATED, -max(9, min(bits, agreed_bits)))
            text = payload + str(number).encode()
            data = (packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]
            if spoil:
                data = b"\x07" + data
            step = cut or len(data)
            for i in range(0, len(data), step):
                c.send(TEXT if i == 0 else CONTINUATION, data[i:i + step], fin=i + step >= len(data), rsv=4 if i == 0 else 0)
            if spoil:
                return c.expect_close(1007)
            c.expect(TEXT, text)
            if also_plain:
                c.send(TEXT, b"as it is")
                c.expect(TEXT, b"as it is")
        c.end()
    return case


@functools.lru_cache
def zeros(mib):
    packer = zlib.compressobj(1, zlib.DEFLATED, -9)
    return (b"".join(packer.compress(bytes(1 << 20)) for _ in range(mib)) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


def bomb(mib):
    def case(c):
        c.send(BINARY, zeros(mib), rsv=4)
        c.expect_close(1009)
    return case


# RFC 7692 7.2.3: "Hello" compressed, stored, in a block that says it is the last, in two blocks.
HELLOS = ("f248cdc9c90700", "000500faff48656c6c6f00", "f348cdc9c9070000", "f24805000000ffffcac9c90700")


def kinds_of_blocks(c):
    for data in HELLOS:
        c.send(TEXT, bytes.fromhex(data), rsv=4)
        c.expect(TEXT, b"Hello")
    c.end()


def pings_in_a_row(c):
    for i in range(10):
        c.stream.sendall(c.frame(PING, b"payload-%d" % i))
    for i in range(10):
        assert c.read_frame() == (PONG, 0, True, b"payload-%d" % i), f"pong {i}"
    c.end()


def ping_inside_of_a_message(c):
    """All in one write: the pong does not wait for the message."""
    c.stream.sendall(c.frame(TEXT, b"a", fin=False) + c.frame(PING, b"p") + c.frame(CONTINUATION, b"b"))
    assert c.read_frame() == (PONG, 0, True, b"p"), "a pong before the message"
    c.expect(TEXT, b"ab")
    c.end()


WINDOWS = ("", "; {}_max_window_bits=9", "; {}_max_window_bits=15")
TAKEOVER = ("", "; {}_no_context_takeover")


def all_cases():
    """Name, the extension that is offered or agreed on, function."""
    found = []

    def add(name, case, compress=""):
        found.append((name, "permessage-deflate" if compress is True else compress, case))

    text = "\u043f\u0440\u0438\u0432\u0435\u0442 \u20ac \U0001f600 ".encode()
    for size in (0, 1, 125, 126, 127, 65535, 65536, 1 << 20):
        add(f"echo of {size} bytes, binary", echoes(BINARY, os.urandom(size)))
        add(f"echo of {size} bytes, text", echoes(TEXT, b"*" * size))
    add("echo of 16 MiB", echoes(BINARY, os.urandom(16 << 20)))
    add("echo of 16 MiB in frames of 64 KiB", echoes(TEXT, b"*" * (16 << 20), 65536))
    add("echo of 1 MiB in 16,384 frames", echoes(BINARY, os.urandom(1 << 20), 64))
    add("text in frames of a byte", echoes(TEXT, text, 1))
    add("text in bytes of TCP", trickles(text))
    add("F12: pings inside of a message", echoes(TEXT, text, 7, b"inside"))
    add("empty frames", echoes(TEXT, b""))
    add("pings and a pong", pings)
    add("ten pings in a row", pings_in_a_row)
    add("F12: a ping inside of a message, all in one write", ping_inside_of_a_message)
    for rsv in range(1, 8):
        add(f"F1: reserved bits {rsv}", refused(1002, f(TEXT, b"ok"), f(TEXT, b"x", rsv=rsv)))
        add(f"F1: reserved bits {rsv} of a control frame", refused(1002, f(PING, b"", rsv=rsv)))
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        add(f"F2: opcode {opcode}", refused(1002, f(TEXT, b"ok"), f(opcode, b"x")))
    add("F8: a ping of 126 bytes", refused(1002, f(PING, b"p" * 126)))
    add("F9: a ping in fragments", refused(1002, f(PING, b"p", fin=False)))
    add("F10: nothing to continue", refused(1002, f(CONTINUATION, b"x")))
    add("F10: nothing to continue any more", refused(1002, f(TEXT, b"ok"), f(CONTINUATION, b"x", fin=False)))
    add("F11: a message inside of a message", refused(1002, f(TEXT, b"a", fin=False), f(TEXT, b"b")))
    add("F4: a length with its top bit set", refused(1002, f(BINARY, b"", length=1 << 63)))
    wrong = [b"\xff", b"a\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe0\x80\x80", b"\xf8\x88\x80\x80\x80", b"a\x80"]
    for one in wrong:
        add(f"F17: text {one.hex()}", refused(1007, f(TEXT, one)))
        add(f"F17: text {one.hex()} in a message without end", refused(1007, f(TEXT, b"ab", fin=False), f(CONTINUATION, one, fin=False)))
        add(f"F23: close reason {one.hex()}", closes(struct.pack("!H", 1000) + one, 1007))
    add("F17: text that ends within a character", refused(1007, f(TEXT, text[:1])))
    add("F18: a character over two frames", echoes(TEXT, "\u20ac".encode(), 2))
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999):
        add(f"close code {code}", closes(struct.pack("!H", code) + b"why", code))
    for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535):
        add(f"F22: close code {code}", closes(struct.pack("!H", code), 1002))
    add("close without a code", closes(b"", None))
    add("F21: close of a byte", closes(b"\x03", 1002))
    add("a close reason of 123 bytes", closes(struct.pack("!H", 1000) + b"r" * 123, 1000))
    add("frames behind Close", goes_on_after_close)
    words = b"the quick brown fox jumps over the lazy dog " * 30
    add("compressed", zipped(words), True)
    add("compressed, and as it is between", zipped(words, also_plain=True), True)
    add("compressed in fragments", zipped(words, 9), True)
    add("compressed with level 0", zipped(words, level=0), True)
    add("compressed with a small window", zipped(words, bits=9), True)
    add("compressed, 8 MiB", zipped(words * 6000), True)
    add("blocks that are stored, several, or say that they are the last", kinds_of_blocks, True)
    add("D1: a bomb of 80 MiB", bomb(80), True)
    for window in WINDOWS:
        for takeover in TAKEOVER:
            for by in ("client", "server"):
                terms = "permessage-deflate" + (window + takeover).format(by, by)
                for size in (1, 200, 3000):
                    add(f"{terms}: messages of {44 * size} bytes", zipped(words[:44] * size, count=20), terms)
    for terms in ("; server_max_window_bits=10; client_max_window_bits=10",
                  "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9; client_max_window_bits=9"):
        add(f"permessage-deflate{terms}", zipped(words * 50, 1000, count=10), "permessage-deflate" + terms)
    add("D2: corrupt", zipped(words, spoil=True), True)
    add("D3: RSV1 on a ping", refused(1002, f(PING, b"", rsv=4)), True)
    add("D3: RSV1 on a continuation", refused(1002, f(TEXT, b"a", fin=False), f(CONTINUATION, b"b", rsv=4)), True)
    add("F26: as it is on a compressed connection", echoes(BINARY, os.urandom(1000)), True)
    return found

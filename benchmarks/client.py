"""A small, strict S3 client on raw sockets, for load: as little Python per operation as possible.

Here: signing a request head ahead of the clock, one keep-alive connection, bodies compared while
they arrive. Not here: retries, redirects, XML; whoever drives it decides what an answer means.

Promise: an answer is returned only if it was framed rightly to its last byte and, where a body
was expected, every byte of it was compared. A connection that failed in any way is closed, never
reused.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from core import clock

UNSIGNED = "UNSIGNED-PAYLOAD"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()

Pair = tuple[str, str]


class Fault(Exception):
    """The answer broke the protocol, or its body was not what had been stored."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """Where a store is and with which key to talk to it."""

    endpoint: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"

    @classmethod
    def of_home(cls, home: Path) -> Access:
        """Read what `make run` left in its home."""
        found = json.loads((home / "credentials.json").read_text())
        return cls(
            endpoint=found["endpoint"],
            access_key=found["access_key"],
            secret_key=found["secret_key"],
            region=found.get("region", "us-east-1"),
        )


class Signer:
    """SigV4 in the header, for requests whose payload hash is known."""

    def __init__(self, access: Access) -> None:
        url = urlsplit(access.endpoint)
        if url.scheme != "http" or url.hostname is None:
            raise ValueError(f"only plain http endpoints: {access.endpoint}")
        self.host, self.port = url.hostname, url.port or 80
        self._host_header = f"{self.host}:{self.port}"
        self._access = access
        self._keys: dict[str, bytes] = {}

    def _key(self, day: str) -> bytes:
        if day not in self._keys:
            key = f"AWS4{self._access.secret_key}".encode()
            for step in (day, self._access.region, "s3", "aws4_request"):
                key = hmac.digest(key, step.encode(), "sha256")
            self._keys = {day: key}
        return self._keys[day]

    def head(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[Pair] = (),
        sha256: str = EMPTY_SHA256,
        length: int | None = None,
        headers: Iterable[Pair] = (),
    ) -> bytes:
        """The signed request head, ready to be sent."""
        stamp = clock.now().strftime("%Y%m%dT%H%M%SZ")
        day = stamp[:8]
        target = quote(path, safe="/-_.~")
        text = "&".join(
            f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
            for name, value in sorted(query)
        )
        fields = {
            "host": self._host_header,
            "x-amz-content-sha256": sha256,
            "x-amz-date": stamp,
            **dict(headers),
        }
        names = ";".join(sorted(fields))
        canonical = "\n".join(
            [method, target, text, *(f"{n}:{fields[n]}" for n in sorted(fields)), "", names, sha256]
        )
        scope = f"{day}/{self._access.region}/s3/aws4_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
        signature = hmac.new(self._key(day), to_sign.encode(), hashlib.sha256).hexdigest()
        lines = [f"{method} {target}{'?' + text if text else ''} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        lines.append(
            f"authorization: AWS4-HMAC-SHA256 Credential={self._access.access_key}/{scope},"
            f" SignedHeaders={names}, Signature={signature}"
        )
        if length is not None:
            lines.append(f"content-length: {length}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Expected:
    """What a body must be: pieces, compared as the bytes arrive (a memcmp each)."""

    __slots__ = ("_at", "_piece", "_pieces")

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = pieces
        self._piece = 0
        self._at = 0

    def take(self, view: memoryview) -> None:
        while len(view):
            if self._piece >= len(self._pieces):
                raise Fault("the body is longer than what was stored")
            piece = self._pieces[self._piece]
            count = min(len(view), len(piece) - self._at)
            if not piece.startswith(view[:count], self._at):  # one memcmp
                raise Fault("CONTENT MISMATCH")
            view = view[count:]
            self._at += count
            if self._at == len(piece):
                self._piece, self._at = self._piece + 1, 0

    def finish(self) -> None:
        if self._piece != len(self._pieces):
            raise Fault("the body is shorter than what was stored")


class Kept:
    """Keeps a body instead of comparing it."""

    __slots__ = ("pieces",)

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def take(self, view: memoryview) -> None:
        self.pieces.append(bytes(view))

    def finish(self) -> None:
        return


@dataclass(slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Connection:
    """One keep-alive HTTP/1.1 connection; opened when first used and again after a failure."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._socket: socket.socket | None = None
        self._buffer = bytearray(1 << 18)
        self._view = memoryview(self._buffer)

    async def _open(self) -> socket.socket:
        if self._socket is None:
            opened = socket.socket()
            opened.setblocking(False)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                await asyncio.get_running_loop().sock_connect(opened, (self._host, self._port))
            except BaseException:
                opened.close()
                raise
            self._socket = opened
        return self._socket

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def ask(
        self,
        head: bytes,
        body: Sequence[bytes | memoryview] = (),
        *,
        expected: Expected | None = None,
        is_head: bool = False,
    ) -> Answer:
        """Send one request and read the whole answer."""
        try:
            return await self._ask(head, body, expected, is_head)
        except BaseException:
            self.close()
            raise

    async def _ask(
        self,
        head: bytes,
        body: Sequence[bytes | memoryview],
        expected: Expected | None,
        is_head: bool,
    ) -> Answer:
        loop = asyncio.get_running_loop()
        opened = await self._open()
        try:
            await loop.sock_sendall(opened, head)
            for part in body:
                await loop.sock_sendall(opened, part)
        except (BrokenPipeError, ConnectionResetError) as gone:
            if not body:
                raise
            # The server may have refused early and shut its side: its answer may be readable.
            refused = gone
        else:
            refused = None
        try:
            status, headers, rest = await self._read_head(loop, opened)
        except (Fault, OSError):
            if refused is not None:
                raise refused from None
            raise
        kept = Kept()
        sink: Expected | Kept = expected if expected is not None and status < 300 else kept
        if not (is_head or status in (204, 304)):
            await self._read_body(loop, opened, headers, rest, sink)
        if headers.get("connection", "").lower() == "close" or refused is not None:
            self.close()
        if not is_head:
            sink.finish()
        return Answer(status, headers, b"".join(kept.pieces))

    async def _read_head(
        self, loop: asyncio.AbstractEventLoop, opened: socket.socket
    ) -> tuple[int, dict[str, str], memoryview]:
        got = 0
        while True:
            end = self._buffer.find(b"\r\n\r\n", 0, got)
            if end >= 0 and self._buffer[9:12] == b"100":
                rest = bytes(self._view[end + 4 : got])
                self._buffer[: len(rest)] = rest
                got = len(rest)
                continue
            if end >= 0:
                break
            if got == len(self._buffer):
                raise Fault("the answer's head is too long")
            count = await loop.sock_recv_into(opened, self._view[got:])
            if count == 0:
                raise Fault("the connection was closed before an answer")
            got += count
        lines = bytes(self._view[:end]).decode("latin1").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        return int(lines[0].split(" ", 2)[1]), headers, self._view[end + 4 : got]

    async def _read_body(
        self,
        loop: asyncio.AbstractEventLoop,
        opened: socket.socket,
        headers: dict[str, str],
        first: memoryview,
        sink: Expected | Kept,
    ) -> None:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            await self._read_chunks(loop, opened, bytes(first), sink)
            return
        left = int(headers.get("content-length", "0"))
        if len(first) > left:
            raise Fault("more bytes than the content-length said")
        sink.take(first)
        left -= len(first)
        while left:
            count = await loop.sock_recv_into(opened, self._view[: min(left, len(self._buffer))])
            if count == 0:
                raise Fault(f"closed {left} bytes short")
            sink.take(self._view[:count])
            left -= count

    async def _read_chunks(
        self,
        loop: asyncio.AbstractEventLoop,
        opened: socket.socket,
        first: bytes,
        sink: Expected | Kept,
    ) -> None:
        raw = bytearray(first)

        async def more() -> None:
            count = await loop.sock_recv_into(opened, self._view)
            if count == 0:
                raise Fault("closed inside a chunked answer")
            raw.extend(self._view[:count])

        while True:
            while (line := raw.find(b"\r\n")) < 0:
                await more()
            size = int(bytes(raw[:line]).split(b";")[0], 16)
            while len(raw) < line + 2 + size + 2:
                await more()
            sink.take(memoryview(bytes(raw[line + 2 : line + 2 + size])))
            del raw[: line + 2 + size + 2]
            if size == 0:
                return


async def once(
    signer: Signer,
    method: str,
    path: str,
    *,
    query: Sequence[Pair] = (),
    body: bytes = b"",
    headers: Iterable[Pair] = (),
    ok: tuple[int, ...] = (200,),
) -> Answer:
    """One request on a connection of its own; any other status is a `Fault`."""
    connection = Connection(signer.host, signer.port)
    try:
        head = signer.head(
            method,
            path,
            query=query,
            sha256=hashlib.sha256(body).hexdigest(),
            length=len(body) if method in ("PUT", "POST") else None,
            headers=headers,
        )
        answer = await connection.ask(head, [body] if body else [], is_head=method == "HEAD")
    finally:
        connection.close()
    if answer.status not in ok:
        raise Fault(f"{method} {path}: {answer.status} {answer.body[:300]!r}")
    return answer

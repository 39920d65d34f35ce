"""HTTP/1.1 on one connection: requests come off it, answers go onto it, for any ASGI application.

Here: heads and their limits, back pressure, keep-alive, pipelining, half-closed and lost
connections, what is no request. Not here: one request and its answer (s3.exchange), the grammar of
HTTP (httptools: it is llhttp; s3.raw_target and s3.offers for where it errs), what a request
means and what refusals say (s3.gateway), all connections of a process (s3.connections).

Everything happens on the loop's thread. A server that parses on threads of its own hands every
request over several times, and each hand-over costs more than all that is done here (ADR 0011).

Promise: a request whose framing is doubtful is refused and its connection closed; nothing is read
ahead of the application by more than `READ_AHEAD`; answers leave in the order of their requests;
head and body of a small answer leave in one write.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol, cast

import httptools

from s3 import offers, raw_target
from s3.exchange import (
    READ_AHEAD,
    Application,
    Exchange,
    Headers,
    Message,
    Refusal,
    http_scope,
)

# Bytes that bring the parser to no end: of a head, of trailers, of a chunk's extensions.
HEAD_BYTES = 64 << 10
HEAD_FIELDS = 200
# A request's beginning that is kept in case its target turns out to hold raw bytes.
START_BYTES = 8 << 10
# Pipelined requests that may wait for their turn before no more is read.
PIPELINED = 16
# More than this in what had been read by then is no client, but an attack on our memory.
PIPELINED_MOST = 256
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})


class Company(Protocol):
    """What a connection needs of its process (s3.connections)."""

    application: Application
    refusing: Application
    open: set[Connection]
    is_stopping: bool

    def gone(self, one: Connection) -> None: ...


class Connection(asyncio.Protocol):
    """One client's connection. The parser calls `on_...`, the transport the rest."""

    __slots__ = (
        "_connections", "_expects", "_fields", "_has_begun", "_headers", "_in_head", "_is_broken",
        "_is_eof", "_parser", "_peer", "_reading", "_since", "_skipped", "_stalled_since",
        "_start", "_unfinished", "_url", "_waiting", "answering", "loop", "transport", "unread",
    )  # fmt: skip

    transport: asyncio.Transport

    def __init__(self, connections: Company) -> None:
        self._connections = connections
        self.loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self.answering: Exchange | None = None
        self._reading: Exchange | None = None
        self._waiting: deque[Exchange] = deque()
        # There while the client has not read enough of what was sent.
        self.unread: asyncio.Future[None] | None = None
        self._stalled_since = 0.0
        self._since = self.loop.time()
        self._is_eof = self._is_broken = False
        self._in_head = self._has_begun = self._expects = False
        self._unfinished = 0
        self._fields = 0
        self._url = b""
        self._start: bytes | None = b""
        self._headers: Headers = []
        # The framing of a body the parser skips, until another parser takes it up.
        self._skipped: Headers = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._peer = transport.get_extra_info("peername")
        self._connections.open.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._connections.gone(self)
        for exchange in (self.answering, self._reading, *self._waiting):
            if exchange is not None:
                exchange.lose()
        self._waiting.clear()
        # It holds us and we it: what both hold would stay until the collector comes by.
        self._reading = None
        del self._parser
        self.resume_writing()

    def data_received(self, data: bytes) -> None:
        if self._is_broken:
            return
        self._unfinished += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._stay()
            if rest := data[upgrade.args[0] :]:
                self.data_received(rest)
            return
        except httptools.HttpParserInvalidURLError:
            left = self._begun_anew(data)
            if left is None:
                self._refuse(400, has_method=True)
            else:
                self._unfinished -= len(left)
                self.data_received(left)
            return
        except httptools.HttpParserError:
            self._refuse(431 if self._fields > HEAD_FIELDS else 400)
            return
        if self._in_head:
            self._keep(data)
        if self._unfinished > HEAD_BYTES and (self._in_head or self._reading is not None):
            self._refuse(431 if self._in_head else 400)

    def eof_received(self) -> bool:
        """The client sends no more; it may still read."""
        self._is_eof = True
        if self._reading is not None:
            self._reading.lose()
        return self.answering is not None

    def pause_writing(self) -> None:
        self.unread = self.loop.create_future()
        self._stalled_since = self.loop.time()

    def resume_writing(self) -> None:
        unread, self.unread = self.unread, None
        if unread is not None and not unread.done():
            unread.set_result(None)

    # What the parser finds.

    def on_message_begin(self) -> None:
        self._in_head = self._has_begun = True
        self._since = self.loop.time()
        self._url = b""
        self._start = b""
        self._headers = []
        self._fields = 0
        self._expects = False

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields += 1
        if self._fields > HEAD_FIELDS:
            raise _Refused
        if self._in_head:  # else a trailer of HTTP's own, which nothing of S3 is sent in
            name = name.lower()
            if name == b"expect":
                self._expects = value.lower() == b"100-continue"
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._parser.should_upgrade():
            self._skipped = [each for each in self._headers if each[0] in _FRAMING]
        if len(self._waiting) >= PIPELINED_MOST or (self._skipped and self._is_connect()):
            raise _Refused
        keeps_alive = self._parser.should_keep_alive()
        exchange = self._reading = Exchange(self, self._scope(), keeps_alive, self._expects)
        self._in_head = False
        self._unfinished = self._fields = 0
        if self.answering is None:
            self._answer(exchange)
            return
        self._waiting.append(exchange)
        if len(self._waiting) >= PIPELINED:
            self.transport.pause_reading()

    def on_body(self, body: bytes) -> None:
        self._unfinished = 0
        assert self._reading is not None
        if self._reading.take(body) > READ_AHEAD:
            self.transport.pause_reading()

    def on_message_complete(self) -> None:
        if self._skipped:
            return
        self._unfinished = 0
        self._has_begun = False
        exchange, self._reading = self._reading, None
        assert exchange is not None
        exchange.is_whole = True
        exchange.wake()

    # What exchanges ask for.

    @property
    def is_stopping(self) -> bool:
        return self._connections.is_stopping

    def over(self, exchange: Exchange) -> None:
        """An answer has ended: the next request's turn, or the connection's end."""
        self.answering = None
        self._since = self.loop.time()
        is_last = (self._is_eof or self._is_broken) and not self._waiting
        if is_last or not exchange.keeps_alive or not exchange.is_whole or self.is_stopping:
            self._waiting.clear()
            self._end(is_read=exchange.is_whole and not self._is_broken)
            return
        if self._waiting:
            self._answer(self._waiting.popleft())
        if not self._waiting and not self._is_broken:
            # Paused for what waited, or for a body that came to its end while much of it was kept.
            self.transport.resume_reading()

    def look(self, now: float, keep_alive_s: float, head_s: float, stall_s: float) -> None:
        """End what takes too long; bodies are the application's to watch."""
        if self.unread is not None:
            if now - self._stalled_since > stall_s:
                self.transport.abort()
            return
        patience_s = head_s if self._has_begun else keep_alive_s
        if self.answering is None and now - self._since > patience_s:
            self.transport.close()

    def stop(self) -> None:
        """Serve what is under way, then close."""
        if self.answering is None:
            self.transport.close()

    def _scope(self) -> Message:
        url = self._url
        if not url.startswith(b"/") and url != b"*":
            parsed = httptools.parse_url(url)
            url = (parsed.path or b"/") + (b"?" + parsed.query if parsed.query else b"")
        path, _, query = url.partition(b"?")
        parser = self._parser
        return http_scope(
            parser.get_http_version(), parser.get_method(), path, query, self._headers, self._peer
        )

    def _end(self, *, is_read: bool) -> None:
        """Close. A client that still sends must come to our answer first: closing on what it sent
        would reset the connection, and the answer with it. `look` bounds how long we hear it out.
        """
        transport = self.transport
        if is_read or self._is_eof or self.is_stopping or transport.is_closing():
            transport.close()
            return
        self._is_broken = self._has_begun = True
        transport.write_eof()
        transport.resume_reading()

    def _stay(self) -> None:
        """Asked to change protocols, stay with this one."""
        skipped, self._skipped = self._skipped, []
        if skipped:
            self._parser = offers.parser_behind(self, skipped)
        else:
            self._parser = httptools.HttpRequestParser(self)

    def _is_connect(self) -> bool:
        return bool(self._parser.get_method() == b"CONNECT")

    def _answer(self, exchange: Exchange) -> None:
        self.answering = exchange
        exchange.task = self.loop.create_task(exchange.run(self._connections.application))

    def _keep(self, data: bytes) -> None:
        """Keep the beginning of a request that began where data did, for `_begun_anew`."""
        start = self._start
        if start is not None:
            is_useful = self.answering is None and not self._headers and len(start) < START_BYTES
            self._start = start + data if is_useful else None

    def _begun_anew(self, data: bytes) -> bytes | None:
        """Parse a request again whose target holds raw bytes, with these escaped: what is left.

        None when it is not to be mended, or does not begin where data did: behind a request that
        came with it. The application sees the target as it was sent.
        """
        if self._start is None or self.answering is not None:
            return None
        text = self._start + data
        found = raw_target.begun(text, known=len(self._start))
        if found is None:
            return None
        escaped, begin, end = found
        since, parser = self._since, httptools.HttpRequestParser(self)
        try:
            parser.feed_data(escaped)
        except httptools.HttpParserError:
            return None
        self._parser, self._since = parser, since
        self._url, self._start = text[begin:end], text[:end]
        return text[end:]

    def _refuse(self, status: int, *, has_method: bool = False) -> None:
        """What came is not HTTP, or too much of it. Nothing after it can be trusted."""
        self._is_broken = True
        if self._reading is not None:
            # Its answer is the last one; the body still wanted will not come.
            self._reading.lose()
            return
        # A method is whole when a target follows it.
        method = self._parser.get_method() if self._url or has_method else b""
        refusing, headers = self._connections.refusing, self._headers
        refusal = Refusal(self, refusing, status, method, self._url, headers, self._peer)
        if self.answering is None:
            self._answer(refusal)
        else:
            self._waiting.append(refusal)


class _Refused(Exception):
    """More than anybody needs, or not to be read safely: raised through the parser."""

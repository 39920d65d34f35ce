"""Offers of another protocol (`Upgrade: h2c` of curl and of Java), none of which is taken up.

HTTP lets us answer as if nothing had been offered (RFC 9110, 7.8), but the parser thinks every
offer accepted and skips the request's body. Here: a second parser that takes the body up behind the
head the first has read. Not here: when one is needed (s3.connection).

Promise: the body ends where the framing of its own head says, and nowhere else.
"""

from __future__ import annotations

from typing import Protocol

import httptools

from s3.exchange import Headers


class Reader(Protocol):
    """What a parser calls."""

    def on_message_begin(self) -> None: ...
    def on_url(self, url: bytes) -> None: ...
    def on_header(self, name: bytes, value: bytes) -> None: ...
    def on_headers_complete(self) -> None: ...
    def on_body(self, body: bytes) -> None: ...
    def on_message_complete(self) -> None: ...


def parser_behind(reader: Reader, framing: Headers) -> httptools.HttpRequestParser:
    """A parser in the middle of a request: its head, with these framing fields, has been read."""
    parser = httptools.HttpRequestParser(_BehindHead(reader))
    fields = b"".join(b"%b: %b\r\n" % field for field in framing)
    parser.feed_data(b"PUT / HTTP/1.1\r\n%b\r\n" % fields)
    return parser


class _BehindHead:
    """Hands on what a parser finds behind the first head, and all of what follows."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._is_in_head = True
        self.on_body = reader.on_body
        self.on_message_complete = reader.on_message_complete

    def on_message_begin(self) -> None:
        if not self._is_in_head:
            self._reader.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self._is_in_head:
            self._reader.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_in_head:
            self._reader.on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._is_in_head:
            self._is_in_head = False
        else:
            self._reader.on_headers_complete()

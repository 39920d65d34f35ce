"""Answers as bytes: the headers every response carries, and errors as XML.

Here: request ids, Date, Server, the error document, which statuses have a body. Not here: the
shapes of successful answers (s3.shapes).

Promise: no header leaves with a line break in it; an error that is ours is shown as the S3 error it
is seen as, without its inner message; HEAD, 204 and 304 never have a body.
"""

from __future__ import annotations

import os
from email.utils import formatdate
from xml.sax.saxutils import escape

import psycopg

from core import clock
from core.errors import InternalError, ServiceUnavailable, StoreError
from s3.wire import XML, Header, Reply, check_value

_SERVER: Header = (b"server", b"objstore")
_BODILESS = frozenset({204, 304})
_BUSY = 503
# XML 1.0 cannot hold these at all, not even as references.
_FORBIDDEN = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 65534, 65535), "�")
_ENTITIES = {"\r": "&#13;", "\n": "&#10;", "\t": "&#9;", '"': "&quot;"}


class Identity:
    """Names of this process's requests: unique among processes by chance, ascending within one."""

    def __init__(self) -> None:
        self._head = os.urandom(5).hex().upper()
        self._count = 0
        # What S3 calls the host id: here, the gateway process.
        self.host_id = os.urandom(24).hex()
        self.host_header: Header = (b"x-amz-id-2", self.host_id.encode())

    def next(self) -> str:
        self._count += 1
        return f"{self._head}{self._count:06X}"


class Envelope:
    """The headers of every response, made anew once a second."""

    def __init__(self, identity: Identity) -> None:
        self._host = identity.host_header
        self._second = 0
        self._date: Header = (b"date", b"")

    def headers(self, request_id: str) -> list[Header]:
        second = int(clock.timestamp())
        if second != self._second:
            self._second = second
            self._date = (b"date", formatdate(second, usegmt=True).encode())
        return [(b"x-amz-request-id", request_id.encode()), self._host, self._date, _SERVER]


def finished(envelope: list[Header], reply: Reply, method: str) -> list[Header]:
    """All headers of a response, each value checked."""
    check_value(b"".join([value for _, value in reply.headers]))
    headers = envelope + reply.headers
    if reply.status in _BODILESS:
        return [one for one in headers if one[0] != b"content-type"]
    body = reply.body
    if type(body) is bytes and (body or method != "HEAD"):
        headers.append((b"content-length", b"%d" % len(body)))
    elif reply.length is not None:
        headers.append((b"content-length", b"%d" % reply.length))
    return headers


def error_reply(
    error: StoreError,
    *,
    resource: str,
    request_id: str,
    host_id: str,
    retry_after_s: int,
) -> Reply:
    """The answer to an error. A HEAD request's body is left out when it is sent."""
    seen = error.public
    headers = [(name.lower().encode(), _latin(value)) for name, value in error.headers]
    if seen.status == _BUSY:
        headers.append((b"retry-after", b"%d" % retry_after_s))
    if seen.status in _BODILESS:
        return Reply(seen.status, headers, b"")
    is_ours = seen is not type(error)
    elements = [("Code", seen.code), ("Message", seen.says if is_ours else error.message)]
    if not is_ours:
        elements += [(name, str(value)) for name, value in error.details.items()]
    elements += [("Resource", resource), ("RequestId", request_id), ("HostId", host_id)]
    inside = "".join(f"<{name}>{_text(value)}</{name}>" for name, value in elements)
    document = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inside}</Error>'
    return Reply(seen.status, [XML, *headers], document.encode("utf-8", "replace"))


def unexpected(error: BaseException) -> StoreError:
    """What a client is told of a failure nobody foresaw."""
    if isinstance(error, StoreError):
        return error
    # The database said no for now: too slow, locked, shutting down. The client may try again.
    return ServiceUnavailable() if isinstance(error, psycopg.OperationalError) else InternalError()


def _text(value: str) -> str:
    return escape(value.translate(_FORBIDDEN), _ENTITIES)


def _latin(value: str) -> bytes:
    return value.encode("latin-1", "replace")

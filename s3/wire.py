"""What the gateway hands a handler, and what a handler hands back.

Here: `Call`, `Reply`, the handler's type, and the one place that turns text into header bytes.
Not here: parsing (s3.target), authentication (s3.gate), sending (s3.gateway, s3.render).

A handler is called only with an authenticated, looked-up call; it returns a `Reply` or raises a
`StoreError`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

from core.errors import InvalidRequest
from core.streams import Body

if TYPE_CHECKING:
    from objects.found import Found
    from s3.operations import Operation

Header = tuple[bytes, bytes]

XML: Header = (b"content-type", b"application/xml")


class Stream(Protocol):
    """Bytes on their way out: pieces until an empty one. `close` may be called at any time, more
    than once.
    """

    async def next(self) -> bytes | bytearray | memoryview: ...

    async def close(self) -> None: ...


class Call:
    """One request, parsed once. The same parsed bucket and key are authorised, routed and stored.

    - `headers`: lower-case name -> value as Latin-1 text (`.encode("latin-1")` gives the bytes
      sent); values of repeated headers are joined with `,`.
    - `query`: name -> value, both decoded; a name without `=` has the value `""`.
    - `bucket`, `key`: decoded text, None when the path names none. `raw_path` is what was signed.
    - `found`: answer of the one look-up; `caller` is `found.caller`, never None in a handler unless
      the operation allows anonymous callers.
    - `body`: reads the request's payload, decoded and verified; `Whole` when it was small.
    - `payload_sha256`: hex digest the payload must have, or None when the client signed none.
    """

    __slots__ = (
        "body",
        "bucket",
        "bytes_in",
        "bytes_out",
        "caller",
        "found",
        "headers",
        "host",
        "key",
        "method",
        "operation",
        "payload_sha256",
        "peer",
        "query",
        "raw_headers",
        "raw_path",
        "raw_query",
        "request_id",
        "secure",
        "signature",
        "started",
    )

    method: str
    raw_path: bytes
    raw_query: bytes
    query: dict[str, str]
    headers: dict[str, str]
    raw_headers: list[Header]
    host: str
    bucket: str | None
    key: str | None
    operation: Operation
    found: Found
    caller: Any
    body: Body
    payload_sha256: str | None
    request_id: str
    signature: Any
    peer: str
    secure: bool
    started: float
    bytes_in: int
    bytes_out: int

    @property
    def is_signed(self) -> bool:
        return self.signature is not None

    @property
    def resource(self) -> str:
        """The `<Resource>` of an error body."""
        if self.bucket is None:
            return "/"
        return f"/{self.bucket}" if self.key is None else f"/{self.bucket}/{self.key}"


class Reply:
    """What goes back. `body` is bytes, a stream, or None; `length` is what Content-Length says when
    `body` is a stream or None (HEAD).
    """

    __slots__ = ("body", "headers", "length", "status")

    def __init__(
        self,
        status: int = 200,
        headers: list[Header] | None = None,
        body: bytes | Stream | None = b"",
        length: int | None = None,
    ) -> None:
        self.status = status
        self.headers = [] if headers is None else headers
        self.body = body
        self.length = length


Handler = Callable[[Call, Any], Awaitable[Reply]]


def header(name: bytes, value: str) -> Header:
    """A response header. Text outside Latin-1 goes out as UTF-8; control characters are refused."""
    try:
        raw = value.encode("latin-1")
    except UnicodeEncodeError:
        raw = value.encode("utf-8")
    return name, check_value(raw)


def check_value(raw: bytes) -> bytes:
    """The one judge of header values: no CR, LF or NUL leaves this server inside one."""
    if b"\r" in raw or b"\n" in raw or b"\0" in raw:
        raise InvalidRequest("A header value holds a line break.")
    return raw


def xml_reply(document: bytes, status: int = 200, headers: list[Header] | None = None) -> Reply:
    return Reply(status, [XML, *(headers or ())], document)

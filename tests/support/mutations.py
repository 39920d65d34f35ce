"""Every way to change one byte of a request that was signed, and some to change more.

Here: which parts of a request are under the signature, and copies of it with a part changed.
Not here: what such a copy must be answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.support.raw_asgi import Request

Rebuild = Callable[[bytes], Request]


def signed_parts(request: Request) -> Iterator[tuple[str, bytes, Rebuild]]:
    """Each part under the signature: its name, its bytes, and the request with others there."""
    yield "path", request.path, lambda raw: replace(request, path=raw)
    if request.query:
        yield "query", request.query, lambda raw: replace(request, query=raw)
    for name in request.signed_names:
        value = dict(request.headers)[name]
        yield f"value of {name.decode()}", value, _value_changed(request, name)
        yield f"name {name.decode()}", name, _name_changed(request, name, value)
    if b"authorization" in dict(request.headers):
        given = dict(request.headers)[b"authorization"]
        yield "authorization", given, _value_changed(request, b"authorization")


def flips(raw: bytes) -> Iterator[bytes]:
    """Every single bit turned over."""
    for at in range(len(raw)):
        for bit in range(8):
            yield raw[:at] + bytes((raw[at] ^ 1 << bit,)) + raw[at + 1 :]


def _value_changed(request: Request, name: bytes) -> Rebuild:
    return lambda raw: request.with_header(name, raw)


def _name_changed(request: Request, name: bytes, value: bytes) -> Rebuild:
    # A server hands names on in lower case: another case is the same name.
    return lambda raw: request.without_header(name).with_header(raw.lower(), value)

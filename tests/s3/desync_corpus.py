"""Requests that two readers may cut differently. Each hides a second request where a careless
server would find one.

Not here: sending them (test_desync).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Framing:
    """Header lines and what follows the head.

    `HIDDEN` stands for the second request, `SIZE` and `HEX` for its length, `ALL` for that of
    everything after the head.
    """

    name: str
    lines: tuple[bytes, ...]
    body: bytes


def corpus() -> Iterator[Framing]:
    yield from _lengths()
    yield from _length_and_chunks()
    yield from _codings()
    yield from _chunk_sizes()
    yield from _heads()
    yield from _expectations()


def _lengths() -> Iterator[Framing]:
    for pair in ((b"SIZE", b"SIZE"), (b"0", b"SIZE"), (b"SIZE", b"0"), (b"SIZE", b"1")):
        lines = tuple(b"Content-Length: " + value for value in pair)
        yield Framing(name=f"lengths {pair}", lines=lines, body=b"HIDDEN")
        joined = b"Content-Length: " + b", ".join(pair)
        yield Framing(name=f"joined lengths {pair}", lines=(joined,), body=b"HIDDEN")
    for value in (b"+SIZE", b"-1", b"0xff", b"SIZE SIZE", b"SIZE;a", b"SIZE,", b"", b"1e1",
                  b"\xd9\xa3", b"SIZE\x00", b"\x0bSIZE", b"18446744073709551616",
                  b"99999999999999999999999", b"SIZE.0", b"\"SIZE\""):  # fmt: skip
        yield Framing(
            name=f"length {value!r}", lines=(b"Content-Length: " + value,), body=b"HIDDEN"
        )
    for name in (b"Content-Length ", b"Content-Length\t", b" Content-Length", b"Content-Length\x0b",
                 b"Content-Length\x00", b"Content\nLength"):  # fmt: skip
        yield Framing(name=f"named {name!r}", lines=(name + b": SIZE",), body=b"HIDDEN")
    yield Framing(name="plain length", lines=(b"Content-Length: SIZE",), body=b"HIDDEN")
    yield Framing(name="spaced length", lines=(b"Content-Length: \t SIZE \t",), body=b"HIDDEN")
    yield Framing(name="zeros before", lines=(b"Content-Length: 000SIZE",), body=b"HIDDEN")


def _length_and_chunks() -> Iterator[Framing]:
    chunked = b"Transfer-Encoding: chunked"
    for name, lines in {
        "length first": (b"Content-Length: ALL", chunked),
        "chunks first": (chunked, b"Content-Length: ALL"),
        "short length": (b"Content-Length: 3", chunked),
        "no length": (b"Content-Length: 0", chunked),
        "bad length": (b"Content-Length: x", chunked),
    }.items():
        yield Framing(name=f"both, {name}", lines=lines, body=b"0\r\n\r\nHIDDEN")


def _codings() -> Iterator[Framing]:
    for value in (b"xchunked", b"chunkedx", b"identity", b"gzip", b"chunked, identity",
                  b"chunked, gzip", b"chunked, chunked", b"chunked,", b",chunked", b"\x00chunked",
                  b"\x0bchunked", b"\"chunked\"", b"chunked;q=1", b"chun ked", b"", b"Chunked\x00",
                  b"identity, chunked", b"chunked\r\n , identity"):  # fmt: skip
        lines = (b"Transfer-Encoding: " + value, b"Content-Length: ALL")
        yield Framing(name=f"coding {value!r}", lines=lines, body=b"0\r\n\r\nHIDDEN")
    for name in (b"Transfer-Encoding ", b"Transfer-Encoding\t", b" Transfer-Encoding",
                 b"Transfer_Encoding", b"Transfer-Encoding\x00",
                 b"\x0bTransfer-Encoding"):  # fmt: skip
        lines = (name + b": chunked", b"Content-Length: ALL")
        yield Framing(name=f"coding named {name!r}", lines=lines, body=b"0\r\n\r\nHIDDEN")
    folded = (b"Transfer-Encoding:\r\n chunked", b"Content-Length: ALL")
    yield Framing(name="folded coding", lines=folded, body=b"0\r\n\r\nHIDDEN")
    twice = (b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked", b"Content-Length: ALL")
    yield Framing(name="two codings", lines=twice, body=b"0\r\n\r\nHIDDEN")


def _chunk_sizes() -> Iterator[Framing]:
    """The hidden request is the data of a chunk whose size is written oddly."""
    chunked = (b"Transfer-Encoding: chunked",)
    end = b"\r\n0\r\n\r\n"
    for size in (b"0xHEX", b"+HEX", b"-HEX", b" HEX", b"HEX ", b"\tHEX", b"HEX\t", b"HEX\x00",
                 b"HEX\x0b", b"HEX_0", b"", b"g", b"10000000000000000HEX",
                 b"HEX;a\nb", b"HEX;a=\"\r\n\"", b"HEX;\x00", b"HEX\r", b"\r\nHEX"):  # fmt: skip
        body = size + b"\r\nHIDDEN" + end
        yield Framing(name=f"chunk {size!r}", lines=chunked, body=body)
    for name, body in {
        "bare LF after the size": b"HEX\nHIDDEN" + end,
        "bare CR after the size": b"HEX\rHIDDEN" + end,
        "no break after the data": b"HEX\r\nHIDDEN0\r\n\r\n",
        "bare LF after the data": b"HEX\r\nHIDDEN\n0\r\n\r\n",
        "longer than said": b"1\r\nHIDDEN" + end,
        "an extension": b"HEX;name=value\r\nHIDDEN" + end,
        "a long extension": b"HEX;" + b"a" * 40_000 + b"\r\nHIDDEN" + end,
        "a quoted extension": b'HEX;a="b;c"\r\nHIDDEN' + end,
        "a bare LF at the end": b"HEX\r\nHIDDEN\r\n0\n\n",
        "zeros before the size": b"0000HEX\r\nHIDDEN" + end,
    }.items():
        yield Framing(name=name, lines=chunked, body=body)


def _heads() -> Iterator[Framing]:
    for name, lines in {
        "folded length": (b"X-A: b\r\n Content-Length: SIZE",),
        "length after bare LF": (b"X-A: b\nContent-Length: SIZE",),
        "length after bare CR": (b"X-A: b\rContent-Length: SIZE",),
        "no colon": (b"Content-Length SIZE",),
        "a NUL": (b"X-A: \x00", b"Content-Length: SIZE"),
        "two hosts": (b"Host: other", b"Content-Length: SIZE"),
        "no name": (b": a", b"Content-Length: SIZE"),
    }.items():
        yield Framing(name=name, lines=lines, body=b"HIDDEN")
    bare = (b"X-A: b\nContent-Length: SIZE\nX-B: c",)
    yield Framing(name="lines ended by bare LFs", lines=bare, body=b"HIDDEN")


def _expectations() -> Iterator[Framing]:
    for value in (b"100-continue", b"100-Continue", b"200-ok", b"", b"100-continue, 100-continue"):
        lines = (b"Expect: " + value, b"Content-Length: SIZE")
        yield Framing(name=f"expect {value!r}", lines=lines, body=b"HIDDEN")
    chunked = (b"Expect: 100-continue", b"Transfer-Encoding: chunked")
    yield Framing(name="expect, chunked", lines=chunked, body=b"HEX\r\nHIDDEN\r\n0\r\n\r\n")

"""Byte ranges: [start, stop), stop exclusive everywhere inside; the wire's inclusive form is parsed
here.

What S3 makes of a Range header: one range of bytes is honoured, an unsatisfiable one is refused,
anything else (several ranges, other units, bad syntax) is as if the header were absent.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import InvalidRange

# No size has more digits; int() of a longer text would cost time in proportion to its square.
_MAX_DIGITS = 20
_BEYOND = 10**_MAX_DIGITS


@dataclass(frozen=True, slots=True)
class ByteRange:
    start: int
    stop: int

    def __post_init__(self) -> None:
        assert 0 <= self.start <= self.stop, (self.start, self.stop)

    def __len__(self) -> int:
        return self.stop - self.start


def parse_range(header: str | None, size: int) -> ByteRange | None:
    """The range a `Range` header asks of `size` bytes; None when the whole is to be sent."""
    if not header or not header.startswith("bytes="):
        return None
    first, dash, last = header[6:].strip().partition("-")
    first, last = first.strip(), last.strip()
    if not dash or not _is_number_or_empty(first) or not _is_number_or_empty(last):
        return None
    if first:
        return _from_to(header, _number(first), _number(last) if last else None, size)
    if not last:
        return None
    wanted = min(_number(last), size)
    if wanted == 0:
        raise _unsatisfiable(header, size)
    return ByteRange(size - wanted, size)


def content_range(part: ByteRange, size: int) -> str:
    """The value of a `Content-Range` header."""
    return f"bytes {part.start}-{part.stop - 1}/{size}"


def _from_to(header: str, first: int, last: int | None, size: int) -> ByteRange | None:
    if last is not None and last < first:
        return None
    if first >= size:
        raise _unsatisfiable(header, size)
    return ByteRange(first, size if last is None else min(last + 1, size))


def _unsatisfiable(header: str, size: int) -> InvalidRange:
    return InvalidRange(
        range_requested=header[6:],
        actual_object_size=size,
        headers=(("Content-Range", f"bytes */{size}"),),
    )


def _is_number_or_empty(text: str) -> bool:
    return not text or (text.isascii() and text.isdigit())


def _number(digits: str) -> int:
    """The number; one that is beyond every size is as good as any other that is."""
    if len(digits) > _MAX_DIGITS:
        digits = digits.lstrip("0") or "0"
    return int(digits) if len(digits) <= _MAX_DIGITS else _BEYOND

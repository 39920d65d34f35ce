"""Names: ids, bucket names, object keys, hex.

The rules of S3 for buckets and keys are here once; ids are UUIDv7, so rows of one time lie
together.
"""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime
from uuid import UUID

from core import clock
from core.errors import InvalidBucketName, InvalidURI, KeyTooLongError

MAX_KEY_BYTES = 1024
# Answered by the gateway itself, for load balancers.
RESERVED_BUCKETS = frozenset({"health", "ready"})

_BUCKET_ALPHABET = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-")
_HEX = frozenset("0123456789abcdef")
_REFUSED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_REFUSED_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


class _IdSource:
    """UUIDv7 with a counter: ids of one process strictly grow, also within a millisecond.

    74 random bits are refreshed from a pool of 4 KiB: one system call serves hundreds of ids.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0
        self._pool = b""
        self._at = 0
        # After a fork both processes hold the same pool.
        os.register_at_fork(after_in_child=self._forget)

    def next(self) -> UUID:
        with self._lock:
            if self._at >= len(self._pool):
                self._pool, self._at = os.urandom(4096), 0
            random = int.from_bytes(self._pool[self._at : self._at + 8], "big")
            self._at += 8
            # 48 bits of milliseconds and 12 of their fraction, then 62 random bits.
            ticks = int(clock.timestamp() * 4_096_000)
            if ticks <= self._last:
                ticks = self._last + 1
            self._last = ticks
        value = (ticks >> 12) << 80 | 0x7 << 76 | (ticks & 0xFFF) << 64
        value |= 0b10 << 62 | random >> 2
        return UUID(int=value)

    def _forget(self) -> None:
        self._lock = threading.Lock()  # another thread may have held it
        self._pool = b""


_ids = _IdSource()


def new_id() -> UUID:
    """A UUIDv7; ids made by one process are strictly ascending."""
    return _ids.next()


def made_at(made: UUID) -> datetime:
    """When an id of ours was made: a UUIDv7 begins with the time in milliseconds."""
    return datetime.fromtimestamp((made.int >> 80) / 1000, UTC)


def is_hex(text: str, length: int) -> bool:
    """Whether `text` is exactly `length` lower-case hex digits."""
    return len(text) == length and _HEX.issuperset(text)


def random_hex(digits: int) -> str:
    return os.urandom((digits + 1) // 2).hex()[:digits]


def is_bucket_name(name: str) -> bool:
    if not 3 <= len(name) <= 63 or not _BUCKET_ALPHABET.issuperset(name):
        return False
    if name[0] in ".-" or name[-1] in ".-":
        return False
    if ".." in name or ".-" in name or "-." in name:
        return False
    if name.startswith(_REFUSED_PREFIXES) or name.endswith(_REFUSED_SUFFIXES):
        return False
    return not _looks_like_ipv4(name)


def check_bucket_name(name: str) -> str:
    """The name itself; `InvalidBucketName` when S3 forbids it or it is reserved here."""
    if not is_bucket_name(name) or name in RESERVED_BUCKETS:
        raise InvalidBucketName(bucket_name=name)
    return name


def check_key(key: str) -> str:
    """The key itself; refuses what no key may be: empty, over 1,024 bytes, holding NUL."""
    size = len(key) if key.isascii() else len(key.encode())
    if size > MAX_KEY_BYTES:
        raise KeyTooLongError(size=size, max_size_allowed=MAX_KEY_BYTES)
    if not key or "\0" in key:
        raise InvalidURI()
    return key


def _looks_like_ipv4(name: str) -> bool:
    fields = name.split(".")
    return len(fields) == 4 and all(field.isdigit() for field in fields)

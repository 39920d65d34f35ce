"""Checksums and ETags: the five of S3, MD5, and what combines them.

Here: computing, parsing, combining, composing. Not here: where the bytes run, or in which thread:
the caller of `update` decides (MD5 and SHA release the GIL above 2 KiB; the CRCs take microseconds
per MiB).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import crc32c as _crc32c
from awscrt import checksums as _crt

from core.errors import InvalidRequest

# Name -> digest length in bytes, in the order S3 lists them.
ALGORITHMS = {"CRC32": 4, "CRC32C": 4, "CRC64NVME": 8, "SHA1": 20, "SHA256": 32}
CRCS = frozenset({"CRC32", "CRC32C", "CRC64NVME"})
DEFAULT = "CRC64NVME"
HEADER_PREFIX = "x-amz-checksum-"
# `x-amz-checksum-crc32` -> `CRC32`
HEADERS = {HEADER_PREFIX + name.lower(): name for name in ALGORITHMS}
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()

Buffer = bytes | bytearray | memoryview


class Hasher(Protocol):
    def update(self, piece: Buffer, /) -> None: ...
    def digest(self) -> bytes: ...


class _Crc:
    __slots__ = ("_step", "_value", "_width")

    def __init__(self, step: Callable[[Buffer, int], int], width: int) -> None:
        self._step = step
        self._width = width
        self._value = 0

    def update(self, piece: Buffer, /) -> None:
        self._value = self._step(piece, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._width, "big")


def crc32c(piece: Buffer, value: int = 0) -> int:
    """CRC-32C of `piece`, continued from `value`."""
    return int(_crc32c.crc32c(piece, value))


def crc64nvme(piece: Buffer, value: int = 0) -> int:
    """CRC-64/NVME of `piece`, continued from `value`."""
    return int(_crt.crc64nvme(piece, value))


_CRC_STEPS: dict[str, tuple[Callable[[Buffer, int], int], int]] = {
    "CRC32": (zlib.crc32, 4),
    "CRC32C": (crc32c, 4),
    "CRC64NVME": (crc64nvme, 8),
}


def hasher(algorithm: str) -> Hasher:
    """A fresh hasher for one of the five, or 'MD5'."""
    if algorithm in _CRC_STEPS:
        step, width = _CRC_STEPS[algorithm]
        return _Crc(step, width)
    if algorithm == "SHA256":
        return hashlib.sha256()
    if algorithm == "SHA1":
        return hashlib.sha1(usedforsecurity=False)
    if algorithm == "MD5":
        return hashlib.md5(usedforsecurity=False)
    raise InvalidRequest(f"Checksum algorithm {algorithm} is not supported.")


def digest(algorithm: str, content: Buffer) -> bytes:
    """The raw digest of bytes in memory."""
    if algorithm in _CRC_STEPS:
        step, width = _CRC_STEPS[algorithm]
        return step(content, 0).to_bytes(width, "big")
    one = hasher(algorithm)
    one.update(content)
    return one.digest()


class Digests:
    """Several hashers fed together."""

    __slots__ = ("_hashers",)

    def __init__(self, algorithms: Iterable[str]) -> None:
        self._hashers = {name: hasher(name) for name in dict.fromkeys(algorithms)}

    def update(self, piece: Buffer) -> None:
        for one in self._hashers.values():
            one.update(piece)

    def finish(self) -> dict[str, bytes]:
        """Raw digests by algorithm."""
        return {name: one.digest() for name, one in self._hashers.items()}


def encode(raw: bytes) -> str:
    """The wire form: base64 of the big-endian digest."""
    return binascii.b2a_base64(raw, newline=False).decode()


def decode(algorithm: str, text: str) -> bytes:
    """The raw digest of a wire value; `InvalidRequest` when it is none of this algorithm."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raw = b""
    # One digest has one wire form: the last letter's unused bits are no place for another.
    if len(raw) != ALGORITHMS[algorithm] or encode(raw) != text:
        raise InvalidRequest(f"Value for {HEADER_PREFIX}{algorithm.lower()} header is invalid.")
    return raw


def check_algorithm(name: str) -> str:
    """The canonical name; `InvalidRequest` for one that is not offered."""
    upper = name.upper()
    if upper not in ALGORITHMS:
        raise InvalidRequest("Checksum algorithm provided is unsupported.")
    return upper


def default_type(algorithm: str) -> str:
    """How a multipart object's checksum is formed when the client does not say."""
    return "FULL_OBJECT" if algorithm == "CRC64NVME" else "COMPOSITE"


def is_type_allowed(algorithm: str, kind: str) -> bool:
    if algorithm == "CRC64NVME":
        return kind == "FULL_OBJECT"
    if algorithm in ("SHA1", "SHA256"):
        return kind == "COMPOSITE"
    return kind in ("COMPOSITE", "FULL_OBJECT")


def composite(algorithm: str, parts: Sequence[bytes]) -> str:
    """The COMPOSITE checksum of parts: H(raw digests joined) and the count."""
    return f"{encode(digest(algorithm, b''.join(parts)))}-{len(parts)}"


def combine(algorithm: str, parts: Iterable[tuple[bytes, int]]) -> bytes:
    """The FULL_OBJECT checksum of (raw digest, length) pairs, without the bytes."""
    joined, _ = _CRC_STEPS[algorithm]
    width = ALGORITHMS[algorithm]
    total = joined(b"", 0)
    for raw, length in parts:
        total = _COMBINE[algorithm](total, int.from_bytes(raw, "big"), length)
    return total.to_bytes(width, "big")


def etag(content: Buffer) -> str:
    """The ETag of a body in memory, without quotes."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def multipart_etag(parts: Sequence[str]) -> str:
    """The ETag of a multipart object: MD5 of the parts' MD5s, and their number."""
    joined = hashlib.md5(b"".join(map(bytes.fromhex, parts)), usedforsecurity=False)
    return f"{joined.hexdigest()}-{len(parts)}"


def _gf2_combine(polynomial: int, width: int) -> Callable[[int, int, int], int]:
    """CRC(A + B) from CRC(A), CRC(B) and len(B), for a reflected polynomial with init = xorout =
    ones.

    Appending n zero bits is multiplying by x^n modulo the polynomial; the inversions cancel.
    """
    top = 1 << (width - 1)

    def multiply(a: int, b: int) -> int:
        product = 0
        while b:
            if b & top:
                product ^= a
            a = (a >> 1) ^ polynomial if a & 1 else a >> 1
            b = (b << 1) & ((1 << width) - 1)
        return product

    # powers[i] = x^(8 * 2^i): the factor for 2^i bytes.
    one_byte = top >> 8
    powers = [one_byte]
    for _ in range(63):
        powers.append(multiply(powers[-1], powers[-1]))

    def combined(first: int, second: int, length: int) -> int:
        factor, index = top, 0
        while length:
            if length & 1:
                factor = multiply(factor, powers[index])
            length >>= 1
            index += 1
        return multiply(first, factor) ^ second

    return combined


_COMBINE = {
    "CRC32": _gf2_combine(0xEDB88320, 32),
    "CRC32C": _gf2_combine(0x82F63B78, 32),
    "CRC64NVME": _gf2_combine(0x9A6C9329AC4BC9B5, 64),
}

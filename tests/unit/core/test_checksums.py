"""Checksums against zlib, hashlib and known values; combining against computing."""

from __future__ import annotations

import base64
import hashlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import checksums
from core.errors import InvalidRequest

CHECK = b"123456789"


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("CRC32", "cbf43926"),
        ("CRC32C", "e3069283"),
        ("CRC64NVME", "ae8b14860a799888"),
        ("SHA1", hashlib.sha1(CHECK).hexdigest()),
        ("SHA256", hashlib.sha256(CHECK).hexdigest()),
        ("MD5", hashlib.md5(CHECK).hexdigest()),
    ],
)
def test_the_check_value_is_the_published_one(algorithm: str, expected: str) -> None:
    assert checksums.digest(algorithm, CHECK).hex() == expected


@given(pieces=st.lists(st.binary(max_size=200), max_size=8))
def test_pieces_give_the_digest_of_the_whole(pieces: list[bytes]) -> None:
    digests = checksums.Digests(checksums.ALGORITHMS)

    for piece in pieces:
        digests.update(piece)

    whole = b"".join(pieces)
    assert digests.finish() == {n: checksums.digest(n, whole) for n in checksums.ALGORITHMS}


@given(content=st.binary(max_size=300))
def test_crc32_is_that_of_zlib(content: bytes) -> None:
    assert int.from_bytes(checksums.digest("CRC32", content), "big") == zlib.crc32(content)


@pytest.mark.parametrize("algorithm", sorted(checksums.CRCS))
@given(parts=st.lists(st.binary(max_size=400), max_size=6))
def test_crcs_of_parts_combine_to_that_of_the_whole(algorithm: str, parts: list[bytes]) -> None:
    digests = [(checksums.digest(algorithm, part), len(part)) for part in parts]

    combined = checksums.combine(algorithm, digests)

    assert combined == checksums.digest(algorithm, b"".join(parts))


def test_a_composite_checksum_names_its_parts() -> None:
    parts = [hashlib.sha256(b"a").digest(), hashlib.sha256(b"b").digest()]
    expected = base64.b64encode(hashlib.sha256(b"".join(parts)).digest()).decode()

    assert checksums.composite("SHA256", parts) == f"{expected}-2"


def test_a_multipart_etag_is_the_digest_of_digests() -> None:
    parts = [hashlib.md5(b"a").hexdigest(), hashlib.md5(b"b").hexdigest()]
    joined = hashlib.md5(b"".join(bytes.fromhex(part) for part in parts)).hexdigest()

    assert checksums.multipart_etag(parts) == f"{joined}-2"


@pytest.mark.parametrize("algorithm", sorted(checksums.ALGORITHMS))
def test_the_wire_form_reads_back(algorithm: str) -> None:
    raw = checksums.digest(algorithm, CHECK)

    assert checksums.decode(algorithm, checksums.encode(raw)) == raw


@pytest.mark.parametrize("text", ["", "AAAA", "AAAAAAAA", "not base64", "AAAAAA=", "AAAAAA==\n"])
def test_a_value_of_the_wrong_form_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        checksums.decode("CRC32", text)


@pytest.mark.parametrize(
    ("algorithm", "kind", "allowed"),
    [
        ("CRC64NVME", "FULL_OBJECT", True),
        ("CRC64NVME", "COMPOSITE", False),
        ("SHA1", "FULL_OBJECT", False),
        ("SHA256", "COMPOSITE", True),
        ("CRC32", "FULL_OBJECT", True),
        ("CRC32C", "COMPOSITE", True),
        ("CRC32", "OTHER", False),
    ],
)
def test_an_algorithm_has_its_types(algorithm: str, kind: str, allowed: bool) -> None:
    assert checksums.is_type_allowed(algorithm, kind) is allowed


def test_an_unknown_algorithm_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        checksums.check_algorithm("crc16")

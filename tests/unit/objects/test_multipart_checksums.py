"""Multipart uploads: checksums of the parts, of the whole, and claims about either."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from core import checksums
from core.errors import BadDigest, InvalidPart, InvalidRequest
from tests.support.namespace import Claim, Namespace
from tests.support.uploads import begin


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME"])
async def test_a_full_object_checksum_is_that_of_the_whole(
    small_parts: Namespace, algorithm: str
) -> None:
    upload = await begin(small_parts, algorithm=algorithm, kind="FULL_OBJECT")
    sent = [await upload.send(number, bytes([number]) * 1000 * number) for number in (1, 2, 3)]
    whole = b"".join(bytes([number]) * 1000 * number for number in (1, 2, 3))
    value = checksums.encode(checksums.digest(algorithm, whole))

    written = await upload.complete(*sent, checksum=(algorithm, value))

    assert written.checksums == {"algorithm": algorithm, "type": "FULL_OBJECT", "value": value}


async def test_a_composite_checksum_is_made_of_the_parts(small_parts: Namespace) -> None:
    upload = await begin(small_parts, algorithm="SHA256", kind="COMPOSITE")
    sent = [await upload.send(number, bytes([number])) for number in (1, 2)]

    written = await upload.complete(*sent)

    raw = [hashlib.sha256(bytes([number])).digest() for number in (1, 2)]
    assert written.checksums is not None
    assert written.checksums["value"] == checksums.composite("SHA256", raw)


async def test_without_a_declared_algorithm_the_object_has_crc64nvme(
    small_parts: Namespace,
) -> None:
    upload = await begin(small_parts)
    sent = [await upload.send(number, bytes([number])) for number in (1, 2)]

    written = await upload.complete(*sent)

    value = checksums.encode(checksums.digest("CRC64NVME", b"\1\2"))
    assert written.checksums == {"algorithm": "CRC64NVME", "type": "FULL_OBJECT", "value": value}


async def test_a_part_may_not_have_another_checksum_than_declared(space: Namespace) -> None:
    upload = await begin(space, algorithm="CRC32", kind="COMPOSITE")
    value = checksums.encode(checksums.digest("SHA1", b"x"))

    with pytest.raises(InvalidRequest):
        await upload.send(1, b"x", checksum=Claim("SHA1", value))


async def test_a_listed_checksum_is_compared(space: Namespace) -> None:
    upload = await begin(space, algorithm="CRC32", kind="COMPOSITE")
    part = await upload.send(1, b"x")

    with pytest.raises(InvalidPart):
        await upload.complete(replace(part, checksums={"CRC32": "AAAAAA=="}))


async def test_wrong_claims_about_the_whole_are_refused(space: Namespace) -> None:
    upload = await begin(space, algorithm="CRC32", kind="FULL_OBJECT")
    part = await upload.send(1, b"x")

    with pytest.raises(BadDigest):
        await upload.complete(part, checksum=("CRC32", "AAAAAA=="))
    with pytest.raises(InvalidRequest):
        await upload.complete(part, size=2)
    with pytest.raises(InvalidRequest):
        await upload.complete(part, checksum_type="COMPOSITE")
    await upload.complete(part, size=1)

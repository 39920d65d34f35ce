"""PUT: what is stored, what is refused, what a closed segment costs."""

from __future__ import annotations

import hashlib

import pytest

from core import checksums
from core.config import override
from core.errors import (
    BadDigest,
    IncompleteBody,
    InvalidRequest,
    NoSuchBucket,
    SlowDown,
    XAmzContentSHA256Mismatch,
)
from core.streams import PIECE, Whole
from objects import write
from objects.draft import Draft
from objects.found import NONE
from objects.intake import Budget
from tests.support.namespace import Claim, MiB, Namespace, Refusing, namespace


class Pieces:
    """A body that arrives in pieces."""

    def __init__(self, *pieces: bytes, length: int | None = None) -> None:
        self._pieces = list(pieces)
        self.length = sum(map(len, pieces)) if length is None else length
        self.trailer: dict[str, str] = {}

    async def read(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


async def versions(space: Namespace) -> int:
    rows = await space.sql(
        "SELECT count(*) FROM version v JOIN bucket b ON b.id = v.bucket_id WHERE b.name = %s",
        space.bucket,
    )
    return int(rows[0][0])


async def test_what_was_put_is_read_back(space: Namespace) -> None:
    written = await space.put("a", b"hello")

    assert await space.get("a") == b"hello"
    assert written.etag == hashlib.md5(b"hello").hexdigest()


async def test_an_empty_body_is_an_object(space: Namespace) -> None:
    await space.put("empty", b"")

    assert await space.get("empty") == b""


async def test_a_body_in_pieces_is_stored_whole(space: Namespace) -> None:
    pieces = [bytes([number]) * 100_000 for number in range(5)]
    found = await space.look(want=NONE)

    written = await write.put(space.store, found, "a", Pieces(*pieces), Draft())

    assert await space.get("a") == b"".join(pieces)
    assert written.etag == hashlib.md5(b"".join(pieces)).hexdigest()


async def test_a_large_body_gets_segments_of_its_own(module_database: str) -> None:
    with override(coding={"inline_from": MiB}):
        async with namespace() as space:
            content = bytes(range(256)) * 8192

            await space.put("large", content)

            assert await space.get("large") == content
            rows = await space.sql(
                "SELECT record_size, s.state FROM extent e"
                " JOIN segment s ON s.id = e.segment_id"
                " WHERE e.length = %s",
                len(content),
            )
            assert rows == [(None, "sealed")]


async def test_a_body_beyond_the_memory_budget_passes_through_a_file(space: Namespace) -> None:
    space.store.intake._budget = Budget(0)
    found = await space.look(want=NONE)

    await write.put(space.store, found, "a", Pieces(b"x" * 70_000, b"y" * 70_000), Draft())

    assert await space.get("a") == b"x" * 70_000 + b"y" * 70_000


async def test_the_memory_budget_is_given_back(space: Namespace) -> None:
    space.store.intake._budget = Budget(100)
    found = await space.look(want=NONE)

    for _ in range(3):
        await write.put(space.store, found, "a", Pieces(b"x" * 60, b"y" * 40), Draft())

    assert space.store.intake._budget.take(100)


async def test_the_default_checksum_is_crc64nvme(space: Namespace) -> None:
    written = await space.put("a", b"hello")

    assert written.checksums == {
        "algorithm": "CRC64NVME",
        "type": "FULL_OBJECT",
        "value": checksums.encode(checksums.digest("CRC64NVME", b"hello")),
    }


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
async def test_a_claimed_checksum_is_verified_and_kept(space: Namespace, algorithm: str) -> None:
    value = checksums.encode(checksums.digest(algorithm, b"hello"))

    written = await space.put("a", b"hello", checksum=Claim(algorithm, value))

    assert written.checksums is not None
    assert written.checksums["value"] == value
    with pytest.raises(BadDigest):
        await space.put("a", b"other", checksum=Claim(algorithm, value))


@pytest.mark.parametrize("size", [5, 100_000, 3 * PIECE])
@pytest.mark.parametrize(
    ("claims", "error"),
    [
        ({"sha256": "0" * 64}, XAmzContentSHA256Mismatch),
        ({"content_md5": b"0" * 16}, BadDigest),
        ({"checksum": Claim("CRC32", "AAAAAA==")}, BadDigest),
        ({"checksum": Claim("SHA1", checksums.encode(bytes(20)))}, BadDigest),
        ({"checksum": Claim("CRC32", None)}, InvalidRequest),
    ],
)
async def test_a_body_that_is_not_what_was_claimed_leaves_nothing(
    space: Namespace, size: int, claims: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await space.put("a", b"x" * size, **claims)

    assert await versions(space) == 0
    assert space.segments.unsettled == 0


async def test_a_wrong_signed_digest_is_told_before_a_wrong_md5(space: Namespace) -> None:
    with pytest.raises(XAmzContentSHA256Mismatch):
        await space.put("a", b"x", sha256="0" * 64, content_md5=b"0" * 16)


async def test_a_body_that_ends_early_is_refused(space: Namespace) -> None:
    found = await space.look(want=NONE)

    with pytest.raises(IncompleteBody):
        await write.put(space.store, found, "a", Pieces(b"abc", length=100_000), Draft())

    assert await versions(space) == 0


async def test_everything_said_beside_the_bytes_is_kept(space: Namespace) -> None:
    await space.put(
        "a",
        b"x",
        headers={"content-type": "text/plain"},
        metadata={"color": "blue"},
        tags={"k": "v"},
        storage_class="GLACIER",
        acl="public-read",
    )

    version = (await space.look("a")).version
    assert version is not None
    assert (version.headers, version.metadata) == (
        {"content-type": "text/plain"},
        {"color": "blue"},
    )
    assert (version.tags, version.storage_class) == ({"k": "v"}, "GLACIER")
    assert version.acl == "public-read"


async def test_a_closed_segment_means_appending_again(space: Namespace) -> None:
    space.store.intake.segments = Refusing(space.segments, 2)

    await space.put("a", b"hello")

    assert await space.get("a") == b"hello"


async def test_a_segment_sealed_before_the_commit_means_appending_again(space: Namespace) -> None:
    await space.put("first", b"1")
    sealed = space.segments._open["ec-6-3"]
    await space.sql(
        "UPDATE segment SET state = 'sealed', owner = NULL, lease_until = NULL WHERE id = %s",
        sealed,
    )

    await space.put("a", b"hello")

    assert await space.get("a") == b"hello"
    assert await space.get("first") == b"1"
    assert space.segments.unsettled == 0


async def test_a_segment_that_is_always_closed_ends_in_slow_down(space: Namespace) -> None:
    space.store.intake.segments = Refusing(space.segments, 1000)

    with pytest.raises(SlowDown):
        await space.put("a", b"hello")


async def test_a_bucket_deleted_meanwhile_takes_no_object(space: Namespace) -> None:
    found = await space.look(want=NONE)
    await space.sql("DELETE FROM bucket WHERE name = %s", space.bucket)

    with pytest.raises(NoSuchBucket):
        await write.put(space.store, found, "a", Whole(b"x"), Draft())


async def test_last_modified_is_whole_seconds(space: Namespace) -> None:
    written = await space.put("a", b"x")

    assert written.last_modified.microsecond == 0
    version = (await space.look("a")).version
    assert version is not None
    assert version.last_modified == written.last_modified

"""Multipart uploads: what Complete makes of parts, retries, races with Abort, listings."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from core import checksums
from core.config import override
from core.errors import (
    BadDigest,
    EntityTooSmall,
    InvalidPart,
    InvalidPartOrder,
    InvalidRequest,
    NoSuchKey,
    NoSuchUpload,
    PreconditionFailed,
)
from core.ranges import ByteRange
from core.streams import Whole
from objects import multipart, queries
from objects.draft import UNCONDITIONAL, Conditions, Draft, Written
from objects.found import NONE
from tests.support.namespace import Namespace, namespace

FIVE = 5 << 20


@dataclass(frozen=True)
class Listed:
    number: int
    etag: str
    checksums: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    algorithm: str
    value: str | None


class Upload:
    """One upload of a namespace, in few words."""

    def __init__(self, space: Namespace, key: str, upload_id: str) -> None:
        self.space = space
        self.key = key
        self.id = upload_id

    async def send(self, number: int, content: bytes, **draft: Any) -> Listed:
        found = await self.space.look(want=NONE)
        written = await multipart.upload_part(
            self.space.store, found, self.key, self.id, number, Whole(content), Draft(**draft)
        )
        return Listed(number, written.etag)

    async def complete(
        self, *parts: Listed, conditions: Conditions = UNCONDITIONAL, **claims: Any
    ) -> Written:
        found = await self.space.look(want=NONE)
        return await multipart.complete(
            self.space.store, found, self.key, self.id, parts, conditions=conditions, **claims
        )

    async def abort(self) -> None:
        found = await self.space.look(want=NONE)
        await multipart.abort(self.space.store, found, self.key, self.id)


async def begin(
    space: Namespace,
    key: str = "big",
    algorithm: str | None = None,
    kind: str | None = None,
    **draft: Any,
) -> Upload:
    found = await space.look(want=NONE)
    upload_id = await multipart.create(
        space.store,
        found,
        key,
        Draft(**draft),
        checksum_algorithm=algorithm,
        checksum_type=kind,
    )
    return Upload(space, key, upload_id)


@pytest.fixture
def small_parts(space: Namespace) -> Namespace:
    """Parts of any size will do: the bound has a test of its own."""
    limits = replace(space.store.config.limits, part_min_bytes=1)
    space.store.config = replace(space.store.config, limits=limits)
    return space


async def leftovers(space: Namespace) -> tuple[int, int]:
    """Parts, and extents of parts, of this bucket's uploads."""
    rows = await space.sql(
        "SELECT count(DISTINCT p.id), count(e.id) FROM part p JOIN upload u ON u.id = p.upload_id"
        " JOIN bucket b ON b.id = u.bucket_id LEFT JOIN extent e ON e.part_id = p.id"
        " WHERE b.name = %s",
        space.bucket,
    )
    return rows[0][0], rows[0][1]


async def test_the_listed_parts_are_the_object(space: Namespace) -> None:
    upload = await begin(space, metadata={"color": "blue"}, headers={"content-type": "a/b"})
    last = await upload.send(7, b"end")
    first = await upload.send(2, b"x" * FIVE)

    written = await upload.complete(first, last)

    assert await space.get("big") == b"x" * FIVE + b"end"
    joined = hashlib.md5(hashlib.md5(b"x" * FIVE).digest() + hashlib.md5(b"end").digest())
    assert written.etag == f"{joined.hexdigest()}-2"
    version = (await space.look("big")).version
    assert version is not None
    assert version.metadata == {"color": "blue"}
    assert [part[:2] for part in version.parts or []] == [[2, FIVE], [7, 3]]


async def test_a_range_may_cross_parts(small_parts: Namespace) -> None:
    upload = await begin(small_parts)
    sent = [await upload.send(number, bytes([number]) * 10) for number in range(1, 5)]
    await upload.complete(*sent)

    content = await small_parts.get("big", part=ByteRange(5, 25))

    assert content == b"\1" * 5 + b"\2" * 10 + b"\3" * 5


async def test_an_upload_is_invisible_until_completed(space: Namespace) -> None:
    upload = await begin(space)
    await upload.send(1, b"x")

    assert await space.get("big") is None


async def test_a_part_sent_again_replaces_the_first(space: Namespace) -> None:
    upload = await begin(space)
    old = await upload.send(1, b"old")
    new = await upload.send(1, b"new")

    with pytest.raises(InvalidPart):
        await upload.complete(old)
    await upload.complete(new)

    assert await space.get("big") == b"new"
    assert await leftovers(space) == (0, 0)


async def test_a_single_part_may_be_empty(space: Namespace) -> None:
    upload = await begin(space)

    await upload.complete(await upload.send(1, b""))

    assert await space.get("big") == b""


async def test_unlisted_parts_are_freed(space: Namespace) -> None:
    upload = await begin(space)
    await upload.send(1, b"unlisted")

    await upload.complete(await upload.send(2, b"listed"))

    assert await space.get("big") == b"listed"
    assert await leftovers(space) == (0, 0)


async def test_parts_but_the_last_have_a_least_size(space: Namespace) -> None:
    upload = await begin(space)
    sent = [await upload.send(number, b"tiny") for number in (1, 2)]

    with pytest.raises(EntityTooSmall) as refused:
        await upload.complete(*sent)

    assert refused.value.details["PartNumber"] == 1


async def test_parts_are_listed_in_ascending_order(small_parts: Namespace) -> None:
    upload = await begin(small_parts)
    one, two = await upload.send(1, b"1"), await upload.send(2, b"2")

    for wrong in ((two, one), (one, one)):
        with pytest.raises(InvalidPartOrder):
            await upload.complete(*wrong)


@pytest.mark.parametrize("wrong", [Listed(2, "0" * 32), Listed(1, "0" * 32)])
async def test_a_part_that_was_not_sent_is_refused(space: Namespace, wrong: Listed) -> None:
    upload = await begin(space)
    await upload.send(1, b"x")

    with pytest.raises(InvalidPart):
        await upload.complete(wrong)


async def test_completing_twice_gives_the_same_answer(versioned: Namespace) -> None:
    upload = await begin(versioned)
    part = await upload.send(1, b"x")
    first = await upload.complete(part)

    assert await upload.complete(part) == first
    with pytest.raises(NoSuchUpload):
        await upload.complete(Listed(1, "0" * 32))


async def test_a_retry_after_the_object_is_gone_finds_no_upload(space: Namespace) -> None:
    upload = await begin(space)
    part = await upload.send(1, b"x")
    await upload.complete(part)
    await space.delete("big")

    with pytest.raises(NoSuchUpload):
        await upload.complete(part)


async def test_concurrent_completes_make_one_version(versioned: Namespace) -> None:
    upload = await begin(versioned)
    part = await upload.send(1, b"x")

    written = await asyncio.gather(*(upload.complete(part) for _ in range(8)))

    assert len({one.version_id for one in written}) == 1
    rows = await versioned.sql(
        "SELECT count(*) FROM version v JOIN bucket b ON b.id = v.bucket_id WHERE b.name = %s",
        versioned.bucket,
    )
    assert rows == [(1,)]


async def test_a_complete_that_reads_between_another_s_steps_gets_its_answer(
    space: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await begin(space)
    part = await upload.send(1, b"x")
    read = queries.parts_numbered

    async def read_late(*arguments: Any) -> Any:
        monkeypatch.setattr(queries, "parts_numbered", read)
        await upload.complete(part)
        return await read(*arguments)

    monkeypatch.setattr(queries, "parts_numbered", read_late)

    written = await upload.complete(part)

    assert written == await upload.complete(part)


async def test_of_complete_and_abort_one_wins(space: Namespace) -> None:
    for _ in range(5):
        upload = await begin(space)
        part = await upload.send(1, b"x")

        done = await asyncio.gather(
            upload.complete(part), upload.abort(), upload.send(2, b"late"), return_exceptions=True
        )

        completed, aborted = (not isinstance(one, Exception) for one in done[:2])
        assert completed != aborted
        assert (await space.get("big") == b"x") == completed
        await space.delete("big")
    assert await leftovers(space) == (0, 0)


async def test_an_aborted_upload_is_gone(space: Namespace) -> None:
    await space.put("big", b"before")
    upload = await begin(space)
    part = await upload.send(1, b"x")

    await upload.abort()

    assert await leftovers(space) == (0, 0)
    assert await space.get("big") == b"before"
    for late in (upload.send(1, b"x"), upload.complete(part), upload.abort()):
        with pytest.raises(NoSuchUpload):
            await late


@pytest.mark.parametrize("upload_id", ["0" * 32, "nonsense", ""])
async def test_an_unknown_upload_is_no_upload(space: Namespace, upload_id: str) -> None:
    with pytest.raises(NoSuchUpload):
        await Upload(space, "big", upload_id).send(1, b"x")


async def test_an_upload_of_another_key_is_no_upload(space: Namespace) -> None:
    upload = await begin(space)

    with pytest.raises(NoSuchUpload):
        await Upload(space, "other", upload.id).send(1, b"x")


async def test_conditions_are_judged_at_complete(space: Namespace) -> None:
    upload = await begin(space)
    part = await upload.send(1, b"new")
    await space.put("big", b"old")

    with pytest.raises(PreconditionFailed):
        await upload.complete(part, conditions=Conditions(if_none_match="*"))
    assert await space.get("big") == b"old"
    await space.delete("big")
    with pytest.raises(NoSuchKey):
        await upload.complete(part, conditions=Conditions(if_match="*"))
    await upload.complete(part, conditions=Conditions(if_none_match="*"))

    assert await space.get("big") == b"new"


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


async def test_parts_are_listed_page_by_page(space: Namespace) -> None:
    upload = await begin(space)
    for number in (3, 1, 2):
        await upload.send(number, b"x" * number)
    found = await space.look(want=NONE)

    first = await multipart.list_parts(space.store, found, "big", upload.id, after=0, limit=2)
    rest = await multipart.list_parts(space.store, found, "big", upload.id, after=2, limit=2)

    assert [(part.number, part.size) for part in first.parts] == [(1, 1), (2, 2)]
    assert first.truncated
    assert [part.number for part in rest.parts] == [3]
    assert not rest.truncated


async def test_uploads_are_listed_by_key_and_then_by_time(space: Namespace) -> None:
    made = [await begin(space, key) for key in ("b", "a", "b", "dir/1", "dir/2")]
    bucket = (await space.look(want=NONE)).bucket
    assert bucket is not None
    shown: list[tuple[str, str]] = []
    prefixes: list[str] = []
    key_marker, id_marker = "", None

    while True:
        page = await multipart.list_uploads(
            space.store,
            bucket,
            prefix="",
            delimiter="/",
            key_marker=key_marker,
            upload_id_marker=id_marker,
            limit=1,
        )
        shown += [(upload.key, upload.upload_id) for upload in page.uploads]
        prefixes += page.prefixes
        if not page.truncated:
            break
        assert page.next is not None
        key_marker, id_marker = page.next

    assert shown == [("a", made[1].id), ("b", made[0].id), ("b", made[2].id)]
    assert prefixes == ["dir/"]


async def test_open_uploads_do_not_keep_a_bucket(space: Namespace) -> None:
    upload = await begin(space)
    await upload.send(1, b"x")

    await space.sql("DELETE FROM bucket WHERE name = %s", space.bucket)

    rows = await space.sql("SELECT count(*) FROM upload WHERE id = %s::uuid", upload.id)
    assert rows == [(0,)]


async def test_large_parts_get_segments_of_their_own(module_database: str) -> None:
    with override(coding={"inline_from": 1000}):
        async with namespace() as space:
            upload = await begin(space)
            part = await upload.send(1, b"x" * 5000)
            await upload.complete(part)

            assert await space.get("big") == b"x" * 5000

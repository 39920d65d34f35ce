"""Multipart uploads: what Complete makes of parts, what it refuses, listings."""

from __future__ import annotations

import hashlib

import pytest

from core.config import override
from core.errors import (
    EntityTooSmall,
    InvalidPart,
    InvalidPartOrder,
    NoSuchKey,
    NoSuchUpload,
    PreconditionFailed,
)
from core.ranges import ByteRange
from objects import multipart
from objects.draft import Conditions
from objects.found import NONE
from tests.support.namespace import Namespace, namespace
from tests.support.uploads import Listed, Upload, begin, leftovers

FIVE = 5 << 20


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

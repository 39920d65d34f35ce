"""The verbs over real segments: packing, sealing, coding, lost drives."""

from __future__ import annotations

import asyncio
import hashlib
import random

import pytest

from core.errors import StoreError
from core.ranges import ByteRange
from core.streams import Whole
from objects import copy, durability, multipart, write
from objects.draft import UNCONDITIONAL, Draft
from objects.found import NONE
from tests.support.datapath import DataPath, datapath
from tests.support.uploads import Listed

MiB = 1 << 20


def content(size: int, seed: int = 0) -> bytes:
    return random.Random(f"{seed}/{size}").randbytes(size)


async def states(path: DataPath, key: str) -> list[tuple[str, str]]:
    """Layout and state of the segments a key lies in."""
    rows = await path.sql(
        "SELECT s.layout, s.state FROM extent e JOIN segment s ON s.id = e.segment_id"
        " JOIN version v ON v.id = e.version_id JOIN bucket b ON b.id = v.bucket_id"
        " WHERE b.name = %s AND v.key = %s ORDER BY e.position",
        path.bucket,
        key,
    )
    return [(layout, state) for layout, state in rows]


async def open_segment(path: DataPath) -> object:
    rows = await path.sql(
        "SELECT s.id FROM segment s JOIN extent e ON e.segment_id = s.id"
        " JOIN version v ON v.id = e.version_id JOIN bucket b ON b.id = v.bucket_id"
        " WHERE b.name = %s AND s.state = 'open'",
        path.bucket,
    )
    return rows[0][0]


async def test_small_objects_share_a_segment(module_database: str) -> None:
    async with datapath() as path:
        sizes = [1, 100, 4096, 4097, 65536, 300_000]
        await asyncio.gather(*(path.put(f"k{size}", content(size)) for size in sizes))

        for size in sizes:
            assert await path.get(f"k{size}") == content(size)
            assert await states(path, f"k{size}") == [("replicated", "open")]
        rows = await path.sql(
            "SELECT count(*) FROM segment WHERE id = %s", await open_segment(path)
        )
        assert rows == [(1,)]


async def test_ranges_of_a_packed_object_are_cut_out(module_database: str) -> None:
    async with datapath() as path:
        whole = content(200_000)
        await path.put("a", whole)

        for start, stop in ((0, 1), (65_535, 65_537), (199_999, 200_000), (1, 150_000)):
            assert await path.get("a", part=ByteRange(start, stop)) == whole[start:stop]


async def test_a_large_object_is_coded_as_it_arrives(module_database: str) -> None:
    async with datapath(coding={"inline_from": MiB, "segment_size": 2 * MiB}) as path:
        whole = content(5 * MiB + 123)
        await path.put("large", whole)

        assert await path.get("large") == whole
        assert len(await states(path, "large")) >= 3
        assert set(await states(path, "large")) == {("coded", "stored")}
        assert (
            await path.get("large", part=ByteRange(2 * MiB - 5, 4 * MiB + 5))
            == (whole[2 * MiB - 5 : 4 * MiB + 5])
        )


async def test_any_three_drives_may_go(module_database: str) -> None:
    async with datapath(drives=9, coding={"inline_from": MiB}) as path:
        whole = content(2 * MiB)
        await path.put("large", whole)

        path.fleet.lost = {1, 5, 9}

        assert await path.get("large") == whole


async def test_a_fourth_lost_drive_is_an_error_and_never_other_bytes(module_database: str) -> None:
    async with datapath(drives=9, coding={"inline_from": MiB}) as path:
        await path.put("large", content(2 * MiB))

        path.fleet.lost = {1, 4, 5, 9}

        with pytest.raises(StoreError) as refused:
            await path.get("large")
        assert refused.value.public.status >= 500


async def test_a_segment_sealed_under_a_writer_is_followed_by_another(module_database: str) -> None:
    async with datapath() as path:
        await path.put("first", b"1")
        sealed = await open_segment(path)
        # As the seal job does to a segment whose owner's lease has run out.
        await path.sql("SELECT segment_seal(%s, 1, NULL, NULL, NULL)", sealed)

        await path.put("second", b"2")

        assert await path.get("first") == b"1"
        assert await path.get("second") == b"2"
        assert await open_segment(path) != sealed


async def test_writers_of_one_process_share_their_syncs(module_database: str) -> None:
    async with datapath() as path:
        await path.put("warm", b"")
        before = sum(store.writes for store in path.fleet.stores.values())

        await asyncio.gather(*(path.put(f"k{n}", content(4096, n)) for n in range(60)))

        written = sum(store.writes for store in path.fleet.stores.values()) - before
        assert written < 60 * 3
        for n in range(60):
            assert await path.get(f"k{n}") == content(4096, n)


async def test_a_drive_that_fails_costs_no_write(module_database: str) -> None:
    async with datapath() as path:
        await path.put("before", b"1")
        rows = await path.sql("SELECT drives FROM segment WHERE id = %s", await open_segment(path))
        path.fleet.stores[rows[0][0][0]].failing = OSError(5, "Input/output error")

        for number in range(5):
            await path.put(f"after{number}", content(1000, number))

        for number in range(5):
            assert await path.get(f"after{number}") == content(1000, number)


async def test_durability_follows_what_is_recorded(module_database: str) -> None:
    async with datapath(drives=9, coding={"inline_from": MiB}) as path:
        await path.put("small", b"x")
        await path.put("large", content(MiB))
        await path.put("empty", b"")

        assert durability.of(await path.look("small")) == "replicated-2"
        assert durability.of(await path.look("large")) == "coded-9"
        assert durability.of(await path.look("empty")) == "metadata"


async def test_an_upload_of_small_and_large_parts(module_database: str) -> None:
    async with datapath(coding={"inline_from": 6 * MiB}) as path:
        found = await path.look(want=NONE)
        upload = await multipart.create(
            path.store, found, "big", Draft(), checksum_algorithm=None, checksum_type=None
        )
        sizes = [5 * MiB, 7 * MiB, 10]
        parts = []
        for number, size in enumerate(sizes, start=1):
            body = Whole(content(size, number))
            written = await multipart.upload_part(
                path.store, found, "big", upload, number, body, Draft()
            )
            parts.append(Listed(number, written.etag))

        await multipart.complete(path.store, found, "big", upload, parts, conditions=UNCONDITIONAL)

        whole = b"".join(content(size, number) for number, size in enumerate(sizes, start=1))
        assert await path.get("big") == whole
        assert (
            await path.get("big", part=ByteRange(5 * MiB - 3, 12 * MiB + 3))
            == (whole[5 * MiB - 3 : 12 * MiB + 3])
        )


async def test_a_part_is_copied_out_of_coded_segments(module_database: str) -> None:
    async with datapath(coding={"inline_from": MiB, "segment_size": 2 * MiB}) as path:
        whole = content(5 * MiB)
        await path.put("source", whole)
        found, source = await path.look(want=NONE), await path.look("source")
        upload = await multipart.create(
            path.store, found, "copy", Draft(), checksum_algorithm=None, checksum_type=None
        )
        part = ByteRange(MiB, 4 * MiB)

        written = await copy.part_copy(path.store, source, found, "copy", upload, 1, part)
        await multipart.complete(
            path.store, found, "copy", upload, [Listed(1, written.etag)],
            conditions=UNCONDITIONAL,
        )  # fmt: skip
        await path.delete("source")

        assert written.etag == hashlib.md5(whole[MiB : 4 * MiB]).hexdigest()
        assert await path.get("copy") == whole[MiB : 4 * MiB]


async def test_what_a_refused_body_left_is_named_by_nothing(module_database: str) -> None:
    async with datapath(coding={"inline_from": MiB}) as path:
        found = await path.look(want=NONE)
        for size in (10, 100_000, 2 * MiB):
            with pytest.raises(StoreError):
                await write.put(
                    path.store, found, "a", Whole(content(size)), Draft(sha256="0" * 64)
                )

        rows = await path.sql(
            "SELECT count(*) FILTER (WHERE state = 'writing') FROM segment s WHERE NOT EXISTS"
            " (SELECT FROM extent e WHERE e.segment_id = s.id) AND s.owner LIKE 'test-%%'"
        )
        assert rows == [(0,)]
        assert await path.get("a") is None

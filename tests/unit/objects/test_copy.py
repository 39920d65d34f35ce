"""Copies: shared extents, cut ranges, and bytes written anew where they must be."""

from __future__ import annotations

import hashlib

import hypothesis.strategies as st
import pytest
from hypothesis import given

from core import checksums
from core.errors import SlowDown
from core.names import new_id
from core.ranges import ByteRange
from objects import copy, multipart, tagging
from objects.draft import UNCONDITIONAL, Draft, Written
from objects.extents import ExtentRow, cut
from objects.found import NONE
from tests.support.namespace import Namespace
from tests.support.uploads import Listed


async def copied(space: Namespace, source: str, target: str, **draft: object) -> Written:
    return await copy.copy(
        space.store,
        await space.look(source),
        await space.look(want=NONE),
        target,
        Draft(**draft),  # type: ignore[arg-type]
    )


async def segments_of(space: Namespace, key: str) -> list[object]:
    version = (await space.look(key)).version
    assert version is not None
    return [(one.segment_id, one.offset, one.skip, one.length) for one in version.locations]


async def test_a_copy_shares_the_source_s_bytes(space: Namespace) -> None:
    await space.put("a", b"hello")

    written = await copied(space, "a", "b")

    assert await space.get("b") == b"hello"
    assert await segments_of(space, "a") == await segments_of(space, "b")
    assert written.etag == hashlib.md5(b"hello").hexdigest()


async def test_a_copy_outlives_its_source(space: Namespace) -> None:
    await space.put("a", b"hello")
    await copied(space, "a", "b")

    await space.delete("a")

    assert await space.get("b") == b"hello"


async def test_a_copy_onto_itself_keeps_the_bytes(space: Namespace) -> None:
    await space.put("a", b"hello")

    await copied(space, "a", "a", metadata={"new": "1"})

    assert await space.get("a") == b"hello"
    version = (await space.look("a")).version
    assert version is not None
    assert version.metadata == {"new": "1"}


async def test_an_empty_object_is_copied(space: Namespace) -> None:
    await space.put("a", b"")

    await copied(space, "a", "b")

    assert await space.get("b") == b""


async def test_another_policy_means_writing_anew(space: Namespace) -> None:
    await space.put("a", b"hello")
    await space.sql("UPDATE bucket SET storage_policy = 'rep-3' WHERE name = %s", space.bucket)

    await copied(space, "a", "b")

    assert await space.get("b") == b"hello"
    assert await segments_of(space, "a") != await segments_of(space, "b")


async def test_another_checksum_is_computed(space: Namespace) -> None:
    await space.put("a", b"hello")
    source, target = await space.look("a"), await space.look(want=NONE)

    written = await copy.copy(
        space.store, source, target, "b", Draft(), checksum_algorithm="SHA256"
    )

    assert written.checksums is not None
    assert written.checksums["value"] == checksums.encode(hashlib.sha256(b"hello").digest())


async def test_a_source_deleted_meanwhile_is_copied_while_its_bytes_are_there(
    space: Namespace,
) -> None:
    await space.put("a", b"hello")
    source, target = await space.look("a"), await space.look(want=NONE)
    await space.delete("a")

    await copy.copy(space.store, source, target, "b", Draft())

    assert await space.get("b") == b"hello"


async def test_bytes_on_their_way_to_the_trash_are_not_shared(space: Namespace) -> None:
    await space.put("a", b"hello")
    source, target = await space.look("a"), await space.look(want=NONE)
    await space.delete("a")
    assert source.version is not None
    segment = source.version.locations[0].segment_id
    await space.sql(
        "UPDATE segment SET state = 'dead', owner = NULL, lease_until = NULL WHERE id = %s", segment
    )

    with pytest.raises(Exception, match="reduce your request rate"):
        await copy.copy(space.store, source, target, "b", Draft())
    assert await space.get("b") is None


async def test_a_deleted_source_is_not_shared_from_a_layout_written_since(space: Namespace) -> None:
    """Nothing named its bytes when that layout was written: they need not be in it."""
    await space.put("a", b"hello")
    source, target = await space.look("a"), await space.look(want=NONE)
    await space.delete("a")
    assert source.version is not None
    segment = source.version.locations[0].segment_id
    await space.sql("UPDATE segment SET epoch = epoch + 1 WHERE id = %s", segment)

    with pytest.raises(SlowDown):
        await copy.copy(space.store, source, target, "b", Draft())
    assert await space.get("b") is None


async def test_a_source_that_is_there_is_shared_from_its_new_layout(space: Namespace) -> None:
    await space.put("a", b"hello")
    source, target = await space.look("a"), await space.look(want=NONE)
    assert source.version is not None
    segment = source.version.locations[0].segment_id
    await space.sql("UPDATE segment SET epoch = epoch + 1 WHERE id = %s", segment)

    await copy.copy(space.store, source, target, "b", Draft())

    assert [one[0] for one in await segments_of(space, "b")] == [segment]


async def test_a_range_becomes_a_part(space: Namespace) -> None:
    await space.put("a", bytes(range(100)))
    found = await space.look(want=NONE)
    upload = await multipart.create(
        space.store, found, "b", Draft(), checksum_algorithm="CRC32", checksum_type="COMPOSITE"
    )

    written = await copy.part_copy(
        space.store, await space.look("a"), found, "b", upload, 1, ByteRange(10, 20)
    )
    await multipart.complete(
        space.store, found, "b", upload, [Listed(1, written.etag)], conditions=UNCONDITIONAL
    )

    assert await space.get("b") == bytes(range(10, 20))
    assert written.etag == hashlib.md5(bytes(range(10, 20))).hexdigest()
    value = checksums.encode(checksums.digest("CRC32", bytes(range(10, 20))))
    assert written.checksums == {"algorithm": "CRC32", "type": "FULL_OBJECT", "value": value}


async def test_tags_change_without_a_new_version(versioned: Namespace) -> None:
    written = await versioned.put("a", b"x", tags={"old": "1"})

    await tagging.put(versioned.store, await versioned.look("a"), "a", {"new": "2"})

    version = (await versioned.look("a")).version
    assert version is not None
    assert (version.tags, version.wire_id) == ({"new": "2"}, written.version_id)
    assert version.last_modified == written.last_modified


async def test_tags_go_to_the_version_that_was_asked_for(versioned: Namespace) -> None:
    old = await versioned.put("a", b"1")
    await versioned.put("a", b"2")

    found = await versioned.look("a", old.version_id)
    await tagging.put(versioned.store, found, "a", {"k": "v"})

    for version_id, tags in ((old.version_id, {"k": "v"}), (None, {})):
        version = (await versioned.look("a", version_id)).version
        assert version is not None
        assert version.tags == tags


@given(
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=5),
    packed=st.booleans(),
    bounds=st.tuples(st.integers(0, 100), st.integers(0, 100)),
)
def test_cut_extents_hold_exactly_the_range(
    lengths: list[int], packed: bool, bounds: tuple[int, int]
) -> None:
    start, stop = sorted(bound % (sum(lengths) + 1) for bound in bounds)
    space = bytearray()
    rows: list[ExtentRow] = []
    whole = b""
    segment = new_id()
    for number, length in enumerate(lengths):
        offset = len(space)
        record = bytes([255, 255]) + bytes([number]) * length
        space += record
        whole += record[2:]
        rows.append(
            (segment, offset, len(record), 2, length)
            if packed
            else (segment, offset + 2, None, 0, length)
        )

    kept = cut(rows, start, stop)

    found = b"".join(
        bytes(space[offset + skip : offset + skip + length]) for _, offset, _, skip, length in kept
    )
    assert found == whole[start:stop]

"""GET: ranges over extents, and bytes that were moved between look-up and read."""

from __future__ import annotations

import pytest

from core.errors import NotEnoughShards
from core.names import new_id
from core.ranges import ByteRange
from objects import durability, read
from objects.found import Found, Place
from objects.segments import Located
from tests.support.namespace import MiB, Namespace, drained


async def test_a_range_is_cut_out(space: Namespace) -> None:
    await space.put("a", bytes(range(100)))

    assert await space.get("a", part=ByteRange(10, 20)) == bytes(range(10, 20))


async def test_a_small_range_of_a_large_object_is_whole(space: Namespace) -> None:
    await space.put("a", bytes(range(256)) * (3 * MiB // 256))

    reading = await read.open(space.store, await space.look("a"), ByteRange(255, 257))

    assert reading.whole == b"\xff\0"


async def test_a_large_object_is_a_stream(space: Namespace) -> None:
    content = bytes(range(256)) * (3 * MiB // 256)
    await space.put("a", content)

    reading = await read.open(space.store, await space.look("a"), None)

    assert reading.whole is None
    assert await drained(reading) == content


async def move(space: Namespace, key: str) -> Found:
    """Rewrite a key's bytes into another segment, as a gathering job does; the stale findings."""
    found = await space.look(key)
    assert found.version is not None
    content = await read.read_whole(space.store, found.version, 0, found.version.size)
    old = space.segments.close_segment()
    stored = await space.segments.append("ec-6-3", "fast", new_id(), content)
    await space.sql(
        'UPDATE extent SET segment_id = %s, "offset" = %s WHERE version_id = %s',
        stored.segment_id,
        stored.offset,
        found.version.id,
    )
    del space.segments._bytes[old]
    stored.settle()
    return found


async def test_bytes_that_moved_are_looked_for_once_more(space: Namespace) -> None:
    await space.put("a", b"hello")

    stale = await move(space, "a")

    assert (await read.open(space.store, stale, None)).whole == b"hello"


async def test_bytes_that_are_gone_are_an_error(space: Namespace) -> None:
    await space.put("a", b"hello")
    found = await space.look("a")
    await space.delete("a")
    space.segments._bytes.clear()

    with pytest.raises(NotEnoughShards):
        await read.open(space.store, found, None)


async def test_a_stream_that_cannot_begin_is_an_error_before_an_answer_does(
    space: Namespace,
) -> None:
    await space.put("a", bytes(3 * MiB))
    found = await space.look("a")
    await space.delete("a")
    space.segments._bytes.clear()

    with pytest.raises(NotEnoughShards):
        await read.open(space.store, found, None)


def place(layout: str = "replicated", state: str = "sealed", **more: object) -> Place:
    """A place 8192 bytes into a segment: of 4096 bytes, on drives 1 to n."""
    drives = more.get("drives", [1, 2, 3] if layout == "replicated" else list(range(1, 10)))
    where = ["ec-6-3", layout, state, 1, drives, 1 << 20, 131072]
    standing = [more.get("confirmed"), more.get("lost")]
    return Place([new_id().hex, 8192, 4096, 0, 4096, *where, *standing])


@pytest.mark.parametrize(
    ("found", "claimed"),
    [
        (place(confirmed=[20000, 20000, 20000]), "replicated-3"),
        (place(confirmed=[20000, 20000, 0]), "replicated-2"),
        (place(state="open", confirmed=[0, 0, 0]), "replicated-2"),
        (place(state="open"), "replicated-2"),
        (place(confirmed=[20000, 20000, 20000], lost=[0, 1]), "replicated-1"),
        (place(confirmed=[20000, 20000, 9000], lost=[2]), "replicated-2"),
        (place("coded", "stored"), "coded-9"),
        (place("coded", "stored", lost=[3, 4]), "coded-7"),
        (place("coded", "stored", drives=[1, 2, 3, 4, 5, 6, 7, 8, 0]), "coded-8"),
    ],
)
def test_durability_claims_what_is_recorded(found: Place, claimed: str) -> None:
    assert durability.of_places([found]) == claimed


def test_durability_is_that_of_the_weakest_segment() -> None:
    strong = place("coded", "stored")
    weak = place(confirmed=[20000, 20000, 20000])

    assert durability.of_places([strong, weak]) == "replicated-3"
    assert durability.of_places([strong, place("coded", "stored", lost=[1])]) == "coded-8"


def test_without_bytes_it_is_the_metadata_s() -> None:
    assert durability.of_places([]) == "metadata"


def test_places_carry_what_the_reader_needs() -> None:
    located = place().located

    assert isinstance(located, Located)
    assert (located.offset, located.record_size, located.length) == (8192, 4096, 4096)

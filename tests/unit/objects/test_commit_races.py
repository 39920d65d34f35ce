"""Commits that race for a key have one winner; those that wait do not hold up other keys."""

from __future__ import annotations

import asyncio

import pytest

from core.errors import SlowDown
from core.names import new_id
from objects.draft import Conditions
from objects.found import NONE
from tests.support.commits import IF_ABSENT, counted, holding, outcomes, row
from tests.support.namespace import Namespace, namespace


async def test_of_many_writers_if_absent_exactly_one_wins(space: Namespace) -> None:
    puts = [space.put("a", bytes([number]), IF_ABSENT) for number in range(40)]

    assert await outcomes(*puts) == ["PreconditionFailed"] * 39 + ["ok"]


async def test_of_many_writers_over_one_etag_exactly_one_wins(space: Namespace) -> None:
    written = await space.put("a", b"old")
    conditions = Conditions(if_match=written.etag)
    puts = [space.put("a", b"new %d" % number, conditions) for number in range(40)]

    assert await outcomes(*puts) == ["PreconditionFailed"] * 39 + ["ok"]


async def test_concurrent_puts_of_a_key_make_distinct_versions(versioned: Namespace) -> None:
    written = await asyncio.gather(*(versioned.put("a", bytes([n])) for n in range(30)))

    assert len({one.version_id for one in written}) == 30
    assert await counted(versioned, "a") == (30, 1)


async def test_concurrent_deletes_of_a_version_all_succeed(versioned: Namespace) -> None:
    written = await versioned.put("a", b"x")

    deleted = [versioned.delete("a", written.version_id) for _ in range(10)]

    assert await outcomes(*deleted) == ["ok"] * 10


async def test_a_put_of_a_busy_key_waits_and_others_do_not(space: Namespace) -> None:
    bucket = (await space.look(want=NONE)).bucket
    assert bucket is not None
    lock = "SELECT pg_advisory_xact_lock(lock_key(%s, 'busy'))"
    async with holding(lock, bucket.id):
        waiting = asyncio.create_task(space.put("busy", b"x"))
        for number in range(5):
            await space.put(f"free{number}", b"y")
        assert not waiting.done()

    await waiting
    assert await space.get("busy") == b"x"


async def test_a_key_that_stays_busy_ends_in_slow_down(module_database: str) -> None:
    async with namespace(lock_timeout_s=0.2) as space:
        bucket = (await space.look(want=NONE)).bucket
        assert bucket is not None
        async with holding("SELECT pg_advisory_xact_lock(lock_key(%s, 'busy'))", bucket.id):
            with pytest.raises(SlowDown):
                await space.put("busy", b"x")


async def test_a_batch_that_waits_too_long_for_a_segment_is_not_replayed(
    module_database: str,
) -> None:
    async with namespace(lock_timeout_s=0.2) as space:
        await space.put("warm", b"x")
        found = await space.look(want=NONE)
        segment = space.segments._open["ec-6-3"]
        rows = [row(found, f"k{number}") for number in range(3)]
        for one in rows:
            one.fresh = [await space.segments.append("ec-6-3", "fast", new_id(), b"x")]

        async with holding("SELECT FROM segment WHERE id = %s FOR UPDATE", segment):
            done = await space.store.commits._send(rows)

        assert [type(one) for one in done] == [SlowDown] * 3
        assert await counted(space, "k0") == (0, 0)


async def test_a_bucket_being_changed_is_waited_for(space: Namespace) -> None:
    bucket = (await space.look(want=NONE)).bucket
    assert bucket is not None
    lock = "SELECT pg_advisory_xact_lock((lock_bucket(%s)).high, (lock_bucket(%s)).low)"
    async with holding(lock, bucket.id, bucket.id):
        waiting = asyncio.create_task(space.put("a", b"x"))
        await space.look("a")
        assert not waiting.done()

    await waiting

"""Multipart uploads completed twice, at once, or while they are aborted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from core.database import Lanes
from core.errors import NoSuchUpload
from tests.support.namespace import Namespace
from tests.support.uploads import Listed, begin, leftovers


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


class Interrupted:
    """Lanes on which something else happens before their second question."""

    def __init__(self, lanes: Lanes, meanwhile: Callable[[], Awaitable[None]]) -> None:
        self._lanes = lanes
        self._meanwhile = meanwhile
        self._asked = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lanes, name)

    async def fetch(self, *question: Any) -> Any:
        await self._count()
        return await self._lanes.fetch(*question)

    async def fetch_one(self, *question: Any) -> Any:
        await self._count()
        return await self._lanes.fetch_one(*question)

    async def _count(self) -> None:
        self._asked += 1
        if self._asked == 2:
            await self._meanwhile()


async def test_a_complete_between_whose_questions_another_is_done_gets_its_answer(
    space: Namespace,
) -> None:
    upload = await begin(space)
    part = await upload.send(1, b"x")
    lanes, done = space.store.lanes, []

    async def meanwhile() -> None:
        space.store.lanes = lanes
        done.append(await upload.complete(part))

    space.store.lanes = Interrupted(lanes, meanwhile)  # type: ignore[assignment]

    assert [await upload.complete(part)] == done


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

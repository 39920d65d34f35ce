"""Multipart uploads completed twice, at once, or while they are aborted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.errors import NoSuchUpload
from objects import queries
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

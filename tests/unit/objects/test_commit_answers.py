"""Commits whose answer is lost: settled by what the database says, or unknown."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core import failpoints
from core.errors import UnknownOutcome
from objects.found import NONE
from tests.support.commits import holding, row
from tests.support.namespace import Namespace

pytestmark = pytest.mark.usefixtures("disarmed")


async def test_a_commit_whose_answer_is_lost_is_settled_by_its_id(space: Namespace) -> None:
    await space.put("a", b"old")
    failpoints.arm("commit.unanswered=raise")

    await space.put("a", b"new")

    assert await space.get("a") == b"new"


async def test_a_batch_whose_answer_is_lost_is_settled_row_by_row(space: Namespace) -> None:
    found = await space.look(want=NONE)
    failpoints.arm("commit.unanswered=raise")

    done = await space.store.commits._send([row(found, f"k{n}") for n in range(4)])

    assert [getattr(one, "outcome", one) for one in done] == ["done"] * 4


async def test_what_was_rolled_back_with_its_answer_lost_is_unknown(space: Namespace) -> None:
    found = await space.look(want=NONE)
    commits = space.store.commits
    real = commits._lanes

    class Lost:
        """Lanes whose next answer never comes, and whose statement never ran."""

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        async def call(self, *rest: Any, **named: Any) -> Any:
            raise UnknownOutcome()

    commits._lanes = Lost()  # type: ignore[assignment]
    try:
        with pytest.raises(UnknownOutcome):
            await space.store.commit(row(found, "a"), found)
    finally:
        commits._lanes = real
    assert (await space.look("a")).version is None


async def test_a_killed_connection_leaves_nothing_half_done(space: Namespace) -> None:
    await space.put("warm", b"")
    bucket = (await space.look(want=NONE)).bucket
    assert bucket is not None
    async with holding("SELECT pg_advisory_xact_lock(lock_key(%s, 'a'))", bucket.id):
        waiting = asyncio.create_task(space.put("a", b"x"))
        while not await space.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE wait_event = 'advisory' AND datname = current_database()"
        ):
            assert not waiting.done()

    with pytest.raises(UnknownOutcome):
        await waiting
    assert await space.get("a") is None

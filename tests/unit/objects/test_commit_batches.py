"""Commits in one batch: each answered for itself, in order, whatever becomes of the others."""

from __future__ import annotations

import asyncio

import pytest

from core.database import COMMIT, WAITING
from core.errors import InternalError
from core.names import new_id
from objects.commits import Row
from objects.found import NONE
from tests.support.commits import IF_ABSENT, counted, row
from tests.support.namespace import Namespace


@pytest.mark.parametrize("size", [-1, 10**30], ids=["refused by the table", "no JSON can say it"])
async def test_a_data_error_fails_its_own_row_alone(space: Namespace, size: int) -> None:
    found = await space.look(want=NONE)
    rows = [row(found, "good"), row(found, "bad", size=size), row(found, "better")]

    done = await asyncio.gather(
        *(space.store.commit(one, found) for one in rows), return_exceptions=True
    )

    assert [getattr(one, "outcome", type(one)) for one in done] == ["done", InternalError, "done"]
    kept = [await counted(space, key) for key in ("good", "bad", "better")]
    assert kept == [(1, 1), (0, 0), (1, 1)]


async def test_rows_of_one_key_in_one_batch_follow_each_other(versioned: Namespace) -> None:
    found = await versioned.look(want=NONE)
    rows = [row(found, "same") for _ in range(5)]

    done = await versioned.store.commits._send(rows)

    seqs = [one.seq for one in done if not isinstance(one, BaseException)]
    assert len(seqs) == 5
    assert seqs == sorted(seqs)
    assert await counted(versioned, "same") == (5, 1)


async def test_a_batch_of_all_sorts_is_answered_in_order(
    space: Namespace, versioned: Namespace
) -> None:
    """New keys are committed together, ahead of the rest; the answers do not tell."""
    for one in (space, versioned):
        await one.put("there", b"x")
    found, other = await space.look(want=NONE), await versioned.look(want=NONE)
    assert found.bucket is not None
    if_absent, refused = row(found, "absent"), row(found, "there")
    if_absent.conditions = refused.conditions = IF_ABSENT.as_json()
    gone = Row(
        "delete", found, "gone", {"bucket_id": found.bucket.id, "key": "gone", "id": new_id()}
    )
    rows = [
        row(found, "new"), row(found, "there"), row(other, "new"), gone, row(found, "new"),
        if_absent, refused, row(other, "there"), row(found, "newer"), row(other, "new"),
    ]  # fmt: skip

    done = await space.store.commits._transact(COMMIT, rows)

    assert [one.outcome for one in done] == ["done"] * 6 + ["precondition"] + ["done"] * 3
    for one, answer in zip(rows, done, strict=True):
        if one.kind == "put" and answer.outcome == "done":
            assert answer.version_id == one.body["id"]
            assert answer.is_null is (one.decision is found.decision)
    keys = ("new", "there", "absent", "newer", "gone")
    assert [await counted(space, key) for key in keys] == [(1, 1)] * 4 + [(0, 0)]
    assert [await counted(versioned, key) for key in keys[:2]] == [(2, 1)] * 2
    for one, last in ((space, rows[4]), (versioned, rows[9])):
        version = (await one.look("new")).version
        assert version is not None
        assert version.id == last.body["id"]
    usage = await space.sql(
        "SELECT b.name, sum(u.objects)::int, sum(u.versions)::int FROM usage_delta u"
        " JOIN bucket b ON b.id = u.bucket_id WHERE b.name = ANY(%s) GROUP BY b.name",
        [space.bucket, versioned.bucket],
    )
    assert {name: counts for name, *counts in usage} == {
        space.bucket: [4, 4],
        versioned.bucket: [2, 4],
    }
    journaled = await space.sql(
        "SELECT count(*) FROM change c JOIN bucket b ON b.id = c.bucket_id"
        " WHERE b.name = ANY(%s) AND c.kind = 'put'",
        [space.bucket, versioned.bucket],
    )
    assert journaled[0][0] == 2 + 8


async def test_rows_of_many_buckets_share_a_batch(space: Namespace, versioned: Namespace) -> None:
    one, other = await space.look(want=NONE), await versioned.look(want=NONE)

    done = await space.store.commits._send([row(one, "k"), row(other, "k"), row(one, "l")])

    assert [result.is_null for result in done if not isinstance(result, BaseException)] == [
        True,
        False,
        True,
    ]
    deltas = await space.sql(
        "SELECT bucket_id, sum(versions)::int FROM usage_delta"
        " WHERE bucket_id = ANY(%s) GROUP BY 1",
        [found.bucket.id for found in (one, other) if found.bucket],
    )
    assert {count for _, count in deltas} == {1, 2}


async def test_more_rows_than_keys_are_locked_for_go_through_the_bucket(space: Namespace) -> None:
    found = await space.look(want=NONE)

    done = await space.store.commits._transact(WAITING, [row(found, f"{n}") for n in range(300)])

    assert {one.outcome for one in done} == {"done"}

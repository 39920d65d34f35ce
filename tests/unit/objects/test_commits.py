"""Commits: races with one winner, errors that stay with their row, answers that are lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest

from core import failpoints
from core.config import config
from core.database import COMMIT, WAITING
from core.errors import (
    AccessDenied,
    InternalError,
    NoSuchBucket,
    PreconditionFailed,
    SlowDown,
    StaleRevision,
    StoreError,
    UnknownOutcome,
)
from core.names import new_id
from objects.commits import Row
from objects.draft import Conditions, Draft
from objects.found import NONE, Found
from objects.write import described
from tests.support.namespace import Namespace, namespace

IF_ABSENT = Conditions(if_none_match="*")


@pytest.fixture(autouse=True)
def disarmed() -> Any:
    yield
    failpoints.arm("")


@asynccontextmanager
async def holding(statement: str, *parameters: object) -> AsyncIterator[None]:
    """Another transaction that has run a statement and does not end inside the block."""
    async with await psycopg.AsyncConnection.connect(config().database.url) as other:
        await other.execute(statement.encode(), parameters)
        yield
        await other.rollback()


async def outcomes(*puts: Any) -> list[str]:
    """`ok`, or the error's name, of each."""
    results = await asyncio.gather(*puts, return_exceptions=True)
    return sorted(type(one).__name__ if isinstance(one, Exception) else "ok" for one in results)


async def counted(space: Namespace, key: str) -> tuple[int, int]:
    """How many versions a key has, and how many of them are the latest."""
    rows = await space.sql(
        "SELECT count(*), count(*) FILTER (WHERE v.is_latest) FROM version v"
        " JOIN bucket b ON b.id = v.bucket_id WHERE b.name = %s AND v.key = %s",
        space.bucket,
        key,
    )
    return rows[0][0], rows[0][1]


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


def row(found: Found, key: str, **changes: Any) -> Row:
    """A version without bytes, with columns changed."""
    bucket = found.bucket
    assert bucket is not None
    body = described(new_id(), bucket, key, Draft())
    body |= {"size": 0, "etag": "e", "checksums": None, "extents": [], **changes}
    return Row("put", found, key, body)


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


async def test_configuration_that_moved_is_decided_with_again(space: Namespace) -> None:
    found = await space.look(want=NONE)
    asked = []
    found.check = asked.append
    await space.set_versioning("Enabled")

    outcome = await space.store.commit(row(found, "a"), found)

    assert outcome.outcome == "done"
    assert not outcome.is_null
    assert len(asked) == 1


async def test_a_decision_that_turned_out_otherwise_refuses_the_commit(space: Namespace) -> None:
    found = await space.look(want=NONE)

    def refuse(fresh: Found) -> None:
        assert fresh.caller is not None
        assert not fresh.caller.enabled
        raise AccessDenied()

    found.check = refuse
    await space.sql("UPDATE access_key SET enabled = false WHERE id = %s", space.access_key)

    with pytest.raises(AccessDenied):
        await space.store.commit(row(found, "a"), found)
    assert (await space.look("a")).version is None


@pytest.mark.parametrize("table", ["account_user", "tenant"])
async def test_a_suspension_above_the_key_reaches_the_commit(space: Namespace, table: str) -> None:
    found = await space.look(want=NONE)
    found.check = None
    assert found.caller is not None
    owner = found.caller.tenant_id if table == "tenant" else found.caller.user_id
    await space.sql(f"UPDATE {table} SET suspended = true WHERE id = %s", owner)

    with pytest.raises(StaleRevision):
        await space.store.commit(row(found, "a"), found)


async def test_a_bucket_made_anew_under_the_name_is_another(space: Namespace) -> None:
    found = await space.look(want=NONE)
    await space.sql(
        "WITH old AS (DELETE FROM bucket WHERE name = %s RETURNING *) SELECT 1 FROM old",
        space.bucket,
    )
    await space.sql(
        "INSERT INTO bucket (id, tenant_id, name, region, versioning, storage_policy, ack,"
        " object_lock, revision) SELECT %s, id, %s, 'us-east-1', '', 'ec-6-3', 'fast', false, 0"
        " FROM tenant LIMIT 1",
        new_id(),
        space.bucket,
    )

    with pytest.raises(NoSuchBucket):
        await space.store.commit(row(found, "a"), found)


async def test_a_bucket_with_versions_cannot_be_deleted(space: Namespace) -> None:
    await space.put("a", b"x")

    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        await space.sql("DELETE FROM bucket WHERE name = %s", space.bucket)


async def test_every_commit_leaves_a_change_with_its_extents(space: Namespace) -> None:
    await space.put("a", b"x", tags={"k": "v"})
    await space.delete("a")

    changes = await space.sql(
        "SELECT c.kind, c.seq, c.body FROM change c JOIN bucket b ON b.id = c.bucket_id"
        " WHERE b.name = %s AND c.key = 'a' ORDER BY c.seq",
        space.bucket,
    )

    assert [kind for kind, _, _ in changes] == ["put", "delete"]
    body = changes[0][2]
    assert (body["size"], body["tags"], body["is_null"]) == (1, {"k": "v"}, True)
    assert body["extents"][0][4] == 1
    assert changes[1][2]["id"] == body["id"]


async def test_a_locked_version_is_not_deleted_even_by_sql(versioned: Namespace) -> None:
    written = await versioned.put("a", b"x")
    version = (await versioned.look("a")).version
    assert version is not None
    await versioned.sql(
        "UPDATE version SET lock_mode = 'COMPLIANCE', lock_until = now() + interval '1 day'"
        " WHERE id = %s",
        version.id,
    )

    with pytest.raises(AccessDenied):
        await versioned.delete("a", written.version_id)
    for statement in (
        "DELETE FROM version WHERE id = %s",
        "UPDATE version SET lock_until = now() WHERE id = %s",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await versioned.sql(statement, version.id)
    assert await versioned.get("a") == b"x"


async def test_errors_tell_which_condition_failed(space: Namespace) -> None:
    await space.put("a", b"x")

    with pytest.raises(PreconditionFailed) as refused:
        await space.put("a", b"y", IF_ABSENT)

    error: StoreError = refused.value
    assert error.details == {"Condition": "If-None-Match"}

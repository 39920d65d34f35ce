"""Commits: decided with what is so by then, and what each leaves behind."""

from __future__ import annotations

import psycopg
import pytest

from core.errors import AccessDenied, NoSuchBucket, PreconditionFailed, StaleRevision, StoreError
from core.names import new_id
from objects.found import NONE, Found
from tests.support.commits import IF_ABSENT, row
from tests.support.namespace import Namespace


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

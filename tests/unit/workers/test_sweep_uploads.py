"""Uploads nobody goes on with are aborted."""

from __future__ import annotations

from core.names import new_id
from tests.support.drives import ask
from tests.support.work import perform
from workers import sweep_uploads


def test_a_stale_upload_is_aborted_and_a_young_one_is_not(drives):
    tenant, bucket = new_id(), new_id()
    ask(
        "INSERT INTO tenant (id, account_id, canonical_id, name, display_name, suspended, created,"
        " revision) VALUES (%s, '123456789012', repeat('a', 64), 't', 't', false, now(), 1)"
        " RETURNING id",
        tenant,
    )
    ask(
        "INSERT INTO bucket (id, tenant_id, name, region, versioning, storage_policy, ack,"
        " object_lock, revision, created) VALUES (%s, %s, 'bucket', 'r', '', 'ec-6-3', 'fast',"
        " false, 1, now()) RETURNING id",
        bucket,
        tenant,
    )
    for key, age in (("old", "2 days"), ("young", "1 hour"), ("busy", "2 days")):
        ask(
            "SELECT commit_upload(jsonb_build_object('id', %s::uuid, 'bucket_id', %s::uuid, 'key',"
            " %s::text, 'owner_id', %s::uuid, 'headers', '{}'::jsonb, 'metadata', '{}'::jsonb,"
            " 'tags', '{}'::jsonb, 'storage_class', 'STANDARD', 'storage_policy', 'ec-6-3',"
            " 'lock_hold', false), now() - %s::interval)",
            new_id(),
            bucket,
            key,
            tenant,
            age,
        )
    busy = ask("SELECT id FROM upload WHERE key = 'busy'")[0][0]
    ask(
        "INSERT INTO part (id, upload_id, number, size, etag, checksums, seq, last_modified)"
        " VALUES (%s, %s, 1, 0, '', '{}', 1, now()) RETURNING id",
        new_id(),
        busy,
    )

    perform(sweep_uploads.sweep_uploads)

    assert ask("SELECT key FROM upload ORDER BY key") == [("busy",), ("young",)]

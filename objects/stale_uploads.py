"""Multipart uploads that were left behind, and those completed long ago; synchronous.

Here: which they are, aborting and forgetting them. Not here: what clients ask of uploads
(multipart, uploads), when it is time (workers).

All times are the database's, as those of uploads and parts are: a worker's clock may be wrong. So
may that one: an upload is aborted when it was found to rest twice, and not before.

Promise: whether an upload rests is decided in `sql/uploads.sql` under its lock; false means that
something came meanwhile, and nothing was changed.
"""

from __future__ import annotations

from uuid import UUID

from jobs import statements


def stale_uploads(older_than_s: float, after: UUID, limit: int) -> list[UUID]:
    """Open uploads begun so long ago; whether they rest since then is decided one by one."""
    return [
        row[0]
        for row in statements.rows(
            "SELECT id FROM upload WHERE state = 'open'"
            " AND initiated < clock_timestamp() - make_interval(secs => %s) AND id > %s"
            " ORDER BY id LIMIT %s",
            older_than_s,
            after,
            limit,
        )
    ]


def abort_stale(upload_id: UUID, older_than_s: float, certain_s: float) -> bool:
    """Abort an upload unless it or a part of it is younger.

    The first call only remembers what it found; one that comes `certain_s` later acts on it.
    """
    found = statements.rows(
        "SELECT abort_stale(%s, make_interval(secs => %s), make_interval(secs => %s))",
        upload_id,
        older_than_s,
        certain_s,
    )
    return bool(found[0][0])


def forget_completed(older_than_s: float, limit: int) -> int:
    """Completed uploads are remembered for clients that ask again; not for ever. How many went."""
    return len(
        statements.rows(
            "WITH gone AS (DELETE FROM upload WHERE id IN (SELECT id FROM upload"
            " WHERE state = 'completed'"
            " AND completed_at < clock_timestamp() - make_interval(secs => %s) LIMIT %s)"
            " RETURNING id), told AS ("
            "INSERT INTO change (kind, body) SELECT 'forget', jsonb_build_object('uploads',"
            " jsonb_agg(id)) FROM gone HAVING count(*) > 0) SELECT id FROM gone",
            older_than_s,
            limit,
        )
    )
